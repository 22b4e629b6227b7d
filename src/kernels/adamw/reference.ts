import type { Floats } from '../../tensor/tensor.ts';

export interface AdamWStep {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  /** 0 where the parameter does not decay. */
  readonly weightDecay: number;
  /** Factor on the gradient: gradient clipping. */
  readonly gradientScale: number;
  /** 1 at the first step. */
  readonly step: number;
}

/**
 * AdamW: Adam with the weight decay taken off the parameter itself, not put into the gradient.
 *
 *   g ← g · gradientScale        p ← p · (1 − lr · decay)
 *   m ← β1 m + (1 − β1) g        v ← β2 v + (1 − β2) g²
 *   p ← p − lr / (1 − β1ᵗ) · m / (√v / √(1 − β2ᵗ) + eps)
 *
 * Shapes   p, g: any, the same; m, v: the part of them from element `from` on
 * Source   Loshchilov & Hutter 2019, arXiv:1711.05101; order and eps as torch.optim.AdamW.
 */
export function adamW(p: Floats, g: Floats, m: Floats, v: Floats, from: number, step: AdamWStep): void {
  const { beta1, beta2, eps, gradientScale } = step;
  const keep = 1 - step.learningRate * step.weightDecay;
  const rate = step.learningRate / (1 - beta1 ** step.step);
  const rootCorrection = Math.sqrt(1 - beta2 ** step.step);
  for (let i = 0; i < m.length; i++) {
    const gradient = g[from + i]! * gradientScale;
    m[i] = beta1 * m[i]! + (1 - beta1) * gradient;
    v[i] = beta2 * v[i]! + (1 - beta2) * gradient * gradient;
    p[from + i] = p[from + i]! * keep - (rate * m[i]!) / (Math.sqrt(v[i]!) / rootCorrection + eps);
  }
}
