import type { Floats } from '../../tensor/tensor.ts';
import type { Batch } from '../batch.ts';
import { logSumExp } from '../softmax/reference.ts';
import { type AttentionSizes, bendScore, keptShare } from './reference.ts';

/**
 * The log-sum-exp of each query's scores over the keys that it sees: what is saved instead of the probabilities.
 *
 *   L_nh = log Σ_s exp(score_s)
 */
export function attentionLogSumExp(
  logSumExp_NH: Floats,
  q_NQ: Floats,
  k_NP: Floats,
  spans: Batch['spans'],
  sizes: AttentionSizes,
): void {
  const { H, K, E, window, sinks_H } = sizes;
  const bend = bendScore(sizes);
  for (const { firstRow, rowCount } of spans) {
    for (let n = firstRow; n < firstRow + rowCount; n++) {
      const firstKey = window === null ? firstRow : Math.max(firstRow, n - window + 1);
      for (let h = 0; h < H; h++) {
        const g = Math.floor((h * K) / H);
        const scores = new Float64Array(n + 1 - firstKey);
        for (let s = firstKey; s <= n; s++)
          scores[s - firstKey] = bend(dot(q_NQ, (n * H + h) * E, k_NP, (s * K + g) * E, E));
        const sum = logSumExp(scores);
        logSumExp_NH[n * H + h] = sinks_H ? logSumExp(Float64Array.of(sum, sinks_H[h]!)) : sum;
      }
    }
  }
}

/**
 * Adds the gradients of causal attention. The probabilities are recomputed one query at a time from the saved log-sum-exp;
 * the T × T matrix never exists.
 *
 *   p_s = exp(score_s − L)           m = Σ_e dMix_e · mix_e  (= Σ_s p_s · dMix · v_s)
 *   dv_s += p_s · r_s · dMix         c_s = p_s · (r_s · dMix · v_s − m) · scale · (1 − (score_s / cap)²)
 *   dq += Σ_s c_s · k_s              dk_s += c_s · q              dSink_h −= Σ_n exp(sink_h − L) · m
 *
 * r is what dropout multiplies a probability with (keptShare), 1 where there is none; m = Σ_s p_s · r_s · dMix · v_s then.
 *
 * Shapes   dq_NQ, dk_NP, dv_NP (null: not wanted); dMix_NQ, mix_NQ, q_NQ, k_NP, v_NP, logSumExp_NH
 * Source   Dao et al. 2022, arXiv:2205.14135 appendix B.2 (m is the identity that makes the softmax row-local).
 */
export function attentionBackward(
  d: {
    readonly q_NQ: Floats | null;
    readonly k_NP: Floats | null;
    readonly v_NP: Floats | null;
    readonly sinks_H?: Floats | null;
  },
  dMix_NQ: Floats,
  saved: {
    readonly mix_NQ: Floats;
    readonly logSumExp_NH: Floats;
    readonly q_NQ: Floats;
    readonly k_NP: Floats;
    readonly v_NP: Floats;
  },
  spans: Batch['spans'],
  sizes: AttentionSizes,
): void {
  const { H, K, E, window, scale = 1 / Math.sqrt(E), cap } = sizes;
  const bend = bendScore(sizes);
  const { q_NQ, k_NP, v_NP } = saved;
  for (const { firstRow, rowCount } of spans) {
    for (let n = firstRow; n < firstRow + rowCount; n++) {
      const firstKey = window === null ? firstRow : Math.max(firstRow, n - window + 1);
      for (let h = 0; h < H; h++) {
        const g = Math.floor((h * K) / H);
        const query = (n * H + h) * E;
        const m = dot(dMix_NQ, query, saved.mix_NQ, query, E);
        if (d.sinks_H) d.sinks_H[h]! -= m * Math.exp(sizes.sinks_H![h]! - saved.logSumExp_NH[n * H + h]!);
        const kept = keptShare(sizes, n, h);
        for (let s = firstKey; s <= n; s++) {
          const key = (s * K + g) * E;
          const score = bend(dot(q_NQ, query, k_NP, key, E));
          const p = Math.exp(score - saved.logSumExp_NH[n * H + h]!);
          const slope = cap === undefined ? scale : scale * (1 - (score / cap) ** 2);
          const r = kept(n - s);
          const c = p * (r * dot(dMix_NQ, query, v_NP, key, E) - m) * slope;
          for (let e = 0; e < E; e++) {
            if (d.q_NQ) d.q_NQ[query + e]! += c * k_NP[key + e]!;
            if (d.k_NP) d.k_NP[key + e]! += c * q_NQ[query + e]!;
            if (d.v_NP) d.v_NP[key + e]! += p * r * dMix_NQ[query + e]!;
          }
        }
      }
    }
  }
}

function dot(a: Floats, aStart: number, b: Floats, bStart: number, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += a[aStart + i]! * b[bStart + i]!;
  return sum;
}
