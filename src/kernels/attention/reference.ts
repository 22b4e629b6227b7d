import type { Floats } from '../../tensor/tensor.ts';
import { type Dropout, dropoutNumber, dropoutRow, dropoutThreshold } from '../dropout/reference.ts';
import { logSumExp, softmax } from '../softmax/reference.ts';

/** Where the keys and values of one sequence lie: row of position s, in units of P floats. */
export type KeyRow = (position: number) => number;

export interface AttentionSizes {
  readonly H: number;
  readonly K: number;
  readonly E: number;
  readonly window: number | null;
  readonly scale?: number | undefined;
  readonly cap?: number | undefined;
  /** A score a head that has no key: it takes its share of the softmax, and adds nothing. */
  readonly sinks_H?: Floats | undefined;
  /** Of the probabilities, in training. */
  readonly dropout?: Dropout | undefined;
}

/** The factor on the probability that a query's row gives a key so many positions before it: 0, or what keeps the mean. */
export function keptShare({ dropout }: AttentionSizes, row: number, head: number): (distance: number) => number {
  if (dropout === undefined) return () => 1;
  const { rate, key, firstToken } = dropout;
  const base = dropoutRow(key, firstToken + row, head);
  return (distance) => (dropoutNumber(base, distance) >= dropoutThreshold(rate) ? 1 / (1 - rate) : 0);
}

/**
 * Queries as the wasm device rounds them before the keys of a q8_0 or q4_0 cache (cached/integers.ts), by groups of 32 columns:
 *
 *   scale = max|q| / 127     q ≈ scale · round(q / scale), to nearest even     |error| ≤ scale / 2
 *
 * The quotient is rounded to f32, as it decides. Shapes  q: whole groups.
 */
export function roundQueries(q: Floats): Float64Array {
  const out = new Float64Array(q.length);
  for (let start = 0; start < q.length; start += 32) {
    const group = q.subarray(start, start + 32);
    let largest = 0;
    for (const x of group) largest = Math.max(largest, Math.abs(x));
    const inverse = largest < 1e-36 ? 0 : Math.fround(127 / largest);
    group.forEach((x, i) => {
      out[start + i] = Math.fround(largest / 127) * (Math.fround(Math.fround(x * inverse) + 12582912) - 12582912);
    });
  }
  return out;
}

/** What a score depends on beside q·k. */
export type Bend = Pick<AttentionSizes, 'E' | 'scale' | 'cap'>;

/** From q·k to the score: scaled, and bent where there is a cap. */
export function bendScore({ E, scale = 1 / Math.sqrt(E), cap }: Bend): (product: number) => number {
  return cap === undefined ? (product) => product * scale : (product) => cap * Math.tanh((product * scale) / cap);
}

/**
 * Causal scaled dot-product attention of one query row over the keys of its sequence, all heads.
 *
 *   score_s = scale · q_h · k_s,g     p = softmax over the visible s     mix_h = Σ_s p_s · v_s,g     g = ⌊h·K/H⌋
 *
 * With dropout the mix is Σ_s p_s · r_s · v_s, r by keptShare. scale is 1/√E unless given; with a cap, score ← cap · tanh(score / cap). A sink is one more score, whose value is nothing.
 *
 * Key s is visible to the query at position t iff s ≤ t and (window = null or s > t − window).
 *
 * Shapes   mix_Q, q_Q (one row); k and v hold rows of P = K·E floats; probabilities, where asked for, are H × (t + 1)
 * Numbers  f64; softmax/reference.ts.
 * Source   Vaswani et al. 2017 eq. 1; cap: Gemma 2, arXiv:2408.00118 §2; sinks: gpt-oss, arXiv:2508.10925 §2, after Xiao et al. 2023, arXiv:2309.17453; grouped queries: Ainslie et al. 2023, arXiv:2305.13245; window: Jiang et al. 2023, arXiv:2310.06825.
 */
export function attendOne(
  mix_Q: Floats,
  q_Q: Floats,
  k_SP: Floats,
  v_SP: Floats,
  keyRow: KeyRow,
  position: number,
  sizes: AttentionSizes & { readonly row?: number },
  probabilities?: Floats,
): void {
  const { H, K, E, window, sinks_H, row = 0 } = sizes;
  const bend = bendScore(sizes);
  const P = K * E;
  const group = H / K;
  const first = window === null ? 0 : Math.max(0, position - window + 1);
  const p = new Float64Array(position + 1);
  const visible = p.subarray(first);
  for (let h = 0; h < H; h++) {
    const kvOffset = Math.floor(h / group) * E;
    for (let s = first; s <= position; s++) {
      const key = keyRow(s) * P + kvOffset;
      let score = 0;
      for (let e = 0; e < E; e++) score += q_Q[h * E + e]! * k_SP[key + e]!;
      p[s] = bend(score);
    }
    const share = sinks_H ? 1 / (1 + Math.exp(sinks_H[h]! - logSumExp(visible))) : 1;
    softmax(visible, visible);
    if (sinks_H) for (let s = first; s <= position; s++) p[s]! *= share;
    mix_Q.fill(0, h * E, (h + 1) * E);
    const kept = keptShare(sizes, row, h);
    for (let s = first; s <= position; s++) {
      const value = keyRow(s) * P + kvOffset;
      for (let e = 0; e < E; e++) mix_Q[h * E + e]! += p[s]! * kept(position - s) * v_SP[value + e]!;
    }
    if (probabilities)
      for (let s = 0; s <= position; s++) probabilities[h * (position + 1) + s] = s < first ? 0 : p[s]!;
  }
}
