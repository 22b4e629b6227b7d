/**
 * Losses of preference pairs: direct preference optimization and its kin, all functions of two log-ratios per pair.
 *
 *   a = log π(chosen) − log ρ(chosen)      b = log π(rejected) − log ρ(rejected)      d = a − b
 *
 * Log-probabilities are sums over the answer's tokens; ρ is the frozen reference (ρ = 1 when `referenceFree`).
 */
import { ArgumentError } from '../../base/errors.ts';
import { logSigmoid, sigmoid } from './logistic.ts';
import { checkLengths, type Numbers } from './rows.ts';

/** One pair's loss and its derivatives by a and b. */
type PairLoss = readonly [value: number, da: number, db: number];
interface Pair {
  readonly a: number;
  readonly b: number;
  readonly chosenTokens: number;
  readonly rejectedTokens: number;
}
interface Formula {
  readonly pair: (pair: Pair, beta: number, smoothing: number) => PairLoss;
  /** The share of labels taken to be wrong, where the formula has one; null: it has none. */
  readonly smoothing: 'zero or more' | 'positive' | null;
}

/** A loss of βd alone: value and derivative by βd → by a and b. */
const ofMargin =
  (loss: (h: number, smoothing: number) => readonly [value: number, dh: number]): Formula['pair'] =>
  ({ a, b }, beta, smoothing) => {
    const [value, dh] = loss(beta * (a - b), smoothing);
    return [value, beta * dh, -beta * dh];
  };

/** Modulation temperature of DiscoPOP (arXiv:2406.08414 §3.3). */
const DISCOPOP_TEMPERATURE = 0.05;

/**
 * Every preference loss by its name in TRL.
 *
 * Source  sigmoid: Rafailov et al. 2023 (DPO), arXiv:2305.18290 eq. 7; with smoothing: Mitchell 2023 (conservative DPO) ·
 *         robust: Ray Chowdhury et al. 2024, arXiv:2403.00409 eq. 12 · hinge: Liu et al. 2024 (RSO), arXiv:2309.06657 eq. 11 ·
 *         ipo, ipo_sum: Azar et al. 2023, arXiv:2310.12036 eq. 17, on means per token (as its authors confirmed to TRL) and on sums ·
 *         exo_pair: Ji et al. 2024, arXiv:2402.00856 eq. 16 · nca_pair: Chen et al. 2024, arXiv:2402.05369 ·
 *         sppo_hard: Wu et al. 2024, arXiv:2405.00675 · apo_zero, apo_down: D'Oosterlinck et al. 2024, arXiv:2408.06266 eq. 7, 8
 */
const formulas = {
  /** −(1 − ε) log σ(βd) − ε log σ(−βd) */
  sigmoid: {
    smoothing: 'zero or more',
    pair: ofMargin((h, e) => [-(1 - e) * logSigmoid(h) - e * logSigmoid(-h), -(1 - e) * sigmoid(-h) + e * sigmoid(h)]),
  },
  /** −log σ(β(a / n_chosen − b / n_rejected)), n the answers' tokens */
  sigmoid_norm: {
    smoothing: null,
    pair: ({ a, b, chosenTokens, rejectedTokens }, beta) => {
      const h = beta * (a / chosenTokens - b / rejectedTokens);
      const dh = -beta * sigmoid(-h);
      return [-logSigmoid(h), dh / chosenTokens, -dh / rejectedTokens];
    },
  },
  /** (−(1 − ε) log σ(βd) + ε log σ(−βd)) / (1 − 2ε): unbiased where a share ε of the labels is flipped */
  robust: {
    smoothing: 'zero or more',
    pair: ofMargin((h, e) => [
      (-(1 - e) * logSigmoid(h) + e * logSigmoid(-h)) / (1 - 2 * e),
      (-(1 - e) * sigmoid(-h) - e * sigmoid(h)) / (1 - 2 * e),
    ]),
  },
  /** max(0, 1 − βd) */
  hinge: { smoothing: null, pair: ofMargin((h) => [Math.max(0, 1 - h), h < 1 ? -1 : 0]) },
  /** (a / n_chosen − b / n_rejected − 1/(2β))² */
  ipo: {
    smoothing: null,
    pair: ({ a, b, chosenTokens, rejectedTokens }, beta) => {
      const off = a / chosenTokens - b / rejectedTokens - 1 / (2 * beta);
      return [off ** 2, (2 * off) / chosenTokens, (-2 * off) / rejectedTokens];
    },
  },
  /** (d − 1/(2β))² */
  ipo_sum: {
    smoothing: null,
    pair: ({ a, b }, beta) => {
      const off = a - b - 1 / (2 * beta);
      return [off ** 2, 2 * off, -2 * off];
    },
  },
  /** σ(βd) (log σ(βd) − log(1 − ε)) + σ(−βd) (log σ(−βd) − log ε): the reverse KL to smoothed labels */
  exo_pair: {
    smoothing: 'positive',
    pair: ofMargin((h, e) => {
      const [p, q] = [sigmoid(h), sigmoid(-h)];
      const [right, wrong] = [logSigmoid(h) - Math.log1p(-e), logSigmoid(-h) - Math.log(e)];
      return [p * right + q * wrong, p * q * (right - wrong)];
    }),
  },
  /** −log σ(βa) − ½ log σ(−βa) − ½ log σ(−βb) */
  nca_pair: {
    smoothing: null,
    pair: ({ a, b }, beta) => [
      -logSigmoid(beta * a) - 0.5 * logSigmoid(-beta * a) - 0.5 * logSigmoid(-beta * b),
      beta * (-sigmoid(-beta * a) + 0.5 * sigmoid(beta * a)),
      0.5 * beta * sigmoid(beta * b),
    ],
  },
  /** (a − 1/(2β))² + (b + 1/(2β))² */
  sppo_hard: {
    smoothing: null,
    pair: ({ a, b }, beta) => {
      const [chosenOff, rejectedOff] = [a - 0.5 / beta, b + 0.5 / beta];
      return [chosenOff ** 2 + rejectedOff ** 2, 2 * chosenOff, 2 * rejectedOff];
    },
  },
  /** 1 − σ(βa) + σ(βb): chosen answers become likelier, rejected ones less likely */
  apo_zero: {
    smoothing: null,
    pair: ({ a, b }, beta) => {
      const [p, q] = [sigmoid(beta * a), sigmoid(beta * b)];
      return [1 - p + q, -beta * p * sigmoid(-beta * a), beta * q * sigmoid(-beta * b)];
    },
  },
  /** σ(βa) + 1 − σ(βd): both become less likely, rejected ones more so */
  apo_down: {
    smoothing: null,
    pair: ({ a, b }, beta) => {
      const [p, margin] = [sigmoid(beta * a), sigmoid(beta * (a - b))];
      const dMargin = beta * margin * sigmoid(-beta * (a - b));
      return [p + 1 - margin, beta * p * sigmoid(-beta * a) - dMargin, dMargin];
    },
  },
  /** −(1 − m) log σ(βd) + m e^(−βd), m = σ(βd / τ) */
  discopop: {
    smoothing: null,
    pair: ofMargin((h) => {
      const steep = h / DISCOPOP_TEMPERATURE;
      const m = sigmoid(steep);
      const dm = (m * sigmoid(-steep)) / DISCOPOP_TEMPERATURE;
      // e^(−βd) alone overflows where its factor is 0, so both are powers in one exponent.
      const exponential = Math.exp(logSigmoid(steep) - h);
      const dExponential = (exponential * sigmoid(-steep)) / DISCOPOP_TEMPERATURE - exponential;
      const logistic = -logSigmoid(h);
      return [(1 - m) * logistic + exponential, dExponential - dm * logistic - (1 - m) * sigmoid(-h)];
    }),
  },
} as const satisfies Record<string, Formula>;

export type PreferenceLossName = keyof typeof formulas;
export const preferenceLossNames = Object.keys(formulas) as PreferenceLossName[];

export interface PreferenceSettings {
  readonly loss: PreferenceLossName;
  readonly beta: number;
  /** ε: the share of pairs whose labels are taken to be wrong. */
  readonly labelSmoothing?: number;
  readonly referenceFree?: boolean;
}

/** Sums of log-probabilities over each answer's tokens, and how many tokens these are: one entry a pair. */
export interface PreferencePairs {
  readonly chosen: Numbers;
  readonly rejected: Numbers;
  readonly referenceChosen: Numbers;
  readonly referenceRejected: Numbers;
  readonly chosenTokens: Numbers;
  readonly rejectedTokens: Numbers;
}

export interface PreferenceResult {
  /** Mean over the pairs. */
  readonly loss: number;
  readonly perPair: Float64Array;
  /** d loss / d chosen, d loss / d rejected: the weight of every token's log-probability in that answer. */
  readonly dChosen: Float64Array;
  readonly dRejected: Float64Array;
  /** β · a and β · b: what each answer gained over the reference. */
  readonly rewardsChosen: Float64Array;
  readonly rewardsRejected: Float64Array;
  /** The share of pairs whose chosen answer has the larger reward. */
  readonly accuracy: number;
}

/** The mean loss of a batch of pairs, and its gradient with respect to the policy's log-probabilities. */
export function preferenceLoss(settings: PreferenceSettings, pairs: PreferencePairs): PreferenceResult {
  const { loss: name, beta, labelSmoothing = 0, referenceFree = false } = settings;
  const formula: Formula = formulas[name];
  checkSettings(name, formula, beta, labelSmoothing);
  const count = pairs.chosen.length;
  checkLengths(name, Object.fromEntries(Object.entries(pairs).map(([key, values]) => [key, values.length])));
  const perPair = new Float64Array(count);
  const [dChosen, dRejected] = [new Float64Array(count), new Float64Array(count)];
  const [rewardsChosen, rewardsRejected] = [new Float64Array(count), new Float64Array(count)];
  let right = 0;
  for (let i = 0; i < count; i++) {
    const a = pairs.chosen[i]! - (referenceFree ? 0 : pairs.referenceChosen[i]!);
    const b = pairs.rejected[i]! - (referenceFree ? 0 : pairs.referenceRejected[i]!);
    const pair = { a, b, chosenTokens: pairs.chosenTokens[i]!, rejectedTokens: pairs.rejectedTokens[i]! };
    const [value, da, db] = formula.pair(pair, beta, labelSmoothing);
    perPair[i] = value;
    dChosen[i] = da / count;
    dRejected[i] = db / count;
    rewardsChosen[i] = beta * a;
    rewardsRejected[i] = beta * b;
    if (a > b) right++;
  }
  const loss = perPair.reduce((sum, value) => sum + value, 0) / count;
  return { loss, perPair, dChosen, dRejected, rewardsChosen, rewardsRejected, accuracy: right / count };
}

function checkSettings(name: string, { smoothing }: Formula, beta: number, labelSmoothing: number): void {
  if (!(beta > 0))
    throw new ArgumentError('loss.beta', `${name}: beta is ${beta}. Give a number above 0, such as 0.1.`);
  const refuse = (expected: string) => {
    throw new ArgumentError(
      'loss.label-smoothing',
      `${name}: label smoothing is ${labelSmoothing}, expected ${expected}.`,
    );
  };
  if (smoothing === null && labelSmoothing !== 0)
    refuse('0, as this loss has none. Leave it out, or take sigmoid or robust');
  if (!(labelSmoothing >= 0 && labelSmoothing < 0.5)) refuse('a share below 0.5');
  if (smoothing === 'positive' && labelSmoothing === 0) refuse('a share above 0, such as 0.001');
}
