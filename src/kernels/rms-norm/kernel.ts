/** RMSNorm (reference.ts has the formula). The sum of squares is kept in 16 f32 partial sums, folded in a fixed order. */
import { times } from '../lanes.ts';
import { into } from '../units.ts';
import { each, store, variable } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { F32, F32x4 } from '../writer/values.ts';

/** Unit = one row. */
export const rmsNorm = task(
  'rmsNorm',
  { y: 'pointer', x: 'pointer', gain: 'pointer', D: 'count', eps: 'real' },
  ({ y, x, gain, D, eps }, { first, last }) => {
    const rowBytes = D.mul(4);
    const whole = D.and(~15).mul(4);
    each(first, last, 1, (n) => {
      const from = x.add(n.mul(rowBytes));
      const to = y.add(n.mul(rowBytes));
      const squares = times(4, () => variable(F32x4.splat(0)));
      each(0, whole, 64, (at) => {
        const numbers = squares.map((_, i) => F32x4.load(from.add(at), 16 * i));
        squares.forEach((sum, i) => {
          sum.value = sum.value.add(numbers[i]!.mul(numbers[i]!));
        });
      });
      const [a, b, c, d] = squares.map(({ value }) => value) as [F32x4, F32x4, F32x4, F32x4];
      const sum = variable(a.add(b).add(c.add(d)).sum());
      each(whole, rowBytes, 4, (at) => {
        const number = F32.load(from.add(at));
        sum.value = sum.value.add(number.mul(number));
      });
      const r = F32.of(1).div(sum.value.div(D.toF32()).add(eps).sqrt());
      const rs = F32x4.splat(r);
      each(0, whole, 32, (at) => {
        into(to).pair(at, (half) =>
          F32x4.load(gain.add(at), 16 * half).mul(F32x4.load(from.add(at), 16 * half).mul(rs)),
        );
      });
      each(whole, rowBytes, 4, (at) => store(to.add(at), F32.load(gain.add(at)).mul(F32.load(from.add(at)).mul(r))));
    });
  },
);
