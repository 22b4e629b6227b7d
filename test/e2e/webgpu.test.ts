/** The webgpu device as people meet it: the command line, the library, what is said where there is no GPU, and a device that is lost. */
import { deepStrictEqual, match, rejects, strictEqual } from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Llama } from '../../src/platform/node/index.ts';
import { assertClose } from '../support/close.ts';
import { goldenPath } from '../support/golden.ts';
import { gpuEnvironment, noGpu, testGpu } from '../support/webgpu.ts';
import { cria, spawnCria } from './cria.ts';

const skip = (await testGpu()) ? false : noGpu;

const work = mkdtempSync(join(tmpdir(), 'cria-webgpu-'));
after(() => rmSync(work, { recursive: true, force: true }));
const text = 'The cat sat on the mat. It was glad. '.repeat(40);
writeFileSync(join(work, 'train.txt'), text);
writeFileSync(
  join(work, 'recipe.yaml'),
  `name: tiny
model: { depth: 1, width: 32, heads: 2, contextLength: 16 }
tokenizer: { path: ${goldenPath('tokenizers/sp-bpe-512/tokenizer.model')} }
data: { train: [{ path: ${join(work, 'train.txt')} }], valid: ${join(work, 'train.txt')} }
training: { tokens: 128, batchTokens: 32, microBatchTokens: 32, matrices: muon }
`,
);

test('cria run --device webgpu continues with the same greedy tokens as wasm', { skip }, async () => {
  const words = ['run', '--max-tokens', '12', '--temperature', '0', 'Once upon a time there was a little'];
  const gpu = await spawnCria([...words, '--device', 'webgpu'], { env: gpuEnvironment() });
  strictEqual(gpu.code, 0, gpu.stderr);
  strictEqual(gpu.stdout, (await spawnCria([...words, '--device', 'wasm'])).stdout);
});

test('the library runs several sequences at once, and says the adapter', { skip }, async () => {
  const answers = async (device: 'webgpu' | 'wasm') => {
    await using model = await Llama.load(undefined, { device, maxSequences: 2, kvType: 'q8_0' });
    if (device === 'webgpu') match(model.facts.device, /^webgpu, .+/);
    const prompts = ['The dog and the cat', 'Mia said'];
    return await Promise.all(prompts.map((prompt) => model.generate(prompt, { temperature: 0, maxTokens: 6 }).text()));
  };
  deepStrictEqual(await answers('webgpu'), await answers('wasm'));
});

test('without an adapter, or with options that do not go together, one line says what to do', { skip }, async () => {
  const env = { ...gpuEnvironment(), VK_DRIVER_FILES: '/nowhere.json' };
  const { code, stderr } = await spawnCria(['run', '--device', 'webgpu', 'Hello'], { env });
  strictEqual(code, 1);
  match(stderr, /webgpu: this system offers no adapter, expected a GPU with a driver .* or use device "wasm"/);
  await rejects(Llama.load(undefined, { device: 'webgpu', blas: true }), /the webgpu device does not use a BLAS/);
  const out = join(work, 'none');
  const training = await spawnCria(['train', join(work, 'recipe.yaml'), '--device', 'webgpu', '--out', out], { env });
  strictEqual(training.code, 1);
  match(training.stderr, /cria train: webgpu: this system offers no adapter/);
  strictEqual(existsSync(out), false);
});

test('doctor says whether there is a GPU, and what drivers say only where it is asked for', { skip }, async () => {
  const found = await spawnCria(['doctor', '--json'], { env: gpuEnvironment() });
  match(found.stdout, /"name":"WebGPU","here":false,"found":"[^"]+, a software adapter; prompts by f32 products"/);
  const nothing = await spawnCria(['doctor', '--verbose'], {
    env: { VK_DRIVER_FILES: '/nowhere.json', VK_LOADER_DEBUG: 'all' },
  });
  match(nothing.stdout, /– WebGPU +not to be had\n +Optional: webgpu: this system offers no adapter/);
  strictEqual(found.stderr + nothing.stderr, '');
});

test('cria train --device webgpu has the losses of the wasm device, and writes a model', { skip }, async () => {
  const losses = async (device: string) => {
    const out = join(work, device);
    const words = ['train', join(work, 'recipe.yaml'), '--device', device, '-t', '1', '--out', out, '--json'];
    const { code, stdout, stderr } = await cria(words);
    strictEqual(code, 0, stderr);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { loss?: number; gradientNorm?: number });
    return lines.flatMap(({ loss, gradientNorm }) => (loss === undefined ? [] : [loss, gradientNorm!]));
  };
  const found = await losses('webgpu');
  strictEqual(found.length, 8);
  assertClose('losses and norms', found, await losses('wasm'), { rtol: 1e-4, atol: 0 });
});
