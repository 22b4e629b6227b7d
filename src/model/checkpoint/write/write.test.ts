import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { goldenPath } from '../../../../test/support/golden.ts';
import { weightsOf } from '../../../../test/support/weights.ts';
import { ArgumentError, ConfigError } from '../../../base/errors.ts';
import { readTensor } from '../../../formats/file-tensor.ts';
import { readGguf } from '../../../formats/gguf.ts';
import { type GgufField, ggufArrays } from '../../../formats/gguf-values.ts';
import { writeGguf } from '../../../formats/gguf-write.ts';
import { MemoryFolder, MemorySource } from '../../../formats/memory-source.ts';
import { readSafetensors } from '../../../formats/safetensors.ts';
import { type NamedTensor, writeSafetensors } from '../../../formats/safetensors-write.ts';
import { MemorySink } from '../../../formats/sink.ts';
import { openFile, openFolder } from '../../../platform/node/files.ts';
import { encodeRow } from '../../../quant/rows.ts';
import type { DType, WeightType } from '../../../tensor/dtype.ts';
import { dtypes } from '../../../tensor/dtype.ts';
import type { LlamaConfig, RopeScaling } from '../../config.ts';
import { ropeFrequencies } from '../../rope-frequencies.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { rotaryRow } from '../layout/row-sources.ts';
import { openCheckpoint } from '../open.ts';
import { ggufFileTypes, writeGgufCheckpoint } from './write-gguf.ts';
import { writeHfCheckpoint } from './write-hf.ts';

const to = (dtype: WeightType) => ({
  typeOf: () => dtype,
  encode: (type: WeightType, weights: Float32Array, bytes: Uint8Array) => encodeRow(type, weights, bytes),
});

function throughGguf(checkpoint: Checkpoint, dtype: WeightType, tokenizer = new Map<string, GgufField>()): Checkpoint {
  const sink = new MemorySink();
  writeGgufCheckpoint(sink, checkpoint, { ...to(dtype), fileType: ggufFileTypes[dtype], tokenizer });
  return openCheckpoint(new MemorySource('written.gguf', sink.bytes()));
}

function throughHf(checkpoint: Checkpoint, dtype: WeightType, maxShardBytes = 1 << 30): Checkpoint {
  const sinks = new Map<string, MemorySink>();
  const create = (file: string) => {
    const sink = new MemorySink();
    sinks.set(file, sink);
    return sink;
  };
  writeHfCheckpoint({ create }, checkpoint, { ...to(dtype), maxShardBytes });
  return openCheckpoint(new MemoryFolder('written', new Map([...sinks].map(([file, sink]) => [file, sink.bytes()]))));
}

function assertSame(actual: Checkpoint, expected: Checkpoint): void {
  deepStrictEqual(actual.config, expected.config);
  deepStrictEqual([...actual.tensors.keys()].sort(), [...expected.tensors.keys()].sort());
  for (const [name, tensor] of expected.tensors)
    deepStrictEqual(weightsOf(actual.tensors.get(name)!), weightsOf(tensor), name);
}

for (const name of ['gqa', 'tied', 'headdim24-explicit', 'mistral-swa', 'qwen2-bias', 'rope-linear', 'rope-llama3']) {
  test(`${name}: HF → GGUF → HF in shards gives the same weights and configuration`, () => {
    const original = openCheckpoint(openFolder(goldenPath(`forward/${name}`)));
    const gguf = throughGguf(original, 'f32');
    if (original.config.ropeScaling.kind === 'llama3') {
      // not one of the published scalings: kept as divisors, which turn the same angles
      strictEqual(gguf.config.ropeScaling.kind, 'factors');
      const angles = (config: LlamaConfig) => ropeFrequencies(config).inverse;
      const expected = angles(original.config);
      for (const [e, angle] of angles(gguf.config).entries()) ok(Math.abs(angle - expected[e]!) <= 1e-7 * expected[e]!);
      throws(() => throughHf(gguf, 'f32'), ConfigError);
      assertSame(throughHf(original, 'f32', 100_000), original);
      return;
    }
    assertSame(gguf, original);
    assertSame(throughHf(gguf, 'f32', 100_000), original);
  });
}

test('the published llama3 scaling, linear and yarn survive both formats', () => {
  const original = openCheckpoint(openFolder(goldenPath('forward/rope-llama3')));
  const scalings: RopeScaling[] = [
    { kind: 'llama3', factor: 32, lowFreqFactor: 1, highFreqFactor: 4, originalContextLength: 8192 },
    { kind: 'linear', factor: 2 },
    {
      kind: 'yarn',
      factor: 4,
      originalContextLength: 256,
      betaFast: 32,
      betaSlow: 1,
      wholePairs: true,
      attentionFactor: null,
    },
  ];
  for (const ropeScaling of scalings) {
    const checkpoint = { ...original, config: { ...original.config, ropeScaling } };
    deepStrictEqual(throughGguf(checkpoint, 'f16').config, checkpoint.config);
    deepStrictEqual(throughHf(checkpoint, 'f16').config, checkpoint.config);
  }
});

test("our GGUF of the converter's model has its metadata, tensors and bytes", () => {
  const path = 'formats/gguf-llama-cpp-converter';
  const theirs = readGguf(openFile(goldenPath(`${path}/model-q8_0.gguf`)));
  const original = openCheckpoint(openFolder(goldenPath(`${path}/hf`)));
  const sink = new MemorySink();
  const tokenizer = new Map([...theirs.fields].filter(([key]) => key.startsWith('tokenizer.')));
  writeGgufCheckpoint(sink, { ...original, name: 'Hf' }, { ...to('Q8_0'), fileType: ggufFileTypes.Q8_0, tokenizer });
  const ours = readGguf(new MemorySource('ours.gguf', sink.bytes()));
  deepStrictEqual(new Map([...ours.fields].sort()), new Map([...theirs.fields].sort()));
  deepStrictEqual([...ours.tensors.keys()].sort(), [...theirs.tensors.keys()].sort());
  for (const [name, tensor] of theirs.tensors) {
    const written = ours.tensors.get(name)!;
    deepStrictEqual([written.dtype, written.shape], [tensor.dtype, tensor.shape], name);
    deepStrictEqual(readTensor(written), readTensor(tensor), name);
  }
});

test('a GGUF without a tokenizer says so, and has none when it is read again', () => {
  const written = throughGguf(openCheckpoint(openFolder(goldenPath('forward/mha'))), 'f32');
  strictEqual(written.metadata.get('tokenizer.ggml.model'), 'no_vocab');
  strictEqual(written.tokenizer, null);
});

test('a quantized type cannot be written to a Hugging Face folder', () => {
  const original = openCheckpoint(openFolder(goldenPath('forward/mha')));
  throws(() => throughHf(original, 'Q8_0'), ArgumentError);
});

test('the rotary permutations are inverse, and are those of the papers', () => {
  for (const E of [2, 6, 24, 128]) {
    for (let r = 0; r < E; r++) strictEqual(rotaryRow(rotaryRow(r, E, 'pairs'), E, 'halves'), r);
  }
  deepStrictEqual(
    [0, 1, 2, 3, 4, 5].map((r) => rotaryRow(r, 6, 'pairs')),
    [0, 3, 1, 4, 2, 5],
  );
});

test('rows read one by one are the rows read at once, through every kind of source', () => {
  for (const path of ['forward/headdim24-explicit', 'formats/meta-llama2-mp2/meta', 'forward/qwen2-bias']) {
    for (const [name, tensor] of openCheckpoint(openFolder(goldenPath(path))).tensors) {
      const whole = readTensor(tensor);
      if (tensor.shape.length === 1) continue;
      const bytesPerRow = whole.length / tensor.shape[0]!;
      for (const [first, count] of [
        [0, 1],
        [1, 7],
        [tensor.shape[0]! - 3, 3],
        [5, 0],
      ] as const) {
        const rows = new Uint8Array(count * bytesPerRow);
        tensor.readRows(rows, first, count);
        deepStrictEqual(rows, whole.slice(first * bytesPerRow, (first + count) * bytesPerRow), name);
      }
    }
  }
});

const tensorsOf = (types: readonly DType[]) =>
  fc.uniqueArray(
    fc.record({
      name: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((name) => name !== '__metadata__'),
      dtype: fc.constantFrom(...types),
      shape: fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 3 }),
      seed: fc.integer({ min: 0, max: 255 }),
    }),
    { selector: ({ name }) => name, maxLength: 6 },
  );

function make({
  name,
  dtype,
  shape,
  seed,
}: {
  name: string;
  dtype: DType;
  shape: readonly number[];
  seed: number;
}): NamedTensor {
  const { blockWeights, blockBytes } = dtypes[dtype];
  const whole = blockWeights === 1 ? shape : [...shape, blockWeights];
  const length = (whole.reduce((product, one) => product * one, 1) / blockWeights) * blockBytes;
  const bytes = Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 255);
  const rows = Math.max(
    1,
    whole.slice(0, -1).reduce((product, one) => product * one, 1),
  );
  const readRows = (target: Uint8Array, first: number, count: number) =>
    target.set(bytes.subarray((first * length) / rows, ((first + count) * length) / rows));
  return [name, { name, dtype, shape: whole, readRows }];
}

test('safetensors: parse ∘ write = id', () => {
  const types = (Object.keys(dtypes) as DType[]).filter((dtype) => 'safetensors' in dtypes[dtype]);
  fc.assert(
    fc.property(tensorsOf(types), fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 }), (specs, metadata) => {
      const tensors = specs.map(make);
      const sink = new MemorySink();
      writeSafetensors(sink, tensors, metadata);
      const read = readSafetensors(new MemorySource('f', sink.bytes()));
      deepStrictEqual(Object.fromEntries(read.metadata), { ...metadata });
      strictEqual(read.tensors.size, tensors.length);
      for (const [name, tensor] of tensors) {
        deepStrictEqual(read.tensors.get(name)!.shape, tensor.shape);
        deepStrictEqual(readTensor(read.tensors.get(name)!), readTensor(tensor));
      }
    }),
    { numRuns: 100 },
  );
});

const scalar = fc.oneof(
  fc.record({ type: fc.constant('u8' as const), value: fc.nat(255) }),
  fc.record({ type: fc.constant('i8' as const), value: fc.integer({ min: -128, max: 127 }) }),
  fc.record({ type: fc.constant('i16' as const), value: fc.integer({ min: -32768, max: 32767 }) }),
  fc.record({ type: fc.constant('u32' as const), value: fc.nat(4294967295) }),
  fc.record({ type: fc.constant('i64' as const), value: fc.oneof(fc.integer(), fc.constant(-(2n ** 62n))) }),
  fc.record({ type: fc.constant('u64' as const), value: fc.oneof(fc.nat(), fc.constant(2n ** 63n)) }),
  fc.record({ type: fc.constant('f32' as const), value: fc.float({ noNaN: true }) }),
  fc.record({ type: fc.constant('f64' as const), value: fc.double({ noNaN: true }) }),
  fc.record({ type: fc.constant('bool' as const), value: fc.boolean() }),
  fc.record({ type: fc.constant('string' as const), value: fc.string({ unit: 'grapheme' }) }),
);
const leaf = fc.oneof(
  fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 4 }),
  fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }),
  fc.array(fc.nat(255), { maxLength: 4 }).map((values) => Uint8Array.from(values)),
  fc.array(fc.integer(), { maxLength: 4 }).map((values) => ggufArrays.i32.from(values)),
  fc.array(fc.double({ noNaN: true }), { maxLength: 4 }).map((values) => Float64Array.from(values)),
);
const array = fc.record({
  type: fc.constant('array' as const),
  value: fc.oneof(leaf, fc.array(leaf, { minLength: 1, maxLength: 3 })),
});

test('GGUF: parse ∘ write = id', () => {
  const types = (Object.keys(dtypes) as DType[]).filter((dtype) => 'gguf' in dtypes[dtype]);
  const fields = fc.uniqueArray(fc.tuple(fc.string({ minLength: 1, maxLength: 12 }), fc.oneof(scalar, array)), {
    selector: ([key]) => key,
    maxLength: 8,
  });
  fc.assert(
    fc.property(tensorsOf(types), fields, fc.constantFrom(8, 32, 256), (specs, list, alignment) => {
      const tensors = specs.map(make);
      const all = new Map<string, GgufField>([
        ...list.map(([key, field]) => [key, { ...field }] as const),
        ['general.alignment', { type: 'u32', value: alignment }],
      ]);
      const sink = new MemorySink();
      writeGguf(sink, all, tensors);
      const read = readGguf(new MemorySource('f', sink.bytes()));
      deepStrictEqual(new Map(read.fields), all);
      for (const [name, tensor] of tensors) {
        const found = read.tensors.get(name)!;
        deepStrictEqual([found.dtype, found.shape, found.byteOffset % alignment], [tensor.dtype, tensor.shape, 0]);
        deepStrictEqual(readTensor(found), readTensor(tensor));
      }
    }),
    { numRuns: 100 },
  );
});
