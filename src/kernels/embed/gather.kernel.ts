import { columns, onto } from '../units.ts';
import { copyBytes, each } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { F32, F32x4, I32 } from '../writer/values.ts';

/** y_n = table_{ids_n}: rows of D numbers. Unit = one row. */
export const gatherRows = task(
  'gatherRows',
  { y: 'pointer', table: 'pointer', ids: 'pointer', D: 'count' },
  ({ y, table, ids, D }, { first, last }) => {
    const bytes = D.mul(4);
    each(first, last, 1, (n) => {
      copyBytes(y.add(n.mul(bytes)), table.add(I32.load(ids.add(n.mul(4))).mul(bytes)), bytes);
    });
  },
);

/** dTable_{ids_n} += dy_n, in the order of n. One unit: two rows may have the same id. */
export const embedBackward = task(
  'embedBackward',
  { dTable: 'pointer', dy: 'pointer', ids: 'pointer', N: 'count', D: 'count' },
  ({ dTable, dy, ids, N, D }) => {
    const bytes = D.mul(4);
    each(0, N, 1, (n) => {
      const results = onto(dTable.add(I32.load(ids.add(n.mul(4))).mul(bytes)));
      const from = dy.add(n.mul(bytes));
      columns(bytes, 16, {
        wide: (at) => results.vector(at, F32x4.load(from.add(at))),
        one: (at) => results.number(at, F32.load(from.add(at))),
      });
    });
  },
);
