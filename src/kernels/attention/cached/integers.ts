/**
 * Queries as 8-bit integers, before the keys of a q8_0 or q4_0 cache, where a head is whole runs of 32 columns:
 *
 *   score_s = Σ over runs of f32(Σ q_e · k_e) · scale_k · scale_q     scale_q = max|q| / 127, q_e to nearest even (linear/quantize.kernel.ts)
 *
 * The sum within a run is exact, in integers as in f32: |Σ| ≤ 32 · 127 · 127 < 2²⁴. So machine code may use dot products of bytes, and
 * what is below multiplies in f32. The steps after it are rounded one by one, never fused, from 0 on, run after run.
 * Numbers  |q − scale_q · q_e| ≤ scale_q / 2, as in llama.cpp, which multiplies keys so too.
 */
import { pair, times, zeros } from '../../lanes.ts';
import { each, functionOf, store, storeVectors, variable, when } from '../../writer/statements.ts';
import { choose, F32, F32x4, I16x8, I32 } from '../../writer/values.ts';
import type { AttentionArguments } from './kernel.ts';
import { BLOCK_POSITIONS, PANEL_POSITIONS } from './layout.ts';
import { SCORE_BYTES } from './products.ts';

/** Columns that share a scale, and what they take in a tile of one row: the integers, then scale and sums. */
export const RUN_COLUMNS = 32;
export const RUN_BYTES = 40;
export const RUN_SCALE_AT = 32;
export const RUN_SUMS_AT = 36;
const PANEL_BYTES = 4 * PANEL_POSITIONS;

/** Bytes of scratch: each row's integers and scales as f32, scales of a block's keys; machine code has patterns of two vectors there. */
export const integersBytes = (tileRows: number, headSize: number): number =>
  4 *
    (tileRows * (headSize + Math.ceil(headSize / RUN_COLUMNS)) + BLOCK_POSITIONS * Math.ceil(headSize / RUN_COLUMNS)) +
  128;

/** A row of integers (`runs` of 40 bytes) → f32: all integers, then all scales. */
const widenQuery = functionOf('widenQuery', { from: I32, to: I32, runs: I32 }, null, ({ from, to, runs }) => {
  const scales = to.add(runs.mul(4 * RUN_COLUMNS));
  each(0, runs, 1, (run) => {
    const at = from.add(run.mul(RUN_BYTES));
    for (let e = 0; e < RUN_COLUMNS; e += 8) {
      const words = I16x8.loadSigned(at, e);
      const numbers = [words.widenLow(), words.widenHigh()] as const;
      const place = to.add(run.mul(4 * RUN_COLUMNS));
      storeVectors(
        place,
        numbers.map((four) => four.toF32x4()),
        4 * e,
      );
    }
    store(scales.add(run.mul(4)), F32.load(at, RUN_SCALE_AT));
  });
  return undefined;
});

/** As scoresOf of ./products.ts. Query rows are those of widenQuery; `keys` are integers. */
function scoresOf(rows: number, panels: number) {
  return functionOf(
    `integerScores${rows}`,
    { scores: I32, queries: I32, keys: I32, keyScales: I32, size: I32 },
    null,
    ({ scores, queries, keys, keyScales, size }) => {
      const zero = zeros(F32x4);
      const qs = times(rows, (r) => I32.load(queries, 4 * r));
      each(0, BLOCK_POSITIONS / PANEL_POSITIONS, panels, (first) => {
        const from = times(panels, (p) => variable(keys.add(first.add(p).mul(size).mul(PANEL_BYTES))));
        const acc = times(rows, () => times(panels, () => pair(() => variable(zero))));
        const to = scores.add(first.mul(PANEL_BYTES));
        const nothing = times(2 * panels, () => zero);
        for (let r = 0; r < rows; r++) storeVectors(to, nothing, SCORE_BYTES * r);
        each(0, size, RUN_COLUMNS, (column) => {
          const start = column.mul(4);
          for (const sum of acc.flat(2)) sum.value = zero;
          each(start, start.add(4 * RUN_COLUMNS), 4, (e) => {
            const at = from.map((it) => it.value);
            const ks = at.map((panel) => pair((half) => F32x4.load(panel, 16 * half)));
            acc.forEach((ofRow, r) => {
              const q = F32x4.loadSplat(qs[r]!.add(e));
              ofRow.forEach((sum, p) => {
                sum.forEach((it, half) => {
                  it.value = ks[p]![half]!.mulAdd(q, it.value);
                });
              });
            });
            from.forEach((it, p) => {
              it.value = at[p]!.add(PANEL_BYTES);
            });
          });
          const scalesAt = keyScales.add(column.mul((4 * BLOCK_POSITIONS) / RUN_COLUMNS)).add(first.mul(PANEL_BYTES));
          const scales = times(2 * panels, (i) => F32x4.load(scalesAt, 16 * i));
          acc.forEach((ofRow, r) => {
            const own = F32x4.loadSplat(qs[r]!.add(size.mul(4)).add(column.shr(3)));
            const before = times(2 * panels, (i) => F32x4.load(to, SCORE_BYTES * r + 16 * i));
            const sums = ofRow.flat().map((it, i) => before[i]!.add(it.value.mul(scales[i]!).mul(own)));
            storeVectors(to, sums, SCORE_BYTES * r);
          });
        });
      });
      return undefined;
    },
  );
}
const scoresOfFour = scoresOf(4, 2);
const scoresOfOne = scoresOf(1, 4);

interface Rows {
  readonly scoresAt: (r: I32) => I32;
  readonly keys: I32;
  /** Rows up to here go by fours. */
  readonly whole: I32;
  readonly rows: I32;
}

export class IntegerQueries {
  /** Where the scales of a block's keys go; 0 where queries are as they are. */
  readonly keyScales: I32;
  readonly #given: AttentionArguments;
  readonly #at: I32;
  /** Where the addresses of rows are kept. */
  readonly #queries: I32;

  constructor(given: AttentionArguments, at: I32, queries: I32) {
    const { queryRuns, headSize, tileRows } = given;
    this.#given = given;
    this.#at = at;
    this.#queries = queries;
    const behind = at.add(tileRows.mul(headSize.add(queryRuns)).mul(4));
    this.keyScales = choose(queryRuns.eq(0), I32.of(0), behind);
  }

  /** Rows of the tile become those of widenQuery. `indexOf`: which of all rows each is. */
  widen(rows: I32, indexOf: (r: I32) => I32): void {
    const { queryRuns: runs, headSize, quants } = this.#given;
    when(runs.ne(0), () => {
      each(0, rows, 1, (r) => {
        const to = this.#at.add(r.mul(headSize.add(runs)).mul(4));
        widenQuery({ from: quants.add(indexOf(r).mul(runs).mul(RUN_BYTES)), to, runs });
        store(this.#queries.add(r.mul(4)), to);
      });
    });
  }

  /** Scores of a block by integers, or, where queries are none, as `otherwise` says. */
  either({ scoresAt, keys, whole, rows }: Rows, otherwise: () => void): void {
    const { queryRuns, headSize: size } = this.#given;
    const { keyScales } = this;
    when(queryRuns.eq(0), otherwise, () => {
      const of = (r: I32) => ({ scores: scoresAt(r), queries: this.#queries.add(r.mul(4)), keys, keyScales, size });
      each(0, whole, 4, (r) => scoresOfFour(of(r)));
      each(whole, rows, 1, (r) => scoresOfOne(of(r)));
    });
  }
}
