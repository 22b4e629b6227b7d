import { test } from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { bf16ToF32, f32ToBf16 } from '../../base/f16.ts';
import { linear } from '../../kernels/linear/reference.ts';
import { loadBlas } from '../../platform/node/native/blas.ts';
import { loadOneDnn } from '../../platform/node/native/onednn.ts';
import { nodeThreads } from '../../platform/node/threads.ts';
import { weightTypes } from '../../tensor/dtype.ts';
import { fromFloats } from '../device.ts';
import { createWasmDevice } from './device.ts';
import { randomFloats, randomWeights } from './testing.ts';

const blas = loadBlas();
const oneDnn = loadOneDnn();

/** Rounds to bf16 and back. */
const rounded = (numbers: Float32Array) => numbers.map((x) => bf16ToF32(f32ToBf16(x)));

for (const [threads, full, half] of [
  [1, blas, undefined],
  [3, blas, undefined],
  [1, blas, oneDnn],
  [3, blas, oneDnn],
  [1, undefined, oneDnn],
] as const) {
  const what = half === undefined ? 'f32' : full ? 'bf16 for quantized weights' : 'bf16 alone';
  test(`BLAS on ${threads} threads, ${what}: linear agrees with the reference over as exact operands, every type`, {
    skip: full === null ? 'no BLAS here' : half === null ? 'no oneDNN with bf16 here' : false,
  }, async () => {
    // Three memories: what a thread multiplies need not lie in the first.
    const products = { description: 'both', sgemm: full?.sgemm, bgemm: half?.bgemm };
    const options = {
      threads,
      host: nodeThreads,
      activations: 'int8',
      blas: products,
      segmentWeights: 40_000,
    } as const;
    const device = await createWasmDevice({ ...options, blasRows: () => 2 });
    const shapes = [
      [2, 256, 8],
      [3, 512, 13],
      [7, 768, 700],
      [65, 256, 1],
    ] as const;
    const all = weightTypes.flatMap((dtype, i) =>
      shapes.flatMap(([N, I, O]) => [0, 1].map(() => [randomWeights(dtype, O, I, N + O).source, i] as const)),
    );
    await device.prepare!(all);
    for (const [layer, dtype] of weightTypes.entries()) {
      for (const [N, I, O] of shapes) {
        const mark = device.mark();
        const { source, decoded } = randomWeights(dtype, O, I, N + O);
        const numbers = randomFloats(N * I, 5);
        const isRounded = half && dtype !== 'f32' && dtype !== 'f16';
        const [x, w] = isRounded ? [rounded(numbers), rounded(decoded)] : [numbers, decoded];
        const bias = randomFloats(O, 6);
        for (const b of [null, bias]) {
          const expected = new Float64Array(N * O);
          const magnitude = new Float64Array(N * O);
          linear(expected, x, w, b, I);
          linear(magnitude, x.map(Math.abs), w.map(Math.abs), null, I);
          const y = device.ops.linear(
            fromFloats(device, numbers, [N, I]),
            device.placeWeight(source, layer),
            b ? fromFloats(device, b, [O]) : undefined,
          );
          const limit = 1e-6 * magnitude.reduce((a, c) => Math.max(a, c), 1);
          assertClose(`${dtype} ${N}×${I}×${O}`, await device.read(y), expected, { atol: limit });
        }
        device.release(mark);
      }
    }
    device.close();
  });
}
