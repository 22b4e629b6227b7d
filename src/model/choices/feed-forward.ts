/** The feed-forward layer of a block, from its normalised input to what it adds to the residual stream. */
import type { Ops } from '../../kernels/ops.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { Experts, LlamaConfig } from '../config.ts';
import type { BlockWeights } from '../model.ts';

/** `tap` hears of the first projections (`gate`, where there is one, and `up`), and of what the last one is given (`hidden`). */
export type FeedForward = (ops: Ops, f_ND: Tensor, tap: FeedForwardTap) => Tensor;
export type FeedForwardTap = (name: 'gate' | 'up' | 'hidden', value_NF: Tensor) => void;

export function feedForwardOf(config: LlamaConfig, weights: BlockWeights): FeedForward {
  const { experts } = config;
  if (experts === null || weights.wRouter_XD === undefined) return oneLayer(config, weights);
  const routed = routedExperts(config, experts, weights);
  if (experts.shared === null) return routed;
  const { wGateShared_JD: wGate_FD, wUpShared_JD: wUp_FD, wDownShared_DJ: wDown_DF } = weights;
  const all = oneLayer(config, { wGate_FD, wUp_FD, wDown_DF });
  return (ops, f_ND, tap) =>
    ops.add(
      routed(ops, f_ND, tap),
      all(ops, f_ND, () => {}),
    );
}

/**
 * Each token through the experts that its router chooses; the router's weights act on their results, or on their inputs. The hidden
 * activations are those of all its experts, row after row.
 */
function routedExperts({ swigluLimit }: LlamaConfig, options: Experts, weights: BlockWeights): FeedForward {
  const { wRouter_XD, bRouter_X, wGate_XGD, bGate_XG, wUp_XGD, bUp_XG, wDown_XDG, bDown_XD } = weights;
  const limit = swigluLimit ?? undefined;
  const weighsInputs = options.weighs === 'inputs';
  return (ops, f_ND, tap) => {
    const routes = ops.route(ops.linear(f_ND, wRouter_XD!, bRouter_X), options);
    const input = weighsInputs ? ops.spreadRoutes(f_ND, routes) : f_ND;
    const gate_MG = ops.routedLinear(input, wGate_XGD!, routes, bGate_XG);
    const up_MG = ops.routedLinear(input, wUp_XGD!, routes, bUp_XG);
    tap('gate', gate_MG);
    tap('up', up_MG);
    const hidden_MG = ops.swiglu(gate_MG, up_MG, limit);
    tap('hidden', hidden_MG);
    const result_MD = ops.routedLinear(hidden_MG, wDown_XDG!, routes, bDown_XD);
    const weights_NU = weighsInputs ? ops.ones(routes.weights_NU.shape, result_MD) : routes.weights_NU;
    return ops.mixRoutes(result_MD, { ...routes, weights_NU });
  };
}

type LayerWeights = {
  readonly [key in 'wGate_FD' | 'wUp_FD' | 'wDown_DF' | 'bGate_F' | 'bUp_F' | 'bDown_D']?: Tensor | undefined;
};
type Gate = (ops: Ops, gate_NF: Tensor, up_NF: Tensor) => Tensor;

/** SwiGLU in the papers, GEGLU in Gemma; ReLU and GELU in the lab, which multiply nothing. */
function oneLayer({ activation }: LlamaConfig, weights: LayerWeights): FeedForward {
  const { wGate_FD, wUp_FD, wDown_DF, bGate_F, bUp_F, bDown_D } = weights;
  const gates = {
    swiglu: (ops, gate_NF, up_NF) => ops.swiglu(gate_NF, up_NF),
    geglu: (ops, gate_NF, up_NF) => ops.geglu(gate_NF, up_NF),
    'geglu-tanh': (ops, gate_NF, up_NF) => ops.geglu(gate_NF, up_NF, 'tanh'),
    relu: null,
    gelu: null,
  } satisfies Record<LlamaConfig['activation'], Gate | null>;
  const gated: Gate | null = gates[activation];
  return (ops, f_ND, tap) => {
    const gate_NF = gated && ops.linear(f_ND, wGate_FD!, bGate_F);
    if (gate_NF) tap('gate', gate_NF);
    const up_NF = ops.linear(f_ND, wUp_FD!, bUp_F);
    tap('up', up_NF);
    const hidden_NF =
      gated && gate_NF ? gated(ops, gate_NF, up_NF) : activation === 'relu' ? ops.relu(up_NF) : ops.gelu(up_NF);
    tap('hidden', hidden_NF);
    return ops.linear(hidden_NF, wDown_DF!, bDown_D);
  };
}
