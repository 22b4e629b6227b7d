/** Markdown inside a paragraph, as a tree. What is not closed stays the characters that it is. */

export type Inline =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'code'; readonly text: string }
  /** TeX; `display`: on a line of its own. */
  | { readonly kind: 'math'; readonly tex: string; readonly display: boolean }
  | { readonly kind: 'strong' | 'emphasis' | 'strike'; readonly parts: readonly Inline[] }
  | { readonly kind: 'link'; readonly href: string; readonly parts: readonly Inline[] }
  | { readonly kind: 'break' };

const DEEPEST = 6;

const marks = [
  ['**', 'strong'],
  ['__', 'strong'],
  ['~~', 'strike'],
  ['*', 'emphasis'],
  ['_', 'emphasis'],
] as const;

/** Time grows linearly: a mark that was once not found further on is not looked for again. */
export function parseInline(text: string, depth = 0): Inline[] {
  const parts: Inline[] = [];
  const absent = new Set<string>();
  let plain = '';
  let at = 0;
  const flush = () => {
    if (plain !== '') parts.push({ kind: 'text', text: plain });
    plain = '';
  };
  const find = (mark: string, from: number): number => {
    if (absent.has(mark)) return -1;
    const place = text.indexOf(mark, from);
    if (place < 0) absent.add(mark);
    return place;
  };
  const take = (part: Inline, end: number) => {
    flush();
    parts.push(part);
    at = end;
  };

  while (at < text.length) {
    const char = text[at]!;
    const math = char === '$' || char === '\\' ? mathAt(text, at, find) : null;
    if (math) take({ kind: 'math', tex: math.tex, display: math.display }, math.end);
    else if (char === '\\' && /[\\`*_{}[\]()#+\-.!~|<>$]/.test(text[at + 1] ?? '')) {
      plain += text[at + 1];
      at += 2;
    } else if (char === '`') {
      const mark = /^`+/.exec(text.slice(at, at + 8))![0];
      const end = find(mark, at + mark.length);
      if (end < 0) {
        plain += mark;
        at += mark.length;
      } else take({ kind: 'code', text: text.slice(at + mark.length, end).trim() }, end + mark.length);
    } else if (char === '\n') {
      take({ kind: 'break' }, at + 1);
    } else if (char === '[' && depth < DEEPEST) {
      const link = linkAt(text, at, find);
      if (link) take({ kind: 'link', href: link.href, parts: parseInline(link.label, DEEPEST) }, link.end);
      else plain += text[at++];
    } else if (char === 'h' && /^https?:\/\//.test(text.slice(at, at + 8)) && !/\w/.test(text[at - 1] ?? ' ')) {
      const href = /^[^\s<>"'`]*[^\s<>"'`.,;:!?)\]]/.exec(text.slice(at, at + 2048))![0];
      take({ kind: 'link', href, parts: [{ kind: 'text', text: href }] }, at + href.length);
    } else {
      const marked = depth < DEEPEST ? markedAt(text, at, find) : null;
      if (marked) take({ kind: marked.kind, parts: parseInline(marked.text, depth + 1) }, marked.end);
      else plain += text[at++];
    }
  }
  flush();
  return parts;
}

type Find = (mark: string, from: number) => number;

/** `$a$`, `$$a$$`, `\\(a\\)`, `\\[a\\]`. An amount of dollars is none: what is inside of `$` touches both, and no digit follows. */
function mathAt(text: string, at: number, find: Find) {
  for (const [open, close, display] of mathMarks) {
    if (!text.startsWith(open, at)) continue;
    const start = at + open.length;
    const end = find(close, start);
    const tex = end < 0 ? '' : text.slice(start, end);
    if (tex.trim() === '') continue;
    if (open === '$' && (/^\s|\s$|\n/.test(tex) || /\d/.test(text[end + 1] ?? ''))) return null;
    return { tex, display, end: end + close.length };
  }
  return null;
}

const mathMarks = [
  ['$$', '$$', true],
  ['$', '$', false],
  ['\\(', '\\)', false],
  ['\\[', '\\]', true],
] as const;

function markedAt(text: string, at: number, find: Find) {
  for (const [mark, kind] of marks) {
    if (!text.startsWith(mark, at)) continue;
    const start = at + mark.length;
    const end = find(mark, start + 1);
    const opens = !/\s/.test(text[start] ?? ' ') && !(mark[0] === '_' && /\w/.test(text[at - 1] ?? ' '));
    if (end < 0 || !opens || /\s/.test(text[end - 1]!)) continue;
    if (mark[0] === '_' && /\w/.test(text[end + mark.length] ?? ' ')) continue;
    return { kind, text: text.slice(start, end), end: end + mark.length };
  }
  return null;
}

function linkAt(text: string, at: number, find: Find) {
  const middle = find('](', at + 1);
  if (middle < 0) return null;
  const end = find(')', middle + 2);
  const label = text.slice(at + 1, middle);
  if (end < 0 || label.includes('\n') || label.includes('[')) return null;
  const href = safeUrl(
    text
      .slice(middle + 2, end)
      .trim()
      .split(/\s/)[0] ?? '',
  );
  return href === null ? null : { href, label, end: end + 1 };
}

/** Web and mail only: never javascript:, data: or a path of this server. */
export function safeUrl(url: string): string | null {
  return /^(?:https?:\/\/|mailto:)[^\s]+$/i.test(url) ? url : null;
}
