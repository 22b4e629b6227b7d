/**
 * Learning from pairs of answers (or from answers that were liked or not): DPO and its kin, IPO, ORPO, SimPO, KTO. The reference's
 * log-probabilities are those of the model before the first step; they are computed once and kept with the run.
 */
import { assert } from '../../base/assert.ts';
import type { Collective } from '../../training/collective.ts';
import { shardOf } from '../../training/ranks/parts.ts';
import type { StepTrainer } from '../../training/trainer.ts';
import type { EncodedPair, EncodedRated } from '../data/collect.ts';
import { lossTokens } from '../data/proof.ts';
import { ktoLoss } from '../losses/kto.ts';
import { orpoLoss, simpoLoss } from '../losses/odds-ratio.ts';
import { type PreferenceLossName, preferenceLoss } from '../losses/preference.ts';
import type { Recipe } from '../recipe-keys.ts';
import { rowsOfStep } from '../run/order.ts';
import type { MethodStep, TuningMethod } from './method.ts';
import type { Policy, Reading, ReadingGradients, Sequence } from './policy.ts';

export type DpoSettings = Recipe['dpo'];

export interface PreferenceParts {
  readonly trainer: StepTrainer;
  readonly policy: Policy;
  readonly pairs: readonly EncodedPair[];
  readonly valid: readonly EncodedPair[];
  /** Σ log p of chosen and rejected under the reference, by pair; valid ones behind those of training. null: the loss has no reference. */
  readonly references: Float64Array | null;
  readonly settings: DpoSettings;
  readonly batch: number;
  readonly totalSteps: number;
  readonly seed: number;
  readonly collective: Collective;
}

/** Σ log p of the answers under the model as it is now: [chosen, rejected] of each pair. */
export async function referenceSums(policy: Policy, pairs: readonly EncodedPair[]): Promise<Float64Array> {
  const readings = await policy.read(pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]));
  return Float64Array.from(readings, ({ logps }) => sum(logps));
}

/** Whether a loss compares with a reference. */
export function needsReference({ loss, referenceFree }: DpoSettings): boolean {
  return loss !== 'orpo' && loss !== 'simpo' && !referenceFree;
}

export class Preference implements TuningMethod {
  readonly totalSteps: number;
  private readonly parts: PreferenceParts;

  constructor(parts: PreferenceParts) {
    this.parts = parts;
    this.totalSteps = parts.totalSteps;
  }

  async step(step: number): Promise<MethodStep> {
    const { trainer, policy, pairs, batch, seed, collective } = this.parts;
    const chosen = rowsOfStep(pairs.length, batch, step, seed);
    const { from, count } = shardOf(chosen.length, collective.rank, collective.size);
    const mine = chosen.slice(from, from + count);
    const chosenTokens = totalOver(
      collective,
      mine.reduce((all, pair) => all + lossTokens(pairs[pair]!.chosen), 0),
    );
    const sequences: Sequence[] = mine.flatMap((pair) => [pairs[pair]!.chosen, pairs[pair]!.rejected]);
    const seen = new Totals();
    trainer.clearGradients();
    await policy.pass(
      sequences,
      (readings, first) =>
        this.weigh(readings, mine.slice(first / 2, (first + readings.length) / 2), chosen.length, chosenTokens, seen),
      2,
    );
    const numbers = seen.means(collective, chosen.length);
    const { loss, ...others } = numbers as typeof numbers & { loss: number };
    const result = await trainer.update({ loss, labelCount: chosenTokens });
    const tokens = totalOver(
      collective,
      sequences.reduce((all, { ids }) => all + ids.length, 0),
    );
    return { ...result, tokens, numbers: others, alarms: alarmsOf(others) };
  }

  async validate(): Promise<Readonly<Record<string, number>> | null> {
    const { policy, valid, pairs, collective } = this.parts;
    if (valid.length === 0) return null;
    const { from, count } = shardOf(valid.length, collective.rank, collective.size);
    const indexes = Array.from({ length: count }, (_, i) => from + i);
    const readings = await policy.read(indexes.flatMap((i) => [valid[i]!.chosen, valid[i]!.rejected]));
    const tokens = totalOver(
      collective,
      indexes.reduce((all, i) => all + lossTokens(valid[i]!.chosen), 0),
    );
    const seen = new Totals();
    this.weigh(
      readings,
      indexes.map((i) => pairs.length + i),
      valid.length,
      tokens,
      seen,
    );
    return seen.means(collective, valid.length);
  }

  /** Loss and gradients of some pairs out of a batch of `count`. */
  private weigh(
    readings: readonly Reading[],
    pairs: readonly number[],
    count: number,
    chosenTokens: number,
    seen: Totals,
  ): ReadingGradients[] {
    const { settings, references } = this.parts;
    const { loss, nllWeight } = settings;
    assert(readings.length === 2 * pairs.length, 'preference: two readings a pair');
    const [chosen, rejected] = [0, 1].map((side) => readings.filter((_, i) => i % 2 === side));
    const of = (side: readonly Reading[], value: (logps: Float64Array) => number) =>
      Float64Array.from(side, ({ logps }) => value(logps));
    const reference = (side: number) =>
      Float64Array.from(pairs, (pair) => (references === null ? 0 : references[2 * pair + side]!));
    const part = pairs.length / count;
    let value: number;
    let dChosen: Float64Array;
    let dRejected: Float64Array;
    let isMean = false;
    if (loss === 'orpo' || loss === 'simpo') {
      isMean = true;
      const [c, r] = [of(chosen!, mean), of(rejected!, mean)];
      const found =
        loss === 'orpo'
          ? orpoLoss(settings.lambda, { chosen: c, rejected: r, negativeLogLikelihood: 0 })
          : simpoLoss({ beta: settings.beta, gamma: settings.gamma, labelSmoothing: settings.labelSmoothing }, c, r);
      ({ loss: value, dChosen, dRejected } = found);
      seen.add('margin', sum(Float64Array.from(c, (x, i) => x - r[i]!)));
      seen.add(
        'accuracy',
        c.reduce((all, x, i) => all + (x > r[i]! ? 1 : 0), 0),
      );
    } else {
      const found = preferenceLoss(
        {
          loss: loss as PreferenceLossName,
          beta: settings.beta,
          labelSmoothing: settings.labelSmoothing,
          referenceFree: settings.referenceFree,
        },
        {
          chosen: of(chosen!, sum),
          rejected: of(rejected!, sum),
          referenceChosen: reference(0),
          referenceRejected: reference(1),
          chosenTokens: of(chosen!, ({ length }) => length),
          rejectedTokens: of(rejected!, ({ length }) => length),
        },
      );
      ({ loss: value, dChosen, dRejected } = found);
      seen.add('margin', sum(found.rewardsChosen) - sum(found.rewardsRejected));
      seen.add('chosenReward', sum(found.rewardsChosen));
      seen.add('accuracy', found.accuracy * pairs.length);
    }
    const nll = loss === 'orpo' ? 1 : nllWeight;
    const chosenSum = chosen!.reduce((all, { logps }) => all + sum(logps), 0);
    seen.add('loss', value * pairs.length - (nll * chosenSum * count) / chosenTokens);
    return readings.map(({ logps }, i) => {
      const pair = i >> 1;
      const slope = (i % 2 === 0 ? dChosen[pair]! : dRejected[pair]!) * part;
      const each = isMean ? slope / logps.length : slope;
      const own = i % 2 === 0 ? -nll / chosenTokens : 0;
      return { dLogps: new Float64Array(logps.length).fill(each + own) };
    });
  }
}

export interface KtoParts extends Omit<PreferenceParts, 'pairs' | 'valid' | 'references'> {
  readonly answers: readonly EncodedRated[];
  /** Each prompt with another's answer, from which the KL is estimated. */
  readonly mismatched: readonly Sequence[];
  /** Σ log p under the reference of the answers, and behind them of the mismatched ones. */
  readonly references: Float64Array;
}

/** Each prompt with the answer of the next sample, cut where the context ends. */
export function mismatch(answers: readonly EncodedRated[], contextLength: number): Sequence[] {
  return answers.map(({ answer }, i) => {
    const other = answers[(i + 1) % answers.length]!.answer;
    const asked = answer.ids.subarray(0, answer.carries.indexOf(1));
    const said = other.ids.subarray(other.carries.indexOf(1));
    const ids = Uint32Array.from([...asked, ...said]).slice(0, Math.max(asked.length + 1, contextLength));
    const carries = Uint8Array.from([...asked.map(() => 0), ...other.carries.subarray(other.carries.indexOf(1))]);
    return { ids, carries: carries.slice(0, ids.length) };
  });
}

/** Kahneman-Tversky optimization. */
export class Kto implements TuningMethod {
  readonly totalSteps: number;
  private readonly parts: KtoParts;

  constructor(parts: KtoParts) {
    this.parts = parts;
    this.totalSteps = parts.totalSteps;
  }

  async step(step: number): Promise<MethodStep> {
    const { trainer, policy, answers, mismatched, references, settings, batch, seed, collective } = this.parts;
    assert(collective.size === 1, 'kto: one rank');
    const rows = rowsOfStep(answers.length, batch, step, seed);
    const others = await policy.read(rows.map((row) => mismatched[row]!));
    const mismatchedPolicy = Float64Array.from(others, ({ logps }) => sum(logps));
    const mismatchedReference = Float64Array.from(rows, (row) => references[answers.length + row]!);
    const sequences = rows.map((row) => answers[row]!.answer);
    let loss = 0;
    let kl = 0;
    let liked = 0;
    trainer.clearGradients();
    await policy.pass(sequences, (readings, first) => {
      const part = rows.slice(first, first + readings.length);
      const found = ktoLoss(settings, {
        desirable: part.map((row) => answers[row]!.isLiked),
        policy: Float64Array.from(readings, ({ logps }) => sum(logps)),
        reference: Float64Array.from(part, (row) => references[row]!),
        mismatchedPolicy,
        mismatchedReference,
      });
      kl = found.kl;
      loss += (found.loss * part.length) / rows.length;
      liked += part.reduce((all, row, i) => {
        const gain = sum(readings[i]!.logps) - references[row]!;
        return all + (gain > 0 === answers[row]!.isLiked ? 1 : 0);
      }, 0);
      return readings.map(({ logps }, i) => ({
        dLogps: new Float64Array(logps.length).fill((found.dPolicy[i]! * part.length) / rows.length),
      }));
    });
    const result = await trainer.update({ loss, labelCount: rows.length });
    const tokens = sequences.reduce((all, { ids }) => all + ids.length, 0);
    return { ...result, tokens, numbers: { kl, accuracy: liked / rows.length }, alarms: [] };
  }

  async validate(): Promise<null> {
    return null;
  }
}

function alarmsOf({ margin }: Readonly<Record<string, number>>): string[] {
  return margin !== undefined && Number.isFinite(margin) && margin > 50
    ? [`the margin is ${margin.toFixed(1)}: the model has left the reference far behind`]
    : [];
}

/** Sums over the batch, which become means. */
class Totals {
  private readonly sums = new Map<string, number>();

  add(name: string, value: number): void {
    this.sums.set(name, (this.sums.get(name) ?? 0) + value);
  }

  means(collective: Collective, count: number): Record<string, number> {
    const names = ['loss', 'margin', 'chosenReward', 'accuracy'].filter(
      (name) => this.sums.has(name) || collective.size > 1,
    );
    const values = Float64Array.from(names, (name) => this.sums.get(name) ?? 0);
    collective.sum(values);
    return Object.fromEntries(names.map((name, i) => [name, values[i]! / count]));
  }
}

function totalOver(collective: Collective, value: number): number {
  const total = Float64Array.of(value);
  collective.sum(total);
  return total[0]!;
}

function sum(values: Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function mean(values: Float64Array): number {
  return sum(values) / values.length;
}
