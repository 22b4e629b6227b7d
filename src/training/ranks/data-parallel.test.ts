/** What several ranks do where nothing says otherwise. What they compute: src/platform/node/training/ranks.test.ts. */
import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { ids, trainer } from '../../../test/support/tiny-trainer.ts';
import { type Collective, solo } from '../collective.ts';

/** The first of two ranks; what the other sends is zeros. `asked`: how each sum of parts was to be made. */
function firstOfTwo(isOneMachine: boolean, asked: Set<string>): Collective {
  return {
    ...solo,
    size: 2,
    isOneMachine,
    async sumParts(sums, values, _, when) {
      asked.add(when);
      sums.set(values.subarray(0, sums.length));
    },
    gather: (whole, own) => whole.set(own),
  };
}

const cases = [
  ['between machines sums are made beside the backward pass', false, undefined, 'beside'],
  ['on one machine they are not', true, undefined, 'now'],
  ['unless it is asked for', true, true, 'beside'],
  ['and between machines it can be switched off', false, false, 'now'],
] as const;
for (const [name, isOneMachine, overlap, expected] of cases) {
  test(name, async () => {
    const asked = new Set<string>();
    const parallel = overlap === undefined ? {} : { parallel: { sharding: 'optimizer', overlap } as const };
    const { trainer: steps } = trainer({ collective: firstOfTwo(isOneMachine, asked), ...parallel });
    await steps.step([{ ids, rows: 2, length: 16 }]);
    deepEqual([...asked], [expected]);
  });
}
