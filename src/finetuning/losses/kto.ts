import { sigmoid } from './logistic.ts';
import { checkLengths, mean, type Numbers } from './rows.ts';

export interface KtoSettings {
  readonly beta: number;
  /** Weights of desirable and undesirable answers; with n of each, w_d·n_d : w_u·n_u should be 1 : 1 to 4 : 3. */
  readonly desirableWeight?: number;
  readonly undesirableWeight?: number;
}

/** Sums of log-probabilities over each answer's tokens: one entry an answer, each judged on its own. */
export interface KtoAnswers {
  readonly desirable: readonly boolean[];
  readonly policy: Numbers;
  readonly reference: Numbers;
  /** The same of mismatched answers (each prompt with the next one's answer), from which z is estimated. */
  readonly mismatchedPolicy: Numbers;
  readonly mismatchedReference: Numbers;
}

/**
 * Kahneman-Tversky optimization: answers that are good or bad each on its own, without pairs.
 *
 *   r = log π − log ρ        z = max(0, mean of r over the mismatched answers), a constant
 *   loss = mean of  w_d (1 − σ(β (r − z)))  where desirable,  w_u (1 − σ(β (z − r)))  where not
 *
 * Source  Ethayarajh et al. 2024, arXiv:2402.01306 eq. 7, 8.
 */
export function ktoLoss(settings: KtoSettings, answers: KtoAnswers) {
  const { beta, desirableWeight = 1, undesirableWeight = 1 } = settings;
  const { desirable, policy, reference, mismatchedPolicy, mismatchedReference } = answers;
  const count = policy.length;
  checkLengths('kto', { policy: count, reference: reference.length, desirable: desirable.length });
  const mismatches = mismatchedPolicy.length;
  checkLengths('kto', { mismatchedPolicy: mismatches, mismatchedReference: mismatchedReference.length });
  const kl = Math.max(0, mean(Float64Array.from(mismatchedPolicy, (logp, i) => logp - mismatchedReference[i]!)));
  const perItem = new Float64Array(count);
  const dPolicy = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const sign = desirable[i] ? 1 : -1;
    const weight = desirable[i] ? desirableWeight : undesirableWeight;
    const h = sign * beta * (policy[i]! - reference[i]! - kl);
    perItem[i] = weight * sigmoid(-h);
    dPolicy[i] = (-weight * sign * beta * sigmoid(h) * sigmoid(-h)) / count;
  }
  return { loss: mean(perItem), perItem, dPolicy, kl };
}
