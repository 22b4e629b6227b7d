/** Fine-tuning on a GPU has the losses of the wasm device: whole, by LoRA, DoRA, and over quantized weights (QLoRA). */
import { strictEqual } from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { finetune } from '../../src/platform/node/training/index.ts';
import { assertClose } from '../support/close.ts';
import { goldenPath } from '../support/golden.ts';
import { noGpu, testGpu } from '../support/webgpu.ts';

const skip = (await testGpu()) ? false : noGpu;
const root = mkdtempSync(join(tmpdir(), 'cria-gpu-tuning-'));
after(() => rmSync(root, { recursive: true }));
const data = join(root, 'data.jsonl');
const rows = ['the cat', 'a dog', 'the hen', 'an owl'].map((who) => ({
  prompt: `Who was it?`,
  completion: `It was ${who}.`,
}));
writeFileSync(data, rows.map((row) => JSON.stringify(row)).join('\n'));

const lists = { targets: ['all', 'lm_head', 'embed_tokens'] };
const adapters: Readonly<Record<string, object>> = {
  'DoRA over NF4': { kind: 'dora', base: 'nf4', rank: 4 },
  'LoRA over weights as they are stored': { kind: 'lora', rank: 4 },
  'LoRA of head and embeddings too, with dropout': { kind: 'lora', rank: 4, dropout: 0.1, ...lists },
  'LoRA over Q8_0': { kind: 'lora', base: 'q8_0', rank: 4, rsLora: true },
  'LoRA over NF4': { kind: 'lora', base: 'nf4', rank: 4 },
  DoRA: { kind: 'dora', rank: 4 },
  'all weights': { kind: 'none' },
};

/** Losses and gradient norms of four steps. */
async function lossesOf(adapter: object, device: 'webgpu' | 'wasm', out: string): Promise<number[]> {
  const numbers: number[] = [];
  const recipe = {
    name: 'tiny',
    model: { from: goldenPath('formats/gguf-llama-mixed/model.gguf'), template: 'chatml' },
    data: { train: [{ path: data }] },
    adapter,
    training: { steps: 4, batch: 2, learningRate: 1e-3, schedule: 'constant', warmup: 0 },
  };
  await finetune(recipe, {
    out,
    device,
    threads: 1,
    blas: false,
    onStep: ({ loss, gradientNorm }) => void numbers.push(loss, gradientNorm),
  });
  return numbers;
}

// The software adapters take minutes to compile the kernels of all.
const isAll = process.env.CRIA_GPU_TESTS === 'all';
for (const [i, [name, adapter]] of Object.entries(adapters).entries())
  test(`${name}: four steps on webgpu have the losses and norms of wasm`, {
    skip: skip || (isAll ? false : 'only with CRIA_GPU_TESTS=all: a minute of compiling'),
  }, async () => {
    const found = await lossesOf(adapter, 'webgpu', join(root, `${i}-webgpu`));
    strictEqual(found.length, 8);
    assertClose('losses and norms', found, await lossesOf(adapter, 'wasm', join(root, `${i}-wasm`)), { rtol: 1e-4 });
  });
