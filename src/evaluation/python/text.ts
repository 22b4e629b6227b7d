/** Python's string methods where JavaScript's differ: what counts as space, as a digit, as punctuation. */

/** What `str.isspace` and `\s` count as space. */
const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
export const spaceClass = SPACE;
const LEADING = new RegExp(`^[${SPACE}]+`, 'u');
const SPACES = new RegExp(`[${SPACE}]+`, 'u');

export const lstrip = (text: string): string => text.replace(LEADING, '');
/** Without a regular expression's search for the end, which takes quadratic time on many spaces. */
export function rstrip(text: string): string {
  let end = text.length;
  while (end > 0 && SPACES.test(text[end - 1]!)) end--;
  return text.slice(0, end);
}
export const strip = (text: string): string => lstrip(rstrip(text));

/** `str.split()`: words between runs of space. */
export const splitWords = (text: string): string[] => {
  const inner = strip(text);
  return inner === '' ? [] : inner.split(SPACES);
};

/** `re.split(r"\s+", text)`: the empty ends count. */
export const splitAtSpaces = (text: string): string[] => text.split(SPACES);

/** `str.capitalize()`. */
export function capitalize(text: string): string {
  const [first = '', ...rest] = text;
  return first.toUpperCase() + rest.join('').toLowerCase();
}

/** `str.isdigit()`, for decimal digits of any script. */
export const isDigits = (text: string): boolean => /^\p{Nd}+$/u.test(text);

/** `string.punctuation`: ASCII alone. */
export const PUNCTUATION = '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~';
const PUNCTUATION_MARKS = /[!-/:-@[-`{-~]/g;
export const withoutPunctuation = (text: string): string => text.replace(PUNCTUATION_MARKS, '');

/** Characters as Python counts them: code points. */
export function countCharacters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
