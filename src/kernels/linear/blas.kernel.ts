/**
 * `linear` by the system's BLAS, for many activation rows: weights are unpacked to f32 or bf16 a tile at a time, into scratch that fits
 * the second cache, and every tile is one product. The sums are the library's own, so the bits are.
 */
import { blasProducts, operandBytes } from '../gemm/blas.kernel.ts';
import type { BlasOperands } from '../gemm/blas.ts';
import { roundEight } from '../gemm/round.kernel.ts';
import { BLAS_COLUMNS, BLAS_GAP, FLOAT_GROUP_PANELS, PACK_BF16, QUANTIZED_GROUP_PANELS } from '../tasks.ts';
import { copyBytes, each, functionOf, store, when } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { choose, I32 } from '../writer/values.ts';
import { columnBytes, floatPackings } from './floats/packing.ts';
import { panelOf, unpackColumns } from './unpack.kernel.ts';

const halves = floatPackings.find(({ kind }) => kind === PACK_BF16)!;

/**
 * x: of the operands' type; tileRows: of a tile (whole groups); depth: columns of a product (whole super-blocks); bias: 0 for none.
 * Scratch of a thread: the tile's columns with their gaps; for bf16, then BLAS_COLUMNS of a group in f32. Unit = one tile of w.
 */
function blasOf(operands: BlasOperands) {
  const bytes = operandBytes[operands];
  return task(
    `linearBlas_${operands}`,
    {
      kind: 'count',
      w: 'pointer',
      columns: 'count',
      rows: 'count',
      x: 'pointer',
      N: 'count',
      tileRows: 'count',
      y: 'pointer',
      bias: 'pointer',
      scratch: 'pointer',
      scratchBytes: 'count',
      depth: 'count',
    },
    (it, { first, last, thread }) => {
      const { kind, w, columns, rows: O, x, N, tileRows, bias, depth } = it;
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
          const tile = { kind, w, columns, out: scratch, stride, panel: row.shr(3), rows, from, to };
          if (operands === 'bf16') halfTile({ ...tile, wide });
          else floatTile(tile);
          blasProducts[operands]({
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
  );
}

export const linearBlas = { f32: blasOf('f32'), bf16: blasOf('bf16') };

const tileTakes = { kind: I32, w: I32, columns: I32, out: I32, stride: I32, panel: I32, rows: I32, from: I32, to: I32 };
type Tile = Readonly<Record<keyof typeof tileTakes, I32>>;

/** Groups that begin in a tile, and of each so many columns at a time: `at`: bytes from `out` to the group's first row, of f32. */
function eachGroup({ kind, panel, rows }: Tile, write: (panel: I32, panels: I32, at: I32) => void): void {
  const panels = choose(kind.le(PACK_BF16), I32.of(FLOAT_GROUP_PANELS), I32.of(QUANTIZED_GROUP_PANELS));
  each(panel, panel.add(rows.add(7).shr(3)), panels, (at) => write(at, panels, at.sub(panel).mul(32)));
}
function eachColumns({ from, to }: Tile, write: (first: I32, last: I32) => void): void {
  each(from, to, BLAS_COLUMNS, (first) => write(first, to.min(first.add(BLAS_COLUMNS))));
}

/** Columns from … to − 1 of a tile that begins with `panel`, as f32: groups that begin in it are unpacked whole. */
const floatTile = functionOf('floatTile', tileTakes, null, (tile) => {
  const { kind, w, columns, out, from } = tile;
  const stride = tile.stride.mul(4);
  eachGroup(tile, (group, panels, ofGroup) => {
    eachColumns(tile, (first, last) => {
      const at = out.add(ofGroup).add(first.sub(from).mul(stride));
      each(0, panels, 1, (p) => {
        unpackColumns({ kind, w, panel: group.add(p), columns, first, last, out: at.add(p.mul(32)), stride });
      });
    });
  });
  return undefined;
});

/** The same as bf16. */
const halfTile = functionOf('halfTile', { ...tileTakes, wide: I32 }, null, (tile) => {
  const { kind, w, columns, out, from, to, wide } = tile;
  const stride = tile.stride.mul(2);
  const columnAt = (column: I32, ofGroup: I32) => out.add(ofGroup.shr(1)).add(column.sub(from).mul(stride));
  eachGroup(tile, (group, panels, ofGroup) => {
    const bytes = panels.mul(32);
    const asTheyAre = () => {
      const source = w.add(panelOf(halves, columns, group));
      const size = columnBytes(halves);
      each(from, to, 1, (c) => copyBytes(columnAt(c, ofGroup), source.add(c.mul(size)), size));
    };
    const rounded = () => {
      eachColumns(tile, (first, last) => {
        each(0, panels, 1, (p) => {
          const place = { out: wide.add(p.mul(32)), stride: bytes };
          unpackColumns({ kind, w, panel: group.add(p), columns, first, last, ...place });
        });
        each(first, last, 1, (c) => {
          const numbers = wide.add(c.sub(first).mul(bytes));
          const target = columnAt(c, ofGroup);
          each(0, bytes, 32, (i) => store(target.add(i.shr(1)), roundEight(numbers.add(i))));
        });
      });
    };
    when(kind.eq(PACK_BF16), asTheyAre, rounded);
  });
  return undefined;
});
