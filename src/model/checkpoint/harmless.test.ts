/** Files that differ from the usual in what changes nothing: they are read, and give the same tensors. */
import { deepStrictEqual, match, strictEqual, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { goldenPath } from '../../../test/support/golden.ts';
import { readTensor } from '../../formats/file-tensor.ts';
import { readGguf } from '../../formats/gguf.ts';
import type { GgufField } from '../../formats/gguf-values.ts';
import { writeGguf } from '../../formats/gguf-write.ts';
import { MemoryFolder, MemorySource } from '../../formats/memory-source.ts';
import { readSafetensors } from '../../formats/safetensors.ts';
import { type NamedTensor, writeSafetensors } from '../../formats/safetensors-write.ts';
import { MemorySink } from '../../formats/sink.ts';
import { openFile } from '../../platform/node/files.ts';
import type { Checkpoint, OpenOptions } from './checkpoint.ts';
import { openCheckpoint } from './open.ts';

const gguf = readGguf(openFile(goldenPath('formats/gguf-llama-cpp-converter/model-f16.gguf')));
type Tensors = Map<string, NamedTensor[1]>;

function openGgufWith(fields: Record<string, GgufField>, change: (tensors: Tensors) => void, options?: OpenOptions) {
  const tensors: Tensors = new Map(gguf.tensors);
  change(tensors);
  const sink = new MemorySink();
  writeGguf(sink, new Map([...gguf.fields, ...Object.entries(fields)]), [...tensors]);
  return openCheckpoint(new MemorySource('m.gguf', sink.bytes()), null, options);
}

const original = openGgufWith({}, () => {});
const u32 = (value: number): GgufField => ({ type: 'u32', value });
const f32 = (value: number): GgufField => ({ type: 'f32', value });

function sameTensors(one: Checkpoint, other: Checkpoint): void {
  deepStrictEqual([...one.tensors.keys()], [...other.tensors.keys()]);
  for (const [name, tensor] of one.tensors)
    deepStrictEqual(readTensor(tensor), readTensor(other.tensors.get(name)!), name);
}

/** The tensor under another shape; its bytes stay. */
function reshaped(tensors: Tensors, name: string, shape: (length: number) => number[]): void {
  const tensor = tensors.get(name)!;
  const bytes = readTensor(tensor);
  const changed = shape(tensor.shape[0]!);
  const rowBytes = bytes.length / changed.slice(0, -1).reduce((a, b) => a * b, 1);
  const readRows = (target: Uint8Array, first: number, rows: number) =>
    target.set(bytes.subarray(first * rowBytes, (first + rows) * rowBytes));
  tensors.set(name, { name, dtype: tensor.dtype, shape: changed, readRows });
}

test('GGUF: vectors stored as [1, W] or [W, 1], and tensors without a number in them', () => {
  const opened = openGgufWith({}, (tensors) => {
    reshaped(tensors, 'output_norm.weight', (length) => [1, length]);
    reshaped(tensors, 'blk.0.attn_norm.weight', (length) => [length, 1]);
    tensors.set('extra.empty', { name: 'extra.empty', dtype: 'f32', shape: [0], readRows: () => {} });
    tensors.set('more.empty', { name: 'more.empty', dtype: 'f32', shape: [0, 7], readRows: () => {} });
  });
  sameTensors(opened, original);
  throws(
    () => openGgufWith({}, (tensors) => reshaped(tensors, 'output_norm.weight', (length) => [2, length / 2])).close(),
    /output_norm\.weight is \[2, \d+\], expected/,
  );
});

test('GGUF: keys that change nothing are read past, and those unknown are noted', () => {
  const fields = {
    'llama.pooling_type': u32(1),
    'llama.attention.layer_norm_epsilon': f32(1e-6),
    'llama.expert_count': u32(0),
    'llama.logit_scale': f32(0),
    'llama.rope.dimension_sections': { type: 'array', value: Int32Array.of(0, 0, 0, 0) },
    'general.quantized_by': { type: 'string', value: 'a norm of attention' },
  } as const;
  const opened = openGgufWith(fields, () => {});
  deepStrictEqual(opened.config, original.config);
  sameTensors(opened, original);
  match(opened.notes.join(), /change nothing of what is computed: llama\.pooling_type, llama\.logit_scale/);
});

test('GGUF: --ignore-key reads past a key, with or without the architecture in front', () => {
  const fields = { 'llama.attention.trick': u32(7) };
  throws(() => openGgufWith(fields, () => {}), /llama\.attention\.trick is 7, .*--ignore-key llama\.attention\.trick/);
  for (const key of ['attention.trick', 'llama.attention.trick']) {
    sameTensors(
      openGgufWith(fields, () => {}, { ignoreKeys: [key] }),
      original,
    );
  }
  throws(() => openGgufWith(fields, () => {}, { ignoreKeys: ['attention.trock'] }), /attention\.trock .*is not there/);
});

test('Hugging Face: names without `model.` in front, --ignore-key, and --pre where it does not apply', () => {
  const config = readFileSync(goldenPath('forward/gqa/config.json'), 'utf8');
  const stored = readSafetensors(openFile(goldenPath('forward/gqa/model.safetensors'))).tensors;
  const open = (text: string, name: (name: string) => string, options?: OpenOptions) => {
    const sink = new MemorySink();
    writeSafetensors(
      sink,
      [...stored].map(([key, tensor]) => [name(key), tensor] as const),
    );
    const files = { 'config.json': new TextEncoder().encode(text), 'model.safetensors': sink.bytes() };
    return openCheckpoint(new MemoryFolder('gqa', new Map(Object.entries(files))), null, options);
  };
  const usual = open(config, (name) => name);
  sameTensors(
    open(config, (name) => name.replace(/^model\./, '')),
    usual,
  );
  const strange = JSON.stringify({ ...JSON.parse(config), attn_trick: 3 });
  throws(() => open(strange, (name) => name), /attn_trick/);
  sameTensors(
    open(strange, (name) => name, { ignoreKeys: ['attn_trick'] }),
    usual,
  );
  throws(() => open(config, (name) => name, { pre: 'qwen2' }), /--pre qwen2 .* this model has no tokenizer/);
});

test('big-endian GGUF is refused by name', () => {
  const bytes = new Uint8Array(64);
  bytes.set(new TextEncoder().encode('GGUF'));
  new DataView(bytes.buffer).setUint32(4, 3, false);
  throws(
    () => openCheckpoint(new MemorySource('m.gguf', bytes)),
    /expected a little-endian file, found a big-endian one/,
  );
  strictEqual(original.notes.length, 0);
});
