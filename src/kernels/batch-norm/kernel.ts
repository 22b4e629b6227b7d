/**
 * What BatchNorm is made of (formulas: reference.ts, backward.reference.ts): sums over the rows of each column, and one pass that
 * applies three numbers per column. The device computes those numbers, and with them the running statistics, in f64 between the two.
 */
import { each, store, variable, when } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { F32, F64, type I32 } from '../writer/values.ts';

/**
 * For each column c, in f64 and in the order of rows: Σ x, or with `means` Σ (x − mean_c)², or with `dy` Σ dy and Σ dy · (x − mean_c).
 * means: f64, 0 for none; dy: 0 for none; sums: f64, two rows of `columns`. Unit = one column.
 */
export const columnMoments = task(
  'columnMoments',
  { x: 'pointer', rows: 'count', columns: 'count', means: 'pointer', dy: 'pointer', sums: 'pointer' },
  ({ x, rows, columns, means, dy, sums }, { first, last }) => {
    const row = columns.mul(4);
    each(first, last, 1, (c) => {
      const mean = variable(F64.of(0));
      when(means, () => {
        mean.value = F64.load(means.add(c.mul(8)));
      });
      const [sum, products] = [variable(F64.of(0)), variable(F64.of(0))];
      each(0, rows, 1, (n) => {
        const at = c.mul(4).add(n.mul(row));
        const number = F32.load(x.add(at)).toF64().sub(mean.value);
        const add = (amount: F64) => {
          sum.value = sum.value.add(amount);
        };
        when(
          dy,
          () => {
            const slope = F32.load(dy.add(at)).toF64();
            add(slope);
            products.value = products.value.add(slope.mul(number));
          },
          () => {
            when(
              means,
              () => add(number.mul(number)),
              () => add(number),
            );
          },
        );
      });
      store(sums.add(c.mul(8)), sum.value);
      when(dy, () => store(sums.add(columns.add(c).mul(8)), products.value));
    });
  },
);

/**
 * y_c (+)= (x_c − centre_c) · scale_c + shift_c, or with `dy` y_c (+)= dy_c · outer_c + that. All per column, f64. dy: 0 for none.
 * Unit = one row.
 */
export const columnAffine = task(
  'columnAffine',
  {
    y: 'pointer',
    x: 'pointer',
    columns: 'count',
    centres: 'pointer',
    scales: 'pointer',
    shifts: 'pointer',
    dy: 'pointer',
    outers: 'pointer',
    adds: 'count',
  },
  ({ y, x, columns, centres, scales, shifts, dy, outers, adds }, { first, last }) => {
    each(first, last, 1, (n) => {
      each(0, columns, 1, (c) => {
        const at = n.mul(columns).add(c).mul(4);
        const ofColumn = (numbers: I32) => F64.load(numbers.add(c.mul(8)));
        const centred = F32.load(x.add(at)).toF64().sub(ofColumn(centres));
        const result = variable<F64>(centred.mul(ofColumn(scales)).add(ofColumn(shifts)));
        when(dy, () => {
          result.value = result.value.add(F32.load(dy.add(at)).toF64().mul(ofColumn(outers)));
        });
        when(adds, () => {
          result.value = result.value.add(F32.load(y.add(at)).toF64());
        });
        store(y.add(at), result.value.toF32());
      });
    });
  },
);
