/** Routed experts: a row's bits do not depend on the others, and only the chosen experts are read. */
import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import type { Ops } from '../../kernels/ops.ts';
import { encodeRow } from '../../quant/rows.ts';
import { rowBytes, type WeightType } from '../../tensor/dtype.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { columnCount, rowCount } from '../../tensor/tensor.ts';
import { createWasmDevice } from './device.ts';
import { randomFloats } from './testing.ts';

const [N, X, U, D, G] = [9, 6, 2, 1024, 64];

function stack(dtype: WeightType, shape: readonly [number, number, number], seed: number): TensorSource {
  const [experts, rows, columns] = shape;
  const bytes = new Uint8Array(experts * rows * rowBytes(dtype, columns));
  encodeRow(dtype, randomFloats(experts * rows * columns, seed), bytes);
  const width = rowBytes(dtype, columns);
  const readRows: TensorSource['readRows'] = (target, first, count) =>
    target.set(bytes.subarray(first * width, (first + count) * width));
  return { name: 'experts', dtype, shape, readRows };
}

for (const dtype of ['f32', 'f16', 'Q8_0', 'Q4_0', 'IQ4_NL'] as const) {
  test(`experts in ${dtype}: a row alone has the bits of the row in a batch`, async () => {
    const device = await createWasmDevice();
    const { ops } = device;
    const w_XGD = device.placeWeight(stack(dtype, [X, G, D], 1), 0);
    const [x, scores] = [randomFloats(N * D, 2), randomFloats(N * X, 3)];
    const run = (rows: number, first: number) => {
      const x_ND = device.scratch([rows, D]);
      const scores_NX = device.scratch([rows, X]);
      device.write(x_ND, x.subarray(first * D, (first + rows) * D));
      device.write(scores_NX, scores.subarray(first * X, (first + rows) * X));
      const routes = ops.route(scores_NX, { used: U, weights: 'chosen' });
      return device.read(ops.mixRoutes(ops.routedLinear(x_ND, w_XGD, routes), routes));
    };
    const batch = await run(N, 0);
    for (let n = 0; n < N; n++) deepStrictEqual(await run(1, n), batch.slice(n * G, (n + 1) * G), `row ${n}`);
    device.close();
  });
}

test("a token reads its own experts' bytes, and nobody else's", async () => {
  const device = await createWasmDevice();
  const { ops } = device;
  const w_XGD = device.placeWeight(stack('Q4_0', [X, G, D], 1), 0);
  const linear = ops.linear.bind(ops);
  let read = 0;
  const counting: Ops['linear'] = (x_NI, w_OI, bias_O) => {
    read += rowCount(w_OI.shape) * rowBytes('Q4_0', columnCount(w_OI.shape));
    return linear(x_NI, w_OI, bias_O);
  };
  Object.assign(ops, { linear: counting });
  const scores_NX = device.scratch([1, X]);
  device.write(scores_NX, [0, 5, 1, 7, 2, 3]);
  const routes = ops.route(scores_NX, { used: U, weights: 'chosen' });
  deepStrictEqual([...(await device.read(routes.chosen_NU))], [3, 1]);
  const x_ND = device.scratch([1, D]);
  device.fill(x_ND, 1);
  ops.routedLinear(x_ND, w_XGD, routes);
  strictEqual(read, U * G * rowBytes('Q4_0', D));
  device.close();
});
