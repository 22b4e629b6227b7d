/** Products of 8-bit integers, which no software adapter chooses by itself: asked for here. */
import { deepStrictEqual, match, ok, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { noGpu, testDevice, testGpu } from '../../../test/support/webgpu.ts';
import { UnsupportedError } from '../../base/errors.ts';
import { linear } from '../../kernels/linear/reference.ts';
import { fromFloats } from '../device.ts';
import { randomFloats, randomWeights } from '../wasm/testing.ts';
import { chooseProducts } from './adapter.ts';

const skip = (await testGpu()) ? false : noGpu;
const gpu = skip ? null : await testDevice({ products: 'int8' });
const pieces = skip ? null : await testDevice({ products: 'int8', pieceBytes: 8192 });

/** Numbers that 8 bits and a scale for every 32 of them hold as they are. */
function wholeRows(count: number, seed: number): Float32Array {
  const noise = randomFloats(count, seed);
  return noise.map((one, i) => {
    const integer = i % 32 === 7 ? 127 : Math.max(-127, Math.min(127, Math.round(one * 60)));
    return (integer * (1 + ((i >> 5) % 5))) / 128;
  });
}

for (const dtype of ['Q8_0', 'Q4_0', 'Q4_1', 'Q5_0', 'Q5_1', 'Q2_K', 'Q3_K', 'Q4_K', 'Q5_K', 'Q6_K'] as const) {
  test(`${dtype}: many rows by integers are the reference's product, in tiles that are full or not`, {
    skip,
  }, async () => {
    for (const [N, I, O] of [
      [5, 256, 8],
      [9, 512, 33],
      // Large tiles take long to compile here.
      ...(dtype === 'Q4_0' || dtype === 'Q6_K' ? ([[50, 256, 70]] as const) : []),
    ] as const) {
      const { source, decoded } = randomWeights(dtype, O, I, N + O);
      const [x, bias] = [wholeRows(N * I, 5), randomFloats(O, 6)];
      const [expected, magnitude] = [new Float64Array(N * O), new Float64Array(N * O)];
      linear(expected, x, decoded, bias, I);
      linear(magnitude, x.map(Math.abs), decoded.map(Math.abs), null, I);
      const limit = 1e-5 * magnitude.reduce((a, b) => Math.max(a, b), 1);
      for (const device of dtype === 'Q4_0' ? [gpu!, pieces!] : [gpu!]) {
        const y = device.ops.linear(
          fromFloats(device, x, [N, I]),
          device.placeWeight(source, 0),
          fromFloats(device, bias, [O]),
        );
        assertClose(`${N}×${I}×${O}`, await device.read(y), expected, { atol: limit });
      }
    }
  });
}

test('what is not finite makes its row NaN, and no other', { skip }, async () => {
  const { source } = randomWeights('Q8_0', 9, 64, 3);
  const x = randomFloats(6 * 64, 4);
  x[5] = Number.NaN;
  x[3 * 64 + 40] = Number.NEGATIVE_INFINITY;
  const y = await gpu!.read(gpu!.ops.linear(fromFloats(gpu!, x, [6, 64]), gpu!.placeWeight(source, 0)));
  for (const [i, one] of y.entries()) strictEqual(Number.isFinite(one), i >= 9 && (i < 27 || i >= 36), `[${i}] ${one}`);
});

test('x is rounded to 8 bits by 32 numbers, rows of zeros are zeros, and linearExact rounds nothing', {
  skip,
}, async () => {
  const [N, I, O] = [6, 64, 9];
  const { source, decoded } = randomWeights('Q8_0', O, I, 3);
  const x = randomFloats(N * I, 4).fill(0, I, 2 * I);
  const rounded = Float32Array.from(x, (one, i) => {
    const first = i - (i % 32);
    const most = x.subarray(first, first + 32).reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    return most === 0 ? 0 : (Math.round((one / most) * 127) * most) / 127;
  });
  const w = gpu!.placeWeight(source, 0);
  const product = async (of: 'linear' | 'linearExact') => await gpu!.read(gpu!.ops[of](fromFloats(gpu!, x, [N, I]), w));
  for (const [of, meant] of [
    ['linear', rounded],
    ['linearExact', x],
  ] as const) {
    const expected = new Float64Array(N * O);
    linear(expected, meant, decoded, null, I);
    const most = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    const found = await product(of);
    assertClose(of, found, expected, { atol: 2e-6 * most });
    ok(found.subarray(O, 2 * O).every((one) => one === 0));
  }
  deepStrictEqual(await product('linear'), await product('linear'));
});

test('one place decides how products of many rows are computed, and says why', () => {
  const nvidia = { vendor: 'nvidia', isSoftware: false, hasDots: true, hasHalves: true };
  const without = { ...nvidia, hasHalves: false };
  for (const [adapter, by, ofHalves, why] of [
    [nvidia, 'int8', 'f16', /packed integers/],
    [without, 'int8', 'f32', /packed integers/],
    [{ ...nvidia, vendor: 'apple' }, 'f16', 'f16', /Apple .*, and shader-f16 is/],
    [{ ...without, vendor: 'apple' }, 'f32', 'f32', /Apple/],
    [{ ...nvidia, hasDots: false }, 'f16', 'f16', /packed_4x8_integer_dot_product is not here/],
    [{ ...without, hasDots: false }, 'f32', 'f32', /packed_4x8_integer_dot_product is not here/],
    [{ ...nvidia, isSoftware: true }, 'f32', 'f32', /software/],
  ] as const) {
    const found = chooseProducts(adapter);
    deepStrictEqual([found.by, found.ofHalves], [by, ofHalves]);
    match(found.why, why);
  }
  deepStrictEqual(chooseProducts(nvidia, 'f32'), { by: 'f32', ofHalves: 'f32', why: 'asked for' });
  strictEqual(chooseProducts({ ...nvidia, isSoftware: true }, 'int8').by, 'int8');
  strictEqual(chooseProducts({ ...nvidia, isSoftware: true }, 'f16').ofHalves, 'f16');
  throws(() => chooseProducts({ ...nvidia, hasDots: false }, 'int8'), UnsupportedError);
  throws(() => chooseProducts(without, 'f16'), /products in f16 are asked for, which need the feature shader-f16/);
});

test('the description says it', { skip }, () => {
  match(gpu!.description, /many rows by int8/);
});
