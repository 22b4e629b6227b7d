/** `mpirun -np N cria finetune`: the same curve as one process, for every method that runs on several ranks. */
import { equal, match, ok } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { assertClose } from '../../../../test/support/close.ts';
import { tuningPlace, writeBase } from '../../../../test/support/tuning.ts';
import type { TuningMetrics } from '../../../finetuning/run/loop.ts';
import { findMpiLibrary } from '../native/native-library.ts';

const bin = fileURLToPath(new URL('../../../../bin/cria.js', import.meta.url));
const hasMpi = findMpiLibrary() !== null && spawnSync('mpirun', ['--version']).status === 0;
const skip = hasMpi ? false : 'Open MPI is not installed (mpirun and libmpi)';
const { at, remove } = tuningPlace();
after(remove);
writeBase(at('base'));
const rows = (name: string, values: readonly unknown[]) => {
  writeFileSync(at(name), values.map((value) => JSON.stringify(value)).join('\n'));
  return [{ path: at(name) }];
};
const numbers = Array.from({ length: 7 }, (_, i) => i);
const texts = rows(
  'sft.jsonl',
  numbers.map((i) => ({ prompt: `Say ${i}:`, completion: ' yes'.repeat(1 + i) })),
);
const pairs = rows(
  'pairs.jsonl',
  numbers.map((i) => ({ prompt: `Say ${i}:`, chosen: ' yes'.repeat(1 + i), rejected: ' no' })),
);

const recipes = {
  // Answers of different lengths: the mean is over tokens, whichever rank they are on.
  sft: { method: 'sft', data: { train: texts, valid: texts } },
  adapter: { method: 'sft', data: { train: texts }, adapter: { kind: 'lora', rank: 2, dropout: 0.3 } },
  dpo: { method: 'dpo', data: { train: pairs, valid: pairs }, dpo: { nllWeight: 0.2 } },
  reward: { method: 'reward', data: { train: pairs, valid: pairs } },
};

for (const [name, recipe] of Object.entries(recipes)) {
  test(`${name} on two ranks has the curve of one`, { skip }, () => {
    writeFileSync(
      at(`${name}.yaml`),
      stringify({
        name,
        model: { from: at('base') },
        training: { steps: 4, batch: 3, learningRate: 0.003 },
        output: { validateEvery: 2, ...(name !== 'reward' && { samplePrompt: 'Say', sampleTokens: 4 }) },
        ...recipe,
      }),
    );
    const command = (out: string) => [
      process.execPath,
      bin,
      'finetune',
      at(`${name}.yaml`),
      '--out',
      at(out),
      '-t',
      '1',
      '--no-blas',
    ];
    const [program, ...words] = command(`${name}-1`);
    const alone = spawnSync(program!, words, { encoding: 'utf8' });
    equal(alone.status, 0, alone.stderr);
    const mpi = ['--allow-run-as-root', '--oversubscribe', '--bind-to', 'none', '-np', '2'];
    const both = spawnSync('mpirun', [...mpi, ...command(`${name}-2`)], { encoding: 'utf8' });
    equal(both.status, 0, both.stderr);
    match(both.stderr, /2 ranks, each wasm/);
    const curve = (out: string) =>
      readFileSync(join(at(out), 'metrics.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as TuningMetrics)
        .flatMap(({ loss, gradientNorm, tokens, validation }) => [loss, gradientNorm, tokens, validation?.loss ?? 0]);
    const expected = curve(`${name}-1`);
    ok(expected.length === 16);
    assertClose(name, curve(`${name}-2`), expected, { rtol: 2e-5 });
  });
}

test('what draws answers runs in one process, and says so', { skip }, () => {
  writeFileSync(
    at('ppo.yaml'),
    stringify({
      name: 'ppo',
      method: 'ppo',
      model: { from: at('base') },
      data: { train: texts },
      judge: { rule: 'avoids', words: ['no'] },
    }),
  );
  const mpi = ['--allow-run-as-root', '--oversubscribe', '--bind-to', 'none', '-np', '2'];
  const { status, stderr } = spawnSync(
    'mpirun',
    [...mpi, process.execPath, bin, 'finetune', at('ppo.yaml'), '--out', at('ppo'), '-t', '1'],
    { encoding: 'utf8' },
  );
  ok(status !== 0);
  match(stderr, /method ppo runs in one process, with as many --threads as it has cores; found 2 ranks/);
});
