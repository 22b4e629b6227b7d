/** Attention and the cache: the table of a batch, and which kernel in how many workgroups. */
import { assert } from '../../base/assert.ts';
import { appendToCache, inGroups } from '../../kernels/attention/append.webgpu.ts';
import {
  type AttentionKey,
  attention,
  headsAtOnce,
  joinSplits,
  type KeyPlace,
  ROW_WORDS,
} from '../../kernels/attention/webgpu.ts';
import type { AttentionResult } from '../../kernels/backward-ops.ts';
import type { Batch } from '../../kernels/batch.ts';
import { dropoutValues } from '../../kernels/dropout/webgpu.ts';
import {
  type AttentionOptions,
  type CacheLayer,
  isCacheLayer,
  type KeyValues,
  KV_BLOCK_TOKENS,
} from '../../kernels/ops.ts';
import { columnCount, rowCount, type Tensor } from '../../tensor/tensor.ts';
import type { Context } from './context.ts';
import type { GpuKvStore } from './kv-store.ts';
import { rowsAtOnce } from './products.ts';
import { gpuTensor } from './tensors.ts';

/** Keys of a split, and workgroups below which the keys are split: a GPU has many cores to keep busy. */
const SPLIT_KEYS = 256;
const BUSY_WORKGROUPS = 256;

/** The table of the batch's rows among the words; made once where the same batch is asked for again. */
export class BatchTables {
  private readonly context: Context;
  private table: Uint32Array = new Uint32Array(0);
  private at = 0;
  private generation = -1;

  constructor(context: Context) {
    this.context = context;
  }

  place(batch: Batch): number {
    const table = tableOf(batch);
    const { queue } = this.context;
    if (this.generation === queue.wordsGeneration && isSame(table, this.table)) return this.at;
    this.at = this.context.words(table);
    this.table = table;
    this.generation = queue.wordsGeneration;
    return this.at;
  }
}

function tableOf({ spans }: Batch): Uint32Array {
  const rows = spans.reduce((sum, span) => sum + span.rowCount, 0);
  const blocks = spans.reduce((sum, span) => sum + blocksOf(span), 0);
  const table = new Uint32Array(rows * ROW_WORDS + blocks);
  let blocksAt = rows * ROW_WORDS;
  for (const span of spans) {
    const { firstRow, firstPosition } = span;
    for (let i = 0; i < span.rowCount; i++) {
      const at = (firstRow + i) * ROW_WORDS;
      table[at] = firstPosition + i;
      table[at + 1] = firstRow;
      table[at + 2] = blocksAt;
      table[at + 3] = firstRow + span.rowCount;
    }
    const count = blocksOf(span);
    table.set(span.blocks.subarray(0, count), blocksAt);
    blocksAt += count;
  }
  return table;
}

/** Blocks that the rows of a span may touch: a table may be longer. */
function blocksOf({ blocks, firstPosition, rowCount: rows }: Batch['spans'][number]): number {
  return Math.min(blocks.length, Math.ceil((firstPosition + rows) / KV_BLOCK_TOKENS));
}

function isSame(a: Uint32Array, b: Uint32Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export function append(
  context: Context,
  tables: BatchTables,
  cache: CacheLayer,
  k: Tensor,
  v: Tensor,
  batch: Batch,
): void {
  const store = cache.store as GpuKvStore;
  const { type, headSize: E, kvHeadCount: K, scalesAt } = store;
  const { keys, values } = store.layers[cache.layer]!;
  const N = rowCount(k.shape);
  const tableAt = tables.place(batch);
  const parts = inGroups(type) ? Math.ceil(E / 32) : Math.ceil(E / 4);
  context.each(
    appendToCache(`${type}, ${E}`),
    2 * N * K * parts,
    { k_NP: gpuTensor(k).region, v_NP: gpuTensor(v).region, words: context.queue.wordsRegion, keys, values },
    { N, K, tableAt, scalesAt },
  );
}

/** The numbers that attention and its gradient are told of the options. */
export function attentionNumbers({ headSize: E, window, scale = 1 / Math.sqrt(E), cap, dropout }: AttentionOptions) {
  return { window: window ?? 0, scale, cap: cap ?? 0, ...dropoutValues(dropout) };
}

export function attend(
  context: Context,
  tables: BatchTables,
  q: Tensor,
  keyValues: KeyValues,
  batch: Batch,
  options: AttentionOptions,
): AttentionResult {
  const { headSize: E, sinks_H } = options;
  const N = rowCount(q.shape);
  const H = columnCount(q.shape) / E;
  const store = isCacheLayer(keyValues) ? (keyValues.store as GpuKvStore) : null;
  const K = isCacheLayer(keyValues) ? store!.kvHeadCount : columnCount(keyValues.k_NP.shape) / E;
  assert(Number.isInteger(H / K), `attention: ${H} query heads over ${K} key heads`);
  const sides = isCacheLayer(keyValues)
    ? store!.layers[keyValues.layer]!
    : { keys: gpuTensor(keyValues.k_NP).region, values: gpuTensor(keyValues.v_NP).region };
  const place: KeyPlace = store ? store.type : E % 4 === 0 ? 'rows' : 'loose rows';
  const R = headsAtOnce(H / K, E);
  const chunks = Math.ceil(H / K / R);
  const longest = batch.spans.reduce((most, span) => Math.max(most, span.firstPosition + span.rowCount), 0);
  const workgroups = N * K * chunks;
  const splits = store && workgroups < BUSY_WORKGROUPS ? Math.max(1, Math.ceil(longest / SPLIT_KEYS)) : 1;

  const tableAt = tables.place(batch);
  const mix_NQ = context.scratch(q.shape);
  const logSumExp_NH = context.scratch([N, H]);
  const mark = context.memory.mark();
  const parts = splits === 1 ? mix_NQ : context.scratch([N * splits, H * E]);
  const sums = splits === 1 ? logSumExp_NH : context.scratch([N * splits, H * 2]);
  const key: AttentionKey = options.dropout ? `${place}, ${R}, ${E}, dropout` : `${place}, ${R}, ${E}`;
  const keyBytes = store ? (store.blockWords + store.blockScales) / (KV_BLOCK_TOKENS / 4) : K * E * 4;
  const seen = batch.spans.reduce(
    (sum, span) => sum + span.rowCount * (span.firstPosition + (span.rowCount + 1) / 2),
    0,
  );
  const buffers = {
    q_NQ: gpuTensor(q).region,
    sinks_H: (sinks_H ? gpuTensor(sinks_H) : gpuTensor(q)).region,
    words: context.queue.wordsRegion,
    ...sides,
    mix_NQ: parts.region,
    sums_NH: sums.region,
  };
  const parameters = {
    H,
    K,
    tableAt,
    ...attentionNumbers(options),
    hasSinks: sinks_H ? 1 : 0,
    chunks,
    splits,
    splitKeys: splits === 1 ? Math.max(1, longest) : SPLIT_KEYS,
    scalesAt: store?.scalesAt ?? 0,
  };
  const most = rowsAtOnce(context, 4 * longest * H * E);
  for (let startRow = 0; startRow < N; startRow += most) {
    const rows = Math.min(most, N - startRow);
    const bytes = (2 * seen * keyBytes * chunks * rows) / N + 2 * rows * H * E * 4 * splits;
    const flops = (4 * seen * H * E * rows) / N;
    const groups = rows * K * chunks * splits;
    context.queue.dispatch(attention(key), buffers, { ...parameters, startRow }, groups, bytes, flops);
  }
  if (splits > 1) {
    const ends = { parts: parts.region, sums: sums.region, mix_NQ: mix_NQ.region };
    context.each(joinSplits, N * H * E, ends, { H, E, splits });
  }
  context.memory.release(mark);
  return { mix_NQ, logSumExp_NH };
}
