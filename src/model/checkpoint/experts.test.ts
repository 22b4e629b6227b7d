/** Experts as files have them: a tensor each, in blocks of MXFP4, gates and inputs in turn, only in some blocks. */
import { deepStrictEqual, match, strictEqual, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { goldenPath } from '../../../test/support/golden.ts';
import { tinyConfig, tinyWeights } from '../../../test/support/tiny-model.ts';
import { weightsOf } from '../../../test/support/weights.ts';
import { Random } from '../../base/random.ts';
import { readTensor } from '../../formats/file-tensor.ts';
import { readGguf } from '../../formats/gguf.ts';
import { writeGguf } from '../../formats/gguf-write.ts';
import { MemoryFolder, MemorySource } from '../../formats/memory-source.ts';
import { readSafetensors } from '../../formats/safetensors.ts';
import { type NamedTensor, writeSafetensors } from '../../formats/safetensors-write.ts';
import { MemorySink } from '../../formats/sink.ts';
import { openCheckpointAt } from '../../platform/node/files.ts';
import { encodeRow } from '../../quant/rows.ts';
import type { WeightType } from '../../tensor/dtype.ts';
import type { TensorSource } from '../../tensor/source.ts';
import type { LlamaConfig } from '../config.ts';
import { RowRange } from './layout/row-sources.ts';
import { openCheckpoint } from './open.ts';
import { ggufFileTypes, writeGgufCheckpoint } from './write/write-gguf.ts';
import { writeHfCheckpoint } from './write/write-hf.ts';

/** Bytes as a tensor. */
function plain(name: string, shape: readonly number[], bytes: Uint8Array): TensorSource {
  const width = shape.at(-1)!;
  const readRows: TensorSource['readRows'] = (target, first, rows) =>
    target.set(bytes.subarray(first * width, (first + rows) * width));
  return { name, dtype: 'u8', shape, readRows };
}

const f32 = {
  typeOf: (): WeightType => 'f32',
  encode: (dtype: WeightType, weights: Float32Array, bytes: Uint8Array) => encodeRow(dtype, weights, bytes),
  fileType: ggufFileTypes.f32,
  tokenizer: new Map(),
  maxShardBytes: 1e6,
} as const;

function folderOf(config: LlamaConfig, tensors: ReadonlyMap<string, TensorSource>): Map<string, Uint8Array> {
  const sinks = new Map<string, MemorySink>();
  const create = (file: string) => {
    const sink = new MemorySink();
    sinks.set(file, sink);
    return sink;
  };
  const generation = { bosId: null, eosIds: [], suggestions: new Map() };
  writeHfCheckpoint({ create }, { config, tensors, tokenizer: null, chatTemplate: null, generation }, f32);
  return new Map([...sinks].map(([file, sink]) => [file, sink.bytes()]));
}

test("Mixtral's old GGUF files, a tensor an expert, are the same model", () => {
  const path = goldenPath('relatives/mixtral/model.gguf');
  const want = openCheckpointAt(path);
  const stacked = readGguf(new MemorySource('m', new Uint8Array(readFileSync(path))));
  const single = [...stacked.tensors].flatMap(([name, tensor]): NamedTensor[] => {
    const found = /^(blk\.\d+\.ffn_(?:gate|up|down))_exps\.weight$/.exec(name);
    if (found === null) return [[name, tensor]];
    const [X, O] = tensor.shape as [number, number, number];
    return Array.from({ length: X }, (_, x) => {
      const one = `${found[1]}.${x}.weight`;
      return [one, new RowRange(tensor, one, x * O, O)];
    });
  });
  const sink = new MemorySink();
  writeGguf(sink, stacked.fields, single);
  const found = openCheckpoint(new MemorySource('old.gguf', sink.bytes()));
  deepStrictEqual(found.config, want.config);
  for (const [name, tensor] of want.tensors)
    deepStrictEqual(readTensor(found.tensors.get(name)!), readTensor(tensor), name);
  want.close();
});

test('Qwen 3 with experts in some blocks only: read from its keys, written again; GGUF has no form for it', () => {
  const config: LlamaConfig = {
    ...tinyConfig,
    family: 'qwen3moe',
    qkNorm: 'head',
    blockCount: 4,
    experts: {
      count: 3,
      used: 2,
      width: 12,
      weights: 'chosen',
      weighs: 'results',
      shared: null,
      blocks: [false, true, false, true],
      bias: false,
    },
  };
  const tensors = tinyWeights(config);
  strictEqual(tensors.has('blocks.0.wUp_FD') && !tensors.has('blocks.0.wRouter_XD'), true);
  strictEqual(tensors.has('blocks.1.wUp_XGD') && !tensors.has('blocks.1.wUp_FD'), true);
  const files = folderOf(config, tensors);
  const open = (keys: Record<string, unknown>) => {
    const json = { ...JSON.parse(new TextDecoder().decode(files.get('config.json'))), ...keys };
    const changed = new Map([...files, ['config.json', new TextEncoder().encode(JSON.stringify(json))]]);
    return openCheckpoint(new MemoryFolder('f', changed));
  };
  for (const keys of [{}, { decoder_sparse_step: 2, mlp_only_layers: [] }, { mlp_only_layers: [2, 0] }]) {
    const found = open(keys);
    deepStrictEqual(found.config, config);
    for (const [name, tensor] of tensors) deepStrictEqual(weightsOf(found.tensors.get(name)!), weightsOf(tensor), name);
  }
  throws(() => open({ mlp_only_layers: [4] }), /mlp_only_layers is \[4\], expected a list of blocks, 0 to 3/);
  throws(() => open({ mlp_only_layers: [0] }), /mlp\.experts|mlp\.gate/);
  const written = { name: 'q', config, tensors, chatTemplate: null };
  throws(() => writeGgufCheckpoint(new MemorySink(), written, f32), /experts is/);
});

test("gpt-oss from a Hugging Face folder: blocks of MXFP4 become GGUF's, gates and inputs are told apart", () => {
  const golden = openCheckpointAt(goldenPath('relatives/gpt-oss/model.gguf'));
  const config: LlamaConfig = {
    ...golden.config,
    width: 64,
    ffnWidth: 96,
    experts: { ...golden.config.experts!, count: 3, width: 96 },
  };
  const { count: X, width: G } = config.experts!;
  const D = config.width;
  const tensors = tinyWeights(config);
  const files = folderOf(config, tensors);
  const shards = new Map<string, TensorSource>(
    readSafetensors(new MemorySource('m', files.get('model.safetensors')!)).tensors,
  );
  // The experts' products again, as OpenAI's files have them.
  const random = new Random(1);
  const bytes = (length: number, from: number, below: number) =>
    Uint8Array.from({ length }, () => from + random.below(below));
  const packed = new Map<string, { blocks: Uint8Array; scales: Uint8Array }>();
  for (let b = 0; b < config.blockCount; b++) {
    for (const [part, rows, columns] of [
      ['gate_up_proj', 2 * G, D],
      ['down_proj', D, G],
    ] as const) {
      const name = `model.layers.${b}.mlp.experts.${part}`;
      const [blocks, scales] = [bytes((X * rows * columns) / 2, 0, 256), bytes((X * rows * columns) / 32, 120, 8)];
      packed.set(name, { blocks, scales });
      shards.delete(name);
      shards.set(`${name}_blocks`, plain(`${name}_blocks`, [X, rows, columns / 32, 16], blocks));
      shards.set(`${name}_scales`, plain(`${name}_scales`, [X, rows, columns / 32], scales));
    }
  }
  const json = JSON.parse(new TextDecoder().decode(files.get('config.json')));
  const open = (tensorsOfFile: ReadonlyMap<string, TensorSource>) => {
    const sink = new MemorySink();
    writeSafetensors(sink, [...tensorsOfFile]);
    const config_ = { ...json, quantization_config: { quant_method: 'mxfp4', modules_to_not_convert: ['lm_head'] } };
    const text = new TextEncoder().encode(JSON.stringify(config_));
    return openCheckpoint(
      new MemoryFolder(
        'f',
        new Map([
          ['config.json', text],
          ['model.safetensors', sink.bytes()],
        ]),
      ),
    );
  };
  const found = open(shards);
  deepStrictEqual(found.config, config);
  match(found.notes.join(), /packed as mxfp4, and held here as MXFP4/);
  const values = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6];
  for (let b = 0; b < config.blockCount; b++) {
    for (const [key, part, rows, columns, rowOf] of [
      ['wGate_XGD', 'gate_up_proj', G, D, (o: number) => 2 * o],
      ['wUp_XGD', 'gate_up_proj', G, D, (o: number) => 2 * o + 1],
      ['wDown_XDG', 'down_proj', D, G, (o: number) => o],
    ] as const) {
      const { blocks, scales } = packed.get(`model.layers.${b}.mlp.experts.${part}`)!;
      const inFile = blocks.length / X / (columns / 2);
      const want: number[] = [];
      for (let x = 0; x < X; x++) {
        for (let o = 0; o < rows; o++) {
          for (let i = 0; i < columns; i++) {
            const row = x * inFile + rowOf(o);
            const byte = blocks[(row * columns + i) >> 1]!;
            const scale = 2 ** (scales[(row * columns) / 32 + (i >> 5)]! - 127);
            want.push(values[i % 2 === 0 ? byte & 15 : byte >> 4]! * scale);
          }
        }
      }
      const tensor = found.tensors.get(`blocks.${b}.${key}`)!;
      strictEqual(tensor.dtype, 'MXFP4');
      deepStrictEqual(
        [...weightsOf(tensor)].map((one) => one + 0),
        want.map((one) => one + 0),
        key,
      );
    }
    for (const key of ['bGate_XG', 'bUp_XG', 'bDown_XD', 'wRouter_XD', 'bRouter_X', 'sinks_H']) {
      const name = `blocks.${b}.${key}`;
      deepStrictEqual(weightsOf(found.tensors.get(name)!), weightsOf(tensors.get(name)!), name);
    }
  }
  const lost = new Map(shards);
  lost.delete('model.layers.1.mlp.experts.down_proj_scales');
  throws(() => open(lost), /expected model\.layers\.1\.mlp\.experts\.down_proj_scales beside it/);
  golden.close();
});
