import { logOneMinusExp, logSigmoid, sigmoid } from './logistic.ts';
import { checkLengths, mean, type Numbers } from './rows.ts';

export interface OrpoInputs {
  /** Mean log-probability per token of each chosen and each rejected answer. */
  readonly chosen: Numbers;
  readonly rejected: Numbers;
  /** The usual loss of the chosen answers; its gradient is the caller's. */
  readonly negativeLogLikelihood: number;
}

/**
 * Odds-ratio preference optimization: supervised tuning on the chosen answers and a push against the rejected ones, no reference.
 *
 *   log odds(l) = l − log(1 − e^l)        h = log odds(chosen) − log odds(rejected)
 *   loss = NLL(chosen) − λ · mean of log σ(h)        d log odds / d l = 1 / (1 − e^l)
 *
 * dChosen and dRejected are of the second term.
 * Source  Hong et al. 2024, arXiv:2403.07691 eq. 6, 7.
 */
export function orpoLoss(lambda: number, { chosen, rejected, negativeLogLikelihood }: OrpoInputs) {
  const count = chosen.length;
  checkLengths('orpo', { chosen: count, rejected: rejected.length });
  const logOdds = new Float64Array(count);
  const [dChosen, dRejected] = [new Float64Array(count), new Float64Array(count)];
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const [c, r] = [chosen[i]!, rejected[i]!];
    const h = c - logOneMinusExp(c) - (r - logOneMinusExp(r));
    logOdds[i] = h;
    sum += logSigmoid(h);
    const weight = (-lambda * sigmoid(-h)) / count;
    dChosen[i] = weight / -Math.expm1(c);
    dRejected[i] = -weight / -Math.expm1(r);
  }
  return { loss: negativeLogLikelihood - (lambda * sum) / count, logOdds, dChosen, dRejected };
}

export interface SimpoSettings {
  readonly beta: number;
  /** The margin that the chosen answer should win by (TRL and the paper's tables give γ/β). */
  readonly gamma: number;
  readonly labelSmoothing?: number;
}

/**
 * Simple preference optimization: the reward is the mean log-probability per token, no reference.
 *
 *   h = β (l_chosen − l_rejected) − γ        loss = mean of −(1 − ε) log σ(h) − ε log σ(−h)
 *
 * Source  Meng et al. 2024, arXiv:2405.14734 eq. 6.
 */
export function simpoLoss({ beta, gamma, labelSmoothing: e = 0 }: SimpoSettings, chosen: Numbers, rejected: Numbers) {
  const count = chosen.length;
  checkLengths('simpo', { chosen: count, rejected: rejected.length });
  const perPair = new Float64Array(count);
  const [dChosen, dRejected] = [new Float64Array(count), new Float64Array(count)];
  for (let i = 0; i < count; i++) {
    const h = beta * (chosen[i]! - rejected[i]!) - gamma;
    perPair[i] = -(1 - e) * logSigmoid(h) - e * logSigmoid(-h);
    dChosen[i] = (beta * (-(1 - e) * sigmoid(-h) + e * sigmoid(h))) / count;
    dRejected[i] = -dChosen[i]!;
  }
  return { loss: mean(perPair), perPair, dChosen, dRejected };
}
