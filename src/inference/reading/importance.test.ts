import { deepStrictEqual, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { tinyConfig, tinyWeights } from '../../../test/support/tiny-model.ts';
import { createReferenceDevice } from '../../devices/reference/device.ts';
import { createWasmDevice } from '../../devices/wasm/device.ts';
import { loadModel } from '../../model/model.ts';
import { trace } from '../observe.ts';
import { columnSquares } from './importance.ts';

const ids = Uint32Array.of(1, 5, 9, 2, 7);
const sources: readonly (readonly [matrix: string, input: string])[] = [
  ['blocks.0.wq_QD', 'blocks.0.attention.input'],
  ['blocks.0.wk_PD', 'blocks.0.attention.input'],
  ['blocks.1.wv_PD', 'blocks.1.attention.input'],
  ['blocks.1.wo_DQ', 'blocks.1.attention.mix'],
  ['blocks.0.wGate_FD', 'blocks.0.feedForward.input'],
  ['blocks.1.wUp_FD', 'blocks.1.feedForward.input'],
  ['blocks.0.wDown_DF', 'blocks.0.feedForward.hidden'],
  ['head_VD', 'norm'],
];

for (const [name, create] of [
  ['reference', async () => createReferenceDevice()],
  ['wasm', () => createWasmDevice()],
] as const) {
  test(`${name}: sums of squares are those of the activations that trace() hands out`, async () => {
    const device = await create();
    const model = loadModel(device, tinyConfig, tinyWeights(tinyConfig));
    const found = await columnSquares(device, model, ids, true);
    const traced = await trace(device, model, ids, [...new Set(sources.map(([, input]) => input))]);
    for (const [matrix, input] of sources) {
      const { shape, data } = traced.get(input)!;
      const columns = shape[1]!;
      const expected = Float64Array.from({ length: columns }, (_, c) =>
        Array.from({ length: ids.length }, (_, n) => data[n * columns + c]! ** 2).reduce((a, b) => a + b, 0),
      );
      assertClose(matrix, found.get(matrix)!.sums, expected, { rtol: 1e-5, atol: 1e-9 });
      deepStrictEqual([...found.get(matrix)!.rows], [ids.length]);
    }
    deepStrictEqual(found.size, 7 * tinyConfig.blockCount + 1);
    deepStrictEqual((await columnSquares(device, model, ids, false)).has('head_VD'), false);
    const many = new Uint32Array(tinyConfig.contextLength + 1);
    await rejects(columnSquares(device, model, many, false), { code: 'importance.context' });
    device.close();
  });
}

test('experts: each is measured over the rows that chose it', async () => {
  const device = createReferenceDevice();
  const experts = {
    count: 4,
    used: 2,
    width: 24,
    weights: 'chosen' as const,
    weighs: 'results' as const,
    shared: null,
    blocks: null,
    bias: false,
  };
  const config = { ...tinyConfig, experts };
  const model = loadModel(device, config, tinyWeights(config));
  const found = await columnSquares(device, model, ids, false);
  const { shape, data } = (await trace(device, model, ids, ['blocks.0.feedForward.input'])).get(
    'blocks.0.feedForward.input',
  )!;
  const gate = found.get('blocks.0.wGate_XGD')!;
  const down = found.get('blocks.0.wDown_XDG')!;
  deepStrictEqual([gate.sums.length, down.sums.length], [4 * config.width, 4 * experts.width]);
  deepStrictEqual(gate.rows, down.rows);
  deepStrictEqual(gate, found.get('blocks.0.wUp_XGD'));
  deepStrictEqual(
    gate.rows.reduce((a, b) => a + b, 0),
    2 * ids.length,
  );
  // every row counts once for each of its two experts
  const columns = shape[1]!;
  for (let c = 0; c < columns; c++) {
    const all = [0, 1, 2, 3].reduce((sum, x) => sum + gate.sums[x * columns + c]!, 0);
    const expected = Array.from(ids, (_, n) => 2 * data[n * columns + c]! ** 2).reduce((a, b) => a + b, 0);
    assertClose(`column ${c}`, Float64Array.of(all), Float64Array.of(expected), { rtol: 1e-5, atol: 1e-9 });
  }
  device.close();
});
