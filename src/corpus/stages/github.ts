/**
 * Rules for source code: permissive licences, line lengths, share of letters, boilerplate headers.
 * Source: LLaMA, arXiv:2302.13971 §2.1 ("GitHub"); limits and extensions of RedPajama v1.
 */
import type { Document } from '../document.ts';
import type { Drop, Stage } from './stage.ts';

export interface GithubRules {
  /** SPDX-like names, compared in lower case; a document whose licence is unknown goes. Absent: licences are not looked at. */
  readonly licences: readonly string[] | undefined;
  readonly maximumLineLength: number;
  readonly maximumMeanLineLength: number;
  readonly minimumAlphanumericShare: number;
  /** Letters per token of the given tokenizer; absent: not looked at. */
  readonly minimumLettersPerToken: number | undefined;
  readonly extensions: readonly string[] | undefined;
}

/** Apache, BSD and MIT, as BigQuery's `licenses` table spells them. */
export const permissiveLicences = ['apache-2.0', 'bsd-2-clause', 'bsd-3-clause', 'mit'];

/** File endings, and whole names for files that have none. */
export const codeExtensions = (
  '.asm .bat .cmd .c .h .cs .cpp .hpp .c++ .h++ .cc .hh .cmake .css .dockerfile .f90 .f .f03 .f08 .f77 .f95 .for .fpp .go .hs ' +
  '.html .java .js .jl .lua .md .markdown .php .php3 .php4 .php5 .phps .phpt .pl .pm .pod .perl .ps1 .psd1 .psm1 .py .rb .rs ' +
  '.sql .scala .sh .bash .command .zsh .ts .tsx .tex .vb dockerfile makefile .xml .rst .m .smali'
).split(' ');

export function githubQuality(rules: GithubRules, countTokens?: (text: string) => number): Stage {
  return {
    name: 'github',
    apply(document: Document): Drop | undefined {
      const { text, attributes } = document;
      const { licence } = attributes;
      if (rules.licences && !(typeof licence === 'string' && rules.licences.includes(licence.toLowerCase()))) {
        return { reason: 'licence not permissive', detail: String(licence ?? 'unknown') };
      }
      const name = fileName(document);
      if (rules.extensions && !rules.extensions.some((extension) => matchesExtension(name, extension))) {
        return { reason: 'file type not kept', detail: name };
      }
      const lines = text.split('\n');
      const longest = lines.reduce((most, line) => Math.max(most, line.length), 0);
      if (longest > rules.maximumLineLength)
        return { reason: `a line over ${rules.maximumLineLength} characters`, detail: `${longest}` };
      const mean = text.length / lines.length;
      if (mean > rules.maximumMeanLineLength)
        return { reason: `lines over ${rules.maximumMeanLineLength} characters on average`, detail: mean.toFixed(1) };
      const alphanumeric = countMatching(text, /[\p{L}\p{N}]/u) / Math.max(1, text.length);
      if (alphanumeric < rules.minimumAlphanumericShare) {
        return {
          reason: `under ${rules.minimumAlphanumericShare} letters and digits`,
          detail: alphanumeric.toFixed(3),
        };
      }
      if (rules.minimumLettersPerToken !== undefined && countTokens) {
        const ratio = countMatching(text, /\p{L}/u) / Math.max(1, countTokens(text));
        if (ratio < rules.minimumLettersPerToken)
          return { reason: `under ${rules.minimumLettersPerToken} letters a token`, detail: ratio.toFixed(2) };
      }
      return undefined;
    },
  };
}

/** The path's last part, in lower case; ids and addresses end in it. */
function fileName(document: Document): string {
  const { path } = document.attributes;
  const full = typeof path === 'string' ? path : (document.url ?? document.id);
  return full.slice(full.lastIndexOf('/') + 1).toLowerCase();
}

function matchesExtension(name: string, extension: string): boolean {
  const wanted = extension.toLowerCase();
  return wanted.startsWith('.') ? name.endsWith(wanted) : name === wanted;
}

function countMatching(text: string, pattern: RegExp): number {
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 128) count += asciiClass(code, pattern.source.includes('N'));
    else if (pattern.test(text[i]!)) count++;
  }
  return count;
}

function asciiClass(code: number, digits: boolean): number {
  return Number((code >= 97 && code <= 122) || (code >= 65 && code <= 90) || (digits && code >= 48 && code <= 57));
}

const blockStyles = [
  /^\/\*[\s\S]*?\*\/[ \t]*\n?/,
  /^<!--[\s\S]*?-->[ \t]*\n?/,
  /^(?:"""[\s\S]*?"""|'''[\s\S]*?''')[ \t]*\n?/,
  /^\(\*[\s\S]*?\*\)[ \t]*\n?/,
];
const lineStyles = [
  /^(?:[ \t]*\/\/.*(?:\n|$))+/,
  /^(?:[ \t]*#(?!!|\s*include|\s*define|\s*if|\s*pragma).*(?:\n|$))+/,
  /^(?:[ \t]*--.*(?:\n|$))+/,
  /^(?:[ \t]*;.*(?:\n|$))+/,
  /^(?:[ \t]*%.*(?:\n|$))+/,
];
const legalWords = /copyright|licen[cs]e|all rights reserved|spdx-license-identifier|©/i;
/** Headers are looked for at the top; a hostile file must not make the patterns walk further. */
const HEADER_CHARACTERS = 20_000;

/** Removes a leading comment that speaks of copyright or licence; a shebang line before it stays. */
export function removeLicenceHeader(): Stage {
  return {
    name: 'licence-header',
    apply(document: Document, log): undefined {
      const shebang = /^(?:\ufeff)?(?:#!.*\n)?\s*/.exec(document.text)![0];
      const top = document.text.slice(shebang.length, shebang.length + HEADER_CHARACTERS);
      for (const style of [...blockStyles, ...lineStyles]) {
        const header = style.exec(top)?.[0];
        if (!header || !legalWords.test(header)) continue;
        log.removed('licence header', 0, header);
        document.text =
          shebang.trimEnd() +
          (shebang.trimEnd() === '' ? '' : '\n') +
          document.text.slice(shebang.length + header.length).replace(/^\s*\n/, '');
        break;
      }
      return undefined;
    },
  };
}
