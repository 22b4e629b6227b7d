/** `cria train --plan`: a table of machines, without a tokenizer or a text. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { goldenPath } from '../../../../../test/support/golden.ts';
import type { Io } from '../../../../cli/io.ts';
import { runProgram } from '../../../../cli/program.ts';

async function cria(...words: string[]) {
  const told = { stdout: '', stderr: '' };
  const io: Io = {
    stdout: { write: (text) => (told.stdout += text) },
    stderr: { write: (text) => (told.stderr += text) },
    stdin: process.stdin,
    env: {},
    signal: new AbortController().signal,
    onInterrupt: () => () => {},
  };
  return { status: await runProgram(words, io, '0'), ...told };
}

test('a plan is printed for so many machines, and nothing is trained', async () => {
  const asked = ['train', 'llama1-7b', '-t', '1', '--no-blas', '--gflops', '10'];
  const { status, stdout, stderr } = await cria(...asked, '--plan', '1,4', '--network', '10');
  equal(status, 0, stderr);
  match(stderr, /a vocabulary of 32000, LLaMA's, is assumed/);
  match(stderr, /large products at 10 GFLOP\/s, .* 10 Gbit\/s between machines/);
  const words = 'expected at most 4.00 GiB, as the wasm device holds all that is trained in one memory of WebAssembly';
  ok(stderr.includes(`one machine: ${words}, found 100.4 GiB for weights, gradients and moments`), stderr);
  match(stderr, /What helps: train on several machines .*training\.sharding=parameters/);
  match(
    stderr,
    /4 machines, sharded: parameters: .* What helps: keep less for the backward pass \(training\.recompute=block/,
  );
  const rows = stdout
    .trim()
    .split('\n')
    .map((row) => row.trim().split(/\s+/).slice(0, 2).join(' '));
  deepEqual(rows, ['machines sharded', '1 none', '4 none', '4 optimizer', '4 gradients', '4 parameters']);
  match((await cria(...asked)).stderr, /expected --plan beside them/);
  match((await cria(...asked, '--plan', '8,many')).stderr, /--plan 8,many: expected numbers of machines/);
});

test('a run that cannot fit says so before it reads a text', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cria-large-'));
  const recipe = join(folder, 'large.yaml');
  const text = join(folder, 'text.txt');
  writeFileSync(text, 'The cat sat on the mat.');
  writeFileSync(
    recipe,
    `name: large
model: { depth: 32 }
tokenizer: { path: ${goldenPath('tokenizers/sp-bpe-512/tokenizer.model')} }
data: { train: [{ path: ${text} }] }
`,
  );
  const { status, stderr } = await cria('train', recipe, '--out', join(folder, 'run'));
  rmSync(folder, { recursive: true });
  equal(status, 1);
  match(stderr, /recipe large: expected at most 4\.00 GiB, as the wasm device .*, found .* for weights.*What helps:/);
});
