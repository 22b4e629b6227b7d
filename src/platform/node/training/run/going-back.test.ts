/** training.onAnomaly=return: where a run goes back to, and that it then ends well. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { assertClose } from '../../../../../test/support/close.ts';
import { goldenPath } from '../../../../../test/support/golden.ts';
import type { Io } from '../../../../cli/io.ts';
import { runProgram } from '../../../../cli/program.ts';
import { solo } from '../../../../training/collective.ts';
import { AnomalyError } from '../../../../training/guard.ts';
import type { StepMetrics } from '../../../../training/run/loop.ts';
import type { Return } from '../../../../training/run/state.ts';
import { checkpointName } from '../run-checkpoint.ts';
import { writeCheckpoint } from './checkpoint-folder.ts';
import type { SavedState } from './checkpoints.ts';
import { goBack } from './going-back.ts';

const work = mkdtempSync(join(tmpdir(), 'cria-going-back-'));
after(() => rmSync(work, { recursive: true, force: true }));

/** Checkpoints of these steps, the best among them; what is loaded and saved. */
function checkpoints(name: string, steps: readonly number[], best: number, returns: readonly Return[] = []) {
  const folder = join(work, name);
  mkdirSync(folder);
  const state = (step: number) =>
    ({ step, best: { step: best, bitsPerByte: 1 }, ...(returns.length > 0 && { returns }) }) as unknown as SavedState;
  for (const step of steps) writeCheckpoint(join(folder, checkpointName(step)), state(step), () => {});
  const done: string[] = [];
  return {
    folder,
    done,
    load: (found: { readonly state: SavedState }) => void done.push(`load ${found.state.step}`),
    async save(saved: { readonly step: number }) {
      done.push(`save ${saved.step}`);
      return folder;
    },
  };
}
const keep = { keepLast: 9 };
const spike = new AnomalyError('a spike', false);

test('a run goes back to the newest checkpoint, with half the rate', async () => {
  const own = checkpoints('newest', [3, 6, 9], 3);
  const back = await goBack(spike, 11, own, keep, solo);
  deepEqual(back!.state.returns, [{ from: 11, to: 9, rate: 0.5, because: 'a spike' }]);
  deepEqual(own.done, ['load 9', 'save 9']);
});

test('spoilt weights, and a checkpoint that did not help, send it to the best, with half of the rate that it had', async () => {
  const destroyed = checkpoints('destroyed', [3, 6, 9], 3);
  equal((await goBack(new AnomalyError('dead', true), 12, destroyed, keep, solo))!.state.step, 3);
  deepEqual(readdirSync(destroyed.folder), [checkpointName(3)], 'what came after it is gone');
  const before = { from: 11, to: 9, rate: 0.25, because: 'a spike' };
  const again = await goBack(spike, 12, checkpoints('again', [3, 6, 9], 3, [before]), keep, solo);
  deepEqual(again!.state.returns, [before, { from: 12, to: 3, rate: 0.125, because: 'a spike' }]);
});

test('a checkpoint from which the very next step failed is none to go back to: that step would be the same', async () => {
  equal((await goBack(spike, 10, checkpoints('next', [3, 6, 9], 9), keep, solo))!.state.step, 6);
  const failed = { from: 7, to: 3, rate: 0.5, because: 'a spike' };
  equal((await goBack(spike, 10, checkpoints('both', [3, 6, 9], 9, [failed]), keep, solo))!.state.step, 3);
  equal(await goBack(spike, 4, checkpoints('none', [3], 3), keep, solo), null);
  const five = Array.from({ length: 5 }, () => ({ from: 8, to: 3, rate: 0.1, because: 'a spike' }));
  equal(await goBack(spike, 8, checkpoints('often', [3], 3, five), keep, solo), null);
});

test('a run whose rate is too high goes back by itself, and ends well', async () => {
  const line = (i: number) =>
    JSON.stringify({ text: `The cat number ${i} sat on mat ${i * 7}. ${'It was glad. '.repeat(i % 4)}` });
  writeFileSync(join(work, 'train.jsonl'), Array.from({ length: 60 }, (_, i) => line(i)).join('\n'));
  writeFileSync(join(work, 'valid.jsonl'), `${line(100)}\n${line(101)}\n`);
  writeFileSync(
    join(work, 'recipe.yaml'),
    `name: tiny
model: { depth: 2, width: 32, heads: 2, contextLength: 16 }
tokenizer: { path: ${goldenPath('tokenizers/sp-bpe-512/tokenizer.model')} }
data: { train: [{ path: ${join(work, 'train.jsonl')} }], valid: ${join(work, 'valid.jsonl')} }
training: { tokens: 896, batchTokens: 64, microBatchTokens: 32, learningRate: 0.3, warmupSteps: 10, ema: 0.5, onAnomaly: return, spikeDeviations: 6 }
output: { validateEvery: 50, checkpointEvery: 3, sampleEvery: 50 }
`,
  );
  let stderr = '';
  const io: Io = {
    stdout: { write: () => true },
    stderr: { write: (text) => (stderr += text) },
    stdin: process.stdin,
    env: {},
    signal: new AbortController().signal,
    onInterrupt: () => () => {},
  };
  const out = join(work, 'run');
  // The reference device, as its numbers are the same on every machine.
  const words = ['train', join(work, 'recipe.yaml'), '--out', out, '--device', 'reference'];
  equal(await runProgram(words, io, '0'), 0, stderr);
  match(stderr, /standard deviations above .* Going back to step \d+, on with 50 % of the schedule's learning rate/);
  const metrics = readFileSync(join(out, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as StepMetrics);
  deepEqual(
    metrics.map(({ step }) => step),
    Array.from({ length: 14 }, (_, i) => i + 1),
    'each step once, those that were gone back on not at all',
  );
  const last = join(out, 'checkpoints', checkpointName(14), 'state.json');
  const { returns } = JSON.parse(readFileSync(last, 'utf8')) as SavedState;
  ok(returns!.length > 0);
  for (const { step, learningRate, returned } of metrics) {
    const back = returns!.findLast(({ to }) => to < step);
    equal(returned, back?.to === step - 1 ? back.because : undefined);
    if (step <= 10)
      assertClose(`rate of step ${step}`, [learningRate], [0.03 * step * (back?.rate ?? 1)], { rtol: 1e-9 });
  }
});
