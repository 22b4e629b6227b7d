import { elements, into } from '../units.ts';
import { store } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { F32, F32x4 } from '../writer/values.ts';

/** target ← factor · target + other · source */
export const blend = task(
  'blend',
  { target: 'pointer', source: 'pointer', count: 'count', factor: 'real', other: 'real' },
  ({ target, source, count, factor, other }, units) => {
    const [f, o] = [F32x4.splat(factor), F32x4.splat(other)];
    elements(units, count, {
      eight(at) {
        into(target).pair(at, (half) => {
          const own = f.mul(F32x4.load(target.add(at), 16 * half));
          return own.add(o.mul(F32x4.load(source.add(at), 16 * half)));
        });
      },
      one(at) {
        const own = factor.mul(F32.load(target.add(at)));
        store(target.add(at), own.add(other.mul(F32.load(source.add(at)))));
      },
    });
  },
);
