/** Training steps on several ranks: what they share, and which bits depend on how many there are. */
import { deepEqual, equal } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assertClose } from '../../../../test/support/close.ts';
import type { RankCase, RankResult } from '../../../../test/support/rank-steps.ts';
import { findMpiLibrary } from '../native/native-library.ts';

const script = fileURLToPath(new URL('../../../../test/support/rank-steps.ts', import.meta.url));
const hasMpi = findMpiLibrary() !== null && spawnSync('mpirun', ['--version']).status === 0;
const skip = hasMpi ? false : 'Open MPI is not installed (mpirun and libmpi)';

const muon = { matrices: 'muon' } as const;
const cases = {
  adamw: { rows: 3, microBatches: 1 },
  muon: { rows: 3, microBatches: 1, optimizer: muon },
  // One row is one rank's: to its gradients the others add zeros, and no sum is in another order than on one rank.
  'adamw, one row': { rows: 1, microBatches: 2 },
  'muon, one row': { rows: 1, microBatches: 2, optimizer: muon },
} as const satisfies Record<string, RankCase>;

function run(ranks: number): Map<string, RankResult> {
  const words = [script, JSON.stringify(Object.values(cases))];
  const mpi = ['--allow-run-as-root', '--oversubscribe', '--bind-to', 'none', '-np', String(ranks), process.execPath];
  const { stdout, stderr, status } =
    ranks === 1
      ? spawnSync(process.execPath, words, { encoding: 'utf8' })
      : spawnSync('mpirun', [...mpi, ...words], { encoding: 'utf8' });
  equal(status, 0, stderr);
  const results = JSON.parse(stdout) as RankResult[];
  return new Map(Object.keys(cases).map((name, i) => [name, results[i]!]));
}

test('steps on two and three ranks are those of one, to f32; to the bit where no sum is in another order', {
  skip,
}, () => {
  const alone = run(1);
  for (const ranks of [2, 3]) {
    for (const [name, result] of run(ranks)) {
      const expected = alone.get(name)!;
      if (name.endsWith('one row')) deepEqual(result, expected, `${name}, ${ranks} ranks`);
      const series = ({ losses, norms }: RankResult) => [...losses, ...norms];
      assertClose(`${name}, ${ranks} ranks`, series(result), series(expected), { rtol: 2e-5 });
    }
  }
});
