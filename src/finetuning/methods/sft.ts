/**
 * Supervised fine-tuning: the next token of what the assistant should say.
 *
 *   loss = Σ −log p over the tokens that carry loss / how many these are, over all micro-batches and ranks of a step
 *
 * Source   Touvron et al. 2023 (Llama 2), arXiv:2307.09288 §3.1; Ouyang et al. 2022, arXiv:2203.02155 §3.5.
 */
import type { Tape } from '../../autograd/tape.ts';
import { Random } from '../../base/random.ts';
import { type Device, fromFloats } from '../../devices/device.ts';
import type { Ops } from '../../kernels/ops.ts';
import type { Collective } from '../../training/collective.ts';
import { type MicroBatch, prepareBatch, splitMicroBatch } from '../../training/micro-batch.ts';
import { shardOf } from '../../training/ranks/parts.ts';
import type { StepTrainer } from '../../training/trainer.ts';
import type { EncodedSample } from '../data/encode.ts';
import { neftuneNoise } from '../neftune.ts';
import type { PassNoise } from '../pass-noise.ts';
import { rowsOfStep } from '../run/order.ts';
import { type LossPart, tokenMean } from '../token-mean.ts';
import type { MethodStep, TuningMethod } from './method.ts';
import { microBatchOf } from './policy.ts';

export interface SftParts {
  readonly trainer: StepTrainer;
  readonly samples: readonly EncodedSample[];
  /** Indexes of samples by row. */
  readonly rows: readonly (readonly number[])[];
  readonly valid: readonly EncodedSample[];
  readonly batch: number;
  readonly totalSteps: number;
  readonly seed: number;
  readonly collective: Collective;
  readonly noise: PassNoise | null;
  /** Tokens that go through the model at once. */
  readonly passTokens: number;
}

export class Sft implements TuningMethod {
  readonly totalSteps: number;
  private readonly parts: SftParts;

  constructor(parts: SftParts) {
    this.parts = parts;
    this.totalSteps = parts.totalSteps;
  }

  async step(step: number): Promise<MethodStep> {
    const { trainer, rows, samples, batch, seed, collective, noise, passTokens } = this.parts;
    const chosen = rowsOfStep(rows.length, batch, step, seed);
    const { from, count } = shardOf(chosen.length, collective.rank, collective.size);
    const samplesOf = (some: readonly number[]) => some.flatMap((row) => rows[row]!.map((sample) => samples[sample]!));
    const mine = samplesOf(chosen.slice(from, from + count));
    const tokensOf = (some: readonly number[]) => samplesOf(some).reduce((sum, { ids }) => sum + ids.length, 0);
    const [tokens, firstToken] = [tokensOf(chosen), tokensOf(chosen.slice(0, from))];
    const passes = mine.length === 0 ? [] : splitMicroBatch({ ...microBatchOf(mine), firstToken }, passTokens);
    noise?.begin(passes, seed, step, collective.rank);
    const result = await trainer.step(passes);
    return { ...result, tokens, numbers: { lossTokens: result.labelCount }, alarms: [] };
  }

  async validate(): Promise<Readonly<Record<string, number>> | null> {
    const { trainer, valid, collective, noise, passTokens } = this.parts;
    if (valid.length === 0) return null;
    noise?.end();
    const parts: LossPart[] = [];
    const { vocabSize } = trainer.model.config;
    for (const [i, micro] of splitMicroBatch(microBatchOf(valid), passTokens).entries()) {
      if (i % collective.size !== collective.rank) continue;
      const prepared = prepareBatch(micro, vocabSize);
      const losses = await trainer.losses(prepared);
      parts.push({ sum: losses.reduce((a, b) => a + b, 0), tokens: prepared.targetCount });
    }
    const totals = Float64Array.of(
      parts.reduce((all, { sum }) => all + sum, 0),
      parts.reduce((all, { tokens }) => all + tokens, 0),
    );
    collective.sum(totals);
    return { loss: tokenMean([{ sum: totals[0]!, tokens: totals[1]! }]) };
  }
}

/** NEFTune as a decorator of the model's operations: each pass of a step adds noise to what it embeds. */
export class NoisyEmbeddings implements PassNoise {
  private readonly device: Device;
  private readonly alpha: number;
  /** Lengths of the samples in the passes to come. */
  private passes: (readonly number[])[] = [];
  private random: Random | null = null;

  constructor(device: Device, alpha: number) {
    this.device = device;
    this.alpha = alpha;
  }

  begin(passes: readonly MicroBatch[], seed: number, step: number, rank: number): void {
    this.passes = passes.map(({ documents, length }) => documents ?? [length]);
    this.random = new Random((BigInt(seed) << 40n) + (BigInt(step) << 16n) + BigInt(rank) + 1n);
  }

  /** Passes from here on have no noise. */
  end(): void {
    this.passes = [];
  }

  /** Called once for each pass. */
  decorate<Given extends Ops | Tape['ops']>(ops: Given): Given {
    const lengths = this.passes.shift();
    if (lengths === undefined) return ops;
    return {
      ...ops,
      embed: (table_VD, ids_N) => {
        const x_ND = ops.embed(table_VD, ids_N);
        const [, width] = x_ND.shape as readonly [number, number];
        const noise_ND = neftuneNoise(this.alpha, lengths, width, this.random!);
        return ops.add(x_ND, fromFloats(this.device, noise_ND, x_ND.shape));
      },
    };
  }
}
