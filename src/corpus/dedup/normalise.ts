/**
 * CCNet's two text normalisations, to the character: one for line hashes, one before the language model.
 * Source: cc_net, text_normalizer (reference: Wenzek et al. 2019, arXiv:1911.00359 §3); its published examples are the tests.
 */

/** Punctuation and what the language model sees instead. The fullwidth １ is there as it is in cc_net; digits become 0 before it. */
const punctuation = new Map(
  [
    '，,',
    '。.',
    '、,',
    '„"',
    '”"',
    '“"',
    '«"',
    '»"',
    '１"',
    '」"',
    '「"',
    '《"',
    '》"',
    "´'",
    '∶:',
    '：:',
    '？?',
    '！!',
    '（(',
    '）)',
    '；;',
    '–-',
    '— - ',
    '．. ',
    '～~',
    "’'",
    '…...',
    '━-',
    '〈<',
    '〉>',
    '【[',
    '】]',
    '％%',
    '►-',
  ].map((pair) => [pair[0]!, pair.slice(1)]),
);
const punctuationClass = [...punctuation.keys()].join('');
const punctuationPattern = new RegExp(`[${punctuationClass}]`, 'g');
const controls = /[\0-\x1f\x7f-\x9f]/g;
const punctuationAndControls = new RegExp(`[${punctuationClass}\\0-\\x1f\\x7f-\\x9f]`, 'g');
/** Python's \d: every Unicode decimal digit, not only 0–9. */
const digits = /\p{Nd}/gu;
const marks = /\p{Mn}/gu;

/** Python's str.strip(): also the separators U+001C–1F and U+0085, but not the byte-order mark that JavaScript trims. */
export function strip(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isPythonSpace(text.charCodeAt(from))) from++;
  while (to > from && isPythonSpace(text.charCodeAt(to - 1))) to--;
  return from === 0 && to === text.length ? text : text.slice(from, to);
}

function isPythonSpace(code: number): boolean {
  if (code < 0x80) return code === 0x20 || (code >= 9 && code <= 13) || (code >= 0x1c && code <= 0x1f);
  if (code < 0x1680) return code === 0x85 || code === 0xa0;
  return (
    code === 0x1680 ||
    (code >= 0x2000 && code <= 0x200a) ||
    code === 0x2028 ||
    code === 0x2029 ||
    code === 0x202f ||
    code === 0x205f ||
    code === 0x3000
  );
}

/** Words as Python's str.split() counts them. */
export function wordCount(text: string): number {
  let count = 0;
  let inWord = false;
  for (let i = 0; i < text.length; i++) {
    const space = isPythonSpace(text.charCodeAt(i));
    if (!space && !inWord) count++;
    inWord = !space;
  }
  return count;
}

/**
 * What a line is compared by: stripped, lower case, digits → 0, fancy punctuation and control characters removed.
 * ASCII punctuation and accents stay, as in cc_net's code (its paper says otherwise).
 */
export function normaliseForDedup(line: string): string {
  const stripped = strip(line);
  if (stripped === '') return '';
  return stripped.toLowerCase().replace(digits, '0').replace(punctuationAndControls, '');
}

/** What the language model reads: lower case, accents stripped, digits → 0, punctuation in its ASCII form, no control characters. */
export function normaliseForLanguageModel(line: string): string {
  let text = strip(line);
  if (text === '') return '';
  text = text.toLowerCase();
  if (hasNonAscii(text)) {
    text = text.normalize('NFD').replace(marks, '').replace(digits, '0');
    text = text.replace(punctuationPattern, (character) => punctuation.get(character)!);
  } else {
    text = text.replace(/[0-9]/g, '0');
  }
  return text.replace(controls, '');
}

export function replacePunctuation(text: string): string {
  return text.replace(punctuationPattern, (character) => punctuation.get(character)!);
}

export function removePunctuation(text: string): string {
  return text.replace(punctuationPattern, '');
}

function hasNonAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return true;
  return false;
}
