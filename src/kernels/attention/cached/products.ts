/**
 * The inner products of attention over one block of 32 positions in f32: keys in panels of 8 positions, value rows of E' columns. Sums run
 * over columns, or positions, in ascending order, one multiply-add each.
 */
import { pair, times, zeros } from '../../lanes.ts';
import { each, functionOf, storeVectors, variable, when } from '../../writer/statements.ts';
import { F32x4, I32 } from '../../writer/values.ts';
import { BLOCK_POSITIONS, PANEL_POSITIONS } from './layout.ts';

/** Bytes of a row of scores. */
export const SCORE_BYTES = 4 * BLOCK_POSITIONS;
const PANEL_BYTES = 4 * PANEL_POSITIONS;

/** scores (rows of 32) = q · k of some query rows, whose addresses lie at `queries`; some panels at a time. `size`: E */
function scoresOf(rows: number, panels: number) {
  return functionOf(
    `scores${rows}`,
    { scores: I32, queries: I32, keys: I32, size: I32 },
    null,
    ({ scores, queries, keys, size }) => {
      const zero = zeros(F32x4);
      const bytes = size.mul(4);
      const qs = times(rows, (r) => I32.load(queries, 4 * r));
      each(0, BLOCK_POSITIONS / PANEL_POSITIONS, panels, (first) => {
        const from = times(panels, (p) => variable(keys.add(first.add(p).mul(size).mul(PANEL_BYTES))));
        const acc = times(rows, () => times(panels, () => pair(() => variable(zero))));
        each(0, bytes, 4, (e) => {
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
        const to = scores.add(first.mul(PANEL_BYTES));
        acc.forEach((ofRow, r) => {
          const sums = ofRow.flat().map((it) => it.value);
          storeVectors(to, sums, SCORE_BYTES * r);
        });
      });
      return undefined;
    },
  );
}
export const scoresOfFour = scoresOf(4, 2);
export const scoresOfOne = scoresOf(1, 4);

/** o (some rows, `stride` bytes apart) += Σ p_s · v_s over `count` positions, of so many times 8 columns. */
function mixColumns(rows: number, eights: number) {
  return functionOf(
    `mix${rows}x${8 * eights}`,
    { o: I32, stride: I32, p: I32, v: I32, count: I32 },
    null,
    ({ o, stride, p, v, count }) => {
      const to = times(rows, (r) => o.add(stride.mul(r)));
      const acc = to.map((row) => times(eights, (i) => pair((half) => variable(F32x4.load(row, 32 * i + 16 * half)))));
      const from = variable(v);
      each(p, p.add(count.mul(4)), 4, (at) => {
        const row = from.value;
        const vs = times(eights, (i) => pair((half) => F32x4.load(row, 32 * i + 16 * half)));
        acc.forEach((ofRow, r) => {
          const share = F32x4.loadSplat(at, SCORE_BYTES * r);
          ofRow.forEach((sum, i) => {
            sum.forEach((it, half) => {
              it.value = vs[i]![half]!.mulAdd(share, it.value);
            });
          });
        });
        from.value = row.add(stride);
      });
      acc.forEach((ofRow, r) => {
        const sums = ofRow.flat().map((it) => it.value);
        storeVectors(to[r]!, sums);
      });
      return undefined;
    },
  );
}
const narrow = mixColumns(1, 1);

/** o += Σ p_s · v_s over the positions from … to − 1, as many columns at a time as registers hold, then 8. */
function mixOf(rows: number, eights: number) {
  const wide = mixColumns(rows, eights);
  return functionOf(
    `mix${rows}`,
    { o: I32, stride: I32, p: I32, values: I32, from: I32, to: I32 },
    null,
    ({ o, stride, p, values, from, to }) => {
      const count = to.max(from).sub(from);
      const shares = p.add(from.mul(4));
      const v = values.add(from.mul(stride));
      const whole = stride.and(~(32 * eights - 1));
      each(0, whole, 32 * eights, (e) => {
        wide({ o: o.add(e), stride, p: shares, v: v.add(e), count });
      });
      when(whole.lt(stride), () => {
        each(whole, stride, 32, (e) => {
          for (let r = 0; r < rows; r++) {
            narrow({ o: o.add(stride.mul(r)).add(e), stride, p: shares.add(SCORE_BYTES * r), v: v.add(e), count });
          }
        });
      });
      return undefined;
    },
  );
}
export const mixFour = mixOf(4, 2);
export const mixOne = mixOf(1, 4);
