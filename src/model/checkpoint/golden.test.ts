import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { goldenPath, goldenTensors } from '../../../test/support/golden.ts';
import { writeLlama2c } from '../../../test/support/llama2c.ts';
import { missing, shared } from '../../../test/support/shared.ts';
import { weightsOf } from '../../../test/support/weights.ts';
import { MemoryFolder, MemorySource } from '../../formats/memory-source.ts';
import { openFile, openFolder } from '../../platform/node/files.ts';
import { foreignName, listParameters } from '../parameters.ts';
import { readHfConfig } from '../spelling/hf.ts';
import type { Checkpoint } from './checkpoint.ts';
import { RotaryRows } from './layout/row-sources.ts';
import { openCheckpoint } from './open.ts';

const folder = (path: string) => openCheckpoint(openFolder(goldenPath(path)));

/** Every weight of `actual` is `of` the same weight of `expected`. */
function assertSame(actual: Checkpoint, expected: Checkpoint, of = (weight: number) => weight): void {
  deepStrictEqual([...actual.tensors.keys()].sort(), [...expected.tensors.keys()].sort());
  for (const [name, tensor] of expected.tensors) {
    const isNorm = tensor.shape.length === 1;
    deepStrictEqual(weightsOf(actual.tensors.get(name)!), weightsOf(tensor).map(isNorm ? (w) => w : of), name);
  }
}

for (const version of ['llama1', 'llama2', 'llama3']) {
  test(`Meta's two shards of ${version} join to the weights of the Hugging Face twin`, () => {
    const meta = folder(`formats/meta-${version}-mp2/meta`);
    const hf = folder(`formats/meta-${version}-mp2/hf`);
    strictEqual(meta.format, 'meta');
    const { contextLength: _, ...shape } = meta.config;
    const { contextLength: __, ...twin } = hf.config;
    deepStrictEqual(shape, twin);
    assertSame(meta, hf);
    strictEqual(meta.tokenizer?.kind, version === 'llama3' ? 'tiktoken' : 'sentencepiece');
  });
}

test("llama.cpp's converter and we permute and round alike", () => {
  const hf = folder('formats/gguf-llama-cpp-converter/hf');
  const f16 = openCheckpoint(openFile(goldenPath('formats/gguf-llama-cpp-converter/model-f16.gguf')));
  deepStrictEqual(f16.config, hf.config);
  assertSame(f16, hf, Math.f16round);
  strictEqual(f16.tokenizer?.kind, 'gguf');
  strictEqual(hf.tokenizer?.kind, 'hf');
  deepStrictEqual(f16.generation.eosIds, [2]);
});

test('GGUF: sampled rows of every projection, un-permuted, equal transformers’', () => {
  const checkpoint = folder('formats/gguf-llama-mixed');
  const expected = goldenTensors('formats/gguf-llama-mixed/expected.safetensors');
  for (const parameter of listParameters(checkpoint.config)) {
    const { data, shape } = expected[`sample.${foreignName(parameter, 'hf')}`]!;
    const stored = checkpoint.tensors.get(parameter.name)!;
    const tensor = parameter.spec.rotary ? new RotaryRows(stored, checkpoint.config.headSize, 'halves') : stored;
    const weights = weightsOf(tensor);
    const rows =
      shape.length === 1 ? [weights] : [0, 1].map((row) => weights.subarray(row * shape[1]!, (row + 1) * shape[1]!));
    deepStrictEqual(
      rows.flatMap((row) => [...row]),
      [...data],
      parameter.name,
    );
  }
});

test('HF folders: both spellings of config.json open to the same configuration', () => {
  let compared = 0;
  for (const name of readdirSync(goldenPath('forward'))) {
    const path = goldenPath(`forward/${name}/`);
    const parse = (file: string) => readHfConfig(file, JSON.parse(readFileSync(path + file, 'utf8')));
    deepStrictEqual(parse('config.v5.json'), parse('config.json'), name);
    ok(folder(`forward/${name}`).tensors.size > 0);
    compared++;
  }
  ok(compared >= 10);
});

test('HF folders: sharded, f16, bf16, PyTorch', () => {
  for (const [name, dtype] of [
    ['safetensors-sharded', 'f32'],
    ['safetensors-fp16', 'f16'],
    ['safetensors-bf16', 'bf16'],
    ['torch-bin', 'f32'],
  ] as const) {
    const { tensors, format } = folder(`formats/${name}`);
    strictEqual(format, name === 'torch-bin' ? 'torch' : 'safetensors');
    strictEqual(tensors.get('blocks.1.wq_QD')!.dtype, dtype, name);
    strictEqual(tensors.size, 21);
  }
});

test("llama2.c: version 2's groups of eight bits hold version 1's weights, which are multiples of 1/128", () => {
  const open = (version: 1 | 2) => openCheckpoint(new MemorySource(`v${version}.bin`, writeLlama2c(version)));
  assertSame(open(2), open(1));
});

const models = 'real/models';
const stories = `${models}/stories260K`;
test('stories260K: legacy .bin, version 1 .bin and GGUF hold the same weights', { skip: missing(stories) }, () => {
  const beside = openFolder(shared(stories));
  const open = (file: string) => openCheckpoint(openFile(shared(`${stories}/${file}`)), beside);
  const legacy = open('stories260K.bin');
  const v1 = open('stories260K_v1.bin');
  const gguf = open('stories260K.gguf');
  strictEqual(legacy.format, 'llama2c');
  strictEqual(legacy.tokenizer?.kind, 'llama2c');
  deepStrictEqual(v1.config, legacy.config);
  assertSame(v1, legacy);
  for (const [name, tensor] of legacy.tensors)
    deepStrictEqual(weightsOf(gguf.tensors.get(name)!), weightsOf(tensor), name);
});

test('a tiny llama of neural-api: safetensors, shards, GGUF f32 and f16 agree', { skip: missing(models) }, () => {
  const path = (file: string) => shared(`${models}/neural_api/${file}`);
  const bytes = (file: string) => new Uint8Array(readFileSync(path(file)));
  const single = openCheckpoint(
    new MemoryFolder(
      'single',
      new Map([
        ['config.json', bytes('tiny_llama_config.json')],
        ['model.safetensors', bytes('tiny_llama.safetensors')],
      ]),
    ),
  );
  const part = (n: number) => `tiny_llama-0000${n}-of-00002.safetensors`;
  const sharded = openCheckpoint(
    new MemoryFolder(
      'sharded',
      new Map([
        ['config.json', bytes('tiny_llama_config.json')],
        ['model.safetensors.index.json', bytes('tiny_llama.safetensors.index.json')],
        [part(1), bytes(part(1))],
        [part(2), bytes(part(2))],
      ]),
    ),
  );
  assertSame(sharded, single);
  assertSame(openCheckpoint(openFile(path('tiny_llama_f32.gguf'))), single);
  assertSame(openCheckpoint(openFile(path('tiny_llama_f16.gguf'))), single, Math.f16round);
});

test('real checkpoints open: old HF with inv_freq buffers, executorch, torchtune', { skip: missing(models) }, () => {
  strictEqual(openCheckpoint(openFolder(shared(`${models}/hf_tiny_llama`))).tensors.size, 12);
  const demo = new Map([
    ['params.json', new Uint8Array(readFileSync(shared(`${models}/executorch_demo/demo_config.json`)))],
    ['consolidated.00.pth', new Uint8Array(readFileSync(shared(`${models}/executorch_demo/demo_rand_params.pth`)))],
  ]);
  strictEqual(openCheckpoint(new MemoryFolder('demo', demo)).config.ffnWidth, 172);
});
