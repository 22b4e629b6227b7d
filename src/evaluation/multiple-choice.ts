/**
 * Multiple choice by likelihood: the model reads the question, every answer is scored as its continuation, and a rule picks one.
 * Rules differ in how they make answers of different lengths and of different commonness comparable.
 */
import type { LongPairs, Request, ScoredRequest, Scorer } from './requests.ts';
import { scoreRequests } from './requests.ts';

export interface Choice extends Request {
  /** The answer as its length is counted: without the space before it. */
  readonly text: string;
}

export interface Item {
  readonly id: string;
  readonly choices: readonly Choice[];
  /** Index of the right choice. */
  readonly gold: number;
  /** The same answers after a text that asks nothing ("Answer:"); absent: no rule that needs them. */
  readonly unconditional?: readonly Request[];
}

export interface ChoiceScore extends ScoredRequest {
  readonly characters: number;
  readonly bytes: number;
  /** log p of the answer after a text that asks nothing. */
  readonly unconditional?: number;
}

interface Rule {
  readonly help: string;
  /** Larger is better; undefined where the item has not what it takes. */
  readonly value: (score: ChoiceScore) => number | undefined;
}

/**
 * The rules by their names in the lm-evaluation-harness (acc, acc_norm, acc_bytes) and in OLMo's (acc_per_token, acc_uncond).
 *
 * Source   LLaMA (arXiv:2302.13971 §3): acc_norm, but acc_uncond with "Answer:" for OpenBookQA and BoolQ, which is Brown et al. 2020,
 *          arXiv:2005.14165 §2.4; HellaSwag's own code: acc_per_token.
 */
export const choiceRules = {
  acc: { help: 'the likeliest answer', value: ({ logLikelihood }) => logLikelihood },
  acc_norm: {
    help: 'log p / characters of the answer: LLaMA, lm-evaluation-harness',
    value: ({ logLikelihood, characters }) => logLikelihood / characters,
  },
  acc_bytes: {
    help: 'log p / bytes of the answer in UTF-8',
    value: ({ logLikelihood, bytes }) => logLikelihood / bytes,
  },
  acc_per_token: {
    help: 'log p / tokens of the answer: HellaSwag, llama.cpp',
    value: ({ logLikelihood, tokens }) => logLikelihood / tokens,
  },
  acc_uncond: {
    help: 'log p − log p after "Answer:" alone: LLaMA for OpenBookQA and BoolQ',
    value: ({ logLikelihood, unconditional }) =>
      unconditional === undefined ? undefined : logLikelihood - unconditional,
  },
} as const satisfies Record<string, Rule>;

export type RuleName = keyof typeof choiceRules;
export const ruleNames = Object.keys(choiceRules) as readonly RuleName[];

/** The choice that a rule picks, the first among equals; null where the item has not what it takes. */
export function choose(rule: RuleName, scores: readonly ChoiceScore[]): number | null {
  const values = scores.map((score) => choiceRules[rule].value(score));
  if (values.some((value) => value === undefined)) return null;
  let best = 0;
  for (const [i, value] of values.entries()) if (value! > values[best]!) best = i;
  return best;
}

/** Asks a model about one item. Throws ArgumentError `evaluate.pair`, `evaluate.context`. */
export async function scoreItem(scorer: Scorer, item: Item, longPairs: LongPairs = 'refuse'): Promise<ChoiceScore[]> {
  const scored = await scoreRequests(scorer, item.choices, longPairs);
  const unconditional = item.unconditional && (await scoreRequests(scorer, item.unconditional, longPairs));
  return item.choices.map(({ text }, i) => ({
    ...scored[i]!,
    characters: Math.max(1, [...text].length),
    bytes: Math.max(1, new TextEncoder().encode(text).length),
    ...(unconditional && { unconditional: unconditional[i]!.logLikelihood }),
  }));
}

export interface Accuracy {
  readonly accuracy: number;
  /** Standard error of the mean over the items; NaN for fewer than two. */
  readonly error: number;
  readonly items: number;
}

/** The share of items that each rule gets right, for the rules that every item has what it takes for. */
export function accuracies(
  results: readonly { readonly gold: number; readonly scores: readonly ChoiceScore[] }[],
): Partial<Record<RuleName, Accuracy>> {
  const found: Partial<Record<RuleName, Accuracy>> = {};
  for (const rule of ruleNames) {
    const picks = results.map(({ scores }) => choose(rule, scores));
    if (picks.length === 0 || picks.includes(null)) continue;
    const items = results.length;
    const accuracy = results.filter(({ gold }, i) => picks[i] === gold).length / items;
    found[rule] = { accuracy, error: Math.sqrt((accuracy * (1 - accuracy)) / (items - 1)), items };
  }
  return found;
}
