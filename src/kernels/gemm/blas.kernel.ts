/** Matrix products by the system's BLAS (blas.ts), shared out among the team: each thread calls it, single-threaded, on tiles of its own. */
import { each, importOf } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { I32 } from '../writer/values.ts';
import type { BlasOperands } from './blas.ts';

/** C [M × N] = A · B + beta · C, in the running instance's memory; the strides as `Gemm` of blas.ts has them. */
const takes = {
  M: I32,
  N: I32,
  K: I32,
  a: I32,
  aRow: I32,
  aStep: I32,
  b: I32,
  bStep: I32,
  bColumn: I32,
  beta: I32,
  c: I32,
  cRow: I32,
};
const [sgemm, bgemm] = [importOf('sgemm', takes), importOf('bgemm', takes)];

export const blasProducts = { f32: sgemm, bf16: bgemm };
export const operandBytes = { f32: 4, bf16: 2 } as const satisfies Record<BlasOperands, number>;

function blasOf(operands: BlasOperands) {
  const bytes = operandBytes[operands];
  const product = blasProducts[operands];
  return task(
    `gemmBlas_${operands}`,
    {
      c: 'pointer',
      cRow: 'count',
      M: 'count',
      N: 'count',
      K: 'count',
      a: 'pointer',
      aRow: 'count',
      aStep: 'count',
      b: 'pointer',
      bColumn: 'count',
      bStep: 'count',
      adds: 'count',
      tileRows: 'count',
      tileColumns: 'count',
    },
    (it, { first, last }) => {
      const { c, cRow, M, N, K, a, aRow, aStep, b, bColumn, bStep, adds, tileRows, tileColumns } = it;
      const across = N.add(tileColumns).sub(1).div(tileColumns);
      each(first, last, 1, (unit) => {
        const m = unit.div(across).mul(tileRows);
        const n = unit.rem(across).mul(tileColumns);
        product.call({
          M: M.sub(m).min(tileRows),
          N: N.sub(n).min(tileColumns),
          K,
          a: a.add(m.mul(aRow).mul(bytes)),
          aRow,
          aStep,
          b: b.add(n.mul(bColumn).mul(bytes)),
          bStep,
          bColumn,
          beta: adds,
          c: c.add(m.mul(cRow).add(n).mul(4)),
          cRow,
        });
      });
    },
    [product.callee],
  );
}

/** C [M × N] (+)= A · Bᵀ, where B is given as its N rows; strides in numbers. Unit = one tile of C. */
export const gemmBlas = { f32: blasOf('f32'), bf16: blasOf('bf16') };
