/** Whatever is done to a file, the answer is a FormatError or a ConfigError, or a model; never another error, a hang or a flood. */
import { ok, strictEqual } from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { goldenPath } from '../../../test/support/golden.ts';
import { writeLlama2c } from '../../../test/support/llama2c.ts';
import { ConfigError, FormatError } from '../../base/errors.ts';
import { Random } from '../../base/random.ts';
import { readTensor } from '../../formats/file-tensor.ts';
import { MemoryFolder, MemorySource } from '../../formats/memory-source.ts';
import { openCheckpoint } from './open.ts';

type Files = ReadonlyMap<string, Uint8Array>;
interface Sample {
  readonly name: string;
  readonly files: Files;
  /** The file that is damaged. */
  readonly victim: string;
}

const golden = (path: string): Files => {
  const root = goldenPath(path);
  const names = readdirSync(root).filter((file) => !file.startsWith('expected') && file.includes('.'));
  return new Map(names.map((file) => [file, new Uint8Array(readFileSync(`${root}/${file}`))]));
};
const only = (path: string, file: string): Files =>
  new Map([[file, new Uint8Array(readFileSync(goldenPath(`${path}/${file}`)))]]);
const stories = new Map([
  ['v0.bin', writeLlama2c(0)],
  ['v1.bin', writeLlama2c(1)],
  ['v2.bin', writeLlama2c(2)],
]);

const samples: Sample[] = [
  { name: 'GGUF', files: only('formats/gguf-llama-cpp-converter', 'model-q8_0.gguf'), victim: 'model-q8_0.gguf' },
  { name: 'safetensors', files: golden('formats/safetensors-fp16'), victim: 'model.safetensors' },
  {
    name: 'safetensors shard',
    files: golden('formats/safetensors-sharded'),
    victim: 'model-00002-of-00003.safetensors',
  },
  { name: 'index', files: golden('formats/safetensors-sharded'), victim: 'model.safetensors.index.json' },
  { name: 'config.json', files: golden('forward/rope-llama3'), victim: 'config.json' },
  { name: 'PyTorch zip', files: golden('formats/torch-bin'), victim: 'pytorch_model.bin' },
  {
    name: 'PyTorch legacy',
    files: new Map([
      ...only('formats/torch-bin', 'config.json'),
      ['pytorch_model.bin', only('formats/torch-bin', 'legacy_nonzip_fp16.bin').get('legacy_nonzip_fp16.bin')!],
    ]),
    victim: 'pytorch_model.bin',
  },
  { name: 'Meta shard', files: golden('formats/meta-llama3-mp2/meta'), victim: 'consolidated.01.pth' },
  { name: 'params.json', files: golden('formats/meta-llama3-mp2/meta'), victim: 'params.json' },
  ...[...stories.keys()].map((file) => ({ name: `llama2.c ${file}`, files: stories, victim: file })),
];

/** Opens the checkpoint and reads every weight; the code of the error, or null when there was none. */
function outcome({ files, victim }: Sample, damaged: Uint8Array): string | null {
  const folder = new MemoryFolder('folder', new Map(files).set(victim, damaged));
  const alone = /\.(gguf|bin)$/.test(victim) && !files.has('config.json');
  try {
    const checkpoint = openCheckpoint(alone ? new MemorySource(victim, damaged) : folder, folder);
    for (const tensor of checkpoint.tensors.values()) readTensor(tensor);
    checkpoint.close();
    return null;
  } catch (error) {
    if (error instanceof FormatError || error instanceof ConfigError) return error.code;
    throw error;
  }
}

for (const sample of samples) {
  const whole = sample.files.get(sample.victim)!;

  test(`${sample.name}: the whole file opens`, () => {
    strictEqual(outcome(sample, whole), null);
  });

  test(`${sample.name}: every kind of truncation is a clear error`, () => {
    const random = new Random(1);
    const lengths = new Set([0, 1, 3, 4, 7, 8, 9, 16, 24, 28, 64, 255, 256, whole.length - 1, whole.length - 22]);
    for (let i = 0; i < 40; i++) lengths.add(random.below(Math.min(whole.length, 4096)));
    for (let i = 0; i < 40; i++) lengths.add(random.below(whole.length));
    for (const length of lengths) {
      if (length < 0 || length >= whole.length) continue;
      // cutting white space off the end of a JSON text leaves a whole one
      if (sample.victim.endsWith('.json') && new TextDecoder().decode(whole.subarray(length)).trim() === '') continue;
      const code = outcome(sample, whole.slice(0, length));
      ok(code !== null, `${sample.name} cut to ${length} of ${whole.length} bytes was accepted`);
    }
  });

  test(`${sample.name}: random damage is a clear error or a model`, () => {
    const random = new Random(2);
    let refused = 0;
    for (let run = 0; run < 150; run++) {
      const damaged = whole.slice();
      const reach = run % 3 === 0 ? whole.length : Math.min(whole.length, 2048);
      const hits = 1 + random.below(3);
      for (let hit = 0; hit < hits; hit++) {
        const end = run % 3 === 1 ? whole.length - reach : 0; // the directory of a zip is at its end
        damaged[end + random.below(reach)] = [0, 0xff, 0x7f, 0x80, random.below(256)][random.below(5)]!;
      }
      if (outcome(sample, damaged) !== null) refused++;
    }
    ok(refused > 0, `${sample.name}: no damage was ever noticed`);
  });
}
