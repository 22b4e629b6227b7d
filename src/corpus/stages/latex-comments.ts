/**
 * Removes what LaTeX itself would not read: `%` comments, `comment` environments, conditionals whose outcome stands in them
 * (latex-conditionals.ts). Verbatim text is left alone, and so is the `%` of an address or of `\verb`.
 * A `%` is a comment unless an odd number of backslashes stands before it; the character before it stays.
 */
import { removeConditionals } from './latex-conditionals.ts';

const verbatimStart =
  /\\begin\{(verbatim\*?|lstlisting\*?|[BLV]?Verbatim\*?|SaveVerbatim|minted|alltt|filecontents\*?)\}/g;

export function removeComments(text: string): string {
  const verbatim: string[] = [];
  let result = '';
  let at = 0;
  verbatimStart.lastIndex = 0;
  for (let match = verbatimStart.exec(text); match; match = verbatimStart.exec(text)) {
    const lineStart = Math.max(at, text.lastIndexOf('\n', match.index) + 1);
    if (commentStart(text.slice(lineStart, match.index)) >= 0) continue;
    const end = text.indexOf(`\\end{${match[1]}}`, match.index);
    const stop = end < 0 ? text.length : end;
    result += `${removePlain(text.slice(at, match.index))}\0${verbatim.length}\0`;
    verbatim.push(text.slice(match.index, stop));
    at = stop;
    verbatimStart.lastIndex = stop;
  }
  // Verbatim text is away while conditionals are looked for: an \fi that is shown closes nothing.
  const plain = removeConditionals(result + removePlain(text.slice(at)));
  return verbatim.length === 0 ? plain : plain.replace(/\0(\d+)\0/g, (_, index) => verbatim[Number(index)] ?? '');
}

function removePlain(text: string): string {
  return removeEnvironment(removePercent(text), 'comment');
}

/** A line that is only a comment goes with its line end; a comment after text leaves the line end. */
function removePercent(text: string): string {
  if (!text.includes('%')) return text;
  const kept: string[] = [];
  for (const line of text.split('\n')) {
    const at = commentStart(line);
    if (at < 0) kept.push(line);
    else if (line.slice(0, at).trim() !== '') kept.push(line.slice(0, at).trimEnd());
  }
  return kept.join('\n');
}

/** What takes its argument as it stands: an address in braces, or anything between two equal characters. */
const literal =
  /\\(?:(?:url|href|path|nolinkurl|burl|hyperimage|includegraphics)\s*(?:\[[^\]]*\])?\s*(?=\{)|(?:verb\*?|lstinline\s*(?:\[[^\]]*\])?|mintinline\s*(?:\[[^\]]*\])?\{\w+\}|url|path)([^\sa-zA-Z*{]))/y;

function commentStart(line: string): number {
  for (let at = 0; at < line.length; at++) {
    if (line[at] === '%') return at;
    if (line[at] !== '\\') continue;
    literal.lastIndex = at;
    const match = literal.exec(line);
    const end = !match
      ? -1
      : match[1]
        ? line.indexOf(match[1], literal.lastIndex)
        : closingBrace(line, literal.lastIndex);
    // The character after a backslash is its own.
    at = end < 0 ? at + 1 : end;
  }
  return -1;
}

/** Where the group that opens at `start` closes in this line, or −1. */
function closingBrace(line: string, start: number): number {
  let depth = 0;
  for (let at = start; at < line.length; at++) {
    if (line[at] === '\\') at++;
    else if (line[at] === '{') depth++;
    else if (line[at] === '}' && --depth === 0) return at;
  }
  return -1;
}

function removeEnvironment(text: string, name: string): string {
  const open = `\\begin{${name}}`;
  const close = `\\end{${name}}`;
  let result = '';
  let at = 0;
  for (;;) {
    const start = text.indexOf(open, at);
    if (start < 0) return result + text.slice(at);
    const end = text.indexOf(close, start);
    result += text.slice(at, start);
    if (end < 0) return result;
    at = end + close.length;
  }
}
