import { logSigmoid, sigmoid } from './logistic.ts';
import { checkLengths, mean, type Numbers } from './rows.ts';

/** How much better the chosen answer is, as Llama 2's annotators said it. */
export const preferenceRatings = ['significantly', 'better', 'slightly', 'negligibly'] as const;
export type PreferenceRating = (typeof preferenceRatings)[number];
export const marginTableNames = ['none', 'small', 'large'] as const;
export type MarginTable = (typeof marginTableNames)[number];

/** m(rating). Source: Touvron et al. 2023 (Llama 2), arXiv:2307.09288 Table 27; `none` is the baseline of Table 28. */
export const marginTables: Readonly<Record<MarginTable, Readonly<Record<PreferenceRating, number>>>> = {
  none: { significantly: 0, better: 0, slightly: 0, negligibly: 0 },
  small: { significantly: 1, better: 2 / 3, slightly: 1 / 3, negligibly: 0 },
  large: { significantly: 3, better: 2, slightly: 1, negligibly: 0 },
};

export interface RewardPairs {
  readonly chosen: Numbers;
  readonly rejected: Numbers;
  readonly margin: Numbers;
}

/**
 * The ranking loss of a reward model, with margin.
 *
 *   loss = mean of −log σ(r_chosen − r_rejected − m)  +  c · mean of (r_chosen + r_rejected)²
 *
 * The second term (c = 0 in the papers) keeps scores around 0. `accuracy` counts r_chosen > r_rejected, margins aside.
 *
 * Source  Ouyang et al. 2022, arXiv:2203.02155 eq. 1; margin: Llama 2 §3.2.2 eq. 2; centring: Eisenstein et al. 2023, arXiv:2312.09244.
 */
export function rewardModelLoss({ chosen, rejected, margin }: RewardPairs, centerCoefficient = 0) {
  const count = chosen.length;
  checkLengths('reward model', { chosen: count, rejected: rejected.length, margin: margin.length });
  const perPair = new Float64Array(count);
  const [dChosen, dRejected] = [new Float64Array(count), new Float64Array(count)];
  let right = 0;
  let offCenter = 0;
  for (let i = 0; i < count; i++) {
    const [c, r] = [chosen[i]!, rejected[i]!];
    const h = c - r - margin[i]!;
    perPair[i] = -logSigmoid(h);
    const pull = 2 * centerCoefficient * (c + r);
    dChosen[i] = (-sigmoid(-h) + pull) / count;
    dRejected[i] = (sigmoid(-h) + pull) / count;
    offCenter += (c + r) ** 2;
    if (c > r) right++;
  }
  const loss = mean(perPair) + (centerCoefficient * offCenter) / count;
  return { loss, perPair, accuracy: right / count, dChosen, dRejected };
}
