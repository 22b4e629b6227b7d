/**
 * C (+)= A · B in f32: the three products of a linear layer's training.
 *
 *   forward  y = x · Wᵀ        backward  dx = dy · W        dW = dyᵀ · x
 *
 * Both operands come packed into panels (6 rows of A, 16 columns of B, side by side for each k: assembly.ts), so that the register tile
 * reads them in a line. A thread takes blocks of C; inside, k is cut so that a panel of B stays in the first cache and a block of A in the
 * second. Every element of C adds its products in the order of k, cut by cut, whoever computes it.
 * Source  Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication".
 */
import { pair, times, zeros } from '../lanes.ts';
import { BLOCK_COLUMNS, BLOCK_ROWS, CONTROL_WIDE, TILE_COLUMNS, TILE_ROWS } from '../training-tasks.ts';
import { each, functionOf, store, storeVectors, variable, when } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { choose, F32, F32x4, I32 } from '../writer/values.ts';

/** Steps of k whose products are added before C changes. */
export const DEPTH = 256;

/** cRow: bytes of a row of C; adds: 0 overwrites C; scratch: EDGE_BYTES for every thread. Unit = one block of C. */
export const gemm = task(
  'gemm',
  {
    a: 'pointer',
    b: 'pointer',
    c: 'pointer',
    cRow: 'count',
    M: 'count',
    N: 'count',
    K: 'count',
    adds: 'count',
    scratch: 'pointer',
    scratchBytes: 'count',
  },
  ({ a, b, c, cRow, M, N, K, adds, scratch, scratchBytes }, { first, last, thread }) => {
    const columnBlocks = N.add(BLOCK_COLUMNS - 1).div(BLOCK_COLUMNS);
    const edge = scratch.add(thread.mul(scratchBytes));
    each(first, last, 1, (unit) => {
      const row = unit.div(columnBlocks).mul(BLOCK_ROWS);
      const column = unit.rem(columnBlocks).mul(BLOCK_COLUMNS);
      const rowEnd = M.min(row.add(BLOCK_ROWS));
      const columnEnd = N.min(column.add(BLOCK_COLUMNS));
      each(0, K, DEPTH, (k) => {
        const count = K.sub(k).min(DEPTH);
        const add = k.gt(0).or(adds.ne(0));
        each(column, columnEnd, TILE_COLUMNS, (j) => {
          const panelB = b.add(j.mul(K).add(k.mul(TILE_COLUMNS)).mul(4));
          each(row, rowEnd, TILE_ROWS, (i) => {
            const panelA = a.add(i.mul(K).add(k.mul(TILE_ROWS)).mul(4));
            const target = c.add(i.mul(cRow)).add(j.mul(4));
            const isWhole = i.add(TILE_ROWS).le(rowEnd).and(j.add(TILE_COLUMNS).le(columnEnd));
            when(
              isWhole,
              () => panelTile({ c: target, cRow, a: panelA, b: panelB, count, add }),
              () => {
                const edgeRow = I32.of(4 * TILE_COLUMNS);
                panelTile({ c: edge, cRow: edgeRow, a: panelA, b: panelB, count, add: I32.of(0) });
                copyEdge({ c: target, cRow, edge, rows: rowEnd.sub(i), columns: columnEnd.sub(j), add });
              },
            );
          });
        });
      });
    });
  },
);

/** As many rows and columns of a tile as there are. */
const copyEdge = functionOf(
  'copyEdge',
  { c: I32, cRow: I32, edge: I32, rows: I32, columns: I32, add: I32 },
  null,
  ({ c, cRow, edge, rows, columns, add }) => {
    each(0, rows.min(TILE_ROWS), 1, (i) => {
      each(0, columns.min(TILE_COLUMNS), 1, (j) => {
        const at = c.add(i.mul(cRow)).add(j.mul(4));
        const value = F32.load(edge.add(i.mul(TILE_COLUMNS).add(j).mul(4)));
        store(at, choose(add, F32.load(at).add(value), value));
      });
    });
    return undefined;
  },
);

/** C[6 × `columns`] (+)= A · B over `count` steps of k. Sums: as many as registers hold, of 256 bits where an engine joins pairs. */
function tileOf(columns: number) {
  return functionOf(
    `panelTile${columns}`,
    { c: I32, cRow: I32, a: I32, b: I32, count: I32, add: I32 },
    null,
    ({ c, cRow, a, b, count, add }) => {
      const zero = zeros(F32x4);
      const acc = times(TILE_ROWS, () => times(columns / 8, () => pair(() => variable(zero))));
      const from = variable(b);
      each(a, a.add(count.mul(4 * TILE_ROWS)), 4 * TILE_ROWS, (at) => {
        const row = from.value;
        const bs = times(columns / 8, (i) => pair((half) => F32x4.load(row, 32 * i + 16 * half)));
        acc.forEach((ofRow, r) => {
          const s = F32x4.loadSplat(at, 4 * r);
          ofRow.forEach((sum, i) => {
            sum.forEach((it, half) => {
              it.value = s.mulAdd(bs[i]![half]!, it.value);
            });
          });
        });
        from.value = row.add(4 * TILE_COLUMNS);
      });
      acc.forEach((ofRow, r) => {
        const to = c.add(cRow.mul(r));
        when(add, () => {
          ofRow.flat().forEach((sum, i) => {
            sum.value = sum.value.add(F32x4.load(to, 16 * i));
          });
        });
        const sums = ofRow.flat().map((it) => it.value);
        storeVectors(to, sums);
      });
      return undefined;
    },
  );
}
const wide = tileOf(TILE_COLUMNS);
const narrow = tileOf(TILE_COLUMNS / 2);

/** An engine that does not join pairs has as many registers of 128 bits, and gets the tile in two halves. */
const panelTile = functionOf(
  'panelTile',
  { c: I32, cRow: I32, a: I32, b: I32, count: I32, add: I32 },
  null,
  (operands) => {
    when(
      I32.load(I32.of(CONTROL_WIDE)),
      () => wide(operands),
      () => {
        narrow(operands);
        narrow({ ...operands, c: operands.c.add(32), b: operands.b.add(32) });
      },
    );
    return undefined;
  },
);
