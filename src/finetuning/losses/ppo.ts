import { checkRows, countTokens, type Rows, zerosLike } from './rows.ts';

export interface PpoSettings {
  readonly clip: number;
  /** null: the value loss is not clipped. */
  readonly clipValue: number | null;
  readonly valueCoefficient: number;
  /** Where the advantage is negative, the loss is not above −dualClip · A; null: off. */
  readonly dualClip: number | null;
}

/** Numbers per token, one row an answer; rows of values may be one place longer (see tokenRewards). */
export interface PpoInputs {
  readonly logps: Rows;
  readonly oldLogps: Rows;
  readonly advantages: Rows;
  readonly values: Rows;
  readonly oldValues: Rows;
  readonly returns: Rows;
}

export interface PpoResult {
  readonly loss: number;
  readonly policyLoss: number;
  readonly valueLoss: number;
  /** The share of tokens whose ratio was clipped. */
  readonly clipFraction: number;
  /** Mean of (log π − log π_old)² / 2: how far the policy has moved since it sampled. */
  readonly approximateKl: number;
  /** Gradients of `loss`. */
  readonly dLogps: readonly Float64Array[];
  readonly dValues: readonly Float64Array[];
}

/**
 * The clipped objectives of proximal policy optimization.
 *
 *   w = π / π_old
 *   policy loss = mean over tokens of −min(w A, clip(w, 1 ± c) A)       dual clip, A < 0: −max(min(…), dual · A)
 *   value loss  = ½ mean over places of max((V − R)², (clip(V, V_old ± c_v) − R)²)
 *   loss = policy loss + valueCoefficient · value loss
 *
 * Source  Schulman et al. 2017, arXiv:1707.06347 eq. 7, 9; dual clip: Ye et al. 2020, arXiv:1912.09729 eq. 5.
 */
export function ppoLoss(settings: PpoSettings, inputs: PpoInputs): PpoResult {
  const { logps, oldLogps, advantages, values, oldValues, returns } = inputs;
  checkRows('ppo', { logps, oldLogps, advantages });
  checkRows('ppo', { values, oldValues, returns });
  const { clip, clipValue, valueCoefficient, dualClip } = settings;

  const tokens = countTokens(logps);
  const dLogps = zerosLike(logps);
  let [policySum, clipped, squares] = [0, 0, 0];
  for (const [i, row] of logps.entries()) {
    for (let t = 0; t < row.length; t++) {
      const moved = row[t]! - oldLogps[i]![t]!;
      const ratio = Math.exp(moved);
      const advantage = advantages[i]![t]!;
      const free = ratio * advantage;
      const limited = Math.min(1 + clip, Math.max(1 - clip, ratio)) * advantage;
      let gain = Math.min(free, limited);
      let slope = free <= limited ? free : 0; // d(ratio) / d(logp) = ratio
      if (limited < free) clipped++;
      if (dualClip !== null && advantage < 0 && gain < dualClip * advantage) {
        gain = dualClip * advantage;
        slope = 0;
      }
      policySum -= gain;
      dLogps[i]![t] = -slope / tokens;
      squares += moved ** 2;
    }
  }

  const places = countTokens(values);
  const dValues = zerosLike(values);
  let valueSum = 0;
  for (const [i, row] of values.entries()) {
    for (let t = 0; t < row.length; t++) {
      const [value, old, target] = [row[t]!, oldValues[i]![t]!, returns[i]![t]!];
      const near = clipValue === null ? value : Math.min(old + clipValue, Math.max(old - clipValue, value));
      const [free, limited] = [(value - target) ** 2, (near - target) ** 2];
      valueSum += Math.max(free, limited);
      if (free >= limited) dValues[i]![t] = (valueCoefficient * (value - target)) / places;
    }
  }
  const policyLoss = policySum / tokens;
  const valueLoss = valueSum / (2 * places);
  return {
    loss: policyLoss + valueCoefficient * valueLoss,
    policyLoss,
    valueLoss,
    clipFraction: clipped / tokens,
    approximateKl: squares / (2 * tokens),
    dLogps,
    dValues,
  };
}
