/**
 * Attention over the paged KV cache, by online softmax: the cache is streamed once for all query heads of a group.
 *
 *   score_s = scale · q·k_s (then cap · tanh(score / cap), where there is a cap)
 *   m = max score     l = Σ exp(score − m)     o = Σ exp(score − m) · v     mix = o / l
 *
 * The keys of a sequence are cut into blocks of 32 positions and splits of 16 blocks, both by absolute position. Within a split, blocks
 * are folded one after the other; then the splits, in order. The structure depends on the key positions alone, so neither chunking,
 * batch, block table nor threads change a bit. Keys that are not visible take part in nothing.
 *
 * Keys of a q8_0 or q4_0 cache meet queries that are integers too, where a head is whole runs of 32 columns (integers.ts).
 * Source  Milakov & Gimelshein 2018, arXiv:1805.02867 (online softmax); Dao 2023, arXiv:2307.08691; splits: "Flash-Decoding", 2023.
 */
import { type KvType, kvTypes } from '../../ops.ts';
import { SPLIT_BLOCKS, TILE_HEADS } from '../../tasks.ts';
import { clear, each, store, when } from '../../writer/statements.ts';
import { type ArgumentValues, task } from '../../writer/task.ts';
import { choose, F32, I32 } from '../../writer/values.ts';
import { IntegerQueries, integersBytes } from './integers.ts';
import { BLOCK_POSITIONS } from './layout.ts';
import { mixFour, mixOne, SCORE_BYTES, scoresOfFour, scoresOfOne } from './products.ts';
import { capScores, finishRow, finishRowWithSink, foldRow, softmaxRow } from './softmax.ts';
import { widenBlock } from './widen.ts';

const takes = {
  /** The layer: head after head its chunks, of so many blocks. */
  base: 'pointer',
  blocks: 'count',
  chunkBytes: 'count',
  keyPanelBytes: 'count',
  keyQuantsAt: 'count',
  valueRowBytes: 'count',
  valueScalesAt: 'count',
  kvHeads: 'count',
  headSize: 'count',
  paddedSize: 'count',
  q: 'pointer',
  /** The same as integers (../../linear/quantize.kernel.ts, tiles of one row), a row for every head of every token; runs of 32 columns of one, 0: not there. */
  quants: 'pointer',
  queryRuns: 'count',
  mix: 'pointer',
  /** Of four words each: first row, rows (tokens), position of the first, block table. */
  tiles: 'pointer',
  /** Rows (heads × tokens) of a tile, at most: they share a pass over the keys. */
  tileRows: 'count',
  /** Query heads a key head, and groups of at most TILE_HEADS of them. */
  groupHeads: 'count',
  headGroups: 'count',
  /** 0: none. */
  window: 'count',
  scale: 'real',
  /** How many splits are shared out as units of their own; 0: each unit does all. */
  splits: 'count',
  partials: 'pointer',
  scratch: 'pointer',
  scratchBytes: 'count',
  /** cap of the scores (0: none), and scale / cap; with a cap, scale is 1. */
  cap: 'real',
  capFactor: 'real',
  /** One number a query head (0: none): scores without a key, which only take their share. */
  sinks: 'pointer',
} as const;
export type AttentionArguments = ArgumentValues<typeof takes>;
type Given = AttentionArguments;

/** Bytes of a partial result: the rows of E' floats, then their m, their l. */
export const partialBytes = (tileRows: number, paddedSize: number): number => 4 * tileRows * (paddedSize + 2);

/**
 * Bytes of scratch that a thread needs: scores, each row's position and query, a block as f32, two partial results, two numbers more of
 * each row that machine code keeps, integers.
 */
export const attentionScratch = (tileRows: number, headSize: number, paddedSize: number): number =>
  tileRows * (SCORE_BYTES + 16) +
  4 * 2 * BLOCK_POSITIONS * (headSize + 8) +
  2 * partialBytes(tileRows, paddedSize) +
  integersBytes(tileRows, headSize);

type Attention = Readonly<Record<KvType, ReturnType<typeof task<typeof takes>>>>;

/** By the cache's type. Unit = ((tile · K + head) · head groups + group) · splits + split. */
export const attention = Object.fromEntries(kvTypes.map((type) => [type, taskOf(type, false)])) as Attention;
/** With a cap of the scores, or with sinks. */
export const attentionAltered = Object.fromEntries(kvTypes.map((type) => [type, taskOf(type, true)])) as Attention;

function taskOf(type: KvType, isAltered: boolean) {
  return task(`attention_${type}${isAltered ? '_altered' : ''}`, takes, (given, { first, last, thread }) => {
    const { splits, partials } = given;
    const scratch = given.scratch.add(thread.mul(given.scratchBytes));
    const part = new Part(given);
    const total = scratch.add(scratchBeforeParts(given));
    const isShared = splits.ne(0);
    each(first, last, 1, (unit) => {
      const own = unit.rem(splits.max(1));
      const tile = new Tile(given, unit.div(splits.max(1)));
      const begin = choose(isShared, tile.firstSplit.max(own), tile.firstSplit);
      const end = choose(isShared, tile.splits.min(own.add(1)), tile.splits);
      each(begin, end, 1, (split) => {
        const isFirst = isShared.or(split.eq(begin));
        const out = choose(isShared, partials.add(unit.mul(part.bytes)), choose(isFirst, total, total.add(part.bytes)));
        attendSplit({ type, isAltered, given, tile, part, out, split, scratch });
        when(isFirst.not(), () => fold({ tile, part, total, next: total.add(part.bytes) }));
      });
      when(isShared.not(), () => finish(given, { tile, part, total }));
    });
  });
}

/** Folds the shared-out splits of each tile. Unit = (tile · K + head) · head groups + group. */
export const attentionCombine = combineOf(false);
export const attentionCombineAltered = combineOf(true);

function combineOf(isAltered: boolean) {
  return task(`attentionCombine${isAltered ? '_altered' : ''}`, takes, (given, { first, last }) => {
    const part = new Part(given);
    each(first, last, 1, (unit) => {
      const tile = new Tile(given, unit);
      const parts = given.partials.add(unit.mul(given.splits).mul(part.bytes));
      const total = parts.add(tile.firstSplit.mul(part.bytes));
      each(tile.firstSplit.add(1), tile.splits, 1, (split) => {
        fold({ tile, part, total, next: parts.add(split.mul(part.bytes)) });
      });
      finish(given, { tile, part, total });
    });
  });
}

/** From the start of a thread's scratch to its two partial results. */
const scratchBeforeParts = ({ tileRows, paddedSize }: Given): I32 =>
  tileRows.mul(SCORE_BYTES + 8).add(paddedSize.mul(4 * 2 * BLOCK_POSITIONS));

const scratchBeforeIntegers = (given: Given, part: Part): I32 =>
  scratchBeforeParts(given).add(part.bytes).add(part.bytes).add(given.tileRows.mul(8));

/** Where things lie in a partial result. */
class Part {
  readonly stride: I32;
  readonly toMaxima: I32;
  /** From a row's m to its l. */
  readonly toL: I32;
  readonly bytes: I32;

  constructor({ tileRows, paddedSize }: Given) {
    this.stride = paddedSize.mul(4);
    this.toMaxima = tileRows.mul(this.stride);
    this.toL = tileRows.mul(4);
    this.bytes = this.toMaxima.add(this.toL).add(this.toL);
  }
  row(part: I32, r: I32): I32 {
    return part.add(r.mul(this.stride));
  }
  m(part: I32, r: I32): I32 {
    return part.add(this.toMaxima).add(r.mul(4));
  }
  l(part: I32, r: I32): I32 {
    return this.m(part, r).add(this.toL);
  }
}

/** The tile of a unit: rows are token after token, heads of the group side by side. */
class Tile {
  readonly head: I32;
  readonly firstHead: I32;
  readonly heads: I32;
  readonly firstRow: I32;
  readonly position: I32;
  readonly lastPosition: I32;
  readonly table: I32;
  readonly rows: I32;
  /** Splits from firstSplit to splits − 1 are seen. */
  readonly firstSplit: I32;
  readonly splits: I32;
  readonly #given: Given;

  constructor(given: Given, unit: I32) {
    const { headGroups, kvHeads, groupHeads, tiles } = given;
    this.#given = given;
    const place = unit.div(headGroups);
    const at = tiles.add(place.div(kvHeads).mul(16));
    const firstOfGroup = unit.rem(headGroups).mul(TILE_HEADS);
    this.head = place.rem(kvHeads);
    this.heads = groupHeads.sub(firstOfGroup).min(TILE_HEADS);
    this.firstHead = this.head.mul(groupHeads).add(firstOfGroup);
    this.firstRow = I32.load(at);
    const tokens = I32.load(at, 4);
    this.position = I32.load(at, 8);
    this.table = I32.load(at, 12);
    this.rows = tokens.mul(this.heads);
    this.lastPosition = this.position.add(tokens).sub(1);
    this.splits = this.lastPosition.div(BLOCK_POSITIONS * SPLIT_BLOCKS).add(1);
    this.firstSplit = this.firstVisible(this.position).div(BLOCK_POSITIONS * SPLIT_BLOCKS);
  }
  firstVisible(position: I32): I32 {
    const { window } = this.#given;
    return choose(window.eq(0), I32.of(0), position.add(1).max(window).sub(window));
  }
  headOf(r: I32): I32 {
    return this.firstHead.add(r.rem(this.heads));
  }
  positionOf(r: I32): I32 {
    return this.position.add(r.div(this.heads));
  }
  /** Which of all heads of all tokens row r is. */
  indexOf(r: I32): I32 {
    const { kvHeads, groupHeads } = this.#given;
    const token = this.firstRow.add(r.div(this.heads));
    return token.mul(kvHeads).mul(groupHeads).add(this.headOf(r));
  }
  /** Address of row r's E numbers, in an array of [N, H·E]. */
  rowAt(base: I32, r: I32): I32 {
    return base.add(this.indexOf(r).mul(this.#given.headSize).mul(4));
  }
}

interface Split {
  readonly type: KvType;
  readonly isAltered: boolean;
  readonly given: Given;
  readonly tile: Tile;
  readonly part: Part;
  readonly out: I32;
  readonly split: I32;
  readonly scratch: I32;
}

/** One split of the tile: m, l, o of all its rows. */
function attendSplit({ type, isAltered, given, tile, part, out, split, scratch }: Split): void {
  const { base, blocks, chunkBytes, headSize, keyPanelBytes, tileRows, scale, cap, capFactor } = given;
  const { rows } = tile;
  const { stride } = part;
  const positions = scratch.add(tileRows.mul(SCORE_BYTES));
  const queries = positions.add(tileRows.mul(4));
  const wide = queries.add(tileRows.mul(4));
  const scoresAt = (r: I32) => scratch.add(r.mul(SCORE_BYTES));
  clear(out, part.bytes);
  each(0, rows, 1, (r) => {
    store(part.m(out, r), F32.of(-Infinity));
    store(positions.add(r.mul(4)), tile.positionOf(r));
    store(queries.add(r.mul(4)), tile.rowAt(given.q, r));
  });
  const integers =
    type === 'q8_0' || type === 'q4_0'
      ? new IntegerQueries(given, scratch.add(scratchBeforeIntegers(given, part)), queries)
      : null;
  integers?.widen(rows, (r) => tile.indexOf(r));
  const begin = split.mul(SPLIT_BLOCKS).max(tile.firstVisible(tile.position).div(BLOCK_POSITIONS));
  const end = split.add(1).mul(SPLIT_BLOCKS).min(tile.lastPosition.div(BLOCK_POSITIONS).add(1));
  const whole = rows.and(~3);
  each(begin, end, 1, (b) => {
    const start = b.mul(BLOCK_POSITIONS);
    const chunk = base.add(
      tile.head
        .mul(blocks)
        .add(I32.load(tile.table.add(b.mul(4))))
        .mul(chunkBytes),
    );
    if (type !== 'f32') {
      const count = tile.lastPosition.add(1).sub(start).min(BLOCK_POSITIONS);
      widenBlock(type, wide, { ...given, at: chunk, count }, integers ? integers.keyScales : I32.of(0));
    }
    const keys = type === 'f32' ? chunk : wide;
    const values = keys.add(type === 'f32' ? keyPanelBytes.mul(4) : headSize.mul(4 * BLOCK_POSITIONS));
    const scores = () => {
      const of = (r: I32) => ({ scores: scoresAt(r), queries: queries.add(r.mul(4)), keys, size: headSize });
      each(0, whole, 4, (r) => scoresOfFour(of(r)));
      each(whole, rows, 1, (r) => scoresOfOne(of(r)));
    };
    if (integers) integers.either({ scoresAt, keys, whole, rows }, scores);
    else scores();
    if (isAltered) {
      when(cap.eq(0).not(), () => capScores({ scores: scratch, end: scoresAt(rows), cap, factor: capFactor }));
    }
    /** Row r sees the positions from … to − 1 of the block. */
    const seen = (r: I32) => {
      const position = I32.load(positions.add(r.mul(4)));
      const from = tile.firstVisible(position).max(start).sub(start);
      const to = position.add(1).max(start).sub(start).min(BLOCK_POSITIONS);
      return { from, to };
    };
    each(0, rows, 1, (r) => {
      const { from, to } = seen(r);
      when(from.lt(to), () => {
        const [m, l] = [part.m(out, r), part.l(out, r)];
        softmaxRow({ scores: scoresAt(r), from, to, factor: scale, m, l, o: part.row(out, r), stride });
      });
    });
    const mixRow = (r: I32) => mixOne({ o: part.row(out, r), stride, p: scoresAt(r), values, ...seen(r) });
    each(0, whole, 4, (r) => {
      const { from, to } = seen(r);
      const last = seen(r.add(3));
      when(
        from.eq(last.from).and(to.eq(last.to)),
        () => mixFour({ o: part.row(out, r), stride, p: scoresAt(r), values, from, to }),
        () => each(r, r.add(4), 1, mixRow),
      );
    });
    each(whole, rows, 1, mixRow);
  });
}

/** total ← total and then the next part. */
function fold({ tile, part, total, next }: { tile: Tile; part: Part; total: I32; next: I32 }): void {
  each(0, tile.rows, 1, (r) => {
    foldRow({
      total: part.row(total, r),
      part: part.row(next, r),
      stride: part.stride,
      mTotal: part.m(total, r),
      mPart: part.m(next, r),
      toL: part.toL,
    });
  });
}

/** mix = o / l. */
function finish(given: Given, { tile, part, total }: { tile: Tile; part: Part; total: I32 }): void {
  const { mix, sinks, headSize: size } = given;
  each(0, tile.rows, 1, (r) => {
    const out = tile.rowAt(mix, r);
    const o = part.row(total, r);
    const l = F32.load(part.l(total, r));
    when(
      sinks.eq(0),
      () => finishRow({ out, o, size, l }),
      () => {
        const sink = F32.load(sinks.add(tile.headOf(r).mul(4)));
        finishRowWithSink({ out, o, size, m: F32.load(part.m(total, r)), l, sink });
      },
    );
  });
}
