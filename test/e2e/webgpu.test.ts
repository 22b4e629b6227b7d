/** The webgpu device as people meet it: the command line, the library, what is said where there is no GPU, and a device that is lost. */
import { deepStrictEqual, match, rejects, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { Llama } from '../../src/platform/node/index.ts';
import { gpuEnvironment, noGpu, testGpu } from '../support/webgpu.ts';
import { spawnCria } from './cria.ts';

const skip = (await testGpu()) ? false : noGpu;

test('cria run --device webgpu continues with the same greedy tokens as wasm', { skip }, async () => {
  const words = ['run', '--max-tokens', '24', '--temperature', '0', 'Once upon a time there was a little'];
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
});

test('doctor says whether there is a GPU', { skip }, async () => {
  const { stdout } = await spawnCria(['doctor'], { env: gpuEnvironment() });
  match(stdout, /WebGPU +\S/);
});
