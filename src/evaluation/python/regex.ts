/**
 * Python's regular expressions in JavaScript. Task files are written for Python's `re`; this gives the same matches: `.` stops at \n
 * alone, `$` also matches before a last line break, \d \w \s \b follow Unicode, and `(?i)`, `(?s)`, `(?m)` may stand at the beginning.
 */
import { ArgumentError } from '../../base/errors.ts';
import { spaceClass } from './text.ts';

const WORD = '\\p{L}\\p{N}_';
const classes: Readonly<Record<string, string>> = { d: '\\p{Nd}', w: WORD, s: spaceClass };
const boundary = (inside: boolean) =>
  inside
    ? `(?:(?<=[${WORD}])(?![${WORD}])|(?<![${WORD}])(?=[${WORD}]))`
    : `(?:(?<=[${WORD}])(?=[${WORD}])|(?<![${WORD}])(?![${WORD}]))`;

const LONGEST_PATTERN = 2000;
const made = new Map<string, RegExp>();

/** The pattern as a global RegExp. Throws ArgumentError `eval.regex`. */
export function pythonRegex(pattern: string): RegExp {
  const known = made.get(pattern);
  if (known) return known;
  const refuse = (found: string): never => {
    throw new ArgumentError(
      'eval.regex',
      `pattern ${JSON.stringify(pattern.slice(0, 200))}: expected a regular expression of Python, found ${found}. Write the pattern otherwise.`,
    );
  };
  if (pattern.length > LONGEST_PATTERN) refuse(`${pattern.length} characters, more than ${LONGEST_PATTERN}`);
  let expression: RegExp;
  try {
    expression = translate(pattern, refuse);
  } catch (error) {
    if (error instanceof ArgumentError) throw error;
    return refuse((error as Error).message);
  }
  made.set(pattern, expression);
  return expression;
}

function translate(pattern: string, refuse: (found: string) => never): RegExp {
  const flags = /^\(\?([aimsux]+)\)/.exec(pattern);
  const letters = flags?.[1] ?? '';
  if (/[ax]/.test(letters)) refuse(`the flag ${letters}`);
  const lines = letters.includes('m');
  let out = '';
  let inClass = false;
  for (let i = flags?.[0].length ?? 0; i < pattern.length; i++) {
    const mark = pattern[i]!;
    if (mark === '\\') {
      const next = pattern[++i] ?? refuse('a backslash at the end');
      out += escaped(next, inClass);
      if (next === 'x') out += pattern.slice(i + 1, (i += 2) + 1);
      if (next === 'u') out += pattern.slice(i + 1, (i += 4) + 1);
    } else if (inClass) {
      if (mark === ']') inClass = false;
      out += mark === '[' ? '\\[' : mark;
    } else if (mark === '[') {
      inClass = true;
      out += mark;
      if (pattern[i + 1] === '^') out += pattern[++i];
      if (pattern[i + 1] === ']') out += `\\${pattern[++i]}`; // a class that begins with its own end
    } else if (mark === '.') {
      out += letters.includes('s') ? '[^]' : '[^\\n]';
    } else if (mark === '$') {
      out += lines ? '(?=\\n|(?![^]))' : '(?=\\n?(?![^]))';
    } else if (mark === '^') {
      out += lines ? '(?<=\\n|(?<![^]))' : '(?<![^])';
    } else if (pattern.startsWith('(?P', i)) {
      const [whole = '', name, again] =
        /^\(\?P(?:<(\w+)>|=(\w+)\))/.exec(pattern.slice(i)) ?? refuse('(?P without a name');
      out += name === undefined ? `\\k<${again}>` : `(?<${name}>`;
      i += whole.length - 1;
    } else if (/^\{,\d+\}/.test(pattern.slice(i))) {
      out += '{0';
    } else if (mark === '{' && !/^\{\d+,?\d*\}/.test(pattern.slice(i))) {
      out += '\\{';
    } else if (mark === '}' && !/\{\d*,?\d*$/.test(pattern.slice(0, i))) {
      out += '\\}';
    } else if (mark === ']') {
      out += '\\]';
    } else {
      out += mark;
    }
  }
  return new RegExp(out, `gu${letters.includes('i') ? 'i' : ''}`);
}

function escaped(letter: string, inClass: boolean): string {
  const named = classes[letter];
  if (named !== undefined) return inClass ? named : `[${named}]`;
  const negated = classes[letter.toLowerCase()];
  if (negated !== undefined && /[DWS]/.test(letter)) return `[^${negated}]`;
  if (letter === 'b') return inClass ? '\\x08' : boundary(true);
  if (letter === 'B') return boundary(false);
  if (letter === 'A') return '(?<![^])';
  if (letter === 'Z') return '(?![^])';
  if (letter === 'a') return '\\x07';
  if (/[nrtfvxu1-9]/.test(letter)) return `\\${letter}`;
  if (letter === '0') return '\\x00';
  if (letter === '-') return inClass ? '\\-' : '-';
  return /[\^$\\.*+?()[\]{}|/]/.test(letter) ? `\\${letter}` : letter;
}

/** `re.findall`: whole matches, one group's text, or the texts of all groups; a group that matched nothing is ''. */
export function findAll(pattern: string, text: string): (string | readonly string[])[] {
  return [...text.matchAll(pythonRegex(pattern))].map(([whole, ...groups]) => {
    const texts = groups.map((group) => group ?? '');
    return texts.length === 0 ? whole : texts.length === 1 ? texts[0]! : texts;
  });
}

/** `re.sub` with Python's \1 in the replacement. */
export function replaceAll(pattern: string, replacement: string, text: string): string {
  return text.replace(pythonRegex(pattern), (...found: unknown[]) =>
    replacement.replace(/\\(\d|\\)/g, (_, mark: string) =>
      mark === '\\' ? '\\' : ((found[Number(mark)] as string) ?? ''),
    ),
  );
}
