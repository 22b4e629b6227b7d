/**
 * MATH's own equivalence: two answers are equal when their texts are, after a fixed tidying. Its quirks are part of the rule.
 *
 * Source   Hendrycks et al. 2021, arXiv:2103.03874, and the rules that come with the data set.
 */

/**
 * The tidied text. Throws Error where the tidying has no rule for it. The harness differs from the data set's own rules in one place: a
 * slash between what is no whole number is such a text there, and stays as it is here.
 */
export function tidied(answer: string, manner: 'harness' | 'official' = 'harness'): string {
  let text = answer
    .replaceAll('\n', '')
    .replaceAll('\\!', '')
    .replaceAll('\\\\', '\\')
    .replaceAll('tfrac', 'frac')
    .replaceAll('dfrac', 'frac')
    .replaceAll('\\left', '')
    .replaceAll('\\right', '')
    .replaceAll('^{\\circ}', '')
    .replaceAll('^\\circ', '')
    .replaceAll('\\$', '');
  text = withoutUnits(text).replaceAll('\\%', '').replaceAll(' .', ' 0.').replaceAll('{.', '{0.');
  if (text === '') return text;
  if (text.startsWith('.')) text = `0${text}`;
  // "k = 5" is 5.
  const sides = text.split('=');
  if (sides.length === 2 && [...sides[0]!].length <= 2) text = sides[1]!;
  text = bracedFractions(bracedRoots(text).replaceAll(' ', ''));
  if (text === '0.5') text = '\\frac{1}{2}';
  return slashAsFraction(text, manner);
}

export function isHendrycksEqual(a: string, b: string, manner: 'harness' | 'official' = 'harness'): boolean {
  try {
    return tidied(a, manner) === tidied(b, manner);
  } catch {
    return a === b;
  }
}

/** "5\text{ cm}" is 5: a unit is a text that begins with a space. */
function withoutUnits(text: string): string {
  if (!text.includes('\\text{ ')) return text;
  const parts = text.split('\\text{ ');
  if (parts.length !== 2) throw new Error(`${parts.length - 1} units, expected one`);
  return parts[0]!;
}

/** \sqrt3 → \sqrt{3} */
function bracedRoots(text: string): string {
  const [first = '', ...roots] = text.split('\\sqrt');
  return (
    first +
    roots
      .map((after) => {
        if (after === '') throw new Error('a root of nothing');
        const [mark = ''] = after;
        return mark === '{' ? `\\sqrt${after}` : `\\sqrt{${mark}}${after.slice(mark.length)}`;
      })
      .join('')
  );
}

/** \frac12 → \frac{1}{2}, \frac1{72} → \frac{1}{72}; a fraction of fewer than two characters leaves the whole text as it was. */
function bracedFractions(text: string): string {
  const [first = '', ...fractions] = text.split('\\frac');
  let out = first;
  for (const after of fractions) {
    if (after[0] === '{') {
      out += `\\frac${after}`;
      continue;
    }
    const [upper, lower, ...rest] = after;
    if (upper === undefined) throw new Error('a fraction of nothing');
    if (lower === undefined) return text;
    out += lower === '{' ? `\\frac{${upper}}${lower}${rest.join('')}` : `\\frac{${upper}}{${lower}}${rest.join('')}`;
  }
  return out;
}

/** 1/2 → \frac{1}{2}, for whole numbers that are written as plainly as can be. */
function slashAsFraction(text: string, manner: 'harness' | 'official'): string {
  const parts = text.split('/');
  if (parts.length !== 2) return text;
  const [upper, lower] = parts.map(wholeNumber);
  if (upper === null || lower === null) {
    if (manner === 'official') return text;
    throw new Error('a slash between what is no whole number');
  }
  return text === `${upper}/${lower}` ? `\\frac{${upper}}{${lower}}` : text;
}

/** What Python's int() reads, as its digits. */
function wholeNumber(text: string): string | null {
  return /^\s*[+-]?\d+(_\d+)*\s*$/.test(text)
    ? String(BigInt(text.trim().replaceAll('_', '').replace(/^\+/, '')))
    : null;
}
