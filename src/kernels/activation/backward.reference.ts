import type { Floats } from '../../tensor/tensor.ts';
import type { GeluForm } from '../ops.ts';
import { erfc } from './reference.ts';

/** σ(x) · (1 + x · (1 − σ(x))): the derivative of silu. */
export function siluSlope(x: number): number {
  const sigmoid = 1 / (1 + Math.exp(-x));
  return sigmoid * (1 + x * (1 - sigmoid));
}

/** Φ(x) + x · φ(x): the derivative of the exact gelu. */
function geluExactSlope(x: number): number {
  return 0.5 * erfc(-x / Math.SQRT2) + (x * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI);
}

/** With u = √(2/π)·(x + 0.044715·x³): (1 + tanh u)/2 + x/2 · (1 − tanh² u) · u′. */
function geluTanhSlope(x: number): number {
  const root = Math.sqrt(2 / Math.PI);
  const tanh = Math.tanh(root * (x + 0.044715 * x * x * x));
  return 0.5 * (1 + tanh) + 0.5 * x * (1 - tanh * tanh) * root * (1 + 3 * 0.044715 * x * x);
}

export const geluSlopes: { readonly [form in GeluForm]: (x: number) => number } = {
  exact: geluExactSlope,
  tanh: geluTanhSlope,
};

/** dx += dy where x > 0; at 0 the slope is taken as 0. */
export function reluBackward(dx: Floats, dy: Floats, x: Floats): void {
  for (let i = 0; i < x.length; i++) if (x[i]! > 0 || Number.isNaN(x[i]!)) dx[i]! += dy[i]!;
}

/** dx += dy · (1 − (y / cap)²), y being the result of the forward pass. */
export function softcapBackward(dx: Floats, dy: Floats, y: Floats, cap: number): void {
  for (let i = 0; i < y.length; i++) dx[i]! += dy[i]! * (1 - (y[i]! / cap) ** 2);
}

/** dx += dy · gelu′(x) */
export function geluBackward(dx: Floats, dy: Floats, x: Floats, form: GeluForm): void {
  const slope = geluSlopes[form];
  for (let i = 0; i < x.length; i++) dx[i]! += dy[i]! * slope(x[i]!);
}
