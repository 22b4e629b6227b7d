/** Laws that every type keeps, on ordinary and on hostile weights. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ArgumentError } from '../base/errors.ts';
import { f32ToF16 } from '../base/f16.ts';
import { Random } from '../base/random.ts';
import {
  dtypes,
  type QuantizedType,
  rowBytes,
  type WeightType,
  type WritableType,
  weightTypes,
} from '../tensor/dtype.ts';
import { codecs, decodeRow, encodeRow, firstBadBlock, writableTypes } from './rows.ts';

/** Where a type keeps its codes, and the byte that stands for code c everywhere: to ask a block for every number it can say. */
type Encoded = Extract<QuantizedType, WritableType>;
const codeBytes: { [type in Encoded]: { codes: number; fill: (block: Uint8Array, c: number) => void } } = {
  Q8_0: { codes: 256, fill: (b, c) => b.fill(c, 2) },
  Q4_0: { codes: 16, fill: (b, c) => b.fill(c * 0x11, 2) },
  Q4_1: { codes: 16, fill: (b, c) => b.fill(c * 0x11, 4) },
  Q5_0: { codes: 32, fill: (b, c) => b.fill(c > 15 ? 255 : 0, 2, 6).fill((c & 15) * 0x11, 6) },
  Q5_1: { codes: 32, fill: (b, c) => b.fill(c > 15 ? 255 : 0, 4, 8).fill((c & 15) * 0x11, 8) },
  Q2_K: { codes: 4, fill: (b, c) => b.fill(c * 0x55, 16, 80) },
  Q3_K: { codes: 8, fill: (b, c) => b.fill(c > 3 ? 255 : 0, 0, 32).fill((c & 3) * 0x55, 32, 96) },
  Q4_K: { codes: 16, fill: (b, c) => b.fill(c * 0x11, 16) },
  Q5_K: { codes: 32, fill: (b, c) => b.fill(c > 15 ? 255 : 0, 16, 48).fill((c & 15) * 0x11, 48) },
  Q6_K: { codes: 64, fill: (b, c) => b.fill((c & 15) * 0x11, 0, 128).fill((c >> 4) * 0x55, 128, 192) },
  IQ4_NL: { codes: 16, fill: (b, c) => b.fill(c * 0x11, 2) },
  IQ4_XS: { codes: 16, fill: (b, c) => b.fill(c * 0x11, 8) },
};
const quantizedTypes = Object.keys(codeBytes) as Encoded[];

/** The distance of every weight from the nearest number that its block could have said with the scales it stored. */
function nearestErrors(dtype: Encoded, weights: Float32Array, bytes: Uint8Array): Float64Array {
  const { blockWeights, blockBytes } = dtypes[dtype];
  const { codes, fill } = codeBytes[dtype];
  const errors = new Float64Array(weights.length).fill(Number.POSITIVE_INFINITY);
  const decoded = new Float32Array(blockWeights);
  for (let block = 0; block * blockWeights < weights.length; block++) {
    const copy = bytes.slice(block * blockBytes, (block + 1) * blockBytes);
    for (let c = 0; c < codes; c++) {
      fill(copy, c);
      decodeRow(dtype, copy, decoded);
      for (let i = 0; i < blockWeights; i++) {
        const k = block * blockWeights + i;
        errors[k] = Math.min(errors[k]!, Math.abs(weights[k]! - decoded[i]!));
      }
    }
  }
  return errors;
}

function encoded(dtype: WeightType, weights: Float32Array, importance: Float32Array | null = null): Uint8Array {
  const bytes = new Uint8Array(rowBytes(dtype, weights.length));
  encodeRow(dtype, weights, bytes, importance);
  return bytes;
}

function decoded(dtype: WeightType, bytes: Uint8Array): Float32Array {
  const { blockWeights, blockBytes } = dtypes[dtype];
  const out = new Float32Array((bytes.length / blockBytes) * blockWeights);
  decodeRow(dtype, bytes, out);
  return out;
}

const roundTrip = (dtype: WeightType, weights: Float32Array) => decoded(dtype, encoded(dtype, weights));

function normals(count: number, seed: number, scale = 1): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: count }, () => scale * random.normal());
}

/** 512 weights of one temper: sizes from the smallest subnormal scales to large ones, with zeros, ties and outliers. */
const anyWeights = fc
  .record({
    seed: fc.nat(),
    exponent: fc.integer({ min: -12, max: 10 }),
    offset: fc.constantFrom(0, 0, 1, -1, 30),
    zeroOneIn: fc.constantFrom(1, 2, 1000),
    steps: fc.constantFrom(0, 3),
  })
  .map(({ seed, exponent, offset, zeroOneIn, steps }) => {
    const random = new Random(seed);
    return Float32Array.from({ length: 512 }, () => {
      if (random.below(zeroOneIn) === 0 && zeroOneIn < 1000) return 0;
      let x = random.normal() + offset;
      if (random.below(64) === 0) x *= 8;
      return 2 ** exponent * (steps ? Math.round(x * steps) / steps : x);
    });
  });

for (const dtype of quantizedTypes) {
  const { blockBytes } = dtypes[dtype];
  const isSuperBlock = dtypes[dtype].blockWeights === 256;

  for (const steered of [false, true]) {
    test(`${dtype}: every weight gets the nearest number that its block can say${steered ? ', with importance too' : ''}`, () => {
      fc.assert(
        fc.property(anyWeights, (weights) => {
          const importance = steered ? weights.map((_, i) => (i % 5 === 0 ? 0 : (i * 7919) % 101)) : null;
          const bytes = encoded(dtype, weights, importance);
          const back = decoded(dtype, bytes);
          const nearest = nearestErrors(dtype, weights, bytes);
          const largest = weights.reduce((size, x) => Math.max(size, Math.abs(x)), 0);
          // ggml places the 32-weight codes by the unrounded scale: f16 rounding moves the grid by up to 2⁻¹¹, or half a subnormal a code.
          const isUnrounded = !isSuperBlock && !steered && dtype !== 'IQ4_NL';
          const slack = isUnrounded ? 2 * (2 ** -11 * largest + 128 * 2 ** -25) : 2e-6 * largest;
          for (let i = 0; i < weights.length; i++) {
            const error = Math.abs(weights[i]! - back[i]!);
            assert.ok(error <= nearest[i]! + slack, `[${i}] ${weights[i]} → ${back[i]}, nearest within ${nearest[i]}`);
          }
        }),
        { numRuns: 40, seed: 5 },
      );
    });
  }

  test(`${dtype}: all-zero blocks are exactly zero, constant blocks are near`, () => {
    assert.ok(roundTrip(dtype, new Float32Array(512)).every((x) => x === 0));
    for (const value of [1, -1, 0.013, -700]) {
      const back = roundTrip(dtype, new Float32Array(512).fill(value));
      for (const x of back) assert.ok(Math.abs(x - value) <= 0.009 * Math.abs(value), `${value} → ${x}`);
    }
  });

  test(`${dtype}: subnormal and tiny weights stay within the smallest scale`, () => {
    // A 32-weight type takes its step from the extreme weight: the f16 nearest to it may be half a subnormal off, for every code.
    const limit = isSuperBlock ? 2 ** -24 : codeBytes[dtype].codes * 2 ** -25;
    for (const size of [1e-45, 1e-40, 1e-38, 1e-9, 1e-7]) {
      const weights = Float32Array.from({ length: 256 }, (_, i) => size * ((i % 7) - 3));
      const back = roundTrip(dtype, weights);
      for (let i = 0; i < back.length; i++) {
        assert.ok(Math.abs(back[i]! - weights[i]!) <= Math.max(3 * size, limit), `${weights[i]} → ${back[i]}`);
      }
    }
  });

  test(`${dtype}: weights that no f16 scale can reach are refused, saying where`, () => {
    const weights = normals(512, 1);
    weights[300] = 1e30;
    const from = isSuperBlock ? 256 : 288;
    assert.throws(
      () => encoded(dtype, weights),
      (error: Error) => error instanceof ArgumentError && error.message.includes(`from weight ${from} on`),
    );
  });

  test(`${dtype}: importance steers the error away from the weights that matter`, () => {
    const weights = normals(1024, 3);
    const importance = Float32Array.from(weights, (_, i) => (i % 4 === 0 ? 100 : 1));
    const error = (back: Float32Array) => back.reduce((sum, x, i) => sum + importance[i]! * (x - weights[i]!) ** 2, 0);
    const plain = error(roundTrip(dtype, weights));
    const steered = error(decoded(dtype, encoded(dtype, weights, importance)));
    assert.ok(steered < 0.9 * plain, `weighted error ${steered} with importance, ${plain} without`);
  });

  test(`${dtype}: importance of zero everywhere counts all weights alike, and negative importance is refused`, () => {
    const weights = normals(256, 4);
    const zero = encoded(dtype, weights, new Float32Array(256));
    assert.deepEqual(zero, encoded(dtype, weights, new Float32Array(256).fill(1)));
    assert.throws(() => encoded(dtype, weights, new Float32Array(256).fill(-1)), { code: 'quant.importance' });
  });

  test(`${dtype}: a NaN or infinite scale is decoded as it is, and found by firstBadBlock`, () => {
    const { scales } = codecs[dtype];
    assert.ok(scales.type !== 'coded');
    for (const offset of scales.offsets) {
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        const blocks = 4096 / dtypes[dtype].blockWeights;
        const bytes = encoded(dtype, normals(4096, 5));
        assert.equal(firstBadBlock(dtype, bytes), -1);
        new DataView(bytes.buffer).setUint16((blocks - 2) * blockBytes + offset, f32ToF16(bad), true);
        assert.equal(firstBadBlock(dtype, bytes), blocks - 2);
        assert.ok(decoded(dtype, bytes).some((x) => !Number.isFinite(x)));
      }
    }
  });
}

for (const dtype of writableTypes) {
  test(`${dtype}: a NaN or infinite weight is refused with its index`, () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const weights = normals(512, 2);
      weights[273] = bad;
      assert.throws(
        () => encoded(dtype, weights),
        (error: Error) =>
          error instanceof ArgumentError && error.code === 'quant.not-finite' && error.message.includes('weight 273 '),
      );
    }
  });

  test(`${dtype}: what was decoded encodes to itself again`, () => {
    fc.assert(
      fc.property(anyWeights, (weights) => {
        const once = roundTrip(dtype, weights);
        const twice = roundTrip(dtype, once);
        const first = distance(weights, once);
        const second = distance(once, twice);
        // A search of scales need not meet the very grid again, but must stay as near; the others must meet it.
        const limit = isSearched(dtype) ? first + 1e-6 * norm(weights) : 1e-6 * norm(weights);
        assert.ok(second <= limit, `moved by ${second} the second time, ${first} the first`);
      }),
      { numRuns: 40, seed: 6 },
    );
  });

  test(`${dtype}: a row does not depend on its neighbours or on where its bytes lie`, () => {
    const weights = normals(1024, 8);
    const whole = encoded(dtype, weights);
    const half = encoded(dtype, weights.subarray(512));
    assert.deepEqual(whole.subarray(whole.length / 2), half);
    const odd = new Uint8Array(half.length + 3).subarray(3);
    odd.set(half);
    assert.deepEqual(decoded(dtype, odd), decoded(dtype, half));
  });

  test(`${dtype}: buffers that do not fit are our own mistake`, () => {
    const { blockWeights, blockBytes } = dtypes[dtype];
    assert.throws(() => decodeRow(dtype, new Uint8Array(blockBytes - 1), new Float32Array(blockWeights)), /decodeRow/);
    assert.throws(() => encodeRow(dtype, new Float32Array(blockWeights), new Uint8Array(blockBytes + 1)), /encodeRow/);
  });
}

for (const dtype of weightTypes) {
  test(`${dtype}: every byte pattern decodes, and a number that is not finite comes from a block that firstBadBlock finds`, () => {
    const { blockBytes } = dtypes[dtype];
    const random = new Random(9);
    const noise = Uint8Array.from({ length: 64 * blockBytes }, () => random.below(256));
    const isBad = decoded(dtype, noise).some((x) => !Number.isFinite(x));
    assert.equal(firstBadBlock(dtype, noise) >= 0, isBad);
    for (let b = 0; b < 64; b++) {
      const block = noise.subarray(b * blockBytes, (b + 1) * blockBytes);
      const allFinite = decoded(dtype, block).every((x) => Number.isFinite(x));
      if (firstBadBlock(dtype, block) === -1) assert.ok(allFinite, `block ${b}`);
    }
  });

  if (writableTypes.some((type) => type === dtype)) continue;
  test(`${dtype}: is read and never written, and says so`, () => {
    const { blockWeights, blockBytes } = dtypes[dtype];
    const write = () => encodeRow(dtype, new Float32Array(blockWeights), new Uint8Array(blockBytes));
    assert.throws(write, { code: 'quant.read-only' });
  });
}

for (const dtype of ['f32', 'f16', 'bf16'] as const) {
  test(`${dtype}: firstBadBlock names the first NaN or infinite weight, wherever it and its bytes lie`, () => {
    const count = 70001;
    const { blockBytes } = dtypes[dtype];
    // The largest and smallest numbers have the exponents next to the forbidden one.
    const largest = { f32: 3.4e38, f16: 65504, bf16: 3e38 }[dtype];
    const good = encoded(
      dtype,
      Float32Array.from({ length: count }, (_, i) => [largest, -largest, 0, 1e-7][i % 4]!),
    );
    const bits = { f32: [0, 0, 0x80, 0xff], f16: [1, 0x7c], bf16: [0x80, 0x7f] }[dtype];
    for (const shift of [0, 1, 2]) {
      const bytes = new Uint8Array(good.length + shift).subarray(shift);
      bytes.set(good);
      assert.equal(firstBadBlock(dtype, bytes), -1);
      for (const place of [count - 1, 40000, 32768, 16384, 16383, 1, 0]) {
        bytes.set(bits, place * blockBytes);
        assert.equal(firstBadBlock(dtype, bytes), place);
      }
    }
  });
}

test('f16 refuses what it cannot hold, bf16 and f32 take it', () => {
  const weights = new Float32Array(32).fill(1);
  weights[7] = 1e30;
  assert.throws(() => encoded('f16', weights), { code: 'quant.overflow' });
  assert.equal(roundTrip('f32', weights)[7], Math.fround(1e30));
  assert.ok(Math.abs(roundTrip('bf16', weights)[7]! / 1e30 - 1) <= 2 ** -8);
  weights[7] = 3.4e38;
  assert.throws(() => encoded('bf16', weights), { code: 'quant.overflow' });
});

function isSearched(dtype: WeightType): boolean {
  return dtype.endsWith('_K') || dtype.startsWith('IQ');
}

function norm(x: Float32Array): number {
  return Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
}

function distance(a: Float32Array, b: Float32Array): number {
  return norm(a.map((value, i) => value - b[i]!));
}
