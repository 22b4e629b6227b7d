/**
 * The weights of an untrained model, as sources that are computed when they are read: a model of any size is written without
 * ever being in memory.
 *
 *   matrices  N(0, 0.02²); the two that end a residual branch (wo, wDown) are divided by √(2·blocks), so that the sum of all
 *             branches keeps its size (Radford et al. 2019, §2.3)      gains 1      shifts and biases 0
 *
 * Numbers  A weight is a function of (seed, parameter, place), whatever the order of reading. Normal numbers come from a table of
 *          65,536 quantiles. Float types draw every weight anew; block types, whose encoders are slower than a disk, draw
 *          whole blocks out of a pool that the real encoder made of such numbers.
 */
import { assert } from '../base/assert.ts';
import { Random } from '../base/random.ts';
import { encodeRow } from '../quant/rows.ts';
import { dtypes, rowBytes, type WeightType } from '../tensor/dtype.ts';
import type { TensorSource } from '../tensor/source.ts';
import { columnCount } from '../tensor/tensor.ts';
import type { LlamaConfig } from './config.ts';
import { listParameters, type Parameter, vectorStart } from './parameters.ts';

const DEVIATION = 0.02;
const POOL_WEIGHTS = 1 << 18;

/** One source per parameter, by name. `dtypeOf` chooses how each is stored. */
export function randomWeights(
  config: LlamaConfig,
  seed: number,
  dtypeOf: (parameter: Parameter) => WeightType,
): Map<string, TensorSource> {
  const keys = new Random(seed);
  const pools = new Map<string, Uint8Array>();
  const sources = new Map<string, TensorSource>();
  for (const parameter of listParameters(config)) {
    const { name, shape } = parameter;
    const dtype = dtypeOf(parameter);
    const stream: Stream = { key: keys.uint32(), key2: keys.uint32() };
    const deviation = deviationOf(parameter, config);
    const poolName = `${dtype} ${deviation}`;
    const cell = () => {
      const pool = pools.get(poolName) ?? makePool(dtype, deviation, seed);
      pools.set(poolName, pool);
      return pool;
    };
    const columns = columnCount(shape);
    const bytesPerRow = rowBytes(dtype, columns);
    const fill = fillerOf(parameter, dtype, cell, stream);
    sources.set(name, {
      name,
      dtype,
      shape,
      readRows(target, firstRow, rowCount) {
        assert(target.length >= rowCount * bytesPerRow, `${name}: ${target.length} bytes for ${rowCount} rows`);
        fill(target.subarray(0, rowCount * bytesPerRow), firstRow * columns);
      },
    });
  }
  return sources;
}

function deviationOf({ key }: Parameter, config: LlamaConfig): number {
  const endsBranch = key === 'wo_DQ' || key === 'wDown_DF' || key === 'wDown_XDG';
  return endsBranch ? DEVIATION / Math.sqrt(2 * config.blockCount) : DEVIATION;
}

interface Stream {
  readonly key: number;
  readonly key2: number;
}

type Filler = (target: Uint8Array, firstWeight: number) => void;

/** Writes the stored bytes of the weights from `firstWeight` on. */
function fillerOf(parameter: Parameter, dtype: WeightType, pool: () => Uint8Array, stream: Stream): Filler {
  const { blockWeights, blockBytes } = dtypes[dtype];
  if (parameter.shape.length === 1) {
    const start = vectorStart(parameter);
    return (target) => {
      const weights = new Float32Array((target.length / blockBytes) * blockWeights).fill(start);
      encodeRow(dtype, weights, target);
    };
  }
  if (blockWeights === 1) return fillFloats(pool, blockBytes, stream);
  return fillBlocks(pool, dtypes[dtype], stream);
}

/** Two weights per hash: each half of it is the place of a quantile in the pool, the table of stored quantiles. */
function fillFloats(pool: () => Uint8Array, bytesPerWeight: number, stream: Stream): Filler {
  return (target, firstWeight) => {
    const view = (bytes: Uint8Array) =>
      bytesPerWeight === 2 ? new Uint16Array(bytes.buffer) : new Uint32Array(bytes.buffer);
    const table = view(pool());
    const firstPair = Math.floor(firstWeight / 2);
    const pairCount = Math.ceil((firstWeight + target.length / bytesPerWeight) / 2) - firstPair;
    const bits = new Uint32Array(pairCount);
    hashes(bits, firstPair, stream);
    const out = view(new Uint8Array(2 * pairCount * bytesPerWeight));
    for (let i = 0; i < pairCount; i++) {
      out[2 * i] = table[bits[i]! & 0xffff]!;
      out[2 * i + 1] = table[bits[i]! >>> 16]!;
    }
    target.set(new Uint8Array(out.buffer, (firstWeight % 2) * bytesPerWeight, target.length));
  };
}

/** A block of the pool per hash. Every block type fills whole u16s, so that they are copied two bytes at a time. */
function fillBlocks(
  pool: () => Uint8Array,
  { blockWeights, blockBytes }: { readonly blockWeights: number; readonly blockBytes: number },
  stream: Stream,
): Filler {
  const size = blockBytes / 2;
  const poolBlocks = POOL_WEIGHTS / blockWeights;
  return (target, firstWeight) => {
    const blocks = new Uint16Array(pool().buffer);
    const bits = new Uint32Array(target.length / blockBytes);
    hashes(bits, firstWeight / blockWeights, stream);
    const out = new Uint16Array(target.length / 2);
    for (let i = 0, at = 0; i < bits.length; i++, at += size) {
      const from = (bits[i]! % poolBlocks) * size;
      for (let k = 0; k < size; k++) out[at + k] = blocks[from + k]!;
    }
    target.set(new Uint8Array(out.buffer));
  };
}

/** For float types the stored quantiles; for block types blocks of normal numbers. */
function makePool(dtype: WeightType, deviation: number, seed: number): Uint8Array {
  const { blockWeights } = dtypes[dtype];
  const scaled = normalQuantiles().map((z) => z * deviation);
  if (blockWeights === 1) return encoded(dtype, scaled);
  const random = new Random(seed);
  const weights = new Float32Array(POOL_WEIGHTS);
  for (let i = 0; i < weights.length; i++) weights[i] = scaled[random.uint32() >>> 16]!;
  return encoded(dtype, weights);
}

function encoded(dtype: WeightType, weights: Float32Array): Uint8Array {
  const bytes = new Uint8Array(rowBytes(dtype, weights.length));
  encodeRow(dtype, weights, bytes);
  return bytes;
}

/** The normal quantiles of (i + ½) / 65,536: from one to the next, the density covers an area of 1 / 65,536 (midpoint rule). */
function normalQuantiles(): Float32Array {
  const count = 65536;
  const quantiles = new Float32Array(count);
  const density = (x: number) => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
  let z = 0;
  for (let i = 0; i < count / 2; i++) {
    const area = (i === 0 ? 0.5 : 1) / count;
    let step = area / density(z);
    for (let k = 0; k < 3; k++) step = area / density(z + step / 2);
    z += step;
    quantiles[count / 2 + i] = z;
    quantiles[count / 2 - 1 - i] = -z;
  }
  return quantiles;
}

/** Uniform u32s for the places from `first` on: two rounds of a 32-bit mixer, a key in each. */
function hashes(out: Uint32Array, first: number, { key, key2 }: Stream): void {
  const high = Math.floor(first / 4294967296);
  const low = first >>> 0;
  for (let i = 0; i < out.length; i++) out[i] = mix(mix((low + i) ^ key) ^ key2 ^ high);
}

/** lowbias32 (Chris Wellons, nullprogram.com/blog/2018/07/31). */
function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return x ^ (x >>> 16);
}
