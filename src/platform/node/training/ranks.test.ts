/** Training steps on several ranks: what each holds, and which bits depend on what they share and on how many there are. */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assertClose } from '../../../../test/support/close.ts';
import { config, PARAMETERS, type RankCase, type RankResult } from '../../../../test/support/rank-case.ts';
import { type Sharding, shardings } from '../../../training/ranks/sharding.ts';
import { estimateMemory } from '../../../training/run/estimate.ts';
import { findMpiLibrary } from '../native/native-library.ts';
import { checkpointName } from './run-checkpoint.ts';

const script = fileURLToPath(new URL('../../../../test/support/rank-steps.ts', import.meta.url));
const hasMpi = findMpiLibrary() !== null && spawnSync('mpirun', ['--version']).status === 0;
const skip = hasMpi ? false : 'Open MPI is not installed (mpirun and libmpi)';
const work = mkdtempSync(join(tmpdir(), 'cria-ranks-'));
after(() => rmSync(work, { recursive: true, force: true }));

const muon = { matrices: 'muon' } as const;
// One row is one rank's: to its gradients the others add zeros, and no sum is in another order than on one rank.
const oneRow = { rows: 1, microBatches: 1, optimizer: muon, ema: 0.8 } as const;
const chain = { ...oneRow, checkpoints: join(work, 'chain') };

/** Each of these with whatever is sharded, and some without overlap. */
const bases: Readonly<Record<string, RankCase>> = {
  adamw: { rows: 3, microBatches: 1 },
  muon: { rows: 3, microBatches: 1, optimizer: muon, recompute: 'block', ema: 0.8 },
  // Of three ranks one has no pass. What is dropped does not depend on the rank.
  passes: { rows: 2, microBatches: 2, dropout: { rates: { embedding: 0.1, attention: 0.2, residual: 0.3 }, seed: 2 } },
};
const cases: Readonly<Record<string, RankCase>> = {
  ...Object.fromEntries(
    Object.entries(bases).flatMap(([name, base]) =>
      shardings.map((sharding) => [`${name}, ${sharding}`, { ...base, sharding }]),
    ),
  ),
  'no overlap, none': { ...bases.adamw!, sharding: 'none', overlap: false },
  'no overlap, parameters': { ...bases.adamw!, sharding: 'parameters', overlap: false },
  'one row': { rows: 1, microBatches: 1 },
  'one row, muon': oneRow,
};

function run(ranks: number, asked: Readonly<Record<string, RankCase>>): Readonly<Record<string, RankResult>> {
  const words = [script, JSON.stringify(Object.values(asked))];
  const mpi = ['--allow-run-as-root', '--oversubscribe', '--bind-to', 'none', '-np', String(ranks), process.execPath];
  const { stdout, stderr, status } =
    ranks === 1
      ? spawnSync(process.execPath, words, { encoding: 'utf8' })
      : spawnSync('mpirun', [...mpi, ...words], { encoding: 'utf8' });
  equal(status, 0, stderr);
  const results = JSON.parse(stdout) as RankResult[];
  return Object.fromEntries(Object.keys(asked).map((name, i) => [name, results[i]!]));
}

const numbers = ({ bytes, small, ...rest }: RankResult) => rest;

test('on two and three ranks', { skip }, async (t) => {
  // The chain of checkpoints is written by three ranks, then two, then one.
  const three = run(3, { ...cases, chain: { ...chain, sharding: 'parameters' } });
  const two = run(2, { ...cases, chain: { ...chain, sharding: 'gradients' } });
  const one = run(1, { ...cases, chain, straight: { ...oneRow, steps: 9 } });

  await t.test('steps are those of one, to f32', () => {
    for (const result of [two, three]) {
      ok(Object.values(result).every(({ isOneMachine }) => isOneMachine));
      for (const name of Object.keys(cases)) {
        const series = ({ losses, norms, evaluated, next, averaged }: RankResult) => [
          ...[...losses, ...norms, evaluated, ...next],
          averaged?.evaluated ?? 0,
        ];
        assertClose(name, series(result[name]!), series(one[name]!), { rtol: 2e-5 });
      }
    }
  });

  await t.test('what is sharded, and whether sums are made beside the backward pass, changes no bit', () => {
    for (const result of [two, three]) {
      const same = (a: string, b: string) => deepEqual(numbers(result[a]!), numbers(result[b]!), `${a} and ${b}`);
      for (const base of ['adamw', 'muon']) {
        for (const sharding of shardings) same(`${base}, ${sharding}`, `${base}, none`);
      }
      same('no overlap, none', 'adamw, none');
      same('no overlap, parameters', 'adamw, none');
      // Passes are summed before ranks, or after them.
      same('passes, optimizer', 'passes, none');
      same('passes, parameters', 'passes, gradients');
    }
  });

  await t.test('the gradients of the first passes are measured whatever is shared', () => {
    for (const result of [two, three]) {
      for (const base of Object.keys(bases)) {
        const expected = result[`${base}, none`]!.small;
        equal(expected.length, 3);
        for (const sharding of shardings) {
          assertClose(`${base}, ${sharding}`, result[`${base}, ${sharding}`]!.small, expected, { rtol: 1e-5 });
        }
      }
    }
  });

  await t.test('where no sum is in another order, neither does the number of ranks', () => {
    for (const result of [two, three]) {
      for (const name of ['one row', 'one row, muon']) equal(result[name]!.digest, one[name]!.digest, name);
    }
  });

  await t.test('checkpoints are read by any number of ranks: 3, 2, 1 go on as 1 does', () => {
    equal(one.chain!.digest, one.straight!.digest);
    deepEqual(one.chain!.averaged, one.straight!.averaged);
    const moments = (step: number) =>
      readFileSync(join(chain.checkpoints, checkpointName(step), 'optimizer.safetensors'));
    equal(moments(3).length, moments(9).length);
  });

  await t.test("a rank's memory falls as sharding says", () => {
    const { blocks, block, outside } = PARAMETERS;
    const all = blocks * block + outside;
    for (const [size, result] of [
      [2, two],
      [3, three],
    ] as const) {
      // Weights, gradients and two moments of 4 bytes; beside the device the sums of a rank's part.
      const expected: Readonly<Record<Sharding, number>> = {
        none: 4 * all + 4 * all + 8 * all + (4 * all) / size,
        optimizer: 4 * all + 4 * all + (12 * all) / size,
        gradients: 4 * all + 4 * (block + outside) + (12 * all) / size,
        parameters: 4 * (block + outside) + 4 * (block + outside) + (4 * blocks * block + 12 * all) / size,
      };
      for (const sharding of shardings) {
        const { bytes } = result[`adamw, ${sharding}`]!;
        equal(bytes.length, size);
        const mean = bytes.reduce((a, b) => a + b, 0) / size;
        assertClose(`${sharding}, ${size} ranks`, [mean], [expected[sharding]], { rtol: 1e-12 });
        const { parameters } = estimateMemory(config, 1, 'none', { size, sharding });
        assertClose(`the estimate of ${sharding}, ${size} ranks`, [parameters], [mean], { rtol: 1e-12 });
        // Muon keeps one moment of a matrix; an average is kept of all, or, of what is shared, of a part.
        const facts = { size, sharding, matrices: 'muon', isAveraged: true } as const;
        const withMuon = result[`muon, ${sharding}`]!.bytes.reduce((a, b) => a + b, 0) / size;
        const estimate = estimateMemory(config, 1, 'none', facts).parameters;
        assertClose(`Muon and an average, ${sharding}, ${size} ranks`, [withMuon], [estimate], { rtol: 1e-12 });
      }
    }
  });
});
