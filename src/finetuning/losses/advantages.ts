/** From scores of answers to an advantage per token (PPO) or per answer (GRPO, RLOO). */
import { ArgumentError } from '../../base/errors.ts';
import { estimateKl, type KlEstimator } from './kl.ts';
import { checkLengths, checkRows, mean, type Numbers, type Rows } from './rows.ts';

export interface TokenRewardInputs {
  /** Log-probabilities of the sampled tokens under the sampling policy and the reference. */
  readonly logps: Rows;
  readonly references: Rows;
  /** One score an answer. */
  readonly scores: Numbers;
  /** Places of each answer's row of rewards; the score is put on the last. One more than tokens: TRL's convention. */
  readonly places: readonly number[];
}

export interface TokenRewardSettings {
  readonly beta: number;
  readonly kl: KlEstimator;
  /** Estimates outside ±klLimit are cut (OpenRLHF: 10). */
  readonly klLimit?: number;
  /** Scores outside are cut. */
  readonly scoreLimits?: readonly [low: number, high: number] | undefined;
}

/**
 * The reward of each token: the answer's score at its end, and everywhere the cost of leaving the reference.
 *
 *   reward_t = −β · KL_t  (+ score at the last place)
 *
 * Source  Ziegler et al. 2019, arXiv:1909.08593 eq. 2; Llama 2 §3.2.3 eq. 4 has the same with one KL an answer.
 */
export function tokenRewards(settings: TokenRewardSettings, { logps, references, scores, places }: TokenRewardInputs) {
  checkRows('token rewards', { logps, references });
  checkLengths('token rewards', { logps: logps.length, scores: scores.length, places: places.length });
  const { beta, kl: estimator, klLimit = Number.POSITIVE_INFINITY, scoreLimits } = settings;
  const kl: Float64Array[] = [];
  const rewards: Float64Array[] = [];
  for (const [i, row] of logps.entries()) {
    const kl_T = Float64Array.from(row, (logp, t) => {
      const estimate = estimateKl(estimator, logp, references[i]![t]!);
      return Math.min(klLimit, Math.max(-klLimit, estimate));
    });
    const reward_T = new Float64Array(places[i]!);
    for (let t = 0; t < kl_T.length; t++) reward_T[t] = -beta * kl_T[t]!;
    const [low, high] = scoreLimits ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
    reward_T[places[i]! - 1]! += Math.min(high, Math.max(low, scores[i]!));
    kl.push(kl_T);
    rewards.push(reward_T);
  }
  return { kl, rewards };
}

/**
 * Generalized advantage estimation over each answer, V = 0 behind its end.
 *
 *   δ_t = r_t + γ V_{t+1} − V_t        A_t = δ_t + γλ A_{t+1}        return_t = A_t + V_t
 *
 * Source  Schulman et al. 2015, arXiv:1506.02438 eq. 16.
 */
export function generalizedAdvantages(rewards: Rows, values: Rows, gamma: number, lambda: number) {
  checkRows('advantages', { rewards, values });
  const advantages = rewards.map((row) => new Float64Array(row.length));
  const returns = rewards.map((row) => new Float64Array(row.length));
  for (const [i, reward_T] of rewards.entries()) {
    const value_T = values[i]!;
    let next = 0;
    for (let t = reward_T.length - 1; t >= 0; t--) {
      const delta = reward_T[t]! + gamma * (value_T[t + 1] ?? 0) - value_T[t]!;
      next = delta + gamma * lambda * next;
      advantages[i]![t] = next;
      returns[i]![t] = next + value_T[t]!;
    }
  }
  return { advantages, returns };
}

export interface WhitenSettings {
  /** `unbiased` divides by n − 1. */
  readonly variance: 'unbiased' | 'population';
  /** Inside the root: added to the variance, or its floor. */
  readonly eps: number;
  readonly epsIs: 'added' | 'floor';
  /** Scale only, and leave the mean where it is. */
  readonly keepMean?: boolean;
}

/** How TRL (and PPO as OpenAI published it) whitens, and how OpenRLHF does. */
export const whitenings = {
  trl: { variance: 'unbiased', eps: 1e-8, epsIs: 'added' },
  openrlhf: { variance: 'population', eps: 1e-8, epsIs: 'floor' },
} as const satisfies Record<string, WhitenSettings>;

/** All numbers of a batch shifted and scaled to mean 0 and variance 1: (x − mean) / √variance. */
export function whiten(rows: Rows, { variance: kind, eps, epsIs, keepMean = false }: WhitenSettings): Float64Array[] {
  const all = Float64Array.from(rows.flatMap((row) => Array.from(row)));
  const count = all.length;
  if (count < 2)
    throw new ArgumentError('loss.whiten', `whiten: ${count} numbers have no variance. Give a larger batch.`);
  const center = mean(all);
  const squares = all.reduce((sum, x) => sum + (x - center) ** 2, 0);
  const variance = squares / (kind === 'unbiased' ? count - 1 : count);
  const scale = 1 / Math.sqrt(epsIs === 'added' ? variance + eps : Math.max(variance, eps));
  return rows.map((row) => Float64Array.from(row, (x) => (x - center) * scale + (keepMean ? center : 0)));
}

export const groupScalings = ['group', 'batch', 'none', 'leave-one-out'] as const;
export type GroupScaling = (typeof groupScalings)[number];

/** Keeps a group of equal rewards from dividing by 0 (GRPO). */
const GROUP_EPS = 1e-4;

/**
 * The advantage of each answer over the others to the same prompt.
 *
 *   group, batch    (r − mean of its group) / (s + eps), s the unbiased standard deviation of the group or of the batch
 *   none            r − mean of its group
 *   leave-one-out   r − mean of the others of its group
 *
 * `groupsWithoutSpread` teach nothing: all their answers have the same reward.
 *
 * Source  Shao et al. 2024 (GRPO), arXiv:2402.03300 §4.1.2; Liu et al. 2025 (Dr. GRPO), arXiv:2503.20783; Ahmadian et al. 2024 (RLOO),
 *         arXiv:2402.14740 eq. 6.
 */
export function groupAdvantages(rewards: Numbers, groupSize: number, scaling: GroupScaling, eps = GROUP_EPS) {
  if (!(groupSize >= 2) || rewards.length === 0 || rewards.length % groupSize !== 0)
    throw new ArgumentError(
      'loss.groups',
      `group advantages: ${rewards.length} rewards do not make groups of ${groupSize}. Give groups of at least 2, all alike.`,
    );
  const advantages = new Float64Array(rewards.length);
  const ofBatch = standardDeviation(Float64Array.from(rewards));
  let groupsWithoutSpread = 0;
  for (let first = 0; first < rewards.length; first += groupSize) {
    const group = Float64Array.from({ length: groupSize }, (_, i) => rewards[first + i]!);
    const center = mean(group);
    if (group.every((reward) => reward === group[0])) {
      groupsWithoutSpread++;
      continue; // exactly 0, whatever rounding does to the mean
    }
    const ofGroup = standardDeviation(group);
    const factor = {
      group: 1 / (ofGroup + eps),
      batch: 1 / (ofBatch + eps),
      none: 1,
      'leave-one-out': groupSize / (groupSize - 1),
    }[scaling];
    for (const [i, reward] of group.entries()) advantages[first + i] = (reward - center) * factor;
  }
  return { advantages, groupsWithoutSpread };
}

function standardDeviation(values: Float64Array): number {
  const center = mean(values);
  return Math.sqrt(values.reduce((sum, x) => sum + (x - center) ** 2, 0) / (values.length - 1));
}
