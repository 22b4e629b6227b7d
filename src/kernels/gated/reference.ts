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
export function swiglu(y_NF: Floats, gate_NF: Floats, up_NF: Floats): void {
  for (let i = 0; i < y_NF.length; i++) y_NF[i] = silu(gate_NF[i]!) * up_NF[i]!;
}

export function geglu(y_NF: Floats, gate_NF: Floats, up_NF: Floats, form: GeluForm): void {
  const gelu = geluForms[form];
  for (let i = 0; i < y_NF.length; i++) y_NF[i] = gelu(gate_NF[i]!) * up_NF[i]!;
}
