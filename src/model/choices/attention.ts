/** What a block's attention is told besides queries, keys and values. */
import type { AttentionOptions } from '../../kernels/ops.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { LlamaConfig } from '../config.ts';
import { windowOf } from './positions.ts';

export function attentionOptionsOf(config: LlamaConfig, block: number, sinks_H: Tensor | undefined): AttentionOptions {
  const { headSize, attentionScale, attentionCap } = config;
  const window = windowOf(config, block);
  return {
    headSize,
    window,
    ...(attentionScale === null ? {} : { scale: attentionScale }),
    ...(attentionCap === null ? {} : { cap: attentionCap }),
    ...(sinks_H === undefined ? {} : { sinks_H }),
  };
}
