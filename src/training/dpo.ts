import { ArgumentError } from '../base/errors.ts';
import { type MicroBatch, prepareBatch } from './micro-batch.ts';
import type { StepTrainer } from './trainer.ts';

export interface DpoResult {
  readonly loss: number;
  /** Mean of chosen minus rejected reward, reward = beta · (log p − log p of the reference). */
  readonly rewardMargin: number;
}

/**
 * Direct preference optimization: raises the chosen answers against the rejected ones, relative to a frozen reference.
 *
 *   h_i = beta · ((log π(chosen_i) − log ρ(chosen_i)) − (log π(rejected_i) − log ρ(rejected_i)))
 *   loss = mean_i −log σ(h_i)        d loss / d log π(chosen_i) = −beta · σ(−h_i) / n, and the opposite for rejected_i
 *
 * The first half of the rows are chosen, the second half rejected; row i pairs with row n + i; labels mark the answers.
 *
 * Effects  the policy's gradients are those of the loss
 * Source   Rafailov et al. 2023, arXiv:2305.18290 eq. 7.
 */
export async function dpoPass(
  policy: StepTrainer,
  reference: StepTrainer,
  micro: MicroBatch,
  beta: number,
): Promise<DpoResult> {
  const prepared = prepareBatch(micro, policy.model.config.vocabSize);
  const { spans } = prepared.batch;
  if (spans.length % 2 !== 0 || spans.length === 0) {
    const found = `expected pairs of rows, chosen ones first, got ${spans.length} rows`;
    throw new ArgumentError('training.dpo', `dpo batch: ${found}. Give as many rejected rows as chosen ones.`);
  }
  const pairs = spans.length / 2;
  const perSequence = (losses_N: Float64Array) =>
    spans.map(({ firstRow, rowCount }) => -losses_N.subarray(firstRow, firstRow + rowCount).reduce((a, b) => a + b, 0));
  const before = perSequence(await reference.losses(prepared));
  let loss = 0;
  let rewardMargin = 0;
  policy.clearGradients();
  await policy.passWeighted(prepared.batch, prepared.targets_N, (losses_N) => {
    const now = perSequence(losses_N);
    const weights_N = new Float64Array(losses_N.length);
    for (let i = 0; i < pairs; i++) {
      const margin = beta * (now[i]! - before[i]! - (now[pairs + i]! - before[pairs + i]!));
      loss += Math.log1p(Math.exp(-Math.abs(margin))) + Math.max(0, -margin);
      rewardMargin += margin;
      const weight = beta / (1 + Math.exp(margin)) / pairs; // on the loss of each token, which is −log π
      for (const [sequence, sign] of [
        [i, 1],
        [pairs + i, -1],
      ] as const) {
        const { firstRow, rowCount } = spans[sequence]!;
        weights_N.fill(sign * weight, firstRow, firstRow + rowCount);
      }
    }
    return weights_N;
  });
  return { loss: loss / pairs, rewardMargin: rewardMargin / pairs };
}
