import type { Floats } from '../../../tensor/tensor.ts';
import { logSumExp, softmax } from '../../softmax/reference.ts';
import { type Bend, bendScore } from '../reference.ts';

/** The keys that a query looks at: positions first … last. */
export interface Seen {
  readonly first: number;
  readonly last: number;
}

/**
 * One head's products q·k as scores: bent, and −∞ where a query may not look.
 *
 * Shapes  scores_RN; products_RS of the first S keys, S above every `last` (may be the same memory where S = N)
 */
export function mapScores(scores_RN: Floats, products_RS: Floats, seen_R: readonly Seen[], sizes: Bend): void {
  const [N, S] = [scores_RN, products_RS].map(({ length }) => length / seen_R.length) as [number, number];
  const bend = bendScore(sizes);
  for (const [r, { first, last }] of seen_R.entries()) {
    for (let s = N - 1; s >= 0; s--) {
      scores_RN[r * N + s] = s < first || s > last ? Number.NEGATIVE_INFINITY : bend(products_RS[r * S + s]!);
    }
  }
}

/**
 * The softmax of these scores: how much each query looks at each key. A sink takes its share of every row.
 *
 * Shapes   shares_RN, scores_RN (may be the same)
 * Numbers  f64; softmax/reference.ts.
 */
export function mapShares(shares_RN: Floats, scores_RN: Floats, seen_R: readonly Seen[], sink?: number): void {
  const N = scores_RN.length / seen_R.length;
  const p = new Float64Array(N);
  for (const [r, { last }] of seen_R.entries()) {
    p.set(scores_RN.subarray(r * N, (r + 1) * N));
    const share = sink === undefined ? 1 : 1 / (1 + Math.exp(sink - logSumExp(p)));
    softmax(p, p, last + 1);
    for (let s = 0; s < N; s++) shares_RN[r * N + s] = s > last ? 0 : p[s]! * share;
  }
}
