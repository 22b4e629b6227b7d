/** Files that are sound, of models that do not fit together. */
import { deepStrictEqual, match, ok, strictEqual, throws } from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { goldenPath } from '../../../test/support/golden.ts';
import { ConfigError, FormatError } from '../../base/errors.ts';
import { readTensor } from '../../formats/file-tensor.ts';
import { readGguf } from '../../formats/gguf.ts';
import type { GgufField } from '../../formats/gguf-values.ts';
import { writeGguf } from '../../formats/gguf-write.ts';
import { MemoryFolder, MemorySource } from '../../formats/memory-source.ts';
import { readSafetensors } from '../../formats/safetensors.ts';
import { type NamedTensor, writeSafetensors } from '../../formats/safetensors-write.ts';
import { MemorySink } from '../../formats/sink.ts';
import { openFile } from '../../platform/node/files.ts';
import { openCheckpoint } from './open.ts';

const path = (file: string) => goldenPath(`forward/gqa/${file}`);
const config = JSON.parse(readFileSync(path('config.json'), 'utf8')) as Record<string, unknown>;
const tensors = readSafetensors(openFile(path('model.safetensors'))).tensors;

function open(changes: Record<string, unknown>, change: (tensors: Map<string, NamedTensor[1]>) => void = () => {}) {
  const changed = new Map<string, NamedTensor[1]>(tensors);
  change(changed);
  const sink = new MemorySink();
  writeSafetensors(sink, [...changed]);
  const text = new TextEncoder().encode(JSON.stringify({ ...config, ...changes }));
  return openCheckpoint(
    new MemoryFolder(
      'gqa',
      new Map([
        ['config.json', text],
        ['model.safetensors', sink.bytes()],
      ]),
    ),
  );
}

const fails = (run: () => unknown, kind: typeof ConfigError | typeof FormatError, ...messages: RegExp[]) =>
  throws(run, (error: unknown) => {
    ok(error instanceof kind, String(error));
    for (const message of messages) match(error.message, message);
    return true;
  });

test('missing, surplus, misshapen and untyped tensors are listed together', () => {
  const q = 'model.layers.0.self_attn.q_proj.weight';
  fails(
    () =>
      open({}, (all) => {
        all.delete('model.norm.weight');
        all.set('model.layers.0.self_attn.q_norm.weight', all.get('model.layers.0.input_layernorm.weight')!);
        all.set('lm_head.weight', all.get(q)!);
        all.set(q, { ...all.get(q)!, dtype: 'i32', readRows: (target) => target.fill(0) });
      }),
    ConfigError,
    /the tensors do not fit the configuration: 4 problems/,
    /model\.norm\.weight \[48\] is missing/,
    /q_norm\.weight \[48\] is no parameter of this model/,
    /lm_head\.weight is \[48, 48\], expected \[200, 48\]/,
    /q_proj\.weight is i32, expected one of f32 f16 bf16/,
  );
});

test('a configuration that does not fit its tensors is refused, a giant one before anything is allocated', () => {
  fails(() => open({ num_key_value_heads: 4 }), ConfigError, /k_proj\.weight is \[12, 48\], expected \[24, 48\]/);
  fails(
    () => open({ num_hidden_layers: 4 }),
    ConfigError,
    /model\.layers\.3\.input_layernorm\.weight \[48\] is missing/,
  );
  fails(() => open({ num_hidden_layers: 2 }), ConfigError, /model\.layers\.2\..* is no parameter/);
  fails(() => open({ num_hidden_layers: 2 ** 40 }), ConfigError, /blockCount is 1099511627776/);
  fails(() => open({ num_key_value_heads: 3 }), ConfigError, /headCount 8 is not a multiple of kvHeadCount 3/);
  fails(() => open({ num_hidden_layers: 4000 }), ConfigError, /… and \d+ more/);
});

test('tied embeddings take the embedding table, whether or not lm_head is stored', () => {
  strictEqual(open({ tie_word_embeddings: true }).tensors.has('head_VD'), false);
  fails(() => open({}, (all) => all.delete('lm_head.weight')), ConfigError, /lm_head\.weight \[200, 48\] is missing/);
});

test('NaN and infinite weights and scales are found when the rows are read', () => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const name = 'model.layers.1.mlp.down_proj.weight';
    const checkpoint = open({}, (all) => {
      const bytes = readTensor(all.get(name)!);
      new Float32Array(bytes.buffer)[3 * 116 + 5] = bad;
      all.set(name, {
        ...all.get(name)!,
        name,
        dtype: 'f32',
        shape: [48, 116],
        readRows: (target, row, count) => target.set(bytes.subarray(row * 464, (row + count) * 464)),
      });
    });
    fails(
      () => readTensor(checkpoint.tensors.get('blocks.1.wDown_DF')!),
      FormatError,
      /tensor model\.layers\.1\.mlp\.down_proj\.weight, row 3, column 5: expected a finite weight/,
    );
  }
  const file = new Uint8Array(readFileSync(goldenPath('formats/gguf-llama-cpp-converter/model-q8_0.gguf')));
  const at = readGguf(new MemorySource('m', file)).tensors.get('blk.1.ffn_up.weight')!.byteOffset;
  new DataView(file.buffer).setUint16(at + 2 * 34, 0x7e00, true); // the scale of the third block is NaN
  const damaged = openCheckpoint(new MemorySource('m.gguf', file));
  fails(
    () => readTensor(damaged.tensors.get('blocks.1.wUp_FD')!),
    FormatError,
    /row 2, column 0: expected a finite scale of the Q8_0 block/,
  );
});

test('GGUF: metadata that changes the mathematics is refused', () => {
  const source = readGguf(openFile(goldenPath('formats/gguf-llama-cpp-converter/model-f16.gguf')));
  const openWith = (key: string, field: GgufField) => {
    const sink = new MemorySink();
    writeGguf(sink, new Map(source.fields).set(key, field), [...source.tensors]);
    return openCheckpoint(new MemorySource('m.gguf', sink.bytes()));
  };
  const number = (value: number): GgufField => ({ type: 'u32', value });
  strictEqual(openWith('llama.attention.sliding_window', number(7)).config.slidingWindow, 7);
  deepStrictEqual(openWith('llama.rope.scaling.factor', { type: 'f32', value: 2 }).config.ropeScaling, {
    kind: 'linear',
    factor: 2,
  });
  const cases: [string, GgufField, RegExp][] = [
    [
      'general.architecture',
      { type: 'string', value: 'bloom' },
      /general\.architecture is "bloom", expected llama, qwen2, qwen3/,
    ],
    [
      'llama.logit_scale',
      { type: 'f32', value: 0.5 },
      /llama\.logit_scale is 0\.5, a key that this reader does not know/,
    ],
    ['llama.expert_count', number(8), /llama\.expert_count is 8, expected 0/],
    ['llama.rope.dimension_count', number(10), /llama\.rope\.dimension_count is 10, expected an even number up to/],
    ['llama.rope.scaling.type', { type: 'string', value: 'spiral' }, /is "spiral", expected none, linear, yarn/],
    ['llama.vocab_size', number(500), /llama\.vocab_size is 500, expected 512/],
    ['llama.block_count', number(3), /blk\.2\.attn_norm\.weight \[32\] is missing/],
    [
      'llama.attention.head_count',
      { type: 'array', value: Uint32Array.of(4, 2) },
      /head_count is \[4,2\], expected a number/,
    ],
  ];
  for (const [key, field, message] of cases) fails(() => openWith(key, field), ConfigError, message);
});

test('GGUF: the parts of a split file are joined, and a missing part is named', () => {
  const whole = readGguf(openFile(goldenPath('formats/gguf-llama-cpp-converter/model-f16.gguf')));
  const all = [...whole.tensors];
  const part = (index: number, chosen: NamedTensor[]) => {
    const fields = new Map(index === 0 ? whole.fields : []);
    fields.set('split.no', { type: 'u16', value: index }).set('split.count', { type: 'u16', value: 2 });
    fields.set('split.tensors.count', { type: 'i32', value: all.length });
    const sink = new MemorySink();
    writeGguf(sink, fields, chosen);
    return sink.bytes();
  };
  const files = new Map([
    ['m-00001-of-00002.gguf', part(0, all.slice(0, 9))],
    ['m-00002-of-00002.gguf', part(1, all.slice(9))],
  ]);
  const joined = openCheckpoint(new MemoryFolder('m', files));
  strictEqual(joined.tensors.size, 21);
  for (const tensor of joined.tensors.values()) readTensor(tensor);
  for (const name of files.keys()) {
    const folder = new MemoryFolder('m', files);
    const opened = openCheckpoint(folder.open(name), folder);
    strictEqual(opened.tensors.size, 21, `${name} opens the set`);
    deepStrictEqual(opened.config, joined.config);
  }
  const swapped = new Map([...files.keys()].map((name, i) => [name, [...files.values()][1 - i]!]));
  fails(
    () => openCheckpoint(new MemoryFolder('m', swapped)),
    FormatError,
    /split\.no: expected 0 in m-00001-of-00002\.gguf, found 1/,
  );
  files.delete('m-00002-of-00002.gguf');
  fails(
    () => openCheckpoint(new MemoryFolder('m', files)),
    FormatError,
    /split\.count: expected 2 parts in the folder, missing: m-00002-of-00002\.gguf/,
  );
});

test('Meta: a missing shard, and shards that do not join', () => {
  const root = goldenPath('formats/meta-llama2-mp2/meta');
  const files = new Map(readdirSync(root).map((file) => [file, new Uint8Array(readFileSync(`${root}/${file}`))]));
  const without = new Map(files);
  without.delete('consolidated.00.pth');
  fails(() => openCheckpoint(new MemoryFolder('meta', without)), FormatError, /Download consolidated\.00\.pth/);
  const other = new Uint8Array(readFileSync(goldenPath('formats/meta-llama3-mp2/meta/consolidated.01.pth')));
  fails(
    () => openCheckpoint(new MemoryFolder('meta', new Map(files).set('consolidated.01.pth', other))),
    ConfigError,
    /which do not join|is \[/,
  );
  const half = new Map(files);
  half.delete('consolidated.01.pth');
  fails(() => openCheckpoint(new MemoryFolder('meta', half)), ConfigError, /expected|rows/);
});

test('folders and files that are no model say what was looked for', () => {
  const folder = (files: Record<string, string>) =>
    new MemoryFolder('f', new Map(Object.entries(files).map(([file, text]) => [file, new TextEncoder().encode(text)])));
  fails(
    () => openCheckpoint(folder({})),
    FormatError,
    /expected config\.json \(Hugging Face\), params\.json \(Meta\) or one \.gguf file/,
  );
  fails(
    () => openCheckpoint(folder({ 'config.json': JSON.stringify(config) })),
    FormatError,
    /model\.safetensors\.index\.json or model\.safetensors/,
  );
  fails(
    () => openCheckpoint(new MemorySource('x', new TextEncoder().encode('version https://git-lfs'))),
    FormatError,
    /Git LFS pointer/,
  );
  for (const [content, found] of [
    ['', /found an empty file\. Fetch it again/],
    ['<!DOCTYPE html>\n<html><head>', /found a web page\. The download was an error or login page/],
    ['\n  <html lang="en">', /found a web page/],
    ['{"error":"Entry not found"}', /found JSON text, "\{\\"error/],
    ['\x1f\x8b\x08\x00 and so on', /found a gzip archive\. Unpack it/],
    ['\x93NUMPY\x01\x00', /found a NumPy array/],
    ['\0'.repeat(600), /found zeros only/],
    ['\n\x0e\n\x05<unk>\x15\0\0\0\0', /found a SentencePiece vocabulary/],
    ['#!/bin/sh\necho 한국어\n', /found text, "#!\/bin\/sh"\. Is this a model file/],
    ['\x80\x81\x82\x83\x84\x85', /found 80 81 82 83 84 85 in 6 bytes/],
  ] as const) {
    const bytes = /[\x80-\xff]/.test(content) ? Buffer.from(content, 'latin1') : new TextEncoder().encode(content);
    fails(() => openCheckpoint(new MemorySource('x', new Uint8Array(bytes))), FormatError, found);
  }
  const index = JSON.stringify({ weight_map: { a: '../../etc/passwd' } });
  fails(
    () => openCheckpoint(folder({ 'config.json': JSON.stringify(config), 'model.safetensors.index.json': index })),
    FormatError,
    /a file in the same folder, found "\.\.\/\.\.\/etc\/passwd"/,
  );
});
