/** The feed-forward layer of a block, from its normalised input to what it adds to the residual stream. */
import type { Ops } from '../../kernels/ops.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { LlamaConfig } from '../config.ts';
import type { BlockWeights } from '../model.ts';

/** `tap` hears of the activation before the last projection. */
export type FeedForward = (ops: Ops, f_ND: Tensor, tap: (hidden_NF: Tensor) => void) => Tensor;

/** SwiGLU in the papers, GEGLU in Gemma; ReLU and GELU in the lab, which multiply nothing. */
export function feedForwardOf({ activation }: LlamaConfig, weights: BlockWeights): FeedForward {
  const { wGate_FD, wUp_FD, wDown_DF, bGate_F, bUp_F, bDown_D } = weights;
  const up = (ops: Ops, f_ND: Tensor) => ops.linear(f_ND, wUp_FD, bUp_F);
  const gate = (ops: Ops, f_ND: Tensor) => ops.linear(f_ND, wGate_FD!, bGate_F);
  const hiddens = {
    swiglu: (ops, f_ND) => ops.swiglu(gate(ops, f_ND), up(ops, f_ND)),
    geglu: (ops, f_ND) => ops.geglu(gate(ops, f_ND), up(ops, f_ND)),
    'geglu-tanh': (ops, f_ND) => ops.geglu(gate(ops, f_ND), up(ops, f_ND), 'tanh'),
    relu: (ops, f_ND) => ops.relu(up(ops, f_ND)),
    gelu: (ops, f_ND) => ops.gelu(up(ops, f_ND)),
  } satisfies Record<LlamaConfig['activation'], (ops: Ops, f_ND: Tensor) => Tensor>;
  const hidden = hiddens[activation];
  return (ops, f_ND, tap) => {
    const hidden_NF = hidden(ops, f_ND);
    tap(hidden_NF);
    return ops.linear(hidden_NF, wDown_DF, bDown_D);
  };
}
