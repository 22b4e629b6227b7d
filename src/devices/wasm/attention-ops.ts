import { assert } from '../../base/assert.ts';
import { append as appendTask } from '../../kernels/attention/cached/append.ts';
import { RUN_BYTES, RUN_COLUMNS } from '../../kernels/attention/cached/integers.ts';
import {
  attention,
  attentionAltered,
  attentionCombine,
  attentionCombineAltered,
  attentionScratch,
  partialBytes,
} from '../../kernels/attention/cached/kernel.ts';
import { cacheLayout } from '../../kernels/attention/cached/layout.ts';
import type { Batch } from '../../kernels/batch.ts';
import { quantizeRows } from '../../kernels/linear/quantize.kernel.ts';
import { type AttentionOptions, isCacheLayer, type KvType, type Ops } from '../../kernels/ops.ts';
import * as tasks from '../../kernels/tasks.ts';
import { columnCount, rowCount } from '../../tensor/tensor.ts';
import { BLOCK_TOKENS, type WasmKvStore } from './kv-store.ts';
import { inSegment, type OpContext } from './op-context.ts';
import type { Segment } from './segment.ts';
import { activation } from './tensors.ts';

/** Rows (heads × tokens) that share a pass over the keys: with several tokens at hand, it is worth more. */
const FEW_ROWS = 8;
const MANY_ROWS = 32;
const SPLIT_TOKENS = tasks.SPLIT_BLOCKS * BLOCK_TOKENS;

/** One layer's keys and values, in blocks. */
interface Blocks {
  readonly type: KvType;
  readonly pointer: number;
  readonly segment: Segment;
  readonly kvHeadCount: number;
  readonly blockCount: number;
  /** Block table of the i-th span. */
  readonly tableOf: (batch: Batch, i: number) => Uint32Array;
}

/** appendToCache and attention. Without a cache, a call's own keys and values are put into blocks in the arena. */
export function createAttentionOps(context: OpContext): Pick<Ops, 'appendToCache' | 'attention'> {
  const { arena, team } = context;

  return {
    appendToCache({ store, layer }, k_NP, v_NP, batch) {
      const { layers, kvHeadCount, blockCount, headSize, type } = store as WasmKvStore;
      const { segment, pointer } = layers[layer]!;
      const mark = arena.mark();
      append({ type, pointer, segment, kvHeadCount, blockCount, tableOf: cacheTable }, headSize, k_NP, v_NP, batch);
      arena.release(mark);
    },

    attention(q_NQ, keyValues, batch, options) {
      const { headSize } = options;
      assert(options.dropout === undefined, 'attention: shares are dropped in training alone');
      if (isCacheLayer(keyValues)) {
        const { layers, kvHeadCount, blockCount, type } = keyValues.store as WasmKvStore;
        const { segment, pointer } = layers[keyValues.layer]!;
        const blocks: Blocks = { type, pointer, segment, kvHeadCount, blockCount, tableOf: cacheTable };
        return attend(q_NQ, blocks, batch, options);
      }
      const { k_NP, v_NP } = keyValues;
      const { segment } = activation(k_NP);
      const kvHeadCount = columnCount(k_NP.shape) / headSize;
      const { chunkBytes } = cacheLayout('f32', headSize);
      let blockCount = 0;
      const tables = batch.spans.map(({ rowCount }) =>
        Uint32Array.from({ length: Math.ceil(rowCount / BLOCK_TOKENS) }, () => blockCount++),
      );
      const q = activation(q_NQ);
      const mix = arena.like(segment, q);
      const mark = arena.mark();
      const { pointer } = arena.scratch(segment, blockCount * kvHeadCount * chunkBytes);
      const tableOf: Blocks['tableOf'] = (_, i) => tables[i]!;
      const blocks: Blocks = { type: 'f32', pointer, segment, kvHeadCount, blockCount, tableOf };
      append(blocks, headSize, k_NP, v_NP, batch);
      attend(q_NQ, blocks, batch, options, mix.pointer);
      arena.release(mark);
      return mix;
    },
  };

  function append(
    { type, pointer, segment, kvHeadCount, blockCount, tableOf }: Blocks,
    headSize: number,
    k_NP: Parameters<Ops['appendToCache']>[1],
    v_NP: Parameters<Ops['appendToCache']>[2],
    batch: Batch,
  ): void {
    const k = inSegment(context, activation(k_NP), segment);
    const v = inSegment(context, activation(v_NP), segment);
    const N = batch.ids.length;
    const P = columnCount(k.shape);
    assert(P === kvHeadCount * headSize, `appendToCache: rows of ${P}, expected K·E = ${kvHeadCount}·${headSize}`);
    const places = arena.scratch(segment, N * 4).pointer;
    for (let i = 0; i < batch.spans.length; i++) {
      const { firstRow, rowCount, firstPosition } = batch.spans[i]!;
      const blocks = tableOf(batch, i);
      for (let r = 0; r < rowCount; r++) {
        const position = firstPosition + r;
        const block = blocks[position >>> 5];
        assert(block !== undefined, `appendToCache: position ${position} has no block; the table has ${blocks.length}`);
        segment.setWord(places + (firstRow + r) * 4, block * BLOCK_TOKENS + (position & 31));
      }
    }
    const values = {
      ...cacheLayout(type, headSize),
      ...{ base: pointer, blocks: blockCount, kvHeads: kvHeadCount, headSize },
      ...{ k: k.pointer, v: v.pointer, places },
    };
    team.perform(segment, appendTask[type], values, N, 8);
  }

  function attend(
    q_NQ: Parameters<Ops['attention']>[0],
    { type, pointer, segment, kvHeadCount, blockCount, tableOf }: Blocks,
    batch: Batch,
    { headSize, window, scale = 1 / Math.sqrt(headSize), cap = 0, sinks_H }: AttentionOptions,
    into?: number,
  ) {
    const q = inSegment(context, activation(q_NQ), segment);
    const H = columnCount(q.shape) / headSize;
    const G = H / kvHeadCount;
    assert(Number.isInteger(G), `attention: ${H} query heads do not share ${kvHeadCount} key heads evenly`);
    const sinks = sinks_H ? inSegment(context, activation(sinks_H), segment).pointer : 0;
    const mix = into === undefined ? arena.like(segment, q) : q;
    const mark = arena.mark();

    const heads = Math.min(G, tasks.TILE_HEADS);
    const headGroups = Math.ceil(G / tasks.TILE_HEADS);
    const mostTokens = batch.spans.reduce((most, { rowCount }) => Math.max(most, rowCount), 1);
    const tileRows = mostTokens * heads > FEW_ROWS ? MANY_ROWS : FEW_ROWS;
    const tokensAtOnce = Math.floor(tileRows / heads);
    let tileCount = 0;
    let tableWords = 0;
    for (let i = 0; i < batch.spans.length; i++) {
      tileCount += Math.ceil(batch.spans[i]!.rowCount / tokensAtOnce);
      tableWords += tableOf(batch, i).length;
    }
    const tiles = arena.scratch(segment, tileCount * 16).pointer;
    let table = arena.scratch(segment, tableWords * 4).pointer;
    let at = tiles;
    let longest = 0;
    for (let i = 0; i < batch.spans.length; i++) {
      const { firstRow, rowCount, firstPosition } = batch.spans[i]!;
      const blocks = tableOf(batch, i);
      for (let b = 0; b < blocks.length; b++) segment.setWord(table + 4 * b, blocks[b]!);
      for (let r = 0; r < rowCount; r += tokensAtOnce, at += 16) {
        segment.setWord(at, firstRow + r);
        segment.setWord(at + 4, Math.min(tokensAtOnce, rowCount - r));
        segment.setWord(at + 8, firstPosition + r);
        segment.setWord(at + 12, table);
      }
      table += 4 * blocks.length;
      longest = Math.max(longest, firstPosition + rowCount);
    }

    const units = tileCount * kvHeadCount * headGroups;
    const splits = Math.ceil(longest / SPLIT_TOKENS);
    const layout = cacheLayout(type, headSize);
    const scratchBytes = attentionScratch(tileRows, headSize, layout.paddedSize);
    const scratch = arena.scratch(segment, scratchBytes * team.size).pointer;
    // Few units and long contexts: the splits are shared out too.
    const shared = splits > 1 && team.size > 1 && units < 4 * team.size ? splits : 0;
    const sharedBytes = shared * units * partialBytes(tileRows, layout.paddedSize);
    const partials = shared ? arena.scratch(segment, sharedBytes).pointer : 0;
    const queryRuns = multipliesIntegers(type, headSize) ? headSize / RUN_COLUMNS : 0;
    const queries = rowCount(q.shape) * H;
    const quants = queryRuns ? arena.scratch(segment, queries * queryRuns * RUN_BYTES).pointer : 0;
    if (queryRuns) {
      const rows = { x: q.pointer, out: quants, N: queries, columns: headSize, R: 1 };
      team.perform(segment, quantizeRows, rows, queries, 32);
    }
    const given = {
      ...layout,
      base: pointer,
      blocks: blockCount,
      kvHeads: kvHeadCount,
      headSize,
      q: q.pointer,
      quants,
      queryRuns,
      mix: into ?? mix.pointer,
      tiles,
      tileRows,
      groupHeads: G,
      headGroups,
      window: window ?? 0,
      scale: cap === 0 ? scale : 1,
      splits: shared,
      partials,
      scratch,
      scratchBytes,
      cap,
      capFactor: cap === 0 ? 0 : scale / cap,
      sinks,
    };
    const isAltered = cap !== 0 || sinks !== 0;
    const task = (isAltered ? attentionAltered : attention)[type];
    if (shared) {
      team.perform(segment, task, given, units * splits, 1);
      team.perform(segment, isAltered ? attentionCombineAltered : attentionCombine, given, units, 1);
    } else {
      team.perform(segment, task, given, units, Math.max(1, Math.floor(units / (16 * team.size))));
    }
    arena.release(mark);
    return mix;
  }
}

/** Whether keys are multiplied with 8-bit queries. */
const multipliesIntegers = (type: KvType, headSize: number): boolean =>
  (type === 'q8_0' || type === 'q4_0') && headSize % RUN_COLUMNS === 0;

function cacheTable(batch: Batch, i: number): Uint32Array {
  return batch.spans[i]!.blocks;
}
