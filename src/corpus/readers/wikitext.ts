/**
 * Wikitext → prose: templates (but for those that carry text, wikitext-templates.ts), tables, references, files, categories, comments and formatting go; link texts and headings stay.
 * One pass over nested brackets and a few linear patterns; unbalanced markup is left as text or cut at its line, never followed forever.
 * Source: LLaMA, arXiv:2302.13971 §2.1 ("we process the data to remove hyperlinks, comments and other formatting boilerplate").
 */

import { decodeEntities } from './html-entities.ts';
import { expandTemplates } from './wikitext-templates.ts';

/** `File:`, `Image:`, `Category:` and the like in the paper's 20 languages; links into them are not prose. */
const mediaPrefixes = new Set(
  (
    'file image media category ' + // en
    'файл картинка категория изображение категорія зображення датотека слика категорија ' + // ru uk sr bg
    'fitxer imatge categoria ' + // ca
    'soubor kategorie ' + // cs
    'fil billede kategori bild ' + // da sv
    'datei kategorie ' + // de
    'archivo imagen categoría ' + // es
    'fichier catégorie ' + // fr
    'datoteka slika kategorija ' + // hr sl
    'fájl kép kategória ' + // hu
    'immagine categoria ' + // it
    'bestand afbeelding categorie ' + // nl
    'plik grafika kategoria ' + // pl
    'ficheiro imagem arquivo categoria ' + // pt
    'fișier imagine categorie'
  ).split(' '), // ro
);

const contentTags =
  'ref|math|chem|gallery|timeline|syntaxhighlight|source|pre|score|hiero|imagemap|templatestyles|graph|mapframe|maplink|noinclude|includeonly';
const selfClosing = new RegExp(`<(?:${contentTags})\\b[^<>]{0,2000}/>`, 'gi');
const opening = new RegExp(`<(${contentTags})\\b[^<>]{0,2000}>`, 'gi');

export function wikitextToProse(source: string): string {
  let text = removeBetween(source.replaceAll('\r', ''), '<!--', '-->');
  text = text.replace(selfClosing, '');
  text = removeElements(text);
  text = expandTemplates(text);
  text = removeNested(text, '{|', '|}');
  text = unwrapLinks(text);
  text = text.replace(
    /\[(?:https?:|ftp:|mailto:)?\/\/[^\s\]]{1,2000}(?:\s+([^\]\n]{0,1000}))?\]/g,
    (_, label?: string) => label ?? '',
  );
  text = text.replace(/<\/?[a-z][^<>]{0,500}>/gi, '');
  text = text.replace(/'{2,5}/g, '').replace(/__[A-Z]{3,20}__/g, '');
  const lines = decodeEntities(text).split('\n').map(cleanLine);
  return withoutEmptySections(lines)
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim();
}

/** A line of prose (level 0) or a heading; markup that leaves only punctuation behind becomes an empty line. */
interface Line {
  readonly text: string;
  readonly level: number;
}

function cleanLine(line: string): Line {
  const heading = line.length < 500 ? /^(={1,6})\s*(.*?)\s*\1\s*$/.exec(line) : null;
  if (heading) return { text: heading[2]!, level: heading[1]!.length };
  const plain = line
    .replace(/^[*#:;]+\s*/, '')
    .replace(/\(\s{0,9}[,;]{0,9}\s{0,9}\)/g, '')
    .replace(/[ \t\u00a0]{2,}/g, ' ')
    .trim();
  return { text: /[\p{L}\p{N}]/u.test(plain) ? plain : '', level: 0 };
}

/** A heading whose section holds nothing, such as "References" once the references are gone, goes too. */
function withoutEmptySections(lines: readonly Line[]): string[] {
  const kept: string[] = [];
  /** The highest heading (smallest number) since the last prose, looking from the end. */
  let below = 0;
  for (const { text, level } of lines.toReversed()) {
    if (level === 0) {
      if (text !== '') below = Number.POSITIVE_INFINITY;
      kept.push(text);
    } else if (below > level) {
      kept.push(text);
      below = level;
    } else below = Math.min(below, level);
  }
  return kept.reverse();
}

function removeBetween(text: string, open: string, close: string): string {
  if (!text.includes(open)) return text;
  let result = '';
  let at = 0;
  for (;;) {
    const start = text.indexOf(open, at);
    if (start < 0) return result + text.slice(at);
    result += text.slice(at, start);
    const end = text.indexOf(close, start + open.length);
    if (end < 0) return result;
    at = end + close.length;
  }
}

/** `<ref>…</ref>` and its like, contents included; one without its end loses only its tag. */
function removeElements(text: string): string {
  let result = '';
  let at = 0;
  const lower = text.toLowerCase();
  /** Elements that are not closed any more from here on: looking again each time would be quadratic. */
  const unclosed = new Set<string>();
  opening.lastIndex = 0;
  for (let match = opening.exec(text); match; match = opening.exec(text)) {
    if (match.index < at) continue;
    result += text.slice(at, match.index);
    const name = match[1]!.toLowerCase();
    const end = unclosed.has(name) ? -1 : lower.indexOf(`</${name}`, opening.lastIndex);
    if (end < 0) unclosed.add(name);
    const after = end < 0 ? -1 : text.indexOf('>', end);
    at = after < 0 ? opening.lastIndex : after + 1;
    opening.lastIndex = at;
  }
  return result + text.slice(at);
}

/** Removes balanced `open…close`, nested ones with them. What never closes stays, without its opening mark. */
function removeNested(text: string, open: string, close: string): string {
  if (!text.includes(open)) return text;
  const marks: { at: number; opens: boolean }[] = [];
  for (let i = text.indexOf(open); i >= 0; i = text.indexOf(open, i + open.length)) marks.push({ at: i, opens: true });
  for (let i = text.indexOf(close); i >= 0; i = text.indexOf(close, i + close.length))
    marks.push({ at: i, opens: false });
  marks.sort((a, b) => a.at - b.at);
  const stack: number[] = [];
  const spans: { from: number; to: number }[] = [];
  for (const { at, opens } of marks) {
    if (opens) stack.push(at);
    else if (stack.length > 0) {
      const from = stack.pop()!;
      while (spans.length > 0 && spans.at(-1)!.from > from) spans.pop();
      spans.push({ from, to: at + close.length });
    }
  }
  const kept: string[] = [];
  let at = 0;
  for (const { from, to } of spans) {
    if (from < at) continue;
    kept.push(text.slice(at, from));
    at = to;
  }
  kept.push(text.slice(at));
  return kept.join('').replaceAll(open, '');
}

/** `[[a|b]]` → b, `[[a]]` → a, `[[File:…]]` with all it nests → nothing. Innermost first, so that captions' links resolve. */
function unwrapLinks(text: string): string {
  const stack: string[] = [];
  let current = '';
  let at = 0;
  const mark = /\[\[|\]\]/g;
  for (let match = mark.exec(text); match; match = mark.exec(text)) {
    current += text.slice(at, match.index);
    at = match.index + 2;
    if (match[0] === '[[') {
      stack.push(current);
      current = '';
    } else if (stack.length > 0) current = stack.pop()! + linkText(current);
  }
  current += text.slice(at);
  while (stack.length > 0) current = stack.pop()! + current;
  return current;
}

function linkText(content: string): string {
  const colon = content.indexOf(':');
  if (colon > 0 && mediaPrefixes.has(content.slice(0, colon).trim().toLowerCase())) return '';
  const bar = content.indexOf('|');
  // Interlanguage links (`[[de:…]]`) have no label and are not prose.
  if (bar < 0) return /^[a-z]{2,3}(?:-[a-z]+)*:/.test(content) ? '' : content.replace(/^:/, '');
  return content.slice(bar + 1);
}
