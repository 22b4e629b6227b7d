/** Markdown's blocks, as a tree: what models write, at any moment of their writing it. An open code fence runs to the end. */
import { type Inline, parseInline } from './inline.ts';

export type Block =
  | { readonly kind: 'paragraph'; readonly parts: readonly Inline[] }
  | { readonly kind: 'heading'; readonly level: number; readonly parts: readonly Inline[] }
  | { readonly kind: 'code'; readonly language: string; readonly text: string }
  | { readonly kind: 'quote'; readonly blocks: readonly Block[] }
  | { readonly kind: 'list'; readonly start: number | null; readonly items: readonly Item[] }
  | {
      readonly kind: 'table';
      readonly alignments: readonly Alignment[];
      readonly head: readonly Cell[];
      readonly rows: readonly (readonly Cell[])[];
    }
  | { readonly kind: 'math'; readonly tex: string }
  | { readonly kind: 'rule' };

export type Cell = readonly Inline[];
export type Alignment = 'left' | 'center' | 'right' | null;

export interface Item {
  /** A task's state; null: it is none. */
  readonly done: boolean | null;
  readonly blocks: readonly Block[];
}

const DEEPEST = 6;
/** Lines. */
const LONGEST_MATH = 200;
const FENCE = /^ {0,3}(`{3,}(?=[^`]*$)|~{3,})\s*(.*?)\s*$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const RULE = /^ {0,3}(?:-(?:\s*-){2,}|\*(?:\s*\*){2,}|_(?:\s*_){2,})\s*$/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(\s+|$)/;
const TASK = /^\[([ xX])\]\s+(?=\S)/;
/** TeX on lines of its own. */
const MATH = /^ {0,3}(\$\$|\\\[)/;
const TABLE_LINE = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;

export function parseMarkdown(text: string): Block[] {
  return parseBlocks(text.replaceAll('\r\n', '\n').replaceAll('\t', '    ').split('\n'), 0);
}

function parseBlocks(lines: readonly string[], depth: number): Block[] {
  const blocks: Block[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at]!;
    if (line.trim() === '') {
      at++;
      continue;
    }
    const special = depth < DEEPEST ? specialAt(lines, at, depth) : null;
    if (special) {
      blocks.push(special.block);
      at = special.end;
      continue;
    }
    const start = at++;
    while (at < lines.length && lines[at]!.trim() !== '' && !startsBlock(lines, at)) at++;
    const text = lines.slice(start, at).map((each) => each.trim());
    blocks.push({ kind: 'paragraph', parts: parseInline(text.join('\n')) });
  }
  return blocks;
}

function startsBlock(lines: readonly string[], at: number): boolean {
  const line = lines[at]!;
  return (
    FENCE.test(line) ||
    HEADING.test(line) ||
    RULE.test(line) ||
    ITEM.test(line) ||
    MATH.test(line) ||
    /^ {0,3}>/.test(line)
  );
}

function specialAt(lines: readonly string[], at: number, depth: number): { block: Block; end: number } | null {
  const line = lines[at]!;
  const fence = FENCE.exec(line);
  if (fence) return codeAt(lines, at, fence);
  const heading = HEADING.exec(line);
  if (heading) {
    const block: Block = { kind: 'heading', level: heading[1]!.length, parts: parseInline(heading[2]!) };
    return { block, end: at + 1 };
  }
  if (RULE.test(line)) return { block: { kind: 'rule' }, end: at + 1 };
  if (/^ {0,3}>/.test(line)) {
    let end = at;
    while (end < lines.length && /^ {0,3}>/.test(lines[end]!)) end++;
    const inner = lines.slice(at, end).map((each) => each.replace(/^ {0,3}> ?/, ''));
    return { block: { kind: 'quote', blocks: parseBlocks(inner, depth + 1) }, end };
  }
  if (ITEM.test(line)) return listAt(lines, at, depth);
  if (MATH.test(line)) return mathAt(lines, at);
  if (line.includes('|') && TABLE_LINE.test(lines[at + 1] ?? '') && (lines[at + 1] ?? '').includes('-')) {
    return tableAt(lines, at);
  }
  return null;
}

function codeAt(lines: readonly string[], at: number, [, mark = '', language = '']: RegExpExecArray) {
  let end = at + 1;
  while (end < lines.length && !(lines[end]!.trim().startsWith(mark) && /^[`~]+$/.test(lines[end]!.trim()))) end++;
  const block: Block = { kind: 'code', language, text: lines.slice(at + 1, end).join('\n') };
  return { block, end: Math.min(end + 1, lines.length) };
}

/** null: it is not closed, or something follows on its last line. */
function mathAt(lines: readonly string[], at: number): { block: Block; end: number } | null {
  const [start = '', open] = MATH.exec(lines[at]!)!;
  const close = open === '$$' ? '$$' : '\\]';
  let text = lines[at]!.slice(start.length);
  for (let end = at; ; text += `\n${lines[end]}`) {
    const place = text.indexOf(close);
    if (place >= 0) {
      const tex = text.slice(0, place).trim();
      return text.slice(place + close.length).trim() === '' && tex !== ''
        ? { block: { kind: 'math', tex }, end: end + 1 }
        : null;
    }
    end++;
    if (end >= lines.length || end - at > LONGEST_MATH || lines[end]!.trim() === '') return null;
  }
}

function listAt(lines: readonly string[], at: number, depth: number) {
  const first = ITEM.exec(lines[at]!)!;
  const isOrdered = /\d/.test(first[2]!);
  const items: Item[] = [];
  let end = at;
  while (end < lines.length) {
    const item = ITEM.exec(lines[end]!);
    if (!item || /\d/.test(item[2]!) !== isOrdered || RULE.test(lines[end]!)) break;
    const indent = item[1]!.length + item[2]!.length + 1;
    const line = lines[end]!.slice(item[0].length);
    const task = TASK.exec(line);
    const own = [line.slice(task?.[0].length ?? 0)];
    end++;
    // What is indented belongs to the item; so does a blank line when such a line follows.
    while (end < lines.length) {
      const line = lines[end]!;
      const next = lines[end + 1] ?? '';
      const isInside = /^\s{2,}\S/.test(line) || (line.trim() === '' && /^\s{2,}\S/.test(next));
      const goesOn = line.trim() !== '' && !startsBlock(lines, end);
      if (!isInside && !goesOn) break;
      own.push(line.slice(Math.min(indent, line.length - line.trimStart().length)));
      end++;
    }
    items.push({ done: task && task[1] !== ' ', blocks: parseBlocks(own, depth + 1) });
    if ((lines[end] ?? '').trim() === '' && ITEM.test(lines[end + 1] ?? '')) end++;
  }
  const start = isOrdered ? Number.parseInt(first[2]!, 10) : null;
  const block: Block = { kind: 'list', start, items };
  return { block, end };
}

function tableAt(lines: readonly string[], at: number) {
  const head = cellsOf(lines[at]!).map((cell) => parseInline(cell));
  const alignments = cellsOf(lines[at + 1]!).map(alignmentOf);
  const rows: Cell[][] = [];
  let end = at + 2;
  while (end < lines.length && lines[end]!.includes('|') && lines[end]!.trim() !== '') {
    rows.push(cellsOf(lines[end++]!).map((cell) => parseInline(cell)));
  }
  const block: Block = { kind: 'table', alignments, head, rows };
  return { block, end };
}

function alignmentOf(mark: string): Alignment {
  const [starts, ends] = [mark.startsWith(':'), mark.endsWith(':')];
  return starts && ends ? 'center' : ends ? 'right' : starts ? 'left' : null;
}

/** A bar after a backslash, or inside of code, parts nothing. */
function cellsOf(line: string): string[] {
  const inner = line
    .trim()
    .replace(/^\|/, '')
    .replace(/(?<!\\)\|$/, '');
  const cells: string[] = [''];
  for (const part of inner.match(/\\[|]|\\[^|]|`[^`]*`|[|]|[^\\`|]+|[\\`]/g) ?? []) {
    if (part === '|') cells.push('');
    else cells[cells.length - 1] += part === '\\|' ? '|' : part;
  }
  return cells.map((cell) => cell.trim());
}
