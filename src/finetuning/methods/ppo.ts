/**
 * Proximal policy optimization on answers that the model draws itself: score of the answer, less the cost of leaving the reference.
 *
 *   reward_t = −β KL_t, + whiten(score) at the last token         advantages by GAE, whitened over the batch
 *
 * One step is one iteration: draw, judge, then one gradient step for each minibatch. The value head sits on the policy. What the paper
 * leaves open is as TRL has it, but that the score stands on the last token itself (as OpenRLHF has it).
 *
 * Source   Touvron et al. 2023 (Llama 2), arXiv:2307.09288 §3.2.3; Schulman et al. 2017, arXiv:1707.06347.
 */
import { Random } from '../../base/random.ts';
import type { StepTrainer } from '../../training/trainer.ts';
import type { EncodedPrompt } from '../data/collect.ts';
import { generalizedAdvantages, tokenRewards, whiten, whitenings } from '../losses/advantages.ts';
import { estimateKl } from '../losses/kl.ts';
import { ppoLoss } from '../losses/ppo.ts';
import type { Recipe } from '../recipe-keys.ts';
import { rowsOfStep } from '../run/order.ts';
import type { Judge } from './judge.ts';
import type { MethodStep, TuningMethod } from './method.ts';
import type { Policy, Reading } from './policy.ts';
import { alarmsOf, drawRollouts, looksOf, type Rollout, type Sampler } from './rollouts.ts';

export interface PpoParts {
  readonly trainer: StepTrainer;
  /** With a value head and the sampling temperature. */
  readonly policy: Policy;
  /** The same temperature, without a head: a frozen copy, or the policy without its adapter. */
  readonly reference: Policy;
  readonly prompts: readonly EncodedPrompt[];
  readonly valid: readonly EncodedPrompt[];
  readonly sampler: Sampler;
  readonly judge: Judge;
  readonly settings: Recipe['ppo'];
  readonly sampling: { readonly maxTokens: number; readonly temperature: number };
  readonly seed: number;
}

/** How far a ratio may be from 1 before the policy has moved: rounding alone. */
const RATIO_TOLERANCE = 1e-4;

export class Ppo implements TuningMethod {
  readonly totalSteps: number;
  private readonly parts: PpoParts;

  constructor(parts: PpoParts) {
    this.parts = parts;
    this.totalSteps = parts.settings.iterations;
  }

  async step(step: number): Promise<MethodStep> {
    const { policy, reference, prompts, sampler, judge, settings, sampling, seed } = this.parts;
    const chosen = rowsOfStep(prompts.length, settings.prompts, step, seed).map((row) => prompts[row]!);
    const rollouts = await drawRollouts(sampler, chosen, { ...sampling, count: 1, seed: seed * 7919 + step });
    const sequences = rollouts.map(({ sequence }) => sequence);
    const before = await policy.read(sequences);
    const references = (await reference.read(sequences)).map(({ logps }) => logps);
    const scores = await judge.score(rollouts);
    const experience = this.experience(rollouts, before, references, scores);
    const updates = await this.update(step, rollouts, before, experience);
    const klOf = ({ logps }: Reading, i: number) =>
      logps.reduce((sum, logp, t) => sum + estimateKl('k3', logp, references[i]![t]!), 0);
    const kl = meanOf(before.map(klOf));
    const entropy = -meanOf(before.flatMap(({ logps }) => Array.from(logps)));
    const looks = { ...looksOf(rollouts), entropy, kl };
    const alarms = alarmsOf(looks);
    if (!(updates.firstRatio <= RATIO_TOLERANCE)) {
      alarms.push(
        `the ratio at the first minibatch is ${(1 + updates.firstRatio).toPrecision(6)}, expected 1: drawing and scoring differ`,
      );
    }
    if (scores.every((score) => score === scores[0])) {
      alarms.push('all answers have the same score: nothing is learned but to stay near the reference');
    }
    const { maxKl } = settings;
    const { firstRatio: _, ...results } = updates;
    return {
      ...results,
      tokens: sequences.reduce((sum, { ids }) => sum + ids.length, 0),
      numbers: { score: meanOf([...scores]), ...looks, ...updates.numbers },
      alarms,
      sample: rollouts[0]!.answer.text,
      ...(maxKl !== undefined &&
        kl > maxKl && { end: `the KL to the reference is ${kl.toFixed(2)}, more than ppo.maxKl` }),
    };
  }

  private experience(
    rollouts: readonly Rollout[],
    before: readonly Reading[],
    references: readonly Float64Array[],
    scores: Float64Array,
  ): { advantages: Float64Array[]; returns: Float64Array[]; values: Float64Array[] } {
    const { beta, kl, gamma, lambda, missingEndPenalty } = this.parts.settings;
    const white = scores.length > 1 ? whiten([scores], whitenings.trl)[0]! : scores;
    const logps = before.map((reading) => reading.logps);
    const { rewards } = tokenRewards(
      { beta, kl },
      {
        logps,
        references,
        scores: white.map((score, i) => score - (rollouts[i]!.answer.isEnded ? 0 : missingEndPenalty)),
        places: logps.map(({ length }) => length),
      },
    );
    const values = before.map((reading) => reading.values.subarray(0, reading.logps.length));
    const { advantages, returns } = generalizedAdvantages(rewards, values, gamma, lambda);
    return { advantages: whiten(advantages, whitenings.trl), returns, values };
  }

  /** The gradient steps of one iteration. */
  private async update(
    step: number,
    rollouts: readonly Rollout[],
    before: readonly Reading[],
    { advantages, returns, values }: ReturnType<Ppo['experience']>,
  ) {
    const { trainer, policy, settings, seed } = this.parts;
    const { clip, clipValue, valueCoefficient, minibatch, epochs } = settings;
    const random = new Random((BigInt(seed) << 32n) + BigInt(step) + 77n);
    const numbers = { clipFraction: 0, approximateKl: 0, policyLoss: 0, valueLoss: 0 };
    let updates = 0;
    let firstRatio = 0;
    let last = { loss: 0, gradientNorm: 0, learningRate: 0, skipped: null as string | null };
    for (let epoch = 0; epoch < epochs; epoch++) {
      const order = random.shuffled(rollouts.length);
      for (let from = 0; from < order.length; from += minibatch) {
        const chosen = order.slice(from, from + minibatch);
        const tokens = chosen.reduce((sum, i) => sum + before[i]!.logps.length, 0);
        let loss = 0;
        trainer.clearGradients();
        await policy.pass(
          chosen.map((i) => rollouts[i]!.sequence),
          (readings, first) => {
            const part = chosen.slice(first, first + readings.length);
            const found = ppoLoss(
              { clip, clipValue, valueCoefficient, dualClip: null },
              {
                logps: readings.map(({ logps }) => logps),
                oldLogps: part.map((i) => before[i]!.logps),
                advantages: part.map((i) => advantages[i]!),
                values: readings.map((reading) => reading.values.subarray(0, reading.logps.length)),
                oldValues: part.map((i) => values[i]!),
                returns: part.map((i) => returns[i]!),
              },
            );
            const share = part.reduce((sum, i) => sum + before[i]!.logps.length, 0) / tokens;
            loss += found.loss * share;
            for (const name of ['clipFraction', 'approximateKl', 'policyLoss', 'valueLoss'] as const)
              numbers[name] += found[name] * share;
            if (updates === 0) {
              for (const [k, { logps }] of readings.entries())
                for (const [t, logp] of logps.entries())
                  firstRatio = Math.max(firstRatio, Math.abs(Math.exp(logp - before[part[k]!]!.logps[t]!) - 1));
            }
            return readings.map((_, k) => ({
              dLogps: found.dLogps[k]!.map((d) => d * share),
              dValues: found.dValues[k]!.map((d) => d * share),
            }));
          },
        );
        last = await trainer.update({ loss, labelCount: tokens });
        updates++;
      }
    }
    for (const name of Object.keys(numbers) as (keyof typeof numbers)[]) numbers[name] /= updates;
    return { ...last, firstRatio, numbers };
  }

  /** The mean score of answers to the held-back prompts. */
  async validate(): Promise<Readonly<Record<string, number>> | null> {
    const { valid, sampler, judge, sampling, seed } = this.parts;
    if (valid.length === 0) return null;
    const rollouts = await drawRollouts(sampler, valid, { ...sampling, count: 1, seed });
    const score = meanOf([...(await judge.score(rollouts))]);
    // What a run keeps as its best has the lowest loss.
    return { loss: -score, score, ended: looksOf(rollouts).ended };
  }
}

function meanOf(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
