/**
 * `linear` by the system's BLAS, for many activation rows: weights are unpacked to f32 or bf16 a tile at a time, into scratch that fits
 * the second cache, and every tile is one product. The sums are the library's own, so the bits are.
 */
import { blasProducts, operandBytes } from '../gemm/blas.kernel.ts';
import type { BlasOperands } from '../gemm/blas.ts';
import { roundEight } from '../gemm/round.kernel.ts';
import { BLAS_COLUMNS, BLAS_GAP, FLOAT_GROUP_PANELS, QUANTIZED_GROUP_PANELS } from '../tasks.ts';
import { copyBytes, each, functionOf, store, when } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { I32 } from '../writer/values.ts';
import { columnBytes, type FloatPacking } from './floats/packing.ts';
import type { Packing } from './int8/packing.ts';
import { takesOfProduct } from './takes.ts';
import { byKind, isFloat, nameOf, panelOf, unpackColumns } from './unpack.kernel.ts';

/**
 * x: of the operands' type; tileRows: of a tile (whole groups); depth: columns of a product (whole super-blocks); bias: 0 for none.
 * Scratch of a thread: the tile's columns with their gaps; for bf16, then BLAS_COLUMNS of a group in f32. Unit = one tile of w.
 */
function blasOf(operands: BlasOperands, packing: FloatPacking | Packing) {
  const bytes = operandBytes[operands];
  const product = blasProducts[operands];
  const unpackTile = operands === 'bf16' ? halfTile(packing) : floatTile(packing);
  return task(
    `linearBlas_${operands}_${nameOf(packing)}`,
    { ...takesOfProduct, N: 'count', tileRows: 'count', depth: 'count' },
    (it, { first, last, thread }) => {
      const { w, columns, rows: O, x, N, tileRows, bias, depth } = it;
      const stride = tileRows.add(BLAS_GAP);
      const scratch = it.scratch.add(thread.mul(it.scratchBytes));
      const wide = scratch.add(depth.mul(stride).mul(2));
      each(first, last, 1, (unit) => {
        const row = unit.mul(tileRows);
        const rows = tileRows.min(O.sub(row));
        const y = it.y.add(row.mul(4));
        when(bias, () => {
          each(0, N, 1, (n) => copyBytes(y.add(n.mul(O).mul(4)), bias.add(row.mul(4)), rows.mul(4)));
        });
        each(0, columns, depth, (from) => {
          const to = columns.min(from.add(depth));
          unpackTile({ w, columns, out: scratch, stride, panel: row.shr(3), rows, from, to, wide });
          product.call({
            M: N,
            N: rows,
            K: to.sub(from),
            a: x.add(from.mul(bytes)),
            aRow: columns,
            aStep: I32.of(1),
            b: scratch,
            bStep: stride,
            bColumn: I32.of(1),
            beta: from.gt(0).or(bias.ne(0)),
            c: y,
            cRow: O,
          });
        });
      });
    },
    [product.callee],
  );
}

const tileTakes = {
  w: I32,
  columns: I32,
  out: I32,
  stride: I32,
  panel: I32,
  rows: I32,
  from: I32,
  to: I32,
  wide: I32,
};
type Tile = Readonly<Record<keyof typeof tileTakes, I32>>;

/** Groups that begin in a tile, and of each so many columns at a time: `at`: bytes from `out` to the group's first row, of f32. */
function eachGroup({ panel, rows }: Tile, panels: number, write: (panel: I32, at: I32) => void): void {
  each(panel, panel.add(rows.add(7).shr(3)), panels, (at) => write(at, at.sub(panel).mul(32)));
}
const groupPanels = (packing: FloatPacking | Packing) =>
  isFloat(packing) ? FLOAT_GROUP_PANELS : QUANTIZED_GROUP_PANELS;
function eachColumns({ from, to }: Tile, write: (first: I32, last: I32) => void): void {
  each(from, to, BLAS_COLUMNS, (first) => write(first, to.min(first.add(BLAS_COLUMNS))));
}

/** Columns from … to − 1 of a tile that begins with `panel`, as f32: groups that begin in it are unpacked whole. */
const floatTile = (packing: FloatPacking | Packing) =>
  functionOf('floatTile', tileTakes, null, (tile) => {
    const { w, columns, out, from } = tile;
    const stride = tile.stride.mul(4);
    const panels = groupPanels(packing);
    eachGroup(tile, panels, (group, ofGroup) => {
      eachColumns(tile, (first, last) => {
        const at = out.add(ofGroup).add(first.sub(from).mul(stride));
        each(0, panels, 1, (p) => {
          const place = { out: at.add(p.mul(32)), stride };
          unpackColumns[packing.kind]!({ w, panel: group.add(p), columns, first, last, ...place });
        });
      });
    });
    return undefined;
  });

/** The same as bf16, by way of `wide`. */
const halfTile = (packing: FloatPacking | Packing) =>
  functionOf('halfTile', tileTakes, null, (tile) => {
    const { w, columns, out, from, to, wide } = tile;
    const stride = tile.stride.mul(2);
    const panels = groupPanels(packing);
    const bytes = panels * 32;
    const columnAt = (column: I32, ofGroup: I32) => out.add(ofGroup.shr(1)).add(column.sub(from).mul(stride));
    eachGroup(tile, panels, (group, ofGroup) => {
      if (isFloat(packing) && packing.type === 'bf16') {
        const source = w.add(panelOf(packing, columns, group));
        const size = columnBytes(packing);
        each(from, to, 1, (c) => copyBytes(columnAt(c, ofGroup), source.add(c.mul(size)), size));
        return;
      }
      eachColumns(tile, (first, last) => {
        each(0, panels, 1, (p) => {
          const place = { out: wide.add(p.mul(32)), stride: I32.of(bytes) };
          unpackColumns[packing.kind]!({ w, panel: group.add(p), columns, first, last, ...place });
        });
        each(first, last, 1, (c) => {
          const numbers = wide.add(c.sub(first).mul(bytes));
          const target = columnAt(c, ofGroup);
          each(0, bytes, 32, (i) => store(target.add(i.shr(1)), roundEight(numbers.add(i))));
        });
      });
    });
    return undefined;
  });

export const linearBlas = {
  f32: byKind((packing) => blasOf('f32', packing)),
  bf16: byKind((packing) => blasOf('bf16', packing)),
};
