/**
 * Every kernel on small operands, for comparing one device, or one way of compiling a device's kernels, with another.
 */
import { Random } from '../../base/random.ts';
import type { Batch } from '../../kernels/batch.ts';
import { type KvType, kvTypes } from '../../kernels/ops.ts';
import { dtypes, rowBytes, type WeightType, weightTypes } from '../../tensor/dtype.ts';
import type { Floats, Tensor } from '../../tensor/tensor.ts';
import { copied, type Device, fromFloats } from '../device.ts';
import { numbersOf } from './tensors.ts';
import { packKinds } from './weights.ts';

const COLUMNS = 256;
const ROWS = 24;
const HEAD_SIZE = 24;
/** f16 bits of 1/64, or bf16 bits of a tiny number. */
const SCALE = 0x2400;

/** Takes a result, as it is now. */
export type Keep = (name: string, tensor: Tensor) => void;
export type Results = Map<string, Floats>;

/** What `compute` keeps, read from its device. */
export async function resultsOf(device: Device, compute: (keep: Keep) => void): Promise<Results> {
  const readings: Promise<[string, Floats]>[] = [];
  compute((name, tensor) => {
    readings.push(device.read(tensor).then((numbers) => [name, numbers]));
  });
  return new Map(await Promise.all(readings));
}

/** The same of a wasm device, without waiting. */
export function resultsNow(compute: (keep: Keep) => void): Results {
  const results: Results = new Map();
  compute((name, tensor) => void results.set(name, copied(numbersOf(tensor))));
  return results;
}

/** What the kernels compute, by name. */
export function kernelResults(device: Device, options: SelfTest = {}): Promise<Results> {
  return resultsOf(device, (keep) => computeByKernels(device, keep, options));
}

export interface SelfTest {
  readonly types?: readonly WeightType[];
  /** Numbers of activation rows. */
  readonly rows?: readonly number[];
  readonly kvTypes?: readonly KvType[];
  /** Of the matrices: whole blocks of every type. */
  readonly columns?: number;
  /** Rows of the matrices. */
  readonly outputs?: number;
  readonly headSize?: number;
}

/** Every kernel of a forward pass. */
export function computeByKernels(
  device: Device,
  keep: Keep,
  {
    types = weightTypes,
    rows = [1, 6],
    kvTypes: caches = kvTypes,
    columns = COLUMNS,
    outputs = ROWS,
    headSize = HEAD_SIZE,
  }: SelfTest,
): void {
  const { ops } = device;
  const mark = device.mark();
  const random = new Random(1);
  const numbers = (rows: number, columns: number) => floats(device, random, rows, columns);

  for (const dtype of types) computeProducts(device, keep, { dtype, columns, rows, outputs, random });

  const x = numbers(5, 96);
  const y = numbers(5, 96);
  keep('add', ops.add(x, y));
  keep('swiglu', ops.swiglu(x, y));
  keep('rmsNorm', ops.rmsNorm(x, numbers(1, 96), 1e-5));
  keep('rope', ops.rope(x, numbers(5, HEAD_SIZE)));
  computeAttention(device, keep, caches, random, headSize);
  computeMaps(device, keep, random);
  device.release(mark);
}

/** Those that machine code computes: `linear`, with a type of every way in which weights lie in memory, f32 products, and attention. */
export function computeByNative(device: Device, keep: Keep): void {
  const mark = device.mark();
  const random = new Random(1);
  const byKind = new Map(weightTypes.map((type) => [packKinds[type], type]));
  for (const dtype of byKind.values()) {
    computeProducts(device, keep, { dtype, columns: COLUMNS, rows: [1, 6, 37], random });
  }
  for (const outputs of [50, 16]) {
    const [x, w] = [floats(device, random, 37, 300), floats(device, random, outputs, 300)];
    const y = device.ops.linear(x, w);
    const dw = { tensor: device.scratch([outputs, 300]), isEmpty: true };
    device.backward.linear(null, dw, null, y, x, w);
    keep(`linear of ${outputs} × 300 parameters`, y);
    keep(`gradient of ${outputs} × 300 parameters`, dw.tensor);
  }
  computeAttention(device, keep, kvTypes, random);
  device.release(mark);
}

function computeAttention(
  device: Device,
  keep: Keep,
  caches: readonly KvType[],
  random: Random,
  headSize = HEAD_SIZE,
): void {
  const { ops } = device;
  const numbers = (rows: number, columns: number) => floats(device, random, rows, columns);
  for (const type of caches) {
    const store = device.createKvStore({ layerCount: 1, blockCount: 2, kvHeadCount: 2, headSize, type });
    const spans = [{ firstRow: 0, rowCount: 40, firstPosition: 0, blocks: Uint32Array.of(1, 0) }];
    const batch: Batch = { ids: new Uint32Array(40), positions: new Uint32Array(40), spans };
    const at = { store, layer: 0 };
    ops.appendToCache(at, numbers(40, 2 * headSize), numbers(40, 2 * headSize), batch);
    for (const group of [1, 4]) {
      const q = numbers(40, 2 * group * headSize);
      const mix = ops.attention(q, at, batch, { headSize, window: null });
      keep(`attention ${type}, ${group} heads a key`, mix);
    }
  }
}

function computeMaps(device: Device, keep: Keep, random: Random): void {
  const seen_R = Array.from({ length: 40 }, (_, n) => ({ first: n >> 1, last: n }));
  const options = { headSize: HEAD_SIZE, window: null, seen_R, heads: Uint32Array.of(0, 1) };
  const [q, k] = [floats(device, random, 40, 2 * HEAD_SIZE), floats(device, random, 40, HEAD_SIZE)];
  for (const cap of [undefined, 5]) {
    const wanted = new Set(['scores', 'probabilities'] as const);
    const made = device.attentionMaps?.(q, k, { ...options, ...(cap === undefined ? {} : { cap }), wanted }) ?? {};
    for (const [name, map] of Object.entries(made)) keep(`${name}, cap ${cap}`, map);
  }
}

function computeProducts(
  device: Device,
  keep: Keep,
  {
    dtype,
    columns,
    rows,
    outputs = ROWS,
    random,
  }: {
    readonly dtype: WeightType;
    readonly columns: number;
    readonly rows: readonly number[];
    readonly outputs?: number;
    readonly random: Random;
  },
): void {
  const bytes = randomBlocks(dtype, columns, random, outputs);
  const matrix = device.placeWeight(
    {
      name: `self-test ${dtype}`,
      dtype,
      shape: [outputs, columns],
      readRows: (target, first, count) => {
        const stride = rowBytes(dtype, columns);
        target.set(bytes.subarray(first * stride, (first + count) * stride));
      },
    },
    null,
  );
  for (const N of rows) {
    keep(`linear ${dtype}, ${N} rows`, device.ops.linear(floats(device, random, N, columns), matrix));
  }
  keep(`embed ${dtype}`, device.ops.embed(matrix, Uint32Array.of(3, 17)));
}

function floats(device: Device, random: Random, rows: number, columns: number): Tensor {
  const numbers = Float32Array.from({ length: rows * columns }, () => random.normal());
  return fromFloats(device, numbers, [rows, columns]);
}

/** Names of the results that differ in any bit. */
export function differing(a: ReadonlyMap<string, Floats>, b: ReadonlyMap<string, Floats>): string[] {
  return [...a.keys()].filter((name) => {
    const one = new Uint8Array(a.get(name)!.buffer);
    const two = new Uint8Array(b.get(name)!.buffer);
    return one.some((byte, i) => byte !== two[i]);
  });
}

/** Random quants with every half-precision field finite: bytes in which no 16 bits are an infinity or NaN. */
export function randomBlocks(dtype: WeightType, columns: number, random: Random, rows = ROWS): Uint8Array {
  const bytes = new Uint8Array(rows * rowBytes(dtype, columns));
  const view = new DataView(bytes.buffer);
  const { blockBytes } = dtypes[dtype];
  for (let at = 0; at < bytes.length; at += blockBytes) {
    if (dtype === 'f32') view.setFloat32(at, random.normal(), true);
    else if (dtype === 'f16' || dtype === 'bf16') view.setUint16(at, SCALE + random.below(1024), true);
    else {
      // with one exponent bit clear in every byte, no f16 field is an infinity or NaN
      for (let i = 0; i < blockBytes; i++) bytes[at + i] = random.below(256) & 0xbb;
    }
  }
  return bytes;
}
