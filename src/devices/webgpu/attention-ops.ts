/** Attention and the cache: the table of a batch, and which kernel in how many workgroups. */
import { assert } from '../../base/assert.ts';
import { appendToCache, inGroups } from '../../kernels/attention/append.webgpu.ts';
import { attentionTiles, TILE_ROWS, TILE_WORDS, workgroupsOfTile } from '../../kernels/attention/tiles.webgpu.ts';
import { attention, headsAtOnce, joinSplits, type KeyPlace, ROW_WORDS } from '../../kernels/attention/webgpu.ts';
import type { AttentionResult } from '../../kernels/backward-ops.ts';
import type { Batch, Span } from '../../kernels/batch.ts';
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
import type { Region } from './memory.ts';
import { rowsAtOnce } from './products.ts';
import { gpuTensor } from './tensors.ts';

/** Keys of a split, and workgroups below which the keys are split: a GPU has many cores to keep busy. */
const SPLIT_KEYS = 256;
const BUSY_WORKGROUPS = 256;
/** New rows of a sequence from which they go by tiles. */
const LEAST_TILED = 16;

/** The table of the batch's rows among the words; made once where the same batch is asked for again. */
export class BatchTables {
  private readonly context: Context;
  private table: Uint32Array = new Uint32Array(0);
  private at = 0;
  private generation = -1;

  constructor(context: Context) {
    this.context = context;
  }

  place(batch: Batch): Placed {
    const { table, tilesAt, tileCount } = tableOf(batch);
    const { queue } = this.context;
    if (this.generation !== queue.wordsGeneration || !isSame(table, this.table)) {
      this.at = this.context.words(table);
      this.table = table;
      this.generation = queue.wordsGeneration;
    }
    return { tableAt: this.at, tilesAt: this.at + tilesAt, tileCount };
  }
}

/** Words at which kernels find the batch's table, and its tiles: of every span, one after another. */
interface Placed {
  readonly tableAt: number;
  readonly tilesAt: number;
  readonly tileCount: number;
}

function tableOf({ spans }: Batch) {
  const sum = (of: (span: Span) => number) => spans.reduce((total, span) => total + of(span), 0);
  const rows = sum(({ rowCount: count }) => count);
  const tilesAt = rows * ROW_WORDS + sum(blocksOf);
  const tileCount = sum(tilesOf);
  const table = new Uint32Array(tilesAt + tileCount * TILE_WORDS);
  let blocksAt = rows * ROW_WORDS;
  let tileAt = tilesAt;
  for (const span of spans) {
    const { firstRow, firstPosition } = span;
    for (let i = 0; i < span.rowCount; i++) {
      const at = (firstRow + i) * ROW_WORDS;
      table[at] = firstPosition + i;
      table[at + 1] = firstRow;
      table[at + 2] = blocksAt;
      table[at + 3] = firstRow + span.rowCount;
    }
    for (let i = 0; i < span.rowCount; i += TILE_ROWS) {
      table[tileAt++] = firstRow + i;
      table[tileAt++] = Math.min(TILE_ROWS, span.rowCount - i);
    }
    const count = blocksOf(span);
    table.set(span.blocks.subarray(0, count), blocksAt);
    blocksAt += count;
  }
  return { table, tilesAt, tileCount };
}

const tilesOf = ({ rowCount: rows }: Span) => Math.ceil(rows / TILE_ROWS);

/** Blocks that the rows of a span may touch: a table may be longer. */
function blocksOf({ blocks, firstPosition, rowCount: rows }: Span): number {
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
  const { tableAt } = tables.place(batch);
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
  const placed = tables.place(batch);
  const mix_NQ = context.scratch(q.shape);
  const logSumExp_NH = context.scratch([N, H]);
  const call: AttentionCall = {
    place: store ? store.type : E % 4 === 0 ? 'rows' : 'loose rows',
    hasDropout: options.dropout !== undefined,
    H,
    K,
    E,
    keyBytes: store ? (store.blockWords + store.blockScales) / (KV_BLOCK_TOKENS / 4) : K * E * 4,
    buffers: {
      q_NQ: gpuTensor(q).region,
      sinks_H: (sinks_H ? gpuTensor(sinks_H) : gpuTensor(q)).region,
      words: context.queue.wordsRegion,
      ...sides,
    },
    mix: mix_NQ.region,
    sums: logSumExp_NH.region,
    parameters: {
      H,
      K,
      tableAt: placed.tableAt,
      hasSinks: sinks_H ? 1 : 0,
      scalesAt: store?.scalesAt ?? 0,
      ...attentionNumbers(options),
    },
  };
  for (const run of runsOf(batch.spans, call.hasDropout)) {
    if (run.isTiled) attendTiles(context, call, run, placed.tilesAt);
    else attendRows(context, call, run, store !== null);
  }
  return { mix_NQ, logSumExp_NH };
}

/** What the dispatches of one attention have in common. */
interface AttentionCall {
  readonly place: KeyPlace;
  readonly hasDropout: boolean;
  readonly H: number;
  readonly K: number;
  readonly E: number;
  /** Of the keys of a position, all heads. */
  readonly keyBytes: number;
  readonly buffers: Readonly<Record<'q_NQ' | 'sinks_H' | 'words' | 'keys' | 'values', Region>>;
  readonly mix: Region;
  readonly sums: Region;
  readonly parameters: ReturnType<typeof attentionNumbers> &
    Readonly<Record<'H' | 'K' | 'tableAt' | 'hasSinks' | 'scalesAt', number>>;
}

/** Neighbouring spans that go by the same kernel. */
interface Run {
  readonly isTiled: boolean;
  readonly firstRow: number;
  rows: number;
  readonly firstTile: number;
  tiles: number;
  /** Positions of its longest sequence, and pairs of a row and a key that it sees. */
  longest: number;
  seen: number;
}

function runsOf(spans: readonly Span[], hasDropout: boolean): Run[] {
  const runs: Run[] = [];
  let firstTile = 0;
  for (const span of spans) {
    const { firstRow, firstPosition, rowCount: rows } = span;
    const isTiled = hasDropout || rows >= LEAST_TILED;
    if (runs.at(-1)?.isTiled !== isTiled)
      runs.push({ isTiled, firstRow, rows: 0, firstTile, tiles: 0, longest: 0, seen: 0 });
    const run = runs.at(-1)!;
    run.rows += rows;
    run.tiles += tilesOf(span);
    run.longest = Math.max(run.longest, firstPosition + rows);
    run.seen += rows * (firstPosition + (rows + 1) / 2);
    firstTile += tilesOf(span);
  }
  return runs;
}

function attendTiles(context: Context, call: AttentionCall, run: Run, tilesAt: number): void {
  const { place, hasDropout, H, E, keyBytes, buffers, mix, sums, parameters } = call;
  const kernel = attentionTiles(`${place}, ${E}${hasDropout ? ', dropout' : ''}`);
  const flops = 4 * run.seen * H * E;
  // Every tile reads what its last row sees.
  const bytes = 2 * (run.seen / TILE_ROWS + run.rows / 2) * keyBytes + 2 * run.rows * H * E * 4;
  inTiles(context, run.tiles, flops, (first, count) =>
    context.queue.dispatch(
      kernel,
      { ...buffers, mix_NQ: mix, sums_NH: sums },
      { ...parameters, tilesAt, firstTile: run.firstTile + first },
      count * H * workgroupsOfTile(E),
      (bytes * count) / run.tiles,
      (flops * count) / run.tiles,
    ),
  );
}

/** Dispatches of some tiles each, so that none takes too long. */
export function inTiles(
  { queue }: Context,
  tiles: number,
  flops: number,
  dispatch: (firstTile: number, count: number) => void,
): void {
  const most = Math.max(1, Math.floor((queue.longestFlops / flops) * tiles));
  for (let first = 0; first < tiles; first += most) dispatch(first, Math.min(most, tiles - first));
}

function attendRows(context: Context, call: AttentionCall, run: Run, maySplit: boolean): void {
  const { place, H, K, E, keyBytes, buffers, mix, sums, parameters } = call;
  const { firstRow, rows: N, longest, seen } = run;
  const R = headsAtOnce(H / K, E);
  const chunks = Math.ceil(H / K / R);
  const workgroups = N * K * chunks;
  const splits = maySplit && workgroups < BUSY_WORKGROUPS ? Math.max(1, Math.ceil(longest / SPLIT_KEYS)) : 1;
  const mark = context.memory.mark();
  const parts = splits === 1 ? mix : context.scratch([N * splits, H * E]).region;
  const partSums = splits === 1 ? sums : context.scratch([N * splits, H * 2]).region;
  const sizes = { chunks, splits, splitKeys: splits === 1 ? Math.max(1, longest) : SPLIT_KEYS };
  const most = rowsAtOnce(context, 4 * longest * H * E);
  for (let start = 0; start < N; start += most) {
    const rows = Math.min(most, N - start);
    const bytes = (2 * seen * keyBytes * chunks * rows) / N + 2 * rows * H * E * 4 * splits;
    context.queue.dispatch(
      attention(`${place}, ${R}, ${E}`),
      { ...buffers, mix_NQ: parts, sums_NH: partSums },
      { ...parameters, ...sizes, startRow: firstRow + start, outRow: splits === 1 ? 0 : firstRow },
      rows * K * chunks * splits,
      bytes,
      (4 * seen * H * E * rows) / N,
    );
  }
  if (splits > 1) {
    const ends = { parts, sums: partSums, mix_NQ: mix };
    context.each(joinSplits, N * H * E, ends, { H, E, splits, outAt: firstRow * H * E });
  }
  context.memory.release(mark);
}
