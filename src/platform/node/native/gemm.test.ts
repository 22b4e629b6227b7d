import { deepStrictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { fromFloats } from '../../../devices/device.ts';
import { createWasmDevice } from '../../../devices/wasm/device.ts';
import { randomFloats } from '../../../devices/wasm/testing.ts';
import { loadNative } from './machine-code.ts';

const native = loadNative();
const why = typeof native === 'string' ? native : native.place.way === 'AVX-512' ? null : native.notBetter;
const skip = why !== null && `no machine code: ${why}`;

const shapes = [
  [1, 1, 1],
  [6, 16, 3],
  [7, 17, 257],
  [12, 32, 256],
  [13, 48, 300],
  [96, 129, 20],
  [103, 150, 1100],
] as const;

for (const simd of ['auto', 'plain'] as const) {
  test(`products of training, ${simd} SIMD: the bits of machine code are those of WebAssembly, forward and backward`, {
    skip,
  }, async () => {
    const kernels = loadNative({ isFused: simd === 'auto' });
    const results = async (each: typeof kernels | null) => {
      const device = await createWasmDevice({ native: typeof each === 'string' ? null : each, simd });
      const found: Float32Array[] = [];
      for (const [N, O, I] of shapes) {
        const mark = device.mark();
        const tensor = (rows: number, columns: number, seed: number) =>
          fromFloats(device, randomFloats(rows * columns, seed), [rows, columns]);
        const [x, w, dy] = [tensor(N, I, 1), tensor(O, I, 2), tensor(N, O, 3)];
        const [dx, dw] = [tensor(N, I, 4), tensor(O, I, 5)];
        const y = device.ops.linear(x, w);
        device.backward.linear({ tensor: dx, isEmpty: false }, { tensor: dw, isEmpty: true }, null, dy, x, w);
        for (const it of [y, dx, dw]) found.push((await device.read(it)) as Float32Array);
        device.release(mark);
      }
      device.close();
      return found.map((it) => new Uint32Array(it.buffer));
    };
    deepStrictEqual(await results(kernels), await results(null));
  });
}
