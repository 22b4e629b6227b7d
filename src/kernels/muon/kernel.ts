import { pair } from '../lanes.ts';
import { elements } from '../units.ts';
import { store, storeVectors } from '../writer/statements.ts';
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
        const own = pair((half) => f.mul(F32x4.load(target.add(at), 16 * half)));
        const sums = pair((half) => own[half].add(o.mul(F32x4.load(source.add(at), 16 * half))));
        storeVectors(target.add(at), sums);
      },
      one(at) {
        const own = factor.mul(F32.load(target.add(at)));
        store(target.add(at), own.add(other.mul(F32.load(source.add(at)))));
      },
    });
  },
);
