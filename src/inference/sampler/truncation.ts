/**
 * The samplers that shorten the list of candidates by their probabilities. Semantics: llama.cpp's, src/llama-sampling.cpp.
 * All of them leave at least `minKeep` candidates (and always one).
 */
import type { Candidates } from './candidates.ts';

/** The k likeliest. */
export function topK(candidates: Candidates, k: number): void {
  if (k <= 0) return;
  candidates.sortBest(k);
  candidates.keepFirst(k);
}

/**
 * The likeliest up to and including the one with which their sum reaches p.
 *
 * Source  Holtzman et al. 2019, arXiv:1904.09751.
 */
export function topP(candidates: Candidates, p: number, minKeep: number): void {
  if (p >= 1) return;
  const largest = candidates.largestLogit();
  const total = candidates.expSum(largest);
  candidates.sortShare(p, minKeep);
  let sum = 0;
  for (let i = 0; i < candidates.count; i++) {
    sum += candidates.weight(i, largest) / total;
    if (sum >= p && i + 1 >= minKeep) candidates.keepFirst(i + 1);
  }
}

/** Those at least p times as likely as the likeliest: logit ≥ max + ln p. Source: Nguyen et al. 2024, arXiv:2407.01082. */
export function minP(candidates: Candidates, p: number, minKeep: number): void {
  if (p <= 0) return;
  const limit = candidates.largestLogit() + Math.log(p);
  const least = Math.max(1, minKeep);
  if (candidates.countFrom(limit) >= least) candidates.keepFrom(limit);
  else {
    candidates.sortBest(least);
    candidates.keepFirst(least);
  }
}

/**
 * Those whose surprise is nearest to the expected one, |−ln p_i − H|, until their sum exceeds p.
 * Source: Meister et al. 2022, arXiv:2202.00666.
 */
export function typical(candidates: Candidates, p: number, minKeep: number): void {
  if (p >= 1) return;
  candidates.softmax();
  const entropy = candidates.entropy();
  const largest = candidates.largestLogit();
  const total = candidates.expSum(largest);
  const { keys, probabilities } = candidates;
  for (let i = 0; i < candidates.count; i++) keys[i] = -Math.abs(-Math.log(probabilities[i]!) - entropy);
  candidates.sortShare(p, minKeep, keys);
  let sum = 0;
  for (let i = 0; i < candidates.count; i++) {
    sum += candidates.weight(i, largest) / total;
    if (sum > p && i + 1 >= minKeep) candidates.keepFirst(i + 1);
  }
}

/**
 * Logits within n standard deviations of the largest: logit ≥ max − n·σ. Forbidden tokens (−∞) do not count into σ.
 * Source: Tang et al. 2024, arXiv:2411.07641.
 */
export function topNSigma(candidates: Candidates, n: number): void {
  if (n <= 0 || candidates.count <= 1) return;
  const { logits, count } = candidates;
  let valid = 0;
  let sum = 0;
  for (let i = 0; i < count; i++) {
    if (!Number.isFinite(logits[i])) continue;
    valid++;
    sum += logits[i]!;
  }
  const mean = valid > 0 ? sum / valid : 0;
  let squares = 0;
  for (let i = 0; i < count; i++) if (Number.isFinite(logits[i])) squares += (logits[i]! - mean) ** 2;
  const sigma = valid > 0 ? Math.sqrt(squares / valid) : 0;
  candidates.keepFrom(candidates.largestLogit() - n * sigma);
}

/**
 * Excludes the top choices: every token with p ≥ threshold but the least likely of them, so that a fluent alternative remains.
 * The caller draws whether it happens at this token. Source: text-generation-webui #6335; llama.cpp.
 */
export function xtc(candidates: Candidates, threshold: number, minKeep: number): void {
  if (threshold > 0.5 || candidates.count < 2) return;
  const most = Math.ceil(1 / Math.max(threshold, 1 / candidates.count)); // no more tokens than this can reach the threshold
  candidates.sortBest(most + 1);
  candidates.softmax();
  let above = 0;
  while (above < candidates.count && candidates.probabilities[above]! >= threshold) above++;
  if (above >= 2 && candidates.count - (above - 1) >= minKeep) candidates.dropFirst(above - 1);
}
