/** `mpirun -np N cria train`: the same curve as one process, shards of the optimizer, and a rank that dies. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { assertClose } from '../../../../test/support/close.ts';
import { goldenPath } from '../../../../test/support/golden.ts';
import { mpiJob } from './mpi.ts';
import { findMpiLibrary } from './native-library.ts';

const bin = fileURLToPath(new URL('../../../../bin/cria.js', import.meta.url));
const hasMpi = findMpiLibrary() !== null && spawnSync('mpirun', ['--version']).status === 0;
const skip = hasMpi ? false : 'Open MPI is not installed (mpirun and libmpi)';
const work = mkdtempSync(join(tmpdir(), 'cria-mpi-'));
after(() => rmSync(work, { recursive: true, force: true }));
const at = (name: string) => join(work, name);

writeFileSync(
  at('train.txt'),
  Array.from({ length: 40 }, (_, i) => `The cat number ${i} sat on the mat.\n<|endoftext|>`).join('\n'),
);
writeFileSync(at('valid.txt'), 'The cat sat on another mat and was glad.');
writeFileSync(
  at('recipe.yaml'),
  `name: tiny
model: { depth: 2, width: 32, heads: 2, contextLength: 16 }
tokenizer: { path: ${goldenPath('tokenizers/sp-bpe-512/tokenizer.model')} }
data: { train: [{ path: ${at('train.txt')} }], valid: ${at('valid.txt')} }
training: { tokens: 960, batchTokens: 80, microBatchTokens: 80 }
output: { validateEvery: 6, checkpointEvery: 4 }
`,
);

const command = (out: string, ...more: string[]) =>
  [process.execPath, bin, 'train', at('recipe.yaml'), '--out', at(out), '-t', '1', '--no-blas', ...more] as const;
const underMpi = (ranks: number, words: readonly string[]) =>
  ['--allow-run-as-root', '--oversubscribe', '--bind-to', 'none', '-np', String(ranks), ...words] as const;

interface Line {
  readonly loss: number;
  readonly gradientNorm: number;
  readonly validation?: { readonly bitsPerByte: number };
}
const curve = (out: string) =>
  readFileSync(join(at(out), 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

test('what mpirun says of its job', () => {
  equal(mpiJob({}), null);
  deepEqual(mpiJob({ OMPI_COMM_WORLD_SIZE: '4', OMPI_COMM_WORLD_LOCAL_SIZE: '2' }), { size: 4, localSize: 2 });
});

test('two and three ranks give the curve of one, to f32', { skip }, () => {
  const [program, ...words] = command('solo');
  const alone = spawnSync(program, words, { encoding: 'utf8' });
  equal(alone.status, 0, alone.stderr);
  const expected = curve('solo');
  equal(expected.length, 12);
  for (const ranks of [2, 3]) {
    // Three of them hold a part of everything, and make the sample together.
    const words = ranks === 3 ? ['--set', 'training.sharding=parameters'] : [];
    const result = spawnSync('mpirun', underMpi(ranks, command(`ranks-${ranks}`, ...words)), { encoding: 'utf8' });
    equal(result.status, 0, result.stderr);
    match(result.stderr, new RegExp(`${ranks} ranks, each wasm`));
    const actual = curve(`ranks-${ranks}`);
    const series = (lines: Line[]) =>
      lines.flatMap(({ loss, gradientNorm, validation }) => [loss, gradientNorm, validation?.bitsPerByte ?? 0]);
    assertClose(`${ranks} ranks`, series(actual), series(expected), { rtol: 2e-5 });
  }
});

test('a batch norm over ranks is refused in words', { skip }, () => {
  const words = underMpi(2, command('batch', '--set', 'model.norm=batch'));
  const { status, stderr } = spawnSync('mpirun', words, { encoding: 'utf8' });
  ok(status !== 0);
  match(
    stderr,
    /model\.norm is batch on 2 ranks, and each would standardize its own rows only\. Train it in one process/,
  );
});

test('a run goes on with another number of ranks', { skip }, () => {
  const [program, ...words] = command('changing', '--set', 'training.schedule=stable');
  const first = spawnSync(
    'mpirun',
    underMpi(2, [
      program,
      ...words,
      '--set',
      'training.tokens=480',
      '--set',
      'training.warmupSteps=2',
      '--set',
      'training.decayFraction=0',
    ]),
    { encoding: 'utf8' },
  );
  equal(first.status, 0, first.stderr);
  const second = spawnSync(
    program,
    [...words, '--resume', '--set', 'training.warmupSteps=2', '--set', 'training.decayFraction=0'],
    { encoding: 'utf8' },
  );
  equal(second.status, 0, second.stderr);
  match(second.stderr, /resuming after step 6/);
  equal(curve('changing').length, 12);
});

test('a rank that dies ends the job with a word, and leaves a good checkpoint', { skip }, async () => {
  const job = spawn('mpirun', underMpi(2, command('dying', '--set', 'training.tokens=800000', '--json')), {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  job.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  let seen = 0;
  job.stdout.on('data', (chunk: Buffer) => {
    seen += chunk.toString().split('\n').length - 1;
    if (seen < 12 || seen > 1e6) return;
    seen = 2e6;
    const children = spawnSync('pgrep', ['-P', String(job.pid)], { encoding: 'utf8' })
      .stdout.trim()
      .split('\n');
    process.kill(Number(children.at(-1)), 'SIGKILL');
  });
  const code = await new Promise<number | null>((resolve) => job.on('exit', resolve));
  ok(code !== 0);
  match(stderr, /exited on signal 9|signal 9 \(Killed\)|killed/i);
  ok(readdirSync(join(at('dying'), 'checkpoints')).some((name) => name.startsWith('step-')));
  const [program, ...words] = command(
    'dying',
    '--resume',
    '--set',
    'training.tokens=1600',
    '--allow-change',
    'training.tokens',
  );
  // The other rank may still be on its way out when mpirun is gone.
  let again = spawnSync(program, words, { encoding: 'utf8' });
  for (let tries = 0; tries < 20 && /another run is at work/.test(again.stderr); tries++) {
    await sleep(500);
    again = spawnSync(program, words, { encoding: 'utf8' });
  }
  equal(again.status, 0, again.stderr);
  match(again.stderr, /resuming after step \d+/);
});
