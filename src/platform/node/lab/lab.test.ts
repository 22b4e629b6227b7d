/** The lab on a disk: a planted effect is found by real trainings, and a lab that was stopped goes on to the same numbers. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Random } from '../../../base/random.ts';
import type { DeviceKind } from '../../../devices/device.ts';
import type { LabChoice } from '../../../lab/lab.ts';
import { lab } from './lab.ts';

const root = mkdtempSync(join(tmpdir(), 'cria-lab-'));
after(() => rmSync(root, { recursive: true }));

/** Sentences whose end follows from their beginning. */
function story(random: Random): string {
  const pick = <T>(from: readonly T[]) => from[random.below(from.length)]!;
  const who = pick(['fox', 'hen', 'cat', 'dog', 'cow', 'owl']);
  const what = pick(['well', 'hat', 'tree', 'boat', 'cake', 'drum', 'lamp']);
  const how = pick(['sad', 'glad', 'tired', 'cold']);
  return `The ${who} saw a ${what}. "A ${what}!" said the ${who}. The ${who} was ${how}, and it went home with the ${what}.`;
}

const random = new Random(1);
const data = join(root, 'text.txt');
writeFileSync(data, Array.from({ length: 900 }, () => story(random)).join('\n<|endoftext|>\n'));

const choice: LabChoice = {
  size: { width: 32, blocks: 1, heads: 2, vocabSize: 320, length: 32, tokens: 12_000, batchTokens: 128 },
  experiments: [
    {
      name: 'planted',
      question: 'Is a model without most of its feed-forward layer, at a hundredth of the rate, worse?',
      claim: 'It is.',
      source: 'this test',
      arms: [
        { name: 'slow', changes: { ffnWidths: 0.125, clip: 1e-6 }, match: 'tokens', expected: 'worse' },
        { name: 'LayerNorm', changes: { norm: 'layer' }, expected: 'equal' },
      ],
    },
  ],
  seeds: 3,
  searchesRates: false,
  hasValley: false,
};

const options = (folder: string, signal = new AbortController().signal) => ({
  choice,
  data,
  folder: join(root, folder),
  workers: 2,
  device: 'wasm' as DeviceKind,
  blas: false,
  signal,
  tell: () => {},
  onProgress: () => {},
});

/** Without what a clock said. */
const numbersOf = (folder: string) =>
  readFileSync(join(root, folder, 'lab.json'), 'utf8').replace(/"(?:seconds|processorSeconds)": [\d.e-]+/g, '');

test('a planted effect is found; stopped and gone on with, the same numbers', async () => {
  const { result, report } = await lab(options('whole'));
  const [planted] = result!.comparisons;
  strictEqual(planted!.arm, 'slow');
  strictEqual(planted!.verdict, 'worse', JSON.stringify(planted));
  match(readFileSync(report, 'utf8'), /Is a model without most/);

  const stop = new AbortController();
  let runs = 0;
  const first = await lab({ ...options('halves', stop.signal), onProgress: () => ++runs === 3 && stop.abort() });
  strictEqual(first.result, null);
  const lines = () =>
    readFileSync(join(root, 'halves', 'results.jsonl'), 'utf8')
      .trim()
      .split('\n');
  const kept = lines();
  ok(kept.length >= 3 && kept.length < 9, `${kept.length} runs`);
  writeFileSync(join(root, 'halves', 'results.jsonl'), `${kept.join('\n')}\n{"key":"torn`);
  const second = await lab(options('halves'));
  ok(second.result);
  strictEqual(numbersOf('halves'), numbersOf('whole'));
  deepStrictEqual(lines().slice(0, kept.length), kept); // nothing was run again
});

test('a text that is too short, and a file that is not there', async () => {
  const short = join(root, 'short.txt');
  writeFileSync(short, 'word');
  await rejects(
    lab({ ...options('short'), data: short }),
    /short\.txt: expected a text of which a part can be held back/,
  );
  await rejects(lab({ ...options('none'), data: join(root, 'none.txt') }), /none\.txt/);
});

test('on a GPU where there is none: an error that says so, and no run is kept as done', async () => {
  const driver = process.env.VK_DRIVER_FILES;
  process.env.VK_DRIVER_FILES = '/nowhere.json';
  try {
    await rejects(lab({ ...options('gpu'), device: 'webgpu' }), { code: /^webgpu\.(?:no-adapter|package)$/ });
  } finally {
    if (driver === undefined) delete process.env.VK_DRIVER_FILES;
    else process.env.VK_DRIVER_FILES = driver;
  }
  strictEqual(existsSync(join(root, 'gpu', 'results.jsonl')), false);
});
