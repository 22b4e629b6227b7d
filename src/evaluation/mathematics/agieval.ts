/**
 * The answer of a text as AGIEval takes it, of what a model wrote and of what the data says alike.
 *
 * Source   Zhong et al. 2023, arXiv:2304.06364; lm-evaluation-harness 0.4.13, tasks/agieval.
 */
import { findAll } from '../python/regex.ts';
import { lastBracedBox } from './boxed.ts';
import { tidied } from './hendrycks.ts';

const afterEquals = (text: string) => (text.includes('=') ? text.split('=').at(-1)!.replace(/^ +/, '') : text);
const lastMatch = (pattern: string, text: string) => findAll(pattern, text).at(-1) as string | undefined;

/** What the last box holds; else what stands between dollar signs; else what follows the last "="; else the last number. */
export function statedAnswer(text: string): string | null {
  if (text.includes('\\boxed')) {
    const box = lastBracedBox(text);
    return box?.startsWith('\\boxed{') ? afterEquals(box.slice('\\boxed{'.length, -1)) : null;
  }
  const formula = lastMatch('\\$(.*)\\$', text);
  const inFormula = formula === undefined ? '' : afterEquals(formula);
  if (inFormula !== '') return inFormula;
  if (text.includes('=')) return afterEquals(text).replace(/\.+$/, '').split('\\n')[0]!;
  return lastMatch('(?:\\$)?\\d+(?:\\.\\d+)?(?![\\w\\d])', text) ?? null;
}

/** Both answers are taken twice, as there: what is taken may hold an "=" or a formula again. */
export function isAgiEvalCorrect(candidate: string, gold: string): boolean {
  const [a, b] = [statedAnswer(candidate), statedAnswer(gold)];
  if (a === null || b === null) return a === b;
  const [again, goldAgain] = [statedAnswer(a), statedAnswer(b)];
  if (again === null || goldAgain === null) return again === goldAgain;
  try {
    return tidied(again, 'official') === tidied(goldAgain, 'official');
  } catch {
    return again === goldAgain;
  }
}
