import type { Floats } from '../../tensor/tensor.ts';
import type { GeluForm } from '../ops.ts';

/** x · sigmoid(x), the gate of SwiGLU. Source: Elfwing et al. 2017, arXiv:1702.03118 (SiLU); Ramachandran et al. 2017 (Swish-1). */
export function silu(x: number): number {
  return x / (1 + Math.exp(-x));
}

/** x · Φ(x) with the exact normal distribution. Source: Hendrycks & Gimpel 2016, arXiv:1606.08415. */
export function geluExact(x: number): number {
  return 0.5 * x * erfc(-x / Math.SQRT2);
}

/** The tanh approximation: x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))). Source: Hendrycks & Gimpel 2016 §2. */
export function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
}

export const geluForms: { readonly [form in GeluForm]: (x: number) => number } = { exact: geluExact, tanh: geluTanh };

/**
 * The complementary error function in f64, to about 1e-11 relative: a series near zero, a continued fraction beyond.
 * Source: Abramowitz & Stegun 7.1.5 and 7.1.14.
 */
export function erfc(x: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  if (x < 0) return 2 - erfc(-x);
  if (x < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; n < 80 && Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= -(x * x) / n;
      sum += term / (2 * n + 1);
      if (term === 0) break;
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * sum;
  }
  if (x > 27) return 0;
  let fraction = 0;
  for (let n = 60; n >= 1; n--) fraction = n / 2 / (x + fraction);
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + fraction);
}

/** y = cap · tanh(x / cap): nearly x while that is small, never beyond the cap. Source: Gemma 2, arXiv:2408.00118 §2. */
export function softcap(y: Floats, x: Floats, cap: number): void {
  for (let i = 0; i < x.length; i++) y[i] = cap * Math.tanh(x[i]! / cap);
}

/** y = max(0, x). */
export function relu(y: Floats, x: Floats): void {
  for (let i = 0; i < x.length; i++) y[i] = x[i]! > 0 || Number.isNaN(x[i]!) ? x[i]! : 0;
}

/** y = x · Φ(x). */
export function gelu(y: Floats, x: Floats, form: GeluForm): void {
  const f = geluForms[form];
  for (let i = 0; i < x.length; i++) y[i] = f(x[i]!);
}
