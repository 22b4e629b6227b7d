import type { Candidates } from './candidates.ts';

export interface PenaltySettings {
  readonly repeatPenalty: number;
  readonly repeatLastN: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
}

/**
 * Makes recent tokens less likely.
 *
 *   logit ← (logit ≤ 0 ? logit · repeat : logit / repeat) − count · frequency − presence      for every token with count > 0
 *
 * `count` is the token's occurrences among the last repeatLastN of the first `length` ids of the history, prompt included.
 * Source: Keskar et al. 2019, arXiv:1909.05858 (repeat); OpenAI's API (presence, frequency); llama.cpp.
 */
export function penalize(
  candidates: Candidates,
  settings: PenaltySettings,
  history: Uint32Array,
  length: number,
): void {
  const { repeatPenalty, repeatLastN, presencePenalty, frequencyPenalty } = settings;
  if (repeatLastN === 0 || (repeatPenalty === 1 && presencePenalty === 0 && frequencyPenalty === 0)) return;
  const first = repeatLastN < 0 ? 0 : Math.max(0, length - repeatLastN);
  const { counts_V, logits, ids } = candidates;
  for (let i = first; i < length; i++) counts_V[history[i]!]!++;
  const penalized = (logit: number, count: number) =>
    (logit <= 0 ? logit * repeatPenalty : logit / repeatPenalty) - count * frequencyPenalty - presencePenalty;
  if (candidates.complete) {
    for (let i = first; i < length; i++) {
      const id = history[i]!;
      if (counts_V[id]! > 0) logits[id] = penalized(logits[id]!, counts_V[id]!);
      counts_V[id] = 0;
    }
  } else {
    for (let i = 0; i < candidates.count; i++) {
      const count = counts_V[ids[i]!]!;
      if (count > 0) logits[i] = penalized(logits[i]!, count);
    }
    for (let i = first; i < length; i++) counts_V[history[i]!] = 0;
  }
  candidates.sortedCount = 0;
}
