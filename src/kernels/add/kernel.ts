/** The residual connection (reference.ts). */
import { elements, into } from '../units.ts';
import { store } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { F32, F32x4 } from '../writer/values.ts';

export const add = task(
  'add',
  { result: 'pointer', x: 'pointer', y: 'pointer', count: 'count' },
  ({ result, x, y, count }, units) => {
    elements(units, count, {
      eight: (at) =>
        into(result).pair(at, (half) => F32x4.load(x.add(at), 16 * half).add(F32x4.load(y.add(at), 16 * half))),
      one: (at) => store(result.add(at), F32.load(x.add(at)).add(F32.load(y.add(at)))),
    });
  },
);
