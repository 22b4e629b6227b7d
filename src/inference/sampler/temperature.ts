import type { Candidates } from './candidates.ts';

/**
 * Divides the logits by the temperature; at 0 or below only the likeliest token remains.
 * With a range, the temperature follows the entropy H of the candidates (dynatemp):
 *
 *   T = T_min + (T_max − T_min) · (H / ln count)^exponent        T_min = max(0, temperature − range)   T_max = temperature + range
 */
export function temper(candidates: Candidates, temperature: number, range: number, exponent: number): void {
  let t = temperature;
  if (range > 0 && candidates.count > 1) {
    candidates.softmax();
    const low = Math.max(0, temperature - range);
    const normalized = candidates.entropy() / Math.log(candidates.count);
    t = low + (temperature + range - low) * normalized ** exponent;
  }
  if (t <= 0) {
    candidates.sortBest(1);
    candidates.keepFirst(1);
  } else if (t !== 1) {
    for (let i = 0; i < candidates.count; i++) candidates.logits[i]! /= t;
  }
}
