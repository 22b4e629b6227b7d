import { deepStrictEqual, rejects, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assertClose } from '../../../test/support/close.ts';
import { packedBytes } from '../../kernels/linear/packed-bytes.ts';
import { linear } from '../../kernels/linear/reference.ts';
import { weightTypes } from '../../tensor/dtype.ts';
import { fromFloats } from '../device.ts';
import { createReferenceDevice } from '../reference/device.ts';
import { createWasmDevice } from './device.ts';
import { usableBuilds } from './library.ts';
import type { WasmTensor } from './tensors.ts';
import { int8Rounded, randomFloats, randomWeights, sourceOf } from './testing.ts';
import { keptBytes, packKinds } from './weights.ts';

const builds = usableBuilds();

for (const dtype of weightTypes) {
  test(`${dtype}: packed and read back, every row is what the format says, bit for bit`, async () => {
    for (const activations of ['int8', 'f32'] as const) {
      const device = await createWasmDevice({ activations });
      const rows = 19;
      const { source, decoded } = randomWeights(dtype, rows, 512, 1);
      const table = device.placeWeight(source, 0);
      const ids = Uint32Array.from({ length: rows }, (_, i) => rows - 1 - i);
      const read = await device.read(device.ops.embed(table, ids));
      for (let i = 0; i < rows; i++) {
        deepStrictEqual(
          read.subarray(i * 512, (i + 1) * 512),
          decoded.subarray((rows - 1 - i) * 512, (rows - i) * 512),
          `row ${i}, activations ${activations}`,
        );
      }
    }
  });

  test(`${dtype}: linear agrees with the reference loops over the same rounded activations, every SIMD build`, async () => {
    const isFloat = dtype === 'f32' || dtype === 'f16' || dtype === 'bf16';
    for (const simd of builds) {
      for (const [N, I, O] of [
        [1, 256, 8],
        [1, 512, 13],
        [2, 256, 1],
        [7, 512, 33],
      ] as const) {
        const device = await createWasmDevice({ activations: 'int8', simd });
        const { source, decoded } = randomWeights(dtype, O, I, N + O);
        const x = randomFloats(N * I, 5);
        const bias = randomFloats(O, 6);
        const expected = new Float64Array(N * O);
        const magnitude = new Float64Array(N * O);
        const seen = isFloat ? x : int8Rounded(x);
        linear(expected, seen, decoded, bias, I);
        linear(magnitude, seen.map(Math.abs), decoded.map(Math.abs), null, I);
        const y = device.ops.linear(
          fromFloats(device, x, [N, I]),
          device.placeWeight(source, 0),
          fromFloats(device, bias, [O]),
        );
        // f32 sums of I terms: the error grows with the sum of magnitudes, not with the result
        const limit = 4e-6 * magnitude.reduce((a, b) => Math.max(a, b), 1);
        assertClose(`${dtype} ${simd} ${N}×${I}×${O}`, await device.read(y), expected, { atol: limit });
      }
    }
  });
}

test('a row alone has the bits of the row in a batch, every type', async () => {
  const device = await createWasmDevice({ activations: 'int8' });
  const I = 256;
  const matrices = weightTypes.map((dtype, i) => device.placeWeight(randomWeights(dtype, 21, I, i).source, 0));
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 11 }), fc.nat(10), fc.nat(1000), async (N, pick, seed) => {
      const mark = device.mark();
      const x = randomFloats(N * I, seed);
      const n = pick % N;
      for (const matrix of matrices) {
        const batch = await device.read(device.ops.linear(fromFloats(device, x, [N, I]), matrix));
        const row = fromFloats(device, x.slice(n * I, (n + 1) * I), [1, I]);
        deepStrictEqual(
          await device.read(device.ops.linear(row, matrix)),
          batch.slice(n * 21, (n + 1) * 21),
          `${matrix.dtype}, row ${n} of ${N}`,
        );
      }
      device.release(mark);
    }),
    { numRuns: 25 },
  );
});

test('all SIMD builds agree to the bit over int8 activations', async () => {
  const [plain, ...others] = await Promise.all(
    builds.toReversed().map((simd) => createWasmDevice({ activations: 'int8', simd })),
  );
  for (const dtype of weightTypes) {
    if (dtype === 'f32' || dtype === 'f16' || dtype === 'bf16') continue;
    const run = (device: typeof plain) =>
      device!.read(
        device!.ops.linear(
          fromFloats(device!, randomFloats(3 * 512, 9), [3, 512]),
          device!.placeWeight(randomWeights(dtype, 16, 512, 3).source, 0),
        ),
      );
    for (const device of others)
      deepStrictEqual(await run(device), await run(plain), `${dtype}, ${device.description}`);
  }
});

test('small quantized matrices are decoded: linear is then exact to f32 rounding', async () => {
  const device = await createWasmDevice();
  const { source, decoded } = randomWeights('Q4_0', 9, 96, 4);
  const x = randomFloats(2 * 96, 8);
  const expected = new Float64Array(2 * 9);
  linear(expected, x, decoded, null, 96);
  const y = await device.read(device.ops.linear(fromFloats(device, x, [2, 96]), device.placeWeight(source, 0)));
  assertClose('Q4_0 × f32', y, expected, { rtol: 1e-5, atol: 1e-7 });
});

test('hostile activations: NaN and infinity reach exactly the rows that hold them, as in the reference', async () => {
  const reference = createReferenceDevice();
  for (const dtype of ['f32', 'f16', 'Q4_0', 'Q8_0', 'Q4_K', 'Q6_K'] as const) {
    const device = await createWasmDevice({ activations: 'int8' });
    const { source } = randomWeights(dtype, 8, 256, 4);
    const x = randomFloats(7 * 256, 8);
    x[0 * 256 + 3] = Number.NaN;
    x[2 * 256 + 255] = Number.POSITIVE_INFINITY;
    x[4 * 256] = Number.NEGATIVE_INFINITY;
    x[5 * 256 + 9] = 1e30;
    x.fill(1e-42, 6 * 256);
    const y = await device.read(device.ops.linear(fromFloats(device, x, [7, 256]), device.placeWeight(source, 0)));
    const expected = await reference.read(
      reference.ops.linear(fromFloats(reference, x, [7, 256]), reference.placeWeight(source, 0)),
    );
    for (let i = 0; i < y.length; i++) {
      strictEqual(Number.isFinite(y[i]), Number.isFinite(expected[i]), `${dtype} [${i}]: ${y[i]}, ${expected[i]}`);
    }
  }
});

test('an infinite scale or weight is refused, naming the tensor', async () => {
  const device = await createWasmDevice({ activations: 'int8' });
  for (const [dtype, at] of [
    ['Q4_0', 18],
    ['Q6_K', 208],
    ['f16', 10],
  ] as const) {
    const bytes = new Uint8Array(dtype === 'f16' ? 512 : dtype === 'Q6_K' ? 210 : 144);
    new DataView(bytes.buffer).setUint16(at, 0x7c00, true);
    throws(() => device.placeWeight(sourceOf(dtype, bytes, 1, 256), 0), /random .* every weight must be finite/);
  }
});

test('threads without a host are refused', async () => {
  await rejects(createWasmDevice({ threads: 2 }), /shared memory/);
});

test('what a matrix takes in memory: whole groups', () => {
  // 33 rows of Q4_0 are two groups of 32; 65 of f16 two of 64, each with a power of two for 8 panels
  strictEqual(packedBytes(packKinds.Q4_0, 33, 512), 2 * 4 * (512 / 32) * (128 + 16));
  strictEqual(packedBytes(packKinds.f16, 65, 256), 2 * (256 * 64 * 2 + 8 * 16));
  // IQ2_XXS: 2.06 bits in files, 4.6 here; of a small model it is f32
  const bits = (columns: number) => (keptBytes('IQ2_XXS', [4096, columns]) * 8) / (4096 * columns);
  deepStrictEqual([Math.round(bits(2048) * 100) / 100, bits(512)], [4.63, 32]);
});

test('the sums of rounded activations are those of their quants, of NaN and infinity too', async () => {
  for (const simd of builds) {
    for (const odd of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e30]) {
      const device = await createWasmDevice({ activations: 'int8', simd });
      const values = randomFloats(256, 1);
      values.fill(odd, 3, 5);
      values[40] = -odd;
      const x = fromFloats(device, values, [1, 256]) as WasmTensor;
      device.ops.linear(x, device.placeWeight(randomWeights('Q8_0', 8, 256, 2).source, 0));
      const tile = new DataView(x.segment.memory.buffer, x.quantized!.pointer, 8 * 40);
      for (let block = 0; block < 320; block += 40) {
        for (const half of [0, 1]) {
          let sum = 0;
          for (let i = 0; i < 16; i++) sum += tile.getInt8(block + 16 * half + i);
          strictEqual(tile.getInt16(block + 36 + 2 * half, true), sum, `${simd}, ${odd}, byte ${block}, half ${half}`);
        }
      }
      device.close();
    }
  }
});
