import type { Candidates } from './candidates.ts';

const PEAK = 5;
const SHARPNESS = 10;
const WIDTH = 0.3;

/**
 * Adaptive-p: prefers tokens whose probability is near a target, and moves the target against the running mean of the
 * probabilities chosen so far, so that the mean stays at it.
 *
 *   target' = clamp(2·target − mean, 0, 1)     d = |p − target'| / 0.3     logit = 5 − 10·d² / (1 + d)
 *
 * Source: llama.cpp PR #17927.
 */
export class AdaptiveP {
  private weightedSum: number;
  private totalWeight: number;
  private readonly target: number;
  private readonly decay: number;

  constructor(target: number, decay: number) {
    this.target = target;
    this.decay = decay;
    this.weightedSum = target / (1 - decay);
    this.totalWeight = 1 / (1 - decay);
  }

  /** Replaces the logits; the probabilities before that stay in `keys` for chosen(). */
  apply(candidates: Candidates): void {
    candidates.softmax();
    const mean = this.weightedSum / this.totalWeight;
    const target = Math.min(1, Math.max(0, 2 * this.target - mean));
    const { keys, probabilities, logits } = candidates;
    for (let i = 0; i < candidates.count; i++) {
      const p = (keys[i] = probabilities[i]!);
      if (logits[i] === Number.NEGATIVE_INFINITY) continue;
      const distance = Math.abs(p - target) / WIDTH;
      logits[i] = PEAK - (SHARPNESS * distance * distance) / (1 + distance);
    }
    candidates.sortedCount = 0;
  }

  /** Remembers what another one does. */
  follow({ weightedSum, totalWeight }: AdaptiveP): void {
    this.weightedSum = weightedSum;
    this.totalWeight = totalWeight;
  }

  /** Hears of the choice: its probability before apply(). */
  chosen(p: number): void {
    this.weightedSum = p + this.decay * this.weightedSum;
    this.totalWeight = 1 + this.decay * this.totalWeight;
  }
}
