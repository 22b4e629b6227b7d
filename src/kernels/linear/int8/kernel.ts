/**
 * `linear` over int8 activations: y_no = Σ_i w_oi · x_ni, where both come as integers with scales (packing.ts, ../quantize.kernel.ts).
 *
 * Within a block of 32 columns everything is integer and exact; then come f32 multiplications and additions in a fixed order, block after
 * block, never fused (block-sums.ts). So one activation row (gemv) and four (gemm), any thread count, relaxed and plain SIMD: the same bits.
 * Cost  2·O·I·N integer operations; at N = 1 bound by reading the weights.
 */
import { QUANTIZED_GROUP_PANELS } from '../../tasks.ts';
import { clear, each, when } from '../../writer/statements.ts';
import { task } from '../../writer/task.ts';
import type { I32 } from '../../writer/values.ts';
import { storePanel } from '../store-panel.ts';
import { takesOfProduct } from '../takes.ts';
import { ACC_BYTES, GROUP_ACC_BYTES, gemm, gemmInTurns, widenScales } from './gemm.ts';
import { gemv } from './gemv.ts';
import { blockBytes, groupBytes, hasSuperBlocks, type Packing, packings } from './packing.ts';

/** A task for every quantized kind, under its number (tasks.ts). */
function byKind<T>(of: (packing: Packing) => T): Readonly<Record<number, T>> {
  return Object.fromEntries(packings.map((packing) => [packing.kind, of(packing)]));
}

/** Sums that the scratch of a thread has room for: of so many activation rows, each with a group of panels. */
export const SUM_ROWS = 48;
export const ROW_SUM_BYTES = GROUP_ACC_BYTES / 4;

/** As many tiles of 4 rows take turns at every block; more go through two panels one after the other. */
const TILES_IN_TURNS = 4;
/** Places in the scratch of a thread, after sums: those that wait, and scales as f32. */
export const ASIDE_AT = SUM_ROWS * ROW_SUM_BYTES;
const WIDE_AT = ASIDE_AT + ACC_BYTES;

/** Bytes of scratch that a thread needs for a product with N activation rows. */
export const int8Scratch = (N: number, columns: number): number => WIDE_AT + (N === 1 ? 0 : 4 * columns);

/** x: tiles of one row. `scratch`: for every thread. `streams`: groups that are read side by side, at most 4. Unit = one panel; threads take whole groups. */
export const linearVector = byKind((packing) =>
  task(
    `linearVector_${packing.name}`,
    { ...takesOfProduct, streams: 'count' },
    ({ w, columns, rows, x, y, bias, scratch, scratchBytes, streams }, { first, last, thread }) => {
      const bytes = groupBytes(packing, columns);
      const sums = scratch.add(thread.mul(scratchBytes));
      const end = last.add(QUANTIZED_GROUP_PANELS - 1).div(QUANTIZED_GROUP_PANELS);
      each(first.div(QUANTIZED_GROUP_PANELS), end, streams, (group) => {
        const count = end.sub(group).min(streams);
        const panels = count.mul(QUANTIZED_GROUP_PANELS);
        clear(sums, panels.mul(32));
        const start = w.add(group.mul(bytes));
        gemv(packing, { first: start, count, bytes, x, blocks: columns.div(32), sums });
        each(0, panels, 1, (i) => {
          const panel = group.mul(QUANTIZED_GROUP_PANELS).add(i);
          storePanel({ sums: sums.add(i.mul(32)), panel, rows, y, bias });
        });
      });
    },
  ),
);

/** x: tiles of 4 rows, N rows in all. `scratch`: for every thread. Unit = one panel; threads take whole groups. */
export const linearMatrix = byKind((packing) =>
  task(
    `linearMatrix_${packing.name}`,
    { ...takesOfProduct, N: 'count' },
    ({ w, columns, rows, x, N, y, bias, scratch, scratchBytes }, { first, last, thread }) => {
      const blocks = columns.div(32);
      const acc = scratch.add(thread.mul(scratchBytes));
      const aside = acc.add(ASIDE_AT);
      const wide = acc.add(WIDE_AT);
      const place = { x, blocks, acc, aside, wide };
      const storeTile = (panel: I32, panels: number, n: I32, sums: I32) =>
        each(0, N.sub(n).min(4), 1, (i) => {
          const row = y.add(n.add(i).mul(rows).mul(4));
          for (let p = 0; p < panels; p++) {
            const at = sums.add((p >> 1) * ACC_BYTES + 32 * (p & 1)).add(i.mul(64));
            storePanel({ sums: at, panel: panel.add(p), rows, y: row, bias });
          }
        });
      when(
        N.le(4 * TILES_IN_TURNS),
        () => {
          const tiles = N.add(3).div(4);
          each(first, last, QUANTIZED_GROUP_PANELS, (panel) => {
            clear(acc, tiles.mul(GROUP_ACC_BYTES));
            gemmInTurns(packing, { ...place, group: groupOf(packing, w, panel, columns), tiles });
            each(0, tiles, 1, (t) =>
              storeTile(panel, QUANTIZED_GROUP_PANELS, t.mul(4), acc.add(t.mul(GROUP_ACC_BYTES))),
            );
          });
        },
        () => {
          each(first, last, 2, (panel) => {
            const group = groupOf(packing, w, panel, columns);
            const member = panel.rem(QUANTIZED_GROUP_PANELS);
            if (!hasSuperBlocks(packing))
              widenScales(packing, group.add(member.mul(blockBytes(packing))), blocks, wide);
            each(0, N, 4, (n) => {
              clear(acc, ACC_BYTES);
              gemm(packing, { ...place, group, member, x: x.add(n.mul(blocks).mul(40)) });
              storeTile(panel, 2, n, acc);
            });
          });
        },
      );
    },
  ),
);

const groupOf = (packing: Packing, w: I32, panel: I32, columns: I32): I32 =>
  w.add(panel.div(QUANTIZED_GROUP_PANELS).mul(groupBytes(packing, columns)));
