/**
 * Group-relative policy optimization: several answers to each prompt, each better or worse than the others of its group. No value head;
 * a reference only where the KL has a weight.
 *
 * Source   Shao et al. 2024, arXiv:2402.03300 §4; losses/grpo.ts names those of its relatives.
 */
import type { StepTrainer } from '../../training/trainer.ts';
import type { EncodedPrompt } from '../data/collect.ts';
import { groupAdvantages } from '../losses/advantages.ts';
import { grpoLoss } from '../losses/grpo.ts';
import { estimateKl } from '../losses/kl.ts';
import type { Recipe } from '../recipe-keys.ts';
import { rowsOfStep } from '../run/order.ts';
import type { Judge } from './judge.ts';
import type { MethodStep, TuningMethod } from './method.ts';
import type { Policy } from './policy.ts';
import { alarmsOf, drawRollouts, looksOf, type Sampler } from './rollouts.ts';

export interface GrpoParts {
  readonly trainer: StepTrainer;
  readonly policy: Policy;
  /** null: the loss has no KL term. */
  readonly reference: Policy | null;
  readonly prompts: readonly EncodedPrompt[];
  readonly valid: readonly EncodedPrompt[];
  readonly sampler: Sampler;
  readonly judge: Judge;
  readonly settings: Recipe['grpo'];
  readonly sampling: { readonly answers: number; readonly maxTokens: number; readonly temperature: number };
  readonly seed: number;
}

export class Grpo implements TuningMethod {
  readonly totalSteps: number;
  private readonly parts: GrpoParts;

  constructor(parts: GrpoParts) {
    this.parts = parts;
    this.totalSteps = parts.settings.iterations;
  }

  async step(step: number): Promise<MethodStep> {
    const { trainer, policy, reference, prompts, sampler, judge, settings, sampling, seed } = this.parts;
    const { answers, ...drawing } = sampling;
    const chosen = rowsOfStep(prompts.length, settings.prompts, step, seed).map((row) => prompts[row]!);
    const rollouts = await drawRollouts(sampler, chosen, { ...drawing, count: answers, seed: seed * 7919 + step });
    const sequences = rollouts.map(({ sequence }) => sequence);
    const before = (await policy.read(sequences)).map(({ logps }) => logps);
    const references = reference && (await reference.read(sequences)).map(({ logps }) => logps);
    const scores = await judge.score(rollouts);
    const { advantages, groupsWithoutSpread } = groupAdvantages(scores, answers, settings.scaling);
    const tokens = before.reduce((sum, { length }) => sum + length, 0);
    const perAnswer = settings.loss === 'grpo' || settings.loss === 'dr_grpo';
    let [loss, clipFraction] = [0, 0];
    let last: Awaited<ReturnType<StepTrainer['update']>> | null = null;
    for (let epoch = 0; epoch < settings.epochs; epoch++) {
      loss = 0;
      trainer.clearGradients();
      await policy.pass(sequences, (readings, first) => {
        const part = <T>(all: readonly T[]) => all.slice(first, first + readings.length);
        const found = grpoLoss(
          {
            loss: settings.loss,
            importance: settings.importance,
            beta: settings.beta,
            epsilonLow: settings.epsilonLow,
            epsilonHigh: settings.epsilonHigh,
            maxLength: sampling.maxTokens,
          },
          {
            logps: readings.map(({ logps }) => logps),
            oldLogps: part(before),
            ...(references && { references: part(references) }),
            advantages: advantages.subarray(first, first + readings.length),
          },
        );
        const ofPart = part(before).reduce((sum, { length }) => sum + length, 0);
        const share = perAnswer ? readings.length / sequences.length : ofPart / tokens;
        loss += found.loss * share;
        clipFraction += (found.clipFraction * ofPart) / tokens / settings.epochs;
        return found.dLogps.map((d) => ({ dLogps: d.map((x) => x * share) }));
      });
      last = await trainer.update({ loss, labelCount: tokens });
    }
    const mean = (values: Iterable<number>) => {
      const list = [...values];
      return list.reduce((a, b) => a + b, 0) / list.length;
    };
    const kl = references
      ? mean(
          before.map((logps, i) => logps.reduce((sum, logp, t) => sum + estimateKl('k3', logp, references[i]![t]!), 0)),
        )
      : 0;
    const looks = { ...looksOf(rollouts), entropy: -mean(before.flatMap((logps) => Array.from(logps))), kl };
    const groups = chosen.length;
    const alarms = alarmsOf(looks);
    if (groupsWithoutSpread === groups) alarms.push('no group of answers has a spread of scores: nothing is learned');
    return {
      ...last!,
      loss,
      tokens: sequences.reduce((sum, { ids }) => sum + ids.length, 0),
      numbers: {
        score: mean(scores),
        ...looks,
        clipFraction,
        groupsWithoutSpread: groupsWithoutSpread / groups,
      },
      alarms,
      sample: rollouts[0]!.answer.text,
    };
  }

  async validate(): Promise<Readonly<Record<string, number>> | null> {
    const { valid, sampler, judge, sampling, seed } = this.parts;
    if (valid.length === 0) return null;
    const { answers: _, ...drawing } = sampling;
    const rollouts = await drawRollouts(sampler, valid, { ...drawing, count: 1, seed });
    const scores = await judge.score(rollouts);
    const score = scores.reduce((a, b) => a + b, 0) / scores.length;
    return { loss: -score, score };
  }
}
