/** From the normalised state to logits. */
import type { Ops } from '../../kernels/ops.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { LlamaConfig } from '../config.ts';
import { asItIs, type Step } from './norm.ts';

/** What the output matrix is multiplied with: the state, divided where the model divides its logits. */
export function headInputOf({ logitDivisor }: LlamaConfig): Step {
  return logitDivisor === 1 ? asItIs : (ops, x_ND) => ops.scale(x_ND, 1 / logitDivisor);
}

/** x_RD → logits_RV. */
export function logitsOf(config: LlamaConfig, head_VD: Tensor): Step {
  const input = headInputOf(config);
  const { logitCap } = config;
  const linear = (ops: Ops, x_RD: Tensor) => ops.linear(input(ops, x_RD), head_VD);
  return logitCap === null ? linear : (ops, x_RD) => ops.softcap(linear(ops, x_RD), logitCap);
}
