/**
 * A reward model: the model's last hidden state at the end of an answer, times one row of weights, is the answer's score.
 *
 *   loss = mean of −log σ(score(chosen) − score(rejected) − margin)
 *
 * Source   Touvron et al. 2023 (Llama 2), arXiv:2307.09288 §3.2.2.
 */
import type { Collective } from '../../training/collective.ts';
import { shardOf } from '../../training/ranks/parts.ts';
import type { StepTrainer } from '../../training/trainer.ts';
import type { EncodedPair } from '../data/collect.ts';
import { type MarginTable, marginTables, preferenceRatings, rewardModelLoss } from '../losses/reward-model.ts';
import { rowsOfStep } from '../run/order.ts';
import type { MethodStep, TuningMethod } from './method.ts';
import type { Policy, Reading } from './policy.ts';

export interface RewardParts {
  readonly trainer: StepTrainer;
  /** With a head, whose weights the trainer trains too. */
  readonly policy: Policy;
  readonly pairs: readonly EncodedPair[];
  readonly valid: readonly EncodedPair[];
  readonly margins: MarginTable;
  readonly centerCoefficient: number;
  readonly batch: number;
  readonly totalSteps: number;
  readonly seed: number;
  readonly collective: Collective;
}

export class RewardModel implements TuningMethod {
  readonly totalSteps: number;
  private readonly parts: RewardParts;

  constructor(parts: RewardParts) {
    this.parts = parts;
    this.totalSteps = parts.totalSteps;
  }

  async step(step: number): Promise<MethodStep> {
    const { trainer, policy, pairs, batch, seed, collective, centerCoefficient } = this.parts;
    const chosen = rowsOfStep(pairs.length, batch, step, seed);
    const { from, count } = shardOf(chosen.length, collective.rank, collective.size);
    const mine = chosen.slice(from, from + count).map((row) => pairs[row]!);
    const tally = new Tally();
    let loss = 0;
    trainer.clearGradients();
    await policy.pass(
      mine.flatMap((pair) => [pair.chosen, pair.rejected]),
      (readings, first) => {
        const part = mine.slice(first / 2, (first + readings.length) / 2);
        const scores = scoresOf(readings);
        const found = rewardModelLoss({ ...scores, margin: this.marginsOf(part) }, centerCoefficient);
        const share = part.length / chosen.length;
        loss += found.loss * share;
        tally.note(part, scores);
        return readings.map(({ values }, i) => {
          const dValues = new Float64Array(values.length);
          dValues[values.length - 1] = (i % 2 === 0 ? found.dChosen : found.dRejected)[i >> 1]! * share;
          return { dValues };
        });
      },
      2,
    );
    const sums = Float64Array.of(
      loss,
      mine.reduce((all, pair) => all + pair.chosen.ids.length + pair.rejected.ids.length, 0),
    );
    collective.sum(sums);
    const result = await trainer.update({ loss: sums[0]!, labelCount: chosen.length });
    return { ...result, tokens: sums[1]!, numbers: tally.numbers(collective), alarms: [] };
  }

  async validate(): Promise<Readonly<Record<string, number>> | null> {
    const { policy, valid, collective, centerCoefficient } = this.parts;
    if (valid.length === 0) return null;
    const { from, count } = shardOf(valid.length, collective.rank, collective.size);
    const mine = valid.slice(from, from + count);
    const tally = new Tally();
    let loss = 0;
    if (mine.length > 0) {
      const scores = scoresOf(await policy.read(mine.flatMap((pair) => [pair.chosen, pair.rejected])));
      tally.note(mine, scores);
      loss =
        (rewardModelLoss({ ...scores, margin: this.marginsOf(mine) }, centerCoefficient).loss * count) / valid.length;
    }
    const total = Float64Array.of(loss);
    collective.sum(total);
    return { loss: total[0]!, ...tally.numbers(collective) };
  }

  /** A pair's own margin, else that of its rating. */
  private marginsOf(pairs: readonly EncodedPair[]): Float64Array {
    const table = marginTables[this.parts.margins];
    return Float64Array.from(pairs, ({ margin, rating }) => margin ?? (rating ? table[rating] : 0));
  }
}

/** The score at the last token of each answer. */
function scoresOf(readings: readonly Reading[]): { chosen: Float64Array; rejected: Float64Array } {
  const side = (rest: number) =>
    Float64Array.from(
      readings.filter((_, i) => i % 2 === rest),
      ({ values }) => values.at(-1)!,
    );
  return { chosen: side(0), rejected: side(1) };
}

/** Accuracy, of all pairs and by rating. */
class Tally {
  /** right and all of: every pair, then each rating. */
  private readonly counts = new Float64Array(2 * (1 + preferenceRatings.length) + 1);

  note(pairs: readonly EncodedPair[], { chosen, rejected }: { chosen: Float64Array; rejected: Float64Array }): void {
    for (const [i, { rating }] of pairs.entries()) {
      const places = rating === null ? [0] : [0, 1 + preferenceRatings.indexOf(rating)];
      for (const place of places) {
        if (chosen[i]! > rejected[i]!) this.counts[2 * place]!++;
        this.counts[2 * place + 1]!++;
      }
      this.counts[this.counts.length - 1]! += chosen[i]! - rejected[i]!;
    }
  }

  numbers(collective: Collective): Record<string, number> {
    const totals = this.counts.slice();
    collective.sum(totals);
    const names = ['accuracy', ...preferenceRatings.map((rating) => `accuracy ${rating}`)];
    const shares = names.flatMap((name, i) =>
      totals[2 * i + 1]! > 0 ? [[name, totals[2 * i]! / totals[2 * i + 1]!] as const] : [],
    );
    return { ...Object.fromEntries(shares), scoreDifference: totals.at(-1)! / totals[1]! };
  }
}
