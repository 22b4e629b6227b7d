/**
 * Conditionals whose outcome stands in them: `\iffalse … \fi`, `\iftrue`, and `\if0`, `\if1` as authors write them to switch parts of a paper
 * on and off. The part that LaTeX reads stays, `\else` or not; conditionals that something else decides stay whole.
 *
 *   \if0 …  false, \if1 …  true        \if00 true, \if01 false        \if0\blind: true where \blind is defined as 0
 */
interface Open {
  /** Undefined where something else decides. */
  readonly outcome: boolean | undefined;
  inElse: boolean;
}

const token = /\\(newif\s*\\if|if|else|fi)([a-zA-Z@]*)/g;
/** Commands with `if` at their beginning that no \fi ends. */
const noConditional =
  /^(?:f|thenelse|def(?:empty|string|void|macro|equal)|str(?:empty|equal)|blank|toggle|bool|cs(?:def|undef|string|equal|empty|void|macro)|undef|num(?:comp|equal|less|greater|odd)?expr|num(?:comp|equal|less|greater|odd)|inlist|list|boolexpr|package(?:loaded|later)|class(?:loaded|later)|file(?:exists|loaded)|loading|format|IfFileExists|NoValue(?:TF|T|F)|BooleanTF)$/;

export function removeConditionals(text: string): string {
  if (!/\\if(?:true|false|\s*[01])/.test(text)) return text;
  let result = '';
  let at = 0;
  const open: Open[] = [];
  /** Open conditionals whose part at hand LaTeX does not read. */
  let dead = 0;
  const isDead = ({ outcome, inElse }: Open): boolean => outcome !== undefined && outcome === inElse;
  /** Text up to `to` as far as it is read; goes on after `next`. */
  const pass = (to: number, next: number): void => {
    if (dead === 0) result += text.slice(at, to);
    at = next;
  };
  for (const match of text.matchAll(token)) {
    const [whole, word, rest] = match as unknown as [string, string, string];
    const after = match.index + whole.length;
    if (match.index < at || word.startsWith('newif')) continue;
    if (word === 'if') {
      if (noConditional.test(rest)) continue;
      const { outcome, end } = outcomeOf(text, rest, after);
      if (outcome !== undefined) pass(match.index, end);
      open.push({ outcome, inElse: false });
      if (outcome === false) dead++;
      continue;
    }
    const current = open.at(-1);
    if (rest !== '' || !current) continue;
    if (current.outcome !== undefined) pass(match.index, after);
    if (isDead(current)) dead--;
    if (word === 'fi') open.pop();
    else {
      current.inElse = true;
      if (isDead(current)) dead++;
    }
  }
  // One that nothing ends: what it hides goes.
  pass(text.length, text.length);
  return result;
}

/** What `\if` followed by `name` says, and where its test ends. */
function outcomeOf(text: string, name: string, after: number): { outcome: boolean | undefined; end: number } {
  if (name === 'true' || name === 'false') return { outcome: name === 'true', end: after };
  const test = /\s*([01])(?:([01])|\s*\\([a-zA-Z@]+))?/y;
  test.lastIndex = after;
  const match = name === '' ? test.exec(text) : null;
  if (!match) return { outcome: undefined, end: after };
  const [, digit, second, macro] = match;
  if (second !== undefined) return { outcome: digit === second, end: test.lastIndex };
  const value = macro === undefined ? undefined : bodyOf(text, macro);
  if (value !== undefined) return { outcome: digit === value, end: test.lastIndex };
  return { outcome: digit === '1', end: text.indexOf(digit!, after) + 1 };
}

/** The one character that a macro of the text stands for; undefined for any other macro. */
function bodyOf(text: string, macro: string): string | undefined {
  const pattern = new RegExp(
    `\\\\(?:(?:re)?newcommand|providecommand|def)\\*?\\s*\\{?\\s*\\\\${macro}\\s*\\}?\\s*\\{(\\S)\\}`,
  );
  return pattern.exec(text)?.[1];
}
