/** What a block's attention is told besides queries, keys and values. */
import type { Batch, Span } from '../../kernels/batch.ts';
import { type AttentionOptions, KV_BLOCK_TOKENS } from '../../kernels/ops.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { LlamaConfig } from '../config.ts';
import { blockSites, type Dropping } from './dropout.ts';
import { windowOf } from './positions.ts';

export function attentionOptionsOf(
  config: LlamaConfig,
  block: number,
  sinks_H: Tensor | undefined,
  dropping?: Dropping,
): AttentionOptions {
  const { headSize, attentionScale, attentionCap } = config;
  const window = config.windowKind === 'sliding' ? windowOf(config, block) : null;
  const options = {
    headSize,
    window,
    ...(attentionScale === null ? {} : { scale: attentionScale }),
    ...(attentionCap === null ? {} : { cap: attentionCap }),
    ...(sinks_H === undefined ? {} : { sinks_H }),
  };
  const rate = dropping?.rates.attention ?? 0;
  if (!dropping || rate === 0) return options;
  const { shares } = blockSites(block);
  return {
    ...options,
    /** Another in every pass. */
    get dropout() {
      return { rate, ...dropping.place(shares) };
    },
  };
}

/** The batch as a block's attention sees it: where positions are cut into chunks, each chunk of a sequence is a sequence of its own. */
export type Reach = (batch: Batch) => Batch;

export function reachOf(config: LlamaConfig, block: number): Reach {
  const chunk = config.windowKind === 'chunks' ? windowOf(config, block) : null;
  return chunk === null ? (batch) => batch : (batch) => inChunks(batch, chunk);
}

/**
 * Spans that cross no multiple of `chunk`, their positions counted from the last one, with the part of the block table that is theirs:
 * whatever attends to such a span's earlier positions attends to its chunk. A chunk is a whole number of blocks of the cache.
 */
function inChunks(batch: Batch, chunk: number): Batch {
  return { ...batch, spans: batch.spans.flatMap((span) => chunksOf(span, chunk)) };
}

function chunksOf({ firstRow, rowCount, firstPosition, blocks }: Span, chunk: number): Span[] {
  const spans: Span[] = [];
  for (let row = 0; row < rowCount; ) {
    const position = firstPosition + row;
    const start = position - (position % chunk);
    const rows = Math.min(rowCount - row, start + chunk - position);
    const table = blocks.subarray(start / KV_BLOCK_TOKENS, (start + chunk) / KV_BLOCK_TOKENS);
    spans.push({ firstRow: firstRow + row, rowCount: rows, firstPosition: position - start, blocks: table });
    row += rows;
  }
  return spans;
}
