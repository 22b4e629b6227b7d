/**
 * "What if": the same forward pass with one thing otherwise, as a decorator of Ops. The weights stay as they are.
 */
import { ArgumentError } from '../../base/errors.ts';
import type { Device } from '../../devices/device.ts';
import { isCacheLayer, type Ops } from '../../kernels/ops.ts';
import type { LlamaConfig } from '../../model/config.ts';
import type { Tap } from '../../model/llama.ts';
import type { Tensor } from '../../tensor/tensor.ts';

export interface Change {
  /** Branches that add nothing to the stream: `blocks.3.attention.output`, `blocks.0.feedForward.output`. */
  readonly without?: readonly string[] | undefined;
  /**
   * The keys and values of this many groups, each the mean of its heads', in place of the model's own (Ainslie et al. 2023,
   * arXiv:2305.13245 §2.1, without the training that follows there). Positions rotate all heads alike, so pooling keys is pooling wk.
   */
  readonly keyGroups?: number | undefined;
}

/** The decorated operations, and a tap that must hear of every activation. Throws ArgumentError `trace.change`. */
export function changedOps(device: Device, ops: Ops, config: LlamaConfig, change: Change): { ops: Ops; tap: Tap } {
  const { without = [], keyGroups } = change;
  checkChange(config, change);
  const off = new Set<Tensor>();
  const groups = keyGroups === undefined || keyGroups === config.kvHeadCount ? null : keyGroups;
  const average_PP =
    groups === null
      ? null
      : device.scratch([config.kvHeadCount * config.headSize, config.kvHeadCount * config.headSize]);
  if (average_PP && groups !== null) device.write(average_PP, averages(config, groups));
  const pooled = (x_NP: Tensor) => (average_PP ? device.ops.linear(x_NP, average_PP) : x_NP);
  return {
    ops: {
      ...ops,
      add: (x_ND, y_ND) => (off.has(y_ND) ? x_ND : ops.add(x_ND, y_ND)),
      attention(q_NQ, keyValues, batch, options) {
        if (average_PP === null || isCacheLayer(keyValues)) return ops.attention(q_NQ, keyValues, batch, options);
        const changed = { k_NP: pooled(keyValues.k_NP), v_NP: pooled(keyValues.v_NP) };
        return ops.attention(q_NQ, changed, batch, options);
      },
    },
    tap: (name, tensor) => {
      if (without.includes(name)) off.add(tensor);
    },
  };
}

function checkChange({ blockCount, kvHeadCount }: LlamaConfig, { without = [], keyGroups }: Change): void {
  const isBranch = (name: string) => {
    const block = /^blocks\.(\d+)\.(?:attention|feedForward)\.output$/.exec(name)?.[1];
    return block !== undefined && Number(block) < blockCount;
  };
  const wrong = without.find((name) => !isBranch(name));
  if (wrong !== undefined) {
    throw new ArgumentError(
      'trace.change',
      `trace: without ${JSON.stringify(wrong)}, expected blocks.i.attention.output or blocks.i.feedForward.output, i below ${blockCount}.`,
    );
  }
  if (keyGroups === undefined || (Number.isInteger(keyGroups) && keyGroups >= 1 && kvHeadCount % keyGroups === 0))
    return;
  throw new ArgumentError(
    'trace.change',
    `trace: keyGroups is ${keyGroups}, expected a divisor of the model's ${kvHeadCount} key heads.`,
  );
}

/** A[(h,e)][(j,e)] = 1 / size of the group where heads h and j are of one group. */
function averages({ kvHeadCount: K, headSize: E }: LlamaConfig, groups: number): Float32Array {
  const P = K * E;
  const each = K / groups;
  const average_PP = new Float32Array(P * P);
  for (let h = 0; h < K; h++) {
    const first = Math.floor(h / each) * each;
    for (let j = first; j < first + each; j++)
      for (let e = 0; e < E; e++) average_PP[(h * E + e) * P + j * E + e] = 1 / each;
  }
  return average_PP;
}
