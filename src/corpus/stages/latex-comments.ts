/**
 * Removes what LaTeX itself would not read: `%` comments, `comment` environments, `\iffalse … \fi`. Verbatim text is left alone.
 * A `%` is a comment unless an odd number of backslashes stands before it; the character before it stays.
 */
const verbatimStart = /\\begin\{(verbatim\*?|lstlisting|Verbatim|minted)\}/g;

export function removeComments(text: string): string {
  let result = '';
  let at = 0;
  verbatimStart.lastIndex = 0;
  for (let match = verbatimStart.exec(text); match; match = verbatimStart.exec(text)) {
    if (match.index < at) continue;
    const end = text.indexOf(`\\end{${match[1]}}`, match.index);
    const stop = end < 0 ? text.length : end;
    result += removePlain(text.slice(at, match.index)) + text.slice(match.index, stop);
    at = stop;
    verbatimStart.lastIndex = Math.max(stop, match.index + 1);
  }
  return result + removePlain(text.slice(at));
}

function removePlain(text: string): string {
  return removeConditional(removeEnvironment(removePercent(text), 'comment'));
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

function commentStart(line: string): number {
  for (let at = line.indexOf('%'); at >= 0; at = line.indexOf('%', at + 1)) {
    let slashes = 0;
    while (line[at - 1 - slashes] === '\\') slashes++;
    if (slashes % 2 === 0) return at;
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

const conditional = /\\(if[a-zA-Z@]*|else|fi)(?![a-zA-Z@])/g;

/** `\iffalse … \fi` with other conditionals nested in it; of `\iffalse … \else … \fi` the second part stays. */
function removeConditional(text: string): string {
  if (!text.includes('\\iffalse')) return text;
  let result = '';
  let at = 0;
  /** 0 outside; 1 inside \iffalse; 2 inside its \else. */
  let state = 0;
  let depth = 0;
  for (const match of text.matchAll(conditional)) {
    const name = match[1]!;
    if (state === 0) {
      if (name !== 'iffalse') continue;
      result += text.slice(at, match.index);
      state = 1;
      depth = 0;
    } else if (name.startsWith('if')) depth++;
    else if (name === 'fi' && depth > 0) depth--;
    else if (depth === 0) {
      if (state === 2) result += text.slice(at, match.index);
      at = match.index + match[0].length;
      state = name === 'else' ? 2 : 0;
    }
  }
  return state === 1 ? result : result + text.slice(at);
}
