/** Blocks of models whose calls are joined, beside the reference device; and when they are not. */
import { ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { noGpu, testDevice, testGpu } from '../../../test/support/webgpu.ts';
import type { Batch } from '../../kernels/batch.ts';
import type { KvType } from '../../kernels/ops.ts';
import { type LlamaConfig, paperChoices } from '../../model/config.ts';
import type { Tap } from '../../model/llama.ts';
import { forward, keepOutputs } from '../../model/llama.ts';
import { loadModel } from '../../model/model.ts';
import type { Parameter } from '../../model/parameters.ts';
import { randomWeights } from '../../model/random-weights.ts';
import type { WeightType } from '../../tensor/dtype.ts';
import type { TensorSource } from '../../tensor/source.ts';
import type { Floats, Tensor } from '../../tensor/tensor.ts';
import type { Device } from '../device.ts';
import { createReferenceDevice } from '../reference/device.ts';
import { randomFloats } from '../wasm/testing.ts';

const skip = (await testGpu()) ? false : noGpu;
const gpu = skip ? null : await testDevice();
const reference = createReferenceDevice();

const small: LlamaConfig = {
  ...paperChoices,
  width: 64,
  blockCount: 1,
  headCount: 4,
  kvHeadCount: 2,
  headSize: 16,
  ffnWidth: 96,
  vocabSize: 20,
  contextLength: 64,
  normEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: { kind: 'none' },
  tiedEmbeddings: false,
  attentionBias: false,
  slidingWindow: null,
};

interface Case {
  readonly config: LlamaConfig;
  readonly rows: number;
  readonly cache: KvType;
  readonly types: (parameter: Parameter) => WeightType;
  /** Dispatches of the block: joined, and where somebody looks at every value. */
  readonly joined: number;
  readonly plain: number;
}

const cases: Readonly<Record<string, Case>> = {
  'grouped queries, values in another type than keys': {
    config: { ...small, width: 288 },
    rows: 1,
    cache: 'f16',
    types: ({ key }) => (key === 'wv_PD' ? 'f16' : 'Q8_0'),
    joined: 7,
    plain: 16,
  },
  'several rows, biases, norms of queries and keys, GEGLU': {
    config: { ...small, kvHeadCount: 4, attentionBias: true, qkNorm: 'head', activation: 'geglu-tanh' },
    rows: 3,
    cache: 'q8_0',
    types: () => 'Q4_0',
    joined: 10,
    plain: 18,
  },
  'rows that fill no vectors, no rotation': {
    config: { ...small, width: 21, headSize: 7, headCount: 3, kvHeadCount: 1, ffnWidth: 27, positions: 'none' },
    rows: 2,
    cache: 'f32',
    types: () => 'f32',
    joined: 7,
    plain: 14,
  },
};

/** As an untrained model's, but for vectors, which are random numbers, too. */
function weights({ config, types }: Case): Map<string, TensorSource> {
  const sources = randomWeights(config, 1, (parameter) => (parameter.shape.length === 1 ? 'f32' : types(parameter)));
  for (const [name, source] of sources) {
    if (source.shape.length > 1) continue;
    const numbers = randomFloats(source.shape[0]!, name.length);
    const readRows = (target: Uint8Array) => target.set(new Uint8Array(numbers.buffer));
    sources.set(name, { ...source, readRows });
  }
  return sources;
}

/** Logits of some rows behind 40 others in the cache; `look` is told of every value between. */
async function logits(device: Device, one: Case, look?: (value: Tensor) => void): Promise<Floats> {
  const { config, rows, cache } = one;
  const model = loadModel(device, config, weights(one));
  const { blockCount: layerCount, kvHeadCount, headSize } = config;
  const store = device.createKvStore({ layerCount, blockCount: 2, kvHeadCount, headSize, type: cache });
  const batchOf = (first: number, count: number): Batch => ({
    ids: Uint32Array.from({ length: count }, (_, i) => (7 * (first + i)) % config.vocabSize),
    positions: Uint32Array.from({ length: count }, (_, i) => first + i),
    spans: [{ firstRow: 0, rowCount: count, firstPosition: first, blocks: Uint32Array.of(1, 0) }],
  });
  const run = (batch: Batch, tap?: Tap) => {
    const mark = device.mark();
    const options = { cache: store, segment: keepOutputs(device), tap };
    const reading = device.read(forward(model, device.ops, batch, options));
    device.release(mark);
    return reading;
  };
  await run(batchOf(0, 40));
  return run(batchOf(40, rows), look && ((_, value) => look(value)));
}

for (const [name, one] of Object.entries(cases)) {
  test(`joined calls agree with the reference, and traced ones stay apart: ${name}`, { skip }, async () => {
    const expected = await logits(reference, one);
    const dispatches: number[] = [];
    for (const look of [undefined, (value: Tensor) => void gpu!.read(value)]) {
      const before = gpu!.counts.dispatches;
      const numbers = await logits(gpu!, one, look);
      dispatches.push(gpu!.counts.dispatches - before);
      assertClose('logits', numbers, expected, { rtol: 1e-4, atol: 1e-5 });
    }
    strictEqual(dispatches[1]! - dispatches[0]!, one.plain - one.joined);
    const seconds = await gpu!.time(async () => void (await logits(gpu!, one)));
    // A software adapter's clock may see no time pass in the smallest.
    if (seconds)
      ok(seconds.has('add') && Math.max(...seconds.values()) > 0 && seconds.size > one.joined, [...seconds].join(' '));
  });
}
