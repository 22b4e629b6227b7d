/** The norm, and where a block's norms stand. */
import type { Ops } from '../../kernels/ops.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { LlamaConfig } from '../config.ts';

/** One step of the model on its own: x_ND → y_ND. */
export type Step = (ops: Ops, x_ND: Tensor) => Tensor;
/** Puts what a branch computed into the residual stream. `tap` hears of what is added to the stream. */
export type Join = (ops: Ops, x_ND: Tensor, branch_ND: Tensor, tap: (added_ND: Tensor) => void) => Tensor;

export const asItIs: Step = (_, x_ND) => x_ND;

/** Of a norm, the weights that its kind has. */
export interface NormWeights {
  readonly gain_D?: Tensor | undefined;
  readonly shift_D?: Tensor | undefined;
  readonly mean_D?: Tensor | undefined;
  readonly variance_D?: Tensor | undefined;
}

/** PyTorch's default for BatchNorm1d. */
const STATISTICS_MOMENTUM = 0.1;

/** RMSNorm in the papers; layer and batch norm in the lab, the latter by the batch's own statistics where `usesBatch`. */
export function normOf({ norm, normEps }: LlamaConfig, weights: NormWeights, usesBatch: boolean): Step {
  const { gain_D, shift_D, mean_D, variance_D } = weights;
  if (norm === 'rms') return (ops, x_ND) => ops.rmsNorm(x_ND, gain_D!, normEps);
  if (norm === 'layer') return (ops, x_ND) => ops.layerNorm(x_ND, gain_D!, shift_D!, normEps);
  const running = { mean_D: mean_D!, variance_D: variance_D!, momentum: STATISTICS_MOMENTUM, training: usesBatch };
  return (ops, x_ND) => ops.batchNorm(x_ND, gain_D!, shift_D!, normEps, running);
}

/** What surrounds a branch: the step before it, and how its result joins the residual stream. */
export interface Surroundings {
  readonly enter: Step;
  readonly join: Join;
}

/** `branch` is the last step of what is added. `before`: the norm whose place is before the branch or, in the lab, after the sum; `output`: the norm of the branch's output. */
export function surroundingsOf(
  config: LlamaConfig,
  steps: { readonly own: Step; readonly output: Step; readonly branch: Step },
): Surroundings {
  const { own, output, branch } = steps;
  const add = residualSum(config, branch);
  switch (config.normPlacement) {
    case 'before':
      return { enter: own, join: add };
    case 'after':
      return { enter: asItIs, join: (ops, x_ND, branch_ND, tap) => own(ops, add(ops, x_ND, branch_ND, tap)) };
    case 'output':
      return { enter: asItIs, join: (ops, x_ND, branch_ND, tap) => add(ops, x_ND, output(ops, branch_ND), tap) };
    case 'both':
      return { enter: own, join: (ops, x_ND, branch_ND, tap) => add(ops, x_ND, output(ops, branch_ND), tap) };
    default:
      return config.normPlacement satisfies never;
  }
}

function residualSum({ residualScale }: LlamaConfig, branch: Step): Join {
  return (ops, x_ND, branch_ND, tap) => {
    const scaled_ND = residualScale === 1 ? branch_ND : ops.scale(branch_ND, residualScale);
    const added_ND = branch(ops, scaled_ND);
    tap(added_ND);
    return ops.add(x_ND, added_ND);
  };
}
