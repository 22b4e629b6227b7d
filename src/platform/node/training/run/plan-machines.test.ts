/** `cria train --plan`: a table of machines, without a tokenizer or a text. */
import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
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
  const rows = stdout
    .trim()
    .split('\n')
    .map((row) => row.trim().split(/\s+/).slice(0, 2).join(' '));
  deepEqual(rows, ['machines sharded', '1 none', '4 none', '4 optimizer', '4 gradients', '4 parameters']);
  match((await cria(...asked)).stderr, /expected --plan beside them/);
  match((await cria(...asked, '--plan', '8,many')).stderr, /--plan 8,many: expected numbers of machines/);
});
