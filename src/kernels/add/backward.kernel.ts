import { columns, elements, intoOrOnto, onto } from '../units.ts';
import { each } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { F32, F32x4 } from '../writer/values.ts';

/** dx (+)= factor · dy */
export const accumulate = task(
  'accumulate',
  { dx: 'pointer', dy: 'pointer', count: 'count', factor: 'real', adds: 'count' },
  ({ dx, dy, count, factor, adds }, units) => {
    const factors = F32x4.splat(factor);
    intoOrOnto(dx, adds, (results) => {
      elements(units, count, {
        eight: (at) => results.pair(at, (half) => factors.mul(F32x4.load(dy.add(at), 16 * half))),
        one: (at) => results.number(at, factor.mul(F32.load(dy.add(at)))),
      });
    });
  },
);

/** y_no += bias_o. Unit = one row. */
export const addBias = task(
  'addBias',
  { y: 'pointer', bias: 'pointer', O: 'count' },
  ({ y, bias, O }, { first, last }) => {
    each(first, last, 1, (n) => {
      const results = onto(y.add(n.mul(O).mul(4)));
      columns(O.mul(4), 16, {
        wide: (at) => results.vector(at, F32x4.load(bias.add(at))),
        one: (at) => results.number(at, F32.load(bias.add(at))),
      });
    });
  },
);
