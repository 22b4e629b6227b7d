/**
 * What a long context costs a decoded token, by type of the cache: a step at a depth beside one without, in turns, and how much of the
 * speed that their bytes allow (weights alone ÷ weights and cache) is kept. The cache holds random numbers, so that nothing is read first.
 *
 *   node bench/depth.ts -m model.gguf -d 8192 -t 2 -n 12 -r 5 [--kv-types f16,q8_0,q4_0]
 */
import { parseArgs } from 'node:util';
import { fromFloats } from '../src/devices/device.ts';
import { randomFloats } from '../src/devices/wasm/testing.ts';
import { loadSettings } from '../src/inference/remote/load.ts';
import { cacheTokenBytes } from '../src/inference/remote/load-defaults.ts';
import { KV_BLOCK_TOKENS, type KvStore, type KvType, kvTypes } from '../src/kernels/ops.ts';
import { forward } from '../src/model/llama.ts';
import { loadModel, prepareModel } from '../src/model/model.ts';
import { createDevice } from '../src/platform/node/engine/devices.ts';
import { openCheckpointAt } from '../src/platform/node/files.ts';
import { isWeightType, rowBytes } from '../src/tensor/dtype.ts';
import { columnCount, rowCount } from '../src/tensor/tensor.ts';
import { median } from './report.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string', short: 'm' },
    depth: { type: 'string', short: 'd', default: '8192' },
    threads: { type: 'string', short: 't', default: '2' },
    steps: { type: 'string', short: 'n', default: '12' },
    rounds: { type: 'string', short: 'r', default: '5' },
    'kv-types': { type: 'string', default: kvTypes.filter((type) => type !== 'f32').join() },
  },
});
const [depth, threads, steps, rounds] = [values.depth, values.threads, values.steps, values.rounds].map(Number) as [
  number,
  number,
  number,
  number,
];
const checkpoint = openCheckpointAt(values.model!);
const { config, tensors } = checkpoint;
const device = await createDevice(loadSettings({ threads }));
await prepareModel(device, config, tensors);
const model = loadModel(device, config, tensors, () => {}, { runLength: depth + KV_BLOCK_TOKENS });
let weightBytes = 0;
for (const [name, { dtype, shape }] of tensors) {
  const isRead = name !== 'embedding_VD' || config.tiedEmbeddings;
  if (isRead && isWeightType(dtype)) weightBytes += rowCount(shape) * rowBytes(dtype, columnCount(shape));
}

const blockCount = Math.ceil(depth / KV_BLOCK_TOKENS) + 1;
const blocks = Uint32Array.from({ length: blockCount }, (_, i) => i);
function filledStore(type: KvType): KvStore {
  const { blockCount: layerCount, kvHeadCount, headSize } = config;
  const store = device.createKvStore({ layerCount, blockCount, kvHeadCount, headSize, type });
  const P = kvHeadCount * headSize;
  const rows = 512;
  const mark = device.mark();
  const [k, v] = [1, 2].map((seed) => fromFloats(device, randomFloats(rows * P, seed), [rows, P]));
  for (let first = 0; first + rows <= depth; first += rows) {
    const spans = [{ firstRow: 0, rowCount: rows, firstPosition: first, blocks }];
    const positions = Uint32Array.from({ length: rows }, (_, i) => first + i);
    for (let layer = 0; layer < layerCount; layer++)
      device.ops.appendToCache({ store, layer }, k!, v!, { ids: new Uint32Array(rows), positions, spans });
  }
  device.release(mark);
  return store;
}

async function msOfStep(store: KvStore, position: number): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < steps; i++) {
    const mark = device.mark();
    const batch = {
      ids: Uint32Array.of(5 + i),
      positions: Uint32Array.of(position),
      spans: [{ firstRow: 0, rowCount: 1, firstPosition: position, blocks }],
    };
    const reading = device.read(forward(model, device.ops, batch, { cache: store, rows_R: Uint32Array.of(0) }), 0, 1);
    device.release(mark);
    await reading;
  }
  return (performance.now() - start) / steps;
}

console.log(`${checkpoint.name}, depth ${depth}, ${device.description}; medians of ${rounds} rounds of ${steps} steps`);
for (const type of values['kv-types'].split(',') as KvType[]) {
  const store = filledStore(type);
  const [shallow, deep]: [number[], number[]] = [[], []];
  for (let round = 0; round <= rounds; round++) {
    const [a, b] = [await msOfStep(store, 0), await msOfStep(store, depth)];
    if (round === 0) continue;
    shallow.push(a);
    deep.push(b);
  }
  const cacheBytes = depth * cacheTokenBytes(config, type);
  const allowed = weightBytes / (weightBytes + cacheBytes);
  const kept = median(shallow) / median(deep);
  console.log(
    `${type.padEnd(5)} ${(1000 / median(shallow)).toFixed(1)} → ${(1000 / median(deep)).toFixed(1)} tokens/s, ` +
      `${kept.toFixed(3)} of the speed; bytes allow ${allowed.toFixed(3)}: ${((100 * kept) / allowed).toFixed(0)} %` +
      ` (rounds ${deep.map((ms) => (1000 / ms).toFixed(1)).join(', ')})`,
  );
}
device.close();
