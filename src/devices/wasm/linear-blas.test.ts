import { test } from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { linear } from '../../kernels/linear/reference.ts';
import { loadBlas } from '../../platform/node/native/blas.ts';
import { nodeThreads } from '../../platform/node/threads.ts';
import { weightTypes } from '../../tensor/dtype.ts';
import { createWasmDevice } from './device.ts';
import { randomFloats, randomWeights } from './testing.ts';

const blas = loadBlas();

for (const threads of [1, 3]) {
  test(`BLAS on ${threads} threads: linear agrees with the reference over unrounded activations, every type`, {
    skip: blas ? false : 'no BLAS here',
  }, async () => {
    // Three memories: what a thread multiplies need not lie in the first.
    const options = { threads, host: nodeThreads, activations: 'int8', blas, segmentWeights: 40_000 } as const;
    const device = await createWasmDevice({ ...options, blasRows: () => 2 });
    for (const [layer, dtype] of weightTypes.entries()) {
      for (const [N, I, O] of [
        [2, 256, 8],
        [3, 512, 13],
        [7, 768, 700],
        [65, 256, 1],
      ] as const) {
        const mark = device.mark();
        const { source, decoded } = randomWeights(dtype, O, I, N + O);
        const x = randomFloats(N * I, 5);
        const bias = randomFloats(O, 6);
        for (const b of [null, bias]) {
          const expected = new Float64Array(N * O);
          const magnitude = new Float64Array(N * O);
          linear(expected, x, decoded, b, I);
          linear(magnitude, x.map(Math.abs), decoded.map(Math.abs), null, I);
          const y = device.ops.linear(
            device.fromFloats(x, [N, I]),
            device.placeWeight(source, layer),
            b ? device.fromFloats(b, [O]) : undefined,
          );
          const limit = 1e-6 * magnitude.reduce((a, c) => Math.max(a, c), 1);
          assertClose(`${dtype} ${N}×${I}×${O}`, device.toFloats(y), expected, { atol: limit });
        }
        device.release(mark);
      }
    }
    device.close();
  });
}
