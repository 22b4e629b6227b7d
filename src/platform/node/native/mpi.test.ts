/** `mpirun -np N cria train`: the same curve as one process, shards of the optimizer, and a rank that dies. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assertClose } from '../../../../test/support/close.ts';
import { eventually } from '../../../../test/support/eventually.ts';
import { goldenPath } from '../../../../test/support/golden.ts';
import { Random } from '../../../base/random.ts';
import { checkpointName, checkpointNames } from '../training/run-checkpoint.ts';
import { digestOf } from '../training/whole-folder.ts';
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

test('a rank that waits for another leaves its core to others', { skip }, () => {
  const script = `
    import { setTimeout as sleep } from 'node:timers/promises';
    import { joinMpi } from ${JSON.stringify(new URL('./mpi.ts', import.meta.url).href)};
    const ranks = joinMpi();
    ranks.barrier();
    const [from, before] = [performance.now(), process.cpuUsage()];
    if (ranks.rank === 0) await sleep(1000);
    ranks.sum(new Float64Array(1));
    const { user, system } = process.cpuUsage(before);
    const shares = new Float64Array(ranks.size);
    shares[ranks.rank] = (user + system) / 1000 / (performance.now() - from);
    ranks.sum(shares);
    if (ranks.rank === 0) console.log(String(shares[1]));
    ranks.finish();`;
  const words = underMpi(2, [process.execPath, '--input-type=module', '--eval', script]);
  const { status, stdout, stderr } = spawnSync('mpirun', words, { encoding: 'utf8' });
  equal(status, 0, stderr);
  ok(Number(stdout) < 0.25, `it was busy for ${stdout.trim()} of its time`);
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

/** `mpirun` of these words, until so many steps are done: then the processes that `whom` chooses are killed. */
async function killed(
  ranks: number,
  words: readonly string[],
  steps: number,
  whom: (job: number, children: readonly number[]) => readonly number[],
): Promise<{ code: number | null; stderr: string; children: readonly number[] }> {
  const job = spawn('mpirun', underMpi(ranks, [...words, '--json']), { stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  job.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  let seen = 0;
  let children: readonly number[] = [];
  job.stdout.on('data', (chunk: Buffer) => {
    seen += chunk.toString().split('\n').length - 1;
    if (children.length > 0 || seen < steps) return;
    const { stdout } = spawnSync('pgrep', ['-P', String(job.pid)], { encoding: 'utf8' });
    children = stdout.trim().split('\n').map(Number);
    for (const pid of whom(job.pid!, children)) tryKill(pid);
  });
  const code = await new Promise<number | null>((resolve) => job.on('close', resolve));
  return { code, stderr, children };
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has gone by itself
  }
}

/** None of them runs any more; what nobody has asked for yet counts as gone. */
const areGone = (pids: readonly number[]): boolean =>
  spawnSync('ps', ['-o', 'stat=', '-p', pids.join(',')], { encoding: 'utf8' })
    .stdout.split('\n')
    .every((state) => state === '' || state.startsWith('Z'));

const digests = (out: string, step: number) =>
  ['model', 'averaged', 'optimizer'].map((file) =>
    digestOf(join(at(out), 'checkpoints', checkpointName(step), `${file}.safetensors`)),
  );

test('killed with two ranks, then with three, and finished by one: the bits of a run that nothing happened to', {
  skip,
}, async () => {
  // A row a step: no sum is in another order with more ranks. Nothing depends on the length, so that nobody has to be killed in time.
  const settings = ['batchTokens=16', 'microBatchTokens=16', 'matrices=muon', 'ema=0.9', 'schedule=stable'];
  settings.push('warmupSteps=2', 'decayFraction=0');
  const line = (out: string, steps: number, ...more: string[]) =>
    command(
      out,
      ...[...settings, `tokens=${16 * steps}`, ...more].flatMap((setting) => ['--set', `training.${setting}`]),
    );
  const endless = (sharding: string) => [...line('killed', 1e6, `sharding=${sharding}`), '--resume'];

  const random = new Random(Date.now());
  const one = await killed(2, endless('gradients'), 6 + random.below(12), (_, children) => [
    children[random.below(children.length)]!,
  ]);
  ok(one.code !== 0, 'a rank that dies ends the job');
  match(one.stderr, /exited on signal 9|signal 9 \(Killed\)|killed/i);
  await eventually(() => areGone(one.children), 'all ranks have ended');
  ok(checkpointNames(join(at('killed'), 'checkpoints')).length > 0);

  const all = await killed(3, endless('parameters'), 6 + random.below(12), (job, children) => [job, ...children]);
  match(all.stderr, /changed: training\.sharding is "parameters", and was "gradients"/);
  match(all.stderr, /changed: ranks: 3, and 2 until now/);
  await eventually(() => areGone(all.children), 'all ranks have ended');

  const newest = checkpointNames(join(at('killed'), 'checkpoints')).at(-1)!;
  const steps = Number(newest.slice('step-'.length)) + 5;
  const [program, ...last] = [...line('killed', steps), '--resume'];
  const end = spawnSync(program!, last, { encoding: 'utf8' });
  equal(end.status, 0, end.stderr);
  match(end.stderr, /resuming after step \d+/);
  const [, ...whole] = line('straight', steps);
  const straight = spawnSync(program!, whole, { encoding: 'utf8' });
  equal(straight.status, 0, straight.stderr);
  deepEqual(digests('killed', steps), digests('straight', steps));
  equal(curve('killed').length, steps, 'each step once');
});
