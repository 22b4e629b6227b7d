/**
 * Attention for training goes in blocks of 48 queries × 96 keys. Blocks begin at whole tiles of the products (gemm/tile.ts), so that a tile
 * of six queries ends with a tile of six keys, and the tiles above the diagonal are skipped.
 */
import { packWidePanel } from '../../gemm/pack.kernel.ts';
import { tile } from '../../gemm/tile.ts';
import { pair } from '../../lanes.ts';
import { KEY_BLOCK, QUERY_BLOCK, TILE_COLUMNS, TILE_ROWS } from '../../training-tasks.ts';
import { columns, intoOrOnto } from '../../units.ts';
import { clear, each, functionOf, store, variable, when } from '../../writer/statements.ts';
import type { ArgumentValues } from '../../writer/task.ts';
import { choose, F32, F32x4, I32 } from '../../writer/values.ts';

/** Bytes of a row of scores, and of a block of them. */
export const SCORE_ROW = KEY_BLOCK * 4;
export const BLOCK_BYTES = QUERY_BLOCK * SCORE_ROW;

/**
 * units: per unit (one key/value head of one sequence) first row, row count, kv head; window, sinks: 0 for none; scale: with a cap, that
 * divided by it; cap: 0 for none; threshold (0: none), factor, key and firstToken: of dropout.
 */
export const attentionTakes = {
  units: 'pointer',
  H: 'count',
  K: 'count',
  E: 'count',
  window: 'count',
  scale: 'real',
  cap: 'real',
  sinks: 'pointer',
  scratch: 'pointer',
  scratchBytes: 'count',
  q: 'pointer',
  k: 'pointer',
  v: 'pointer',
  mix: 'pointer',
  logSumExp: 'pointer',
  threshold: 'count',
  factor: 'real',
  key: 'count',
  firstToken: 'count',
} as const;
export type AttentionValues = ArgumentValues<typeof attentionTakes>;

const roundUp = (x: I32, multiple: number): I32 =>
  x
    .add(multiple - 1)
    .div(multiple)
    .mul(multiple);

/** One key/value head of one sequence. */
export interface Unit {
  readonly firstRow: I32;
  readonly rows: I32;
  readonly head: I32;
  /** Bytes of a row in the scratch, and of all keys there. */
  readonly row: I32;
  readonly allBytes: I32;
  readonly keyStride: I32;
  readonly queryStride: I32;
  /** From the start of k or v to the unit's first row. */
  readonly kvAt: I32;
}

export function unitAt({ units, H, K, E }: AttentionValues, index: I32): Unit {
  const at = units.add(index.mul(12));
  const [firstRow, rows, head] = [I32.load(at), I32.load(at, 4), I32.load(at, 8)];
  const row = roundUp(E, 16).mul(4);
  const keyStride = K.mul(E).mul(4);
  return {
    firstRow,
    rows,
    head,
    row,
    allBytes: roundUp(rows, KEY_BLOCK).mul(row),
    keyStride,
    queryStride: H.mul(E).mul(4),
    kvAt: firstRow.mul(keyStride).add(head.mul(E).mul(4)),
  };
}

/** Queries of one head from q0 on; `at`: bytes from the start of q. */
export interface QueryBlock {
  readonly h: I32;
  readonly q0: I32;
  readonly queries: I32;
  readonly at: I32;
}

export function eachQueryBlock({ H, K, E }: AttentionValues, unit: Unit, write: (block: QueryBlock) => void): void {
  const group = H.div(K);
  const first = unit.head.mul(group);
  each(first, first.add(group), 1, (h) => {
    each(0, unit.rows, QUERY_BLOCK, (q0) => {
      const queries = unit.rows.sub(q0).min(QUERY_BLOCK);
      const at = unit.firstRow.add(q0).mul(unit.queryStride).add(h.mul(E).mul(4));
      write({ h, q0, queries, at });
    });
  });
}

/** Keys that some query of a block sees: `count` from s0 on. */
export interface KeyBlock {
  readonly s0: I32;
  readonly count: I32;
}

export function eachKeyBlock(
  { window }: AttentionValues,
  { q0, queries }: QueryBlock,
  write: (block: KeyBlock) => void,
) {
  const end = q0.add(queries);
  const inWindow = q0.sub(window).add(1).div(KEY_BLOCK).mul(KEY_BLOCK);
  const first = choose(window.eq(0).or(q0.lt(window)), I32.of(0), inWindow);
  each(first, end, KEY_BLOCK, (s0) => write({ s0, count: end.sub(s0).min(KEY_BLOCK) }));
}

/** Keys of a block that the tile of queries at q0 + i sees at most. */
function seenBy(i: I32, q0: I32, s0: I32, count: I32): I32 {
  const last = q0.add(i).add(TILE_ROWS);
  return choose(last.le(s0), I32.of(0), last.sub(s0).min(count));
}

/** The i-th query of a block sees keys from … to − 1 of a key block; of `all` numbers of its row, products are made. */
export interface Query {
  readonly i: I32;
  readonly from: I32;
  readonly to: I32;
  readonly all: I32;
  /** Bytes from the start of a block of scores to its row. */
  readonly at: I32;
}

export function eachQuery(
  { window }: AttentionValues,
  { q0, queries }: QueryBlock,
  { s0, count }: KeyBlock,
  write: (query: Query) => void,
): void {
  each(0, queries, 1, (i) => {
    const position = q0.add(i);
    const first = position.add(1).sub(window);
    const isOpen = window.eq(0).or(position.add(1).le(window)).or(first.le(s0));
    const from = choose(isOpen, I32.of(0), first.sub(s0).min(KEY_BLOCK));
    const to = choose(position.lt(s0), I32.of(0), position.sub(s0).add(1).min(count));
    const all = roundUp(seenBy(i.sub(i.rem(TILE_ROWS)), q0, s0, count), TILE_COLUMNS);
    write({ i, from, to, all, at: i.mul(SCORE_ROW) });
  });
}

const blockOf = { q0: I32, queries: I32, s0: I32, count: I32 };

/** scores[i][s] = a_i · key_s for the keys that tiles of queries see. */
export const scoresOf = functionOf(
  'scoresOf',
  { scores: I32, a: I32, row: I32, keys: I32, E: I32, ...blockOf },
  null,
  ({ scores, a, row, keys, E, q0, queries, s0, count }) => {
    const block = keys.add(s0.mul(E).mul(4));
    each(0, queries, TILE_ROWS, (i) => {
      each(0, seenBy(i, q0, s0, count), TILE_COLUMNS, (s) => {
        tile({
          c: scores.add(i.mul(SCORE_ROW)).add(s.mul(4)),
          cRow: I32.of(SCORE_ROW),
          a: a.add(i.mul(row)),
          aRow: row,
          aStep: I32.of(4),
          b: block.add(s.mul(E).mul(4)),
          bStep: I32.of(TILE_COLUMNS * 4),
          count: E,
          add: I32.of(0),
        });
      });
    });
    return undefined;
  },
);

/** target[i][e] += Σ_s weights[i][s] · values[s][e] over the keys that tiles of queries see. */
export const addWeighted = functionOf(
  'addWeighted',
  { target: I32, weights: I32, values: I32, row: I32, ...blockOf },
  null,
  ({ target, weights, values, row, q0, queries, s0, count }) => {
    const block = values.add(s0.mul(row));
    each(0, row, TILE_COLUMNS * 4, (e) => {
      each(0, queries, TILE_ROWS, (i) => {
        tile({
          c: target.add(i.mul(row)).add(e),
          cRow: row,
          a: weights.add(i.mul(SCORE_ROW)),
          aRow: I32.of(SCORE_ROW),
          aStep: I32.of(4),
          b: block.add(e),
          bStep: row,
          count: seenBy(i, q0, s0, count),
          add: I32.of(1),
        });
      });
    });
    return undefined;
  },
);

/** target[s][e] += Σ_i weights[i][s] · rows[i][e] over the queries that see a tile of keys. */
export const addTransposed = functionOf(
  'addTransposed',
  { target: I32, weights: I32, rows: I32, row: I32, ...blockOf },
  null,
  ({ target, weights, rows, row, q0, queries, s0, count }) => {
    const block = target.add(s0.mul(row));
    each(0, row, TILE_COLUMNS * 4, (e) => {
      each(0, count, TILE_ROWS, (s) => {
        const first = s0.add(s);
        const i = choose(first.gt(q0), first.sub(q0), I32.of(0));
        when(i.lt(queries), () => {
          tile({
            c: block.add(s.mul(row)).add(e),
            cRow: row,
            a: weights.add(i.mul(SCORE_ROW)).add(s.mul(4)),
            aRow: I32.of(4),
            aStep: I32.of(SCORE_ROW),
            b: rows.add(i.mul(row)).add(e),
            bStep: row,
            count: queries.sub(i),
            add: I32.of(1),
          });
        });
      });
    });
    return undefined;
  },
);

/** Keys (or values) of one head as panels of 16 rows for each e: what the scores multiply with. */
export const packKeys = functionOf(
  'packKeys',
  { target: I32, source: I32, stride: I32, rows: I32, E: I32 },
  null,
  ({ target, source, stride, rows, E }) => {
    each(0, roundUp(rows, KEY_BLOCK), TILE_COLUMNS, (s) => {
      packWidePanel({
        target: target.add(s.mul(E).mul(4)),
        source: source.add(s.mul(stride)),
        rowStride: stride,
        kStride: I32.of(4),
        rows: choose(s.lt(rows), rows.sub(s).min(TILE_COLUMNS), I32.of(0)),
        K: E,
      });
    });
    return undefined;
  },
);

/** Rows of one head → `allBytes` of padded rows, times a factor; zeros beside and below. */
export const copyRows = functionOf(
  'copyRows',
  { target: I32, source: I32, stride: I32, rows: I32, allBytes: I32, E: I32, factor: F32 },
  null,
  ({ target, source, stride, rows, allBytes, E, factor }) => {
    const row = roundUp(E, 16).mul(4);
    const done = choose(row.eq(E.mul(4)), rows.mul(row), I32.of(0));
    clear(target.add(done), allBytes.sub(done));
    copyScaled({ target, targetStride: row, source, stride, rows, bytes: E.mul(4), factor, adds: I32.of(0) });
    return undefined;
  },
);

/** Rows (+)= factor · rows, each with its stride. */
export const copyScaled = functionOf(
  'copyScaled',
  { target: I32, targetStride: I32, source: I32, stride: I32, rows: I32, bytes: I32, factor: F32, adds: I32 },
  null,
  ({ target, targetStride, source, stride, rows, bytes, factor, adds }) => {
    const factors = F32x4.splat(factor);
    each(0, rows, 1, (r) => {
      const from = source.add(r.mul(stride));
      intoOrOnto(target.add(r.mul(targetStride)), adds, (results) => {
        columns(bytes, 32, {
          wide: (at) => results.pair(at, (half) => factors.mul(F32x4.load(from.add(at), 16 * half))),
          one: (at) => results.number(at, factor.mul(F32.load(from.add(at)))),
        });
      });
    });
    return undefined;
  },
);

/** Numbers [0, from) and [to, all) of a row ← value; `all` is a multiple of four. */
export function fillOutside(x: I32, { from, to, all }: Omit<Query, 'i' | 'at'>, value: number): void {
  const wide = F32x4.splat(value);
  const one = F32.of(value);
  const numberAt = (s: I32) => x.add(s.mul(4));
  each(0, from.and(~3), 4, (s) => store(numberAt(s), wide));
  each(from.and(~3), from, 1, (s) => store(numberAt(s), one));
  const whole = roundUp(to, 4).min(all);
  each(to, whole, 1, (s) => store(numberAt(s), one));
  each(whole, all, 4, (s) => store(numberAt(s), wide));
}

export const dot = functionOf('dot', { a: I32, b: I32, count: I32 }, F32, ({ a, b, count }) => {
  const sums = pair(() => variable(F32x4.splat(0)));
  const whole = count.and(~7).mul(4);
  each(0, whole, 32, (at) => {
    const products = pair((half) => F32x4.load(a.add(at), 16 * half).mul(F32x4.load(b.add(at), 16 * half)));
    sums.forEach((sum, half) => {
      sum.value = sum.value.add(products[half]!);
    });
  });
  const sum = variable(sums[0].value.add(sums[1].value).sum());
  each(whole, count.mul(4), 4, (at) => {
    sum.value = sum.value.add(F32.load(a.add(at)).mul(F32.load(b.add(at))));
  });
  return sum.value;
});

/** Bytes of what a unit keeps per row and per query: so many rows of keys, so many of queries, and so many numbers a query. */
export function scratchBytes(
  rows: number,
  E: number,
  kept: { keys: number; queries: number; numbers: number; blocks: number },
) {
  const row = Math.ceil(E / 16) * 16;
  const keys = Math.ceil(rows / KEY_BLOCK) * KEY_BLOCK;
  const numbers = kept.keys * keys * row + kept.queries * QUERY_BLOCK * row + kept.numbers * QUERY_BLOCK;
  return numbers * 4 + kept.blocks * BLOCK_BYTES;
}

/** Places one behind the other. */
export function places(start: I32, bytes: readonly (I32 | number)[]): I32[] {
  let at = start;
  return bytes.map((size) => {
    const here = at;
    at = at.add(size);
    return here;
  });
}
