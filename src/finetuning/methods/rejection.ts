/**
 * Rejection sampling: K answers to each prompt, the best by the judge becomes what is trained on. The best of all rounds is kept, as
 * training on the newest round alone made Llama 2 forget (its V3 lost rhymed poems).
 *
 * Source   Touvron et al. 2023 (Llama 2), arXiv:2307.09288 §3.2.3.
 */
import { splitMicroBatch } from '../../training/micro-batch.ts';
import type { StepTrainer } from '../../training/trainer.ts';
import type { EncodedPrompt } from '../data/collect.ts';
import type { PassNoise } from '../pass-noise.ts';
import { rowsOfStep } from '../run/order.ts';
import type { Judge } from './judge.ts';
import type { MethodStep, TuningMethod } from './method.ts';
import { microBatchOf, type Sequence } from './policy.ts';
import { alarmsOf, drawRollouts, type Looks, looksOf, type Sampler, sequenceOf } from './rollouts.ts';

/** The best answer to each prompt so far: what a run keeps beside its checkpoints. */
export interface BestAnswer {
  readonly prompt: number;
  readonly score: number;
  readonly round: number;
  readonly ids: readonly number[];
  readonly text: string;
}

export interface RejectionParts {
  readonly trainer: StepTrainer;
  readonly prompts: readonly EncodedPrompt[];
  readonly sampler: Sampler;
  readonly judge: Judge;
  readonly rounds: number;
  readonly sampling: { readonly answers: number; readonly maxTokens: number; readonly temperature: number };
  readonly batch: number;
  /** Tokens that go through the model at once. */
  readonly passTokens: number;
  /** Steps of training on each round's answers. */
  readonly stepsPerRound: number;
  readonly seed: number;
  readonly noise: PassNoise | null;
  /** Keeps the best answers after a round, and gives those of an earlier round back; null: not kept. */
  readonly store: {
    save(round: number, best: readonly BestAnswer[]): void;
    load(round: number): readonly BestAnswer[] | null;
  };
}

export class Rejection implements TuningMethod {
  readonly totalSteps: number;
  private readonly parts: RejectionParts;
  private round = -1;
  private best: readonly BestAnswer[] = [];
  private looks: Partial<Looks> & Readonly<Record<string, number>> = {};

  constructor(parts: RejectionParts) {
    this.parts = parts;
    this.totalSteps = parts.rounds * parts.stepsPerRound;
  }

  async step(step: number): Promise<MethodStep> {
    const { trainer, batch, stepsPerRound, seed, noise, passTokens } = this.parts;
    const round = Math.floor(step / stepsPerRound);
    await this.enter(round, step % stepsPerRound === 0);
    const chosen = rowsOfStep(this.best.length, batch, step % stepsPerRound, seed + round);
    const sequences = chosen.map((row) => this.sequenceOf(this.best[row]!));
    const passes = splitMicroBatch(microBatchOf(sequences), passTokens);
    noise?.begin(passes, seed, step, 0);
    const result = await trainer.step(passes);
    // All steps of a round learn from the same answers: they are warned of once.
    const alarms = step % stepsPerRound === 0 ? alarmsOf(this.looks) : [];
    return {
      ...result,
      tokens: sequences.reduce((sum, { ids }) => sum + ids.length, 0),
      numbers: { round: round + 1, bestScore: mean(this.best.map(({ score }) => score)), ...this.looks },
      alarms,
      sample: this.best[chosen[0]!]!.text,
    };
  }

  async validate(): Promise<null> {
    return null;
  }

  private async enter(round: number, isFirstStep: boolean): Promise<void> {
    if (this.round === round) return;
    const { store } = this.parts;
    const kept = isFirstStep ? null : store.load(round);
    if (kept) this.best = kept;
    else {
      const earlier = round === 0 ? [] : this.round === round - 1 ? this.best : (store.load(round - 1) ?? []);
      this.best = await this.draw(round, earlier);
      store.save(round, this.best);
    }
    this.round = round;
  }

  private async draw(round: number, earlier: readonly BestAnswer[]): Promise<BestAnswer[]> {
    const { prompts, sampler, judge, sampling, seed } = this.parts;
    const { answers, ...drawing } = sampling;
    const rollouts = await drawRollouts(sampler, prompts, { ...drawing, count: answers, seed: seed * 104_729 + round });
    const scores = await judge.score(rollouts);
    const best = new Map(earlier.map((answer) => [answer.prompt, answer]));
    for (const [i, { answer }] of rollouts.entries()) {
      const prompt = Math.floor(i / answers);
      const score = scores[i]!;
      // An answer that was cut off has no end to learn from.
      if (!answer.isEnded || score <= (best.get(prompt)?.score ?? Number.NEGATIVE_INFINITY)) continue;
      best.set(prompt, { prompt, score, round, ids: [...answer.ids], text: answer.text });
    }
    const { length, ended, repetition } = looksOf(rollouts);
    this.looks = { score: mean([...scores]), length, ended, repetition };
    const kept = [...best.values()].sort((a, b) => a.prompt - b.prompt);
    if (kept.length > 0) return kept;
    // Nothing ended: learn from the best of what there is, and say so in `ended`.
    return prompts.map((_, prompt) => {
      const own = Array.from({ length: answers }, (__, k) => prompt * answers + k);
      const top = own.reduce((a, b) => (scores[b]! > scores[a]! ? b : a));
      const { ids, text } = rollouts[top]!.answer;
      return { prompt, score: scores[top]!, round, ids: [...ids], text };
    });
  }

  private sequenceOf({ prompt, ids }: BestAnswer): Sequence {
    return sequenceOf(this.parts.prompts[prompt]!.trainIds, Uint32Array.from(ids));
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
