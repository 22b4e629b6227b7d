/**
 * NF4: four bits a weight in blocks that share their largest size, at levels that a normal distribution fills evenly; and double
 * quantization, which stores those sizes in eight bits. The frozen base of QLoRA, bit for bit as bitsandbytes writes it.
 *
 *   code of x = how many midpoints of neighbouring levels lie below x / absmax          x ≈ level[code] · absmax
 *   two codes a byte, the first in the high half; a block is `blockSize` neighbouring weights, the last may be short
 *
 *   double: offset = mean of absmax;  absmax ≈ map[code] · s + offset,  s the largest |absmax − offset| of 256 neighbouring blocks
 *
 * Numbers  f32 arithmetic, each step rounded. 4.5 bits a weight at blocks of 64, 4.127 with double quantization.
 * Source   Dettmers et al. 2023 (QLoRA), arXiv:2305.14314 §3 and appendix E; the 8-bit map: Dettmers et al. 2021, arXiv:2110.02861 §1.3.
 */
import { assert } from '../base/assert.ts';
import { ArgumentError } from '../base/errors.ts';

/** Quantiles of N(0, 1), scaled to ±1, with an exact 0. */
export const nf4Levels = Float32Array.of(
  -1,
  -0.6961928009986877,
  -0.5250730514526367,
  -0.39491748809814453,
  -0.28444138169288635,
  -0.18477343022823334,
  -0.09105003625154495,
  0,
  0.07958029955625534,
  0.16093020141124725,
  0.24611230194568634,
  0.33791524171829224,
  0.44070982933044434,
  0.5626170039176941,
  0.7229568362236023,
  1,
);
const midpoints = Float32Array.from({ length: 15 }, (_, i) => (nf4Levels[i]! + nf4Levels[i + 1]!) / 2);

export interface Nf4Weights {
  readonly length: number;
  readonly blockSize: number;
  readonly packed: Uint8Array;
  /** One a block. */
  readonly absmax: Float32Array;
}

/** Throws  ArgumentError `quant.not-finite` for a NaN or infinite weight. */
export function encodeNf4(weights: Float32Array, blockSize = 64): Nf4Weights {
  const absmax = new Float32Array(Math.ceil(weights.length / blockSize));
  const packed = new Uint8Array(Math.ceil(weights.length / 2));
  for (let block = 0; block < absmax.length; block++) {
    const end = Math.min(weights.length, (block + 1) * blockSize);
    let largest = 0;
    for (let i = block * blockSize; i < end; i++) {
      if (!Number.isFinite(weights[i]))
        throw new ArgumentError(
          'quant.not-finite',
          `encodeNf4: weight ${i} of ${weights.length}: expected a finite number, found ${weights[i]}. The weights are damaged; use an earlier checkpoint`,
        );
      largest = Math.max(largest, Math.abs(weights[i]!));
    }
    absmax[block] = largest;
    const inverse = Math.fround(1 / largest);
    for (let i = block * blockSize; i < end; i++) {
      const code = largest === 0 ? ZERO_CODE : codeOf(Math.fround(weights[i]! * inverse));
      packed[i >> 1]! |= i % 2 === 0 ? code << 4 : code;
    }
  }
  if (weights.length % 2 === 1) packed[packed.length - 1]! |= ZERO_CODE; // as a weight of 0 would
  return { length: weights.length, blockSize, packed, absmax };
}

const ZERO_CODE = 7;

function codeOf(x: number): number {
  let code = 0;
  while (code < 15 && x > midpoints[code]!) code++;
  return code;
}

/** The codes, one a number. */
export function nf4Codes({ packed, length }: Nf4Weights): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i % 2 === 0 ? packed[i >> 1]! >>> 4 : packed[i >> 1]! & 15));
}

export function decodeNf4(stored: Nf4Weights, out: Float32Array): void {
  const { packed, absmax, blockSize, length } = stored;
  assert(out.length === length, `decodeNf4: ${out.length} places for ${length} weights`);
  for (let i = 0; i < length; i++) {
    const code = i % 2 === 0 ? packed[i >> 1]! >>> 4 : packed[i >> 1]! & 15;
    out[i] = nf4Levels[code]! * absmax[Math.floor(i / blockSize)]!;
  }
}

/** A matrix as QLoRA holds its frozen base: NF4 with double quantization. */
export interface HeldNf4 {
  readonly length: number;
  readonly blockSize: number;
  readonly packed: Uint8Array;
  readonly scales: QuantizedScales;
}

export function holdNf4(weights: Float32Array): HeldNf4 {
  const { length, blockSize, packed, absmax } = encodeNf4(weights);
  return { length, blockSize, packed, scales: quantizeScales(absmax) };
}

export function heldBytes({ packed, scales }: HeldNf4): number {
  return packed.byteLength + scales.codes.byteLength + scales.absmax.byteLength + 4;
}

/** The weights from `first` on, as many as `out` has places. */
export function decodeHeld({ packed, blockSize, scales }: HeldNf4, first: number, out: Float32Array): void {
  const { offset, codes, absmax, blockSize: group } = scales;
  for (let o = 0; o < out.length; ) {
    const block = Math.floor((first + o) / blockSize);
    const end = Math.min(out.length, (block + 1) * blockSize - first);
    const scale = Math.fround(Math.fround(dynamicMap[codes[block]!]! * absmax[Math.floor(block / group)]!) + offset);
    for (; o < end; o++) {
      const i = first + o;
      out[o] = nf4Levels[i % 2 === 0 ? packed[i >> 1]! >>> 4 : packed[i >> 1]! & 15]! * scale;
    }
  }
}

export interface QuantizedScales {
  readonly offset: number;
  readonly blockSize: number;
  readonly codes: Uint8Array;
  /** One per `blockSize` scales. */
  readonly absmax: Float32Array;
}

/** Stores block sizes in eight bits each. */
export function quantizeScales(absmax: Float32Array, blockSize = 256): QuantizedScales {
  const offset = Math.fround(absmax.reduce((sum, scale) => sum + scale, 0) / Math.max(1, absmax.length));
  const codes = new Uint8Array(absmax.length);
  const largest = new Float32Array(Math.ceil(absmax.length / blockSize));
  const centred = absmax.map((scale) => scale - offset);
  for (let block = 0; block < largest.length; block++) {
    const part = centred.subarray(block * blockSize, (block + 1) * blockSize);
    largest[block] = part.reduce((size, x) => Math.max(size, Math.abs(x)), 0);
    const inverse = largest[block] === 0 ? 0 : Math.fround(1 / largest[block]!);
    for (let i = 0; i < part.length; i++) codes[block * blockSize + i] = nearest(Math.fround(part[i]! * inverse));
  }
  return { offset, blockSize, codes, absmax: largest };
}

export function restoreScales({ offset, blockSize, codes, absmax }: QuantizedScales): Float32Array {
  return Float32Array.from(codes, (code, i) =>
    Math.fround(Math.fround(dynamicMap[code]! * absmax[Math.floor(i / blockSize)]!) + offset),
  );
}

/**
 * 256 levels from −1 to 1, dense around 0: for each of seven powers of ten from 10⁻⁶ to 1, the middles of 2ⁱ equal parts of
 * 0.1 … 1 times that power, with both signs; and 0 and 1.
 */
export const dynamicMap: Float32Array = (() => {
  const levels = [0, 1];
  for (let i = 0; i < 7; i++) {
    const parts = 2 ** i;
    for (let part = 0; part < parts; part++) {
      const level = 10 ** (i - 6) * (0.1 + (0.9 * (part + 0.5)) / parts);
      levels.push(level, -level);
    }
  }
  return Float32Array.from(levels).sort();
})();

function nearest(x: number): number {
  let [low, high] = [0, dynamicMap.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (dynamicMap[middle]! <= x) low = middle;
    else high = middle;
  }
  return x - dynamicMap[low]! <= dynamicMap[high]! - x ? low : high;
}
