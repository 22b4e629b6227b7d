import { ArgumentError } from '../../base/errors.ts';
import { estimateKl, klSlope } from './kl.ts';
import { checkLengths, checkRows, countTokens, mean, type Numbers, type Rows, zerosLike } from './rows.ts';

/** How the losses of tokens become one number: see grpoLoss. */
export const grpoLossNames = ['grpo', 'bnpo', 'dapo', 'dr_grpo', 'cispo', 'reinforce'] as const;
export type GrpoLossName = (typeof grpoLossNames)[number];

export interface GrpoSettings {
  readonly loss: GrpoLossName;
  /** The ratio π / π_old of each token, or one an answer: e^(mean of log ratios) (GSPO). */
  readonly importance: 'token' | 'sequence';
  /** Weight of the KL term (k3); 0: no reference is needed. */
  readonly beta: number;
  /** The ratio is clipped to 1 − epsilonLow … 1 + epsilonHigh; cispo: to at most epsilonHigh; reinforce: not at all. */
  readonly epsilonLow: number;
  readonly epsilonHigh: number;
  /** What dr_grpo divides by, instead of each answer's own length. */
  readonly maxLength?: number;
}

/** Numbers per token, one row an answer, and one advantage an answer. */
export interface GrpoInputs {
  readonly logps: Rows;
  readonly oldLogps: Rows;
  /** Needed where beta is not 0. */
  readonly references?: Rows;
  readonly advantages: Numbers;
}

/**
 * The losses of group-relative policy optimization and its relatives.
 *
 *   l_t = −min(w A, clip(w) A) + β k3_t        cispo: −min(w, ε_high) A log π, the first factor a constant;   reinforce: −A log π
 *   grpo     mean over answers of the mean over their tokens        bnpo, dapo, cispo, reinforce   sum / tokens of the batch
 *   dr_grpo  sum / (answers · maxLength)
 *
 * dapo differs from bnpo in its wider upper clip, and in that `tokens` are those of the whole accumulated batch: give all of it.
 *
 * Source  Shao et al. 2024, arXiv:2402.03300 eq. 3, 4; Yu et al. 2025 (DAPO), arXiv:2503.14476 eq. 8; Liu et al. 2025 (Dr. GRPO),
 *         arXiv:2503.20783; Zheng et al. 2025 (GSPO), arXiv:2507.18071 eq. 5, 7; MiniMax 2025 (CISPO), arXiv:2506.13585 eq. 4, 5.
 */
export function grpoLoss(settings: GrpoSettings, { logps, oldLogps, references, advantages }: GrpoInputs) {
  const { loss: name, importance, beta, maxLength } = settings;
  checkRows(name, references ? { logps, oldLogps, references } : { logps, oldLogps });
  checkLengths(name, { logps: logps.length, advantages: advantages.length });
  if (beta !== 0 && !references)
    throw new ArgumentError(
      'loss.reference',
      `${name}: beta is ${beta}, and no reference log-probabilities are given.`,
    );
  if (name === 'dr_grpo' && maxLength === undefined)
    throw new ArgumentError('loss.max-length', `${name}: maxLength is not given. Give the longest answer's limit.`);
  const tokens = countTokens(logps);
  const dLogps = zerosLike(logps);
  let [loss, clipped] = [0, 0];
  for (const [i, row] of logps.entries()) {
    const old = oldLogps[i]!;
    const advantage = advantages[i]!;
    const length = row.length;
    const share = { grpo: logps.length * length, dr_grpo: logps.length * maxLength! }[name as string] ?? tokens;
    // The ratio of a whole answer moves with each of its tokens by 1 / length; a factor outside of it with its own token only.
    const isShared = importance === 'sequence' && name !== 'cispo' && name !== 'reinforce';
    const moved_T = Float64Array.from(row, (logp, t) => logp - old[t]!);
    const meanMoved = mean(moved_T);
    let sharedSlope = 0;
    for (let t = 0; t < length; t++) {
      const ratio = Math.exp(importance === 'sequence' ? meanMoved : moved_T[t]!);
      const { value, slope, isClipped } = term(settings, ratio, advantage, row[t]!);
      loss += value / share;
      if (isClipped) clipped++;
      if (isShared) sharedSlope += slope / share / length;
      else dLogps[i]![t]! += slope / share;
      if (beta === 0) continue;
      loss += (beta * estimateKl('k3', row[t]!, references![i]![t]!)) / share;
      dLogps[i]![t]! += (beta * klSlope('k3', row[t]!, references![i]![t]!)) / share;
    }
    if (isShared) for (let t = 0; t < length; t++) dLogps[i]![t]! += sharedSlope;
  }
  return { loss, dLogps, clipFraction: clipped / tokens };
}

/** One token's loss and its derivative by its log-probability (or by the answer's mean log ratio). */
function term(
  { loss: name, epsilonLow: low, epsilonHigh: high }: GrpoSettings,
  ratio: number,
  A: number,
  logp: number,
) {
  if (name === 'reinforce') return { value: -A * logp, slope: -A, isClipped: false };
  if (name === 'cispo') {
    const weight = Math.min(ratio, high);
    return { value: -weight * A * logp, slope: -weight * A, isClipped: ratio > high };
  }
  const free = ratio * A;
  const limited = Math.min(1 + high, Math.max(1 - low, ratio)) * A;
  return { value: -Math.min(free, limited), slope: free <= limited ? -free : 0, isClipped: limited < free };
}
