/**
 * Mirostat: feedback holds the surprise of the text, −log2 p of the chosen tokens, at a target τ.
 * Source: Basu et al. 2020, arXiv:2007.14966, Algorithms 1 (version 1) and 2 (version 2); as in llama.cpp.
 */
import type { Candidates } from './candidates.ts';

/** How many of the likeliest tokens version 1 fits its Zipf exponent to. */
const FITTED_TOKENS = 100;

/**
 * Version 1: fits Zipf's exponent s to the likeliest tokens and keeps as many as give the surprise μ.
 *
 *   s = Σ t_i·b_i / Σ t_i²   with t_i = ln((i + 2)/(i + 1)), b_i = ln(p_i / p_i+1)
 *   k = ((ε·2^μ) / (1 − V^−ε))^(1/s)   with ε = s − 1
 */
export function mirostat1(candidates: Candidates, mu: number): void {
  candidates.sortBest(FITTED_TOKENS);
  candidates.softmax();
  const { probabilities } = candidates;
  let tb = 0;
  let tt = 0;
  for (let i = 0; i < FITTED_TOKENS - 1 && i < candidates.count - 1 && probabilities[i + 1]! > 0; i++) {
    const t = Math.log((i + 2) / (i + 1));
    tb += t * Math.log(probabilities[i]! / probabilities[i + 1]!);
    tt += t * t;
  }
  const s = tb / tt;
  const epsilon = s - 1;
  const k = ((epsilon * 2 ** mu) / (1 - candidates.vocabSize ** -epsilon)) ** (1 / s);
  const keep = Number.isNaN(k) ? 1 : Math.max(1, Math.min(Math.floor(k), candidates.count));
  candidates.sortBest(keep);
  candidates.keepFirst(keep);
  candidates.softmax();
}

/** Version 2: drops the tokens whose surprise is above μ. */
export function mirostat2(candidates: Candidates, mu: number): void {
  const largest = candidates.largestLogit();
  const total = candidates.expSum(largest);
  // −log2(exp(logit − max) / total) ≤ μ
  const limit = largest + Math.log(total) - mu * Math.LN2;
  if (limit <= largest) candidates.keepFrom(limit);
  else {
    candidates.sortBest(1);
    candidates.keepFirst(1);
  }
  candidates.softmax();
}

/** μ after a token of probability p was chosen. */
export function mirostatUpdate(mu: number, p: number, tau: number, eta: number): number {
  return mu - eta * (-Math.log2(p) - tau);
}
