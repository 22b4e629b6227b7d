import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { goldenJson, goldenPath, goldenTensors } from '../../test/support/golden.ts';
import { missing, shared } from '../../test/support/shared.ts';
import { weightsOf } from '../../test/support/weights.ts';
import { openFile } from '../platform/node/files.ts';
import type { TensorSource } from '../tensor/source.ts';
import { readTensor } from './file-tensor.ts';
import { readGguf } from './gguf.ts';
import { readSafetensors } from './safetensors.ts';
import { readTorch } from './torch/torch.ts';

const bigints = (tensor: TensorSource) => [...new BigInt64Array(readTensor(tensor).buffer)];

test('GGUF: every type and every metadata value of gguf-py', () => {
  const gguf = readGguf(openFile(goldenPath('formats/gguf-types/types.gguf')));
  const expected = goldenJson<{
    tensors: Record<string, { ggml_shape: number[]; data_sha256: string }>;
    metadata: Record<string, { types: string[]; value: unknown }>;
  }>('formats/gguf-types/expected.json');
  const values = goldenTensors('formats/gguf-types/expected.safetensors');
  deepStrictEqual([...gguf.tensors.keys()].sort(), Object.keys(expected.tensors).sort());
  for (const [name, { ggml_shape, data_sha256 }] of Object.entries(expected.tensors)) {
    const tensor = gguf.tensors.get(name)!;
    deepStrictEqual(tensor.shape, [...ggml_shape].reverse(), name);
    strictEqual(createHash('sha256').update(readTensor(tensor)).digest('hex'), data_sha256, name);
    deepStrictEqual(weightsOf(tensor), values[name]!.data, name);
  }
  const plain = (value: unknown) =>
    typeof value === 'bigint'
      ? String(value)
      : ArrayBuffer.isView(value)
        ? Array.from(value as unknown as ArrayLike<number>)
        : value;
  for (const [key, { value }] of Object.entries(expected.metadata)) {
    if (!key.startsWith('GGUF.')) deepStrictEqual(plain(gguf.fields.get(key)?.value), value, key);
  }
});

test('safetensors: every dtype, scalars, empty tensors, names beyond ASCII, metadata', () => {
  const { tensors, metadata } = readSafetensors(openFile(goldenPath('formats/safetensors-dtypes/all.safetensors')));
  const {
    values,
    shapes,
    metadata: facts,
  } = goldenJson<{
    values: Record<string, unknown[]>;
    shapes: Record<string, number[]>;
    metadata: Record<string, string>;
  }>('formats/safetensors-dtypes/expected.json');
  const read: Record<string, (tensor: TensorSource) => unknown[]> = {
    f64: (t) => [...new Float64Array(readTensor(t).buffer)],
    i64: (t) => bigints(t).map(String),
    i32: (t) => [...new Int32Array(readTensor(t).buffer)],
    i16: (t) => [...new Int16Array(readTensor(t).buffer)],
    i8: (t) => [...new Int8Array(readTensor(t).buffer)],
    u8: (t) => [...readTensor(t)],
    bool: (t) => [...readTensor(t)].map((byte) => byte === 1),
    f8_e4m3: (t) => [...readTensor(t)].map((byte) => decodeF8(byte, 4, 7)),
    f8_e5m2: (t) => [...readTensor(t)].map((byte) => decodeF8(byte, 5, 15)),
  };
  deepStrictEqual(Object.fromEntries(metadata), facts);
  deepStrictEqual([...tensors.keys()].sort(), Object.keys(shapes).sort());
  for (const [name, tensor] of tensors) {
    deepStrictEqual(tensor.shape, shapes[name], name);
    const numbers = read[tensor.dtype]?.(tensor) ?? [...weightsOf(tensor)];
    deepStrictEqual(numbers, values[name], name);
  }
});

function decodeF8(byte: number, exponentBits: number, bias: number): number {
  const fractionBits = 7 - exponentBits;
  const sign = byte & 0x80 ? -1 : 1;
  const exponent = (byte & 0x7f) >> fractionBits;
  const fraction = (byte & ((1 << fractionBits) - 1)) / (1 << fractionBits);
  return sign * (exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias));
}

test('PyTorch: strided and shared views, every storage type, nested containers', () => {
  const { tensors, facts } = readTorch(openFile(goldenPath('formats/torch-bin/views.pt')));
  const expected = goldenTensors('formats/torch-bin/expected.safetensors');
  for (const name of ['t', 'slice', 'shared_a']) {
    deepStrictEqual(weightsOf(tensors.get(name)!), expected[`views.${name}`]!.data, name);
    deepStrictEqual(tensors.get(name)!.shape, expected[`views.${name}`]!.shape, name);
  }
  const { views } = goldenJson<{ views: Record<string, unknown> }>('formats/torch-bin/expected.json');
  deepStrictEqual(bigints(tensors.get('i64')!).map(Number), views.i64);
  deepStrictEqual([...readTensor(tensors.get('u8')!)], views.u8);
  deepStrictEqual([...readTensor(tensors.get('bool')!)].map(Boolean), views.bool);
  deepStrictEqual([...new Float64Array(readTensor(tensors.get('f64')!).buffer)], views.f64);
  deepStrictEqual([...weightsOf(tensors.get('scalar')!)], [views.scalar]);
  const empty = [...tensors.values()].find(({ shape }) => shape[0] === 0)!;
  deepStrictEqual(empty.shape, views.empty_shape);
  strictEqual(facts.get('nested.list.2'), 's');
  strictEqual(facts.get('nested.list.4'), 2.5);
});

test('PyTorch: the format before 1.6 holds the same weights, in f16', () => {
  const zipped = readTorch(openFile(goldenPath('formats/torch-bin/pytorch_model.bin'))).tensors;
  const legacy = readTorch(openFile(goldenPath('formats/torch-bin/legacy_nonzip_fp16.bin'))).tensors;
  deepStrictEqual([...legacy.keys()], [...zipped.keys()]);
  for (const [name, tensor] of zipped) {
    const rounded = Float32Array.from(weightsOf(tensor), (weight) => Math.f16round(weight));
    deepStrictEqual(weightsOf(legacy.get(name)!), rounded, name);
  }
});

const candle = 'real/formats/candle';
test('PyTorch: rows of a column-major tensor are read in order', { skip: missing(candle) }, () => {
  const { tensors } = readTorch(openFile(shared(`${candle}/fortran_tensor_3d.pth`)));
  const whole = bigints(tensors.get('tensor_fortran')!).map(Number);
  deepStrictEqual(whole, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]);
});

const pair = 'real/formats/neural_api';
test('PyTorch and safetensors hold the same tensors', { skip: missing(pair) }, () => {
  const torch = readTorch(openFile(shared(`${pair}/tiny_torch_state.bin`))).tensors;
  const twin = readSafetensors(openFile(shared(`${pair}/tiny_torch_state.safetensors`))).tensors;
  strictEqual(torch.size, twin.size);
  for (const [name, tensor] of twin) deepStrictEqual(readTensor(torch.get(name)!), readTensor(tensor), name);
});
