import { each, functionOf, store, storeVectors, variable, when } from '../writer/statements.ts';
import { F32, F32x4, I32 } from '../writer/values.ts';

/** Writes the 8 sums of a panel into the row that begins at y, as many as the matrix has rows there, and adds the bias if it is not 0. */
export const storePanel = functionOf(
  'storePanel',
  { sums: I32, panel: I32, rows: I32, y: I32, bias: I32 },
  null,
  ({ sums, panel, rows, y, bias }) => {
    const done = panel.mul(8);
    when(done.lt(rows), () => {
      const to = y.add(done.mul(4));
      const from = bias.add(done.mul(4));
      const left = rows.sub(done);
      when(
        left.ge(8),
        () => {
          const acc = [0, 16].map((at) => variable(F32x4.load(sums, at)));
          when(bias.ne(0), () => {
            acc.forEach((sum, i) => {
              sum.value = sum.value.add(F32x4.load(from, 16 * i));
            });
          });
          storeVectors(
            to,
            acc.map((sum) => sum.value),
          );
        },
        () => {
          each(0, left, 1, (r) => {
            const sum = variable(F32.load(sums.add(r.mul(4))));
            when(bias.ne(0), () => {
              sum.value = sum.value.add(F32.load(from.add(r.mul(4))));
            });
            store(to.add(r.mul(4)), sum.value);
          });
        },
      );
    });
    return undefined;
  },
);
