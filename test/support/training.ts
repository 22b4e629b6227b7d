/** What the golden training cases need: the model of a case on a training device, and expected tensors under our names and layout. */

import type { Device } from '../../src/devices/device.ts';
import { createReferenceDevice } from '../../src/devices/reference/device.ts';
import { createWasmDevice } from '../../src/devices/wasm/device.ts';
import { type LlamaConfig, paperChoices } from '../../src/model/config.ts';
import { foreignName, listParameters, type Parameter } from '../../src/model/parameters.ts';
import { loadBlas } from '../../src/platform/node/native/blas.ts';
import { nodeThreads } from '../../src/platform/node/threads.ts';
import type { MicroBatch } from '../../src/training/micro-batch.ts';
import { placeModel, type TrainableModel } from '../../src/training/trainable-model.ts';
import { type GoldenTensor, goldenJson, goldenTensors } from './golden.ts';

const blas = loadBlas();

export const trainingDevices: readonly {
  readonly name: string;
  readonly create: () => Device | Promise<Device>;
}[] = [
  { name: 'reference', create: createReferenceDevice },
  { name: 'wasm', create: () => createWasmDevice() },
  { name: 'wasm, two threads', create: () => createWasmDevice({ threads: 2, host: nodeThreads }) },
  // Where there is no BLAS, src/devices/wasm/training.test.ts is skipped aloud.
  ...(blas
    ? [1, 2].map((threads) => ({
        name: `wasm with BLAS, threads: ${threads}`,
        create: () => createWasmDevice({ threads, host: nodeThreads, blas }),
      }))
    : []),
];

export function goldenConfig(folder: string): LlamaConfig {
  const json = goldenJson<Record<string, number | boolean>>(`${folder}/config.json`);
  const count = (key: string) => Number(json[key]);
  return {
    ...paperChoices,
    width: count('hidden_size'),
    blockCount: count('num_hidden_layers'),
    headCount: count('num_attention_heads'),
    kvHeadCount: count('num_key_value_heads'),
    headSize: count('hidden_size') / count('num_attention_heads'),
    ffnWidth: count('intermediate_size'),
    vocabSize: count('vocab_size'),
    contextLength: count('max_position_embeddings'),
    normEps: count('rms_norm_eps'),
    ropeTheta: count('rope_theta'),
    ropeScaling: { kind: 'none' },
    tiedEmbeddings: json.tie_word_embeddings === true,
    attentionBias: false,
    slidingWindow: null,
  };
}

/** Hugging Face's halves of each head → neighbouring pairs. */
export function ourLayout(
  values: Float32Array,
  { shape, spec }: Parameter,
  { headSize: E }: LlamaConfig,
): Float32Array {
  if (!spec.rotary) return values;
  const columns = shape[1] ?? 1;
  const out = new Float32Array(values.length);
  for (let row = 0; row < shape[0]!; row++) {
    const inHead = row % E;
    const from = row - inHead + (inHead % 2) * (E / 2) + Math.floor(inHead / 2);
    out.set(values.subarray(from * columns, (from + 1) * columns), row * columns);
  }
  return out;
}

/** A parameter's values out of a file with Hugging Face names, which may carry a prefix. */
export function goldenParameter(
  tensors: Record<string, GoldenTensor>,
  parameter: Parameter,
  config: LlamaConfig,
  prefix = '',
): Float32Array {
  const tensor = tensors[prefix + foreignName(parameter, 'hf')];
  if (!tensor) throw new Error(`${prefix}${parameter.name} is not in the golden file`);
  return ourLayout(tensor.data, parameter, config);
}

export function goldenModel(
  device: Device,
  folder: string,
  isTrained: (parameter: Parameter) => boolean = () => true,
): TrainableModel & { config: LlamaConfig; table: Parameter[] } {
  const config = goldenConfig(folder);
  const tensors = goldenTensors(`${folder}/model.safetensors`);
  const placed = placeModel(device, config, (parameter) => goldenParameter(tensors, parameter, config), isTrained);
  return { ...placed, config, table: listParameters(config) };
}

/** The micro-batches of one step out of [step, micro-batch, B, T] tensors. */
export function goldenStep(batches: Record<string, GoldenTensor>, step: number): MicroBatch[] {
  const [, micro, rows, length] = batches.input_ids!.shape as [number, number, number, number];
  const size = rows * length;
  return Array.from({ length: micro }, (_, i) => {
    const from = (step * micro + i) * size;
    return {
      ids: batches.input_ids!.data.subarray(from, from + size),
      labels: batches.labels!.data.subarray(from, from + size),
      rows,
      length,
    };
  });
}
