/**
 * Each kernel on small operands against the reference device, before a model's weights come: some drivers compute wrong numbers without
 * a word, and the text that a model then writes is nonsense.
 */
import { UnsupportedError } from '../../base/errors.ts';
import { Random } from '../../base/random.ts';
import type { Batch } from '../../kernels/batch.ts';
import { KV_BLOCK_TOKENS, type KvStore } from '../../kernels/ops.ts';
import { rowBytes, type WeightType } from '../../tensor/dtype.ts';
import type { TensorSource } from '../../tensor/source.ts';
import type { Floats } from '../../tensor/tensor.ts';
import { type Device, fromFloats } from '../device.ts';
import { createReferenceDevice } from '../reference/device.ts';
import { kernelResults, randomBlocks } from '../wasm/self-test.ts';
import type { WebGpuDevice } from './device.ts';

/** Of the largest number of a result: far above rounding, far below nonsense. */
const TOLERANCE = 1e-3;
/** Of products whose x was rounded to 8 bits. */
const ROUNDED_TOLERANCE = 2e-2;

/** As long as rows of models are: short ones have kernels of their own. */
const COLUMNS = 512;
const EPS = 1e-5;

/**
 * What stands around products in a block of LLaMA, of one row: norm + products, product + sum, norm + products + SwiGLU. Only the last sum
 * is kept, so that a device that joins dispatches joins these (fusion.ts).
 */
async function joinedResults(device: Device, types: readonly WeightType[]): Promise<Map<string, Floats>> {
  const { ops } = device;
  const results = new Map<string, Floats>();
  const random = new Random(2);
  const row = () =>
    fromFloats(
      device,
      Float32Array.from({ length: COLUMNS }, () => random.normal()),
      [1, COLUMNS],
    );
  for (const dtype of types) {
    const stride = rowBytes(dtype, COLUMNS);
    const bytes = randomBlocks(dtype, COLUMNS, random, COLUMNS);
    const readRows: TensorSource['readRows'] = (target, first, count) =>
      target.set(bytes.subarray(first * stride, (first + count) * stride));
    const w = device.placeWeight({ name: `self-test ${dtype}`, dtype, shape: [COLUMNS, COLUMNS], readRows }, null);
    const before = device.mark();
    const [x, gain] = [row(), device.reshape(row(), [COLUMNS])];
    const mark = device.mark();
    const a = ops.rmsNorm(x, gain, EPS);
    const h = ops.add(x, ops.linear(a, w));
    const f = ops.rmsNorm(h, gain, EPS);
    const hidden = ops.swiglu(ops.linear(f, w), ops.linear(f, w));
    const [y] = device.keep(mark, [ops.add(h, ops.linear(hidden, w))]);
    results.set(`joined ${dtype}`, await device.read(y!));
    device.release(before);
  }
  return results;
}

/** One new row of a sequence, whose keys are few or split among workgroups. */
async function decodingResults(device: Device, { headSize, type }: CacheShape): Promise<Map<string, Floats>> {
  const { ops } = device;
  const results = new Map<string, Floats>();
  const random = new Random(3);
  const before = device.mark();
  const numbers = (rows: number, columns: number) => {
    const values = Float32Array.from({ length: rows * columns }, () => random.normal());
    return fromFloats(device, values, [rows, columns]);
  };
  const count = 300;
  const blocks = Uint32Array.from({ length: Math.ceil(count / KV_BLOCK_TOKENS) }, (_, i) => i);
  const store = device.createKvStore({ layerCount: 1, blockCount: blocks.length, kvHeadCount: 2, headSize, type });
  const at = { store, layer: 0 };
  const batchOf = (rowCount: number, firstPosition: number): Batch => ({
    ids: new Uint32Array(rowCount),
    positions: new Uint32Array(rowCount),
    spans: [{ firstRow: 0, rowCount, firstPosition, blocks }],
  });
  ops.appendToCache(at, numbers(count, 2 * headSize), numbers(count, 2 * headSize), batchOf(count, 0));
  for (const [group, position] of [
    [1, 40],
    [4, 40],
    [4, count - 1],
  ] as const) {
    const q = numbers(1, 2 * group * headSize);
    const mix = ops.attention(q, at, batchOf(1, position), { headSize, window: null });
    results.set(`attention ${type} of one row, ${group} heads a key, ${position + 1} keys`, await device.read(mix));
  }
  device.release(before);
  return results;
}

type CacheShape = Pick<KvStore, 'headSize' | 'type'>;

export interface SelfTest {
  readonly types: readonly WeightType[];
  /** Of the model's cache; absent: of any. */
  readonly cache?: CacheShape | undefined;
  /** Hears of the kernels that are compiled. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Throws UnsupportedError `webgpu.wrong-numbers`, which names the adapter and the kernels. */
export async function selfTest(
  device: WebGpuDevice,
  { types, cache = { headSize: 24, type: 'f16' }, onProgress }: SelfTest,
): Promise<void> {
  const { adapterName, isSoftware } = device;
  // Software adapters take long to compile a kernel, and the tests compare all of them there.
  const options = {
    types,
    // Between them the kernels of few rows, and of tiles that are full or not.
    ...(isSoftware ? { rows: [1] } : { rows: [1, 2, 4, 6, 64], outputs: 64 }),
    kvTypes: [cache.type],
    headSize: cache.headSize,
    columns: COLUMNS,
  };
  const resultsOf = async (on: Device) =>
    new Map([
      ...(await kernelResults(on, options)),
      ...(isSoftware ? [] : [...(await joinedResults(on, types)), ...(await decodingResults(on, cache))]),
    ]);
  await device.rehearse?.(async () => void (await resultsOf(device)), onProgress);
  const [expected, found] = [await resultsOf(createReferenceDevice()), await resultsOf(device)];
  const wrong: string[] = [];
  for (const [name, want] of expected) {
    const got = found.get(name)!;
    const size = Float64Array.from(want).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    const tolerance =
      device.products.by === 'int8' && /^linear .* (6|64) rows$/.test(name) ? ROUNDED_TOLERANCE : TOLERANCE;
    // Written so that NaN is wrong.
    const at = want.findIndex((x, i) => !(Math.abs(got[i]! - x) <= tolerance * size));
    if (at >= 0) wrong.push(`${name} (${got[at]}, expected ${want[at]})`);
  }
  if (wrong.length === 0) return;
  throw new UnsupportedError(
    'webgpu.wrong-numbers',
    `webgpu: ${adapterName} computes wrong numbers: ${wrong.slice(0, 3).join('; ')}${wrong.length > 3 ? `; and ${wrong.length - 3} more` : ''}. ` +
      'Update its driver, or use device "wasm".',
  );
}
