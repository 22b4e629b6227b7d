/** The feed-forward layer of a block, from its normalised input to what it adds to the residual stream. */
import type { Ops } from '../../kernels/ops.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { Experts, LlamaConfig } from '../config.ts';
import type { BlockWeights } from '../model.ts';

/** `tap` hears of the activation before the last projection. */
export type FeedForward = (ops: Ops, f_ND: Tensor, tap: (hidden_NF: Tensor) => void) => Tensor;

export function feedForwardOf(config: LlamaConfig, weights: BlockWeights): FeedForward {
  return config.experts === null ? oneLayer(config, weights) : routedExperts(config, config.experts, weights);
}

/** Each token through the experts that its router chooses. The hidden activations are those of all its experts, row after row. */
function routedExperts({ swigluLimit }: LlamaConfig, options: Experts, weights: BlockWeights): FeedForward {
  const { wRouter_XD, bRouter_X, wGate_XGD, bGate_XG, wUp_XGD, bUp_XG, wDown_XDG, bDown_XD } = weights;
  const limit = swigluLimit ?? undefined;
  return (ops, f_ND, tap) => {
    const routes = ops.route(ops.linear(f_ND, wRouter_XD!, bRouter_X), options);
    const gate_MG = ops.routedLinear(f_ND, wGate_XGD!, routes, bGate_XG);
    const up_MG = ops.routedLinear(f_ND, wUp_XGD!, routes, bUp_XG);
    const hidden_MG = ops.swiglu(gate_MG, up_MG, limit);
    tap(hidden_MG);
    return ops.mixRoutes(ops.routedLinear(hidden_MG, wDown_XDG!, routes, bDown_XD), routes);
  };
}

/** SwiGLU in the papers, GEGLU in Gemma; ReLU and GELU in the lab, which multiply nothing. */
function oneLayer({ activation }: LlamaConfig, weights: BlockWeights): FeedForward {
  const { wGate_FD, wUp_FD, wDown_DF, bGate_F, bUp_F, bDown_D } = weights;
  const up = (ops: Ops, f_ND: Tensor) => ops.linear(f_ND, wUp_FD!, bUp_F);
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
    return ops.linear(hidden_NF, wDown_DF!, bDown_D);
  };
}
