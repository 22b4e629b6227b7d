import type { Floats } from '../../tensor/tensor.ts';
import { geluForms, silu } from '../activation/reference.ts';
import type { GeluForm } from '../ops.ts';

/**
 * The gated units of the feed-forward layer, element by element.
 *
 *   swiglu: y = silu(gate) · up        geglu: y = gelu(gate) · up
 *
 * Shapes   y_NF, gate_NF, up_NF
 * Source   Shazeer 2020, arXiv:2002.05202 eq. 6 (SwiGLU, GEGLU); LLaMA takes SwiGLU.
 */
export function swiglu(y_NF: Floats, gate_NF: Floats, up_NF: Floats, limit?: number): void {
  if (limit !== undefined) {
    for (let i = 0; i < y_NF.length; i++) y_NF[i] = limitedSwiglu(gate_NF[i]!, up_NF[i]!, limit);
    return;
  }
  for (let i = 0; i < y_NF.length; i++) y_NF[i] = silu(gate_NF[i]!) * up_NF[i]!;
}

/** Steepness of the sigmoid in gpt-oss's gate. */
export const LIMITED_STEEPNESS = 1.702;

/**
 * g · σ(1.702 · g) · (u + 1) with g = min(gate, limit), u = up within ±limit.
 * Source   OpenAI 2025, gpt-oss model card, arXiv:2508.10925 §2.2; openai/gpt-oss, torch/model.py (swiglu).
 */
function limitedSwiglu(gate: number, up: number, limit: number): number {
  const g = Math.min(gate, limit);
  const u = Math.max(-limit, Math.min(limit, up));
  return (g / (1 + Math.exp(-LIMITED_STEEPNESS * g))) * (u + 1);
}

export function geglu(y_NF: Floats, gate_NF: Floats, up_NF: Floats, form: GeluForm): void {
  const gelu = geluForms[form];
  for (let i = 0; i < y_NF.length; i++) y_NF[i] = gelu(gate_NF[i]!) * up_NF[i]!;
}
