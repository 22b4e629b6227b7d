/**
 * arXiv LaTeX → what LLaMA trained on: comments out, user macros expanded, everything before the first section and the bibliography cut.
 * Source: LLaMA, arXiv:2302.13971 §2.1 ("ArXiv", after Lewkowycz et al. 2022); sectioning and ending commands of RedPajama v1.
 */
import type { Document } from '../document.ts';
import { removeComments } from './latex-comments.ts';
import { expandMacros } from './latex-macros.ts';
import type { Drop, LineLog, Stage } from './stage.ts';

export interface LatexOptions {
  /** A text without any section: dropped, or kept from `\begin{document}` on. */
  readonly withoutSection: 'drop' | 'keep';
  readonly expandMacros: boolean;
}

/** Not one inside a definition, whose title is an argument. */
const firstSection = /\\(?:part|chapter|section|subsection|subsubsection|paragraph|subparagraph)\*?\s*[[{](?!\s*#)/g;
const ending =
  /\\appendix(?![a-zA-Z])|\\begin\{references\}|\\begin\{REFERENCES\}|\\begin\{thebibliography\}|\\bibliography\s*\{|\\printbibliography|\\end\{document\}/;

export function cleanLatex(options: LatexOptions): Stage {
  return {
    name: 'latex',
    apply(document: Document, log: LineLog): Drop | undefined {
      let text = removeComments(document.text.replaceAll('\r\n', '\n'));
      if (options.expandMacros) {
        const expanded = expandMacros(text);
        text = expanded.text;
        if (expanded.stopped) {
          document.attributes.macroLimit = true;
          log.removed('macro expansion stopped at its limit', 0, '');
        }
      }
      // A preamble may define commands that make sections; the first real one comes after it.
      firstSection.lastIndex = Math.max(0, text.indexOf('\\begin{document}'));
      const section = firstSection.exec(text);
      if (section) text = cutBefore(text, section.index, log);
      else if (options.withoutSection === 'drop') return { reason: 'no section' };
      else text = cutBefore(text, Math.max(0, text.indexOf('\\begin{document}')), log).replace('\\begin{document}', '');
      const end = ending.exec(text);
      if (end) {
        log.removed(
          'bibliography and appendix',
          text.slice(0, end.index).split('\n').length - 1,
          text.slice(end.index),
        );
        text = text.slice(0, end.index);
      }
      document.text = text.replace(/\n{3,}/g, '\n\n').trim();
      return document.text === '' ? { reason: 'no text is left' } : undefined;
    },
  };
}

function cutBefore(text: string, at: number, log: LineLog): string {
  if (at > 0) log.removed('before the first section', 0, text.slice(0, at));
  return text.slice(at);
}
