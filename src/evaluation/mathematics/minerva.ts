/**
 * Answers as Minerva's evaluation reads them: after "Final Answer: The final answer is", normalised, and equal when they are the same
 * expression.
 *
 * Source   Lewkowycz et al. 2022, arXiv:2206.14858, Appendix D.1.
 */
import { replaceAll } from '../python/regex.ts';
import { isDigits, strip } from '../python/text.ts';
import { sameExpression } from './expressions.ts';

const CLOSING = 'I hope it is correct.';
export const NO_ANSWER = '[invalidanswer]';

/** The answer as it was written. */
export function statedAnswer(text: string): string {
  const found = /Final Answer: The final answer is([^\n]*?)[^\n] I hope it is correct[^\n]/.exec(text + CLOSING);
  return found ? strip(found[1]!) : NO_ANSWER;
}

const substitutions: readonly (readonly [string, string])[] = [
  ['an ', ''],
  ['a ', ''],
  ['.$', '$'],
  ['\\$', ''],
  ['\\ ', ''],
  [' ', ''],
  ['mbox', 'text'],
  [',\\text{and}', ','],
  ['\\text{and}', ','],
  ['\\text{m}', '\\text{}'],
];
/** Units and words that say nothing about the value, in the paper's order. */
const removed: readonly string[] = [
  ...[
    'square',
    'ways',
    'integers',
    'dollars',
    'mph',
    'inches',
    'ft',
    'hours',
    'km',
    'units',
    '\\ldots',
    'sue',
    'points',
  ],
  ...['feet', 'minutes', 'digits', 'cents', 'degrees', 'cm', 'gm', 'pounds', 'meters', 'meals', 'edges', 'students'],
  ...[
    'childrentickets',
    'multiples',
    '\\text{s}',
    '\\text{.}',
    '\\text{\ns}',
    '\\text{}^2',
    '\\text{}^3',
    '\\text{\n}',
  ],
  ...['\\text{}', '\\mathrm{th}', '^\\circ', '^{\\circ}', '\\;', ',\\!', '{,}', '"', '\\dots'],
];
/** Only what is inside stays; and TeX's short forms get their braces. */
const rewritings: readonly (readonly [string, string])[] = [
  ['(.*?)(\\$)(.*?)(\\$)(.*)', '$\\3$'],
  ['(\\\\text\\{)(.*?)(\\})', '\\2'],
  ['(\\\\textbf\\{)(.*?)(\\})', '\\2'],
  ['(\\\\overline\\{)(.*?)(\\})', '\\2'],
  ['(\\\\boxed\\{)(.*)(\\})', '\\2'],
  ['(frac)([^{])(.)', 'frac{\\2}{\\3}'],
  ['(sqrt)([^{])', 'sqrt{\\2}'],
];

/** An answer without units, spaces and decoration. */
export function finalAnswer(answer: string): string {
  let text = answer.split('=').at(-1)!;
  for (const [before, after] of substitutions) text = text.replaceAll(before, after);
  for (const words of removed) text = text.replaceAll(words, '');
  for (const [pattern, replacement] of rewritings) text = replaceAll(pattern, replacement, text);
  text = text.replaceAll('$', '');
  const digits = text.replaceAll(',', '');
  return isDigits(digits) ? digits : text;
}

/** Whether a solution's stated answer is the expression that is right. What cannot be read as an expression is wrong. */
export const isMinervaCorrect = (response: string, answer: string): boolean =>
  sameExpression(finalAnswer(statedAnswer(response)), answer);
