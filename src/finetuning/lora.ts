import type { Tape } from '../autograd/tape.ts';
import type { Ops } from '../kernels/ops.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** A low-rank correction of one linear layer. */
export interface LoraAdapter {
  readonly a_RI: Tensor;
  readonly b_OR: Tensor;
  /** alpha / r */
  readonly scale: number;
}

/**
 * LoRA: a frozen linear layer plus a trained low-rank one, for the weights that have an adapter.
 *
 *   y = x · Wᵀ + scale · (x · Aᵀ) · Bᵀ
 *
 * Shapes   W [O, I] · A [R, I] · B [O, R]
 * Source   Hu et al. 2021, arXiv:2106.09685 §4.1.
 */
export function withAdapters(ops: Tape['ops'], adapters: ReadonlyMap<Tensor, LoraAdapter>): Ops {
  return {
    ...ops,
    linear(x_NI, w_OI, bias_O) {
      const y_NO = ops.linear(x_NI, w_OI, bias_O);
      const adapter = adapters.get(w_OI);
      if (!adapter) return y_NO;
      const low_NR = ops.linear(x_NI, adapter.a_RI);
      return ops.add(y_NO, ops.scale(ops.linear(low_NR, adapter.b_OR), adapter.scale));
    },
  };
}
