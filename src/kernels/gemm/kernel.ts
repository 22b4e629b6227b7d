/**
 * C (+)= A · B in f32: the three products of a linear layer's training.
 *
 *   forward  y = x · Wᵀ        backward  dx = dy · W        dW = dyᵀ · x
 *
 * Operands that are read often come packed into panels (6 rows of A, 16 columns of B, side by side for each k: pack.kernel.ts), so that the
 * register tile reads them in a line; one that a tile or two read may stay where it lies, in whole panels. A thread takes blocks of C;
 * inside, k is cut so that a panel of B stays in the first cache and a block of A in the second. Every element of C adds its products in
 * the order of k, cut by cut, whoever computes it.
 * Source  Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication".
 */
import { BLOCK_COLUMNS, BLOCK_ROWS, TILE_COLUMNS, TILE_ROWS } from '../training-tasks.ts';
import { each, functionOf, store, when } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { choose, F32, I32 } from '../writer/values.ts';
import { panelTile, tile } from './tile.ts';

/** Steps of k whose products are added before C changes. */
export const DEPTH = 256;

/**
 * Bytes: aFar from row to row of A at the beginning of a panel, aRow within one, aStep from k to k; B likewise, whose columns lie side by
 * side in a panel; cRow a row of C. adds: 0 overwrites C; scratch: EDGE_BYTES for every thread. Unit = one block of C.
 */
export const gemm = task(
  'gemm',
  {
    a: 'pointer',
    aFar: 'count',
    aRow: 'count',
    aStep: 'count',
    b: 'pointer',
    bFar: 'count',
    bStep: 'count',
    c: 'pointer',
    cRow: 'count',
    M: 'count',
    N: 'count',
    K: 'count',
    adds: 'count',
    scratch: 'pointer',
    scratchBytes: 'count',
  },
  (
    { a, aFar, aRow, aStep, b, bFar, bStep, c, cRow, M, N, K, adds, scratch, scratchBytes },
    { first, last, thread },
  ) => {
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
          const panelB = b.add(j.mul(bFar)).add(k.mul(bStep));
          each(row, rowEnd, TILE_ROWS, (i) => {
            const panelA = a.add(i.mul(aFar)).add(k.mul(aStep));
            const target = c.add(i.mul(cRow)).add(j.mul(4));
            const isWhole = i.add(TILE_ROWS).le(rowEnd).and(j.add(TILE_COLUMNS).le(columnEnd));
            when(
              isWhole,
              () => eitherTile({ c: target, cRow, a: panelA, aRow, aStep, b: panelB, bStep, count, add }),
              () => {
                const edgeRow = I32.of(4 * TILE_COLUMNS);
                const whole = { a: panelA, aRow, aStep, b: panelB, bStep, count };
                eitherTile({ ...whole, c: edge, cRow: edgeRow, add: I32.of(0) });
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

const tileOperands = { c: I32, cRow: I32, a: I32, aRow: I32, aStep: I32, b: I32, bStep: I32, count: I32, add: I32 };

/** The tile of panels where both operands are packed: its steps are constants. */
const eitherTile = functionOf('eitherTile', tileOperands, null, ({ aRow, aStep, bStep, ...packed }) => {
  const isPacked = aRow
    .eq(4)
    .and(aStep.eq(4 * TILE_ROWS))
    .and(bStep.eq(4 * TILE_COLUMNS));
  when(
    isPacked,
    () => panelTile(packed),
    () => tile({ ...packed, aRow, aStep, bStep }),
  );
  return undefined;
});
