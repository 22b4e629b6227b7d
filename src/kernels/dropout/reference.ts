import type { Floats } from '../../tensor/tensor.ts';

/** What one use of dropout in one pass is a function of. */
export interface Dropout {
  /** The part of the numbers that become 0, in (0, 1). */
  readonly rate: number;
  /** Of the seed, the step and the place in the model: 32 bits. */
  readonly key: number;
  /** The place of the first row's token among the tokens of the step, so that no cut of a batch changes what is dropped. */
  readonly firstToken: number;
}

/** Odd numbers whose multiples spread over 32 bits. */
export const DROPOUT_STRIDE = 0x9e3779b9;
export const DROPOUT_HEAD_STRIDE = 0x85ebca6b;

/**
 * Sets random numbers of each row to 0, and the others so much higher that their mean stays.
 *
 *   y_nd = x_nd / (1 − rate) where r_nd ≥ rate · 2³², else 0
 *   r_nd = mix(b_n + d · stride)      b_n = mix(mix(key + (firstToken + n) · stride) + head · headStride), all modulo 2³²
 *
 * r is a function of counters alone: there is no state, and whoever computes a row again, anywhere, drops the same. Attention drops
 * probabilities p of a query n by the same r, with d the distance from the query to the key; elsewhere head is 0.
 *
 * Shapes   x_ND, y_ND
 * Numbers  f64; r is the same on every device.
 * Source   Srivastava et al. 2014, JMLR 15; where it stands: Radford et al. 2018 (GPT). Numbers by counters: Salmon et al. 2011,
 *          doi:10.1145/2063384.2063405; mix: Wellons, hash-prospector, "lowbias32" with the constants of its issue 19.
 */
export function dropout(y_ND: Floats, x_ND: Floats, columns: number, options: Dropout): void {
  y_ND.fill(0);
  addDropout(y_ND, x_ND, columns, options);
}

/** y += dropout(x): also the gradient, dx += dropout(dy). */
export function addDropout(y_ND: Floats, x_ND: Floats, columns: number, { rate, key, firstToken }: Dropout): void {
  const threshold = dropoutThreshold(rate);
  for (let at = 0; at < x_ND.length; at += columns) {
    const base = dropoutRow(key, firstToken + at / columns, 0);
    for (let d = 0; d < columns; d++) {
      if (dropoutNumber(base, d) >= threshold) y_ND[at + d]! += x_ND[at + d]! / (1 - rate);
    }
  }
}

/** r must reach it, for a number to stay. */
export function dropoutThreshold(rate: number): number {
  return Math.min(2 ** 32 - 1, Math.round(rate * 2 ** 32));
}

/** b of a row. */
export function dropoutRow(key: number, token: number, head: number): number {
  return mix(mix(key + Math.imul(token, DROPOUT_STRIDE)) + Math.imul(head, DROPOUT_HEAD_STRIDE));
}

/** r of a row's element. */
export function dropoutNumber(base: number, at: number): number {
  return mix(base + Math.imul(at, DROPOUT_STRIDE));
}

/** Of the seed, the step and the place: another key for each. */
export function dropoutKey(seed: number, step: number, site: number): number {
  return dropoutRow(mix(seed), step, site);
}

function mix(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return (x ^ (x >>> 15)) >>> 0;
}
