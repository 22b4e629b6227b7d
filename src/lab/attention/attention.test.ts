/** What attention costs: by hand, by the formulas, and counted on a model that runs. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { createWasmDevice } from '../../devices/wasm/device.ts';
import { type KvType, kvBytes } from '../../kernels/ops.ts';
import { loadModel } from '../../model/model.ts';
import { presets } from '../../model/presets.ts';
import { randomWeights } from '../../model/random-weights.ts';
import { crossover, predictStep, wholePrompt, withCache, withoutCache } from './cost.ts';
import { blocksFor, fitCells, measureGrid, timeWithoutCache, type Variant } from './measure.ts';
import { attentionReport, fitted } from './report.ts';

test('bytes of a cached token in the 1.1B shape, by hand: 2 · 22 blocks · K heads · 64 numbers · 2 bytes', () => {
  for (const [K, bytes, tokens] of [
    [32, 180_224, 3_550],
    [8, 45_056, 14_200],
    [4, 22_528, 28_400],
    [1, 5_632, 113_600],
  ] as const) {
    const config = { ...presets['tinyllama-1.1b'], kvHeadCount: K };
    const types = { dtype: 'Q4_0', kvType: 'f16' } as const;
    strictEqual(predictStep(config, types, { b: 1, n: 1 }).cacheBytes, bytes);
    strictEqual(predictStep(config, types, { b: 3, n: 100 }).cacheBytes, 300 * bytes);
    // At 0.64 GB of weights, which is what K = 4 has (its table of embeddings, whose rows are looked up, aside).
    ok(Math.abs(640e6 / bytes / tokens - 1) < 0.01, `${K}: ${640e6 / bytes}`);
    const weights = 22 * (2 * 2048 * 2048 + 2 * 2048 * 64 * K + 3 * 2048 * 5632) + 32_000 * 2048;
    strictEqual(crossover(config, types), (weights * 18) / 32 / bytes);
  }
});

test("the papers' formulas: two heads of width 2, two tokens", () => {
  const sizes = { b: 1, n: 2, d: 4, H: 2 };
  deepStrictEqual(wholePrompt(sizes), { multiplyAdds: 32, elements: 8 + 8 + 16 });
  deepStrictEqual(withCache({ ...sizes, K: 2 }), { multiplyAdds: 32, elements: 8 + 16 + 32 });
  deepStrictEqual(withCache({ ...sizes, K: 1 }), { multiplyAdds: 32, elements: 8 + 8 + 32 });
  // Token 1 alone: 16 multiply-adds, 4 + 2 + 16 elements; then both.
  deepStrictEqual(withoutCache(sizes), { multiplyAdds: 16 + 32, elements: 22 + 32 });
});

async function variant(heads: number, keys: number, kvType: KvType): Promise<Variant> {
  const config = {
    ...presets['stories-260k'],
    width: 64,
    headSize: 64 / heads,
    headCount: heads,
    kvHeadCount: keys,
    ffnWidth: 96,
    blockCount: 2,
  };
  const device = await createWasmDevice({});
  const sources = randomWeights(config, 1, ({ shape }) => (shape.length === 1 ? 'f32' : 'Q8_0'));
  const store = device.createKvStore({
    layerCount: 2,
    blockCount: blocksFor(3, 70),
    kvHeadCount: keys,
    headSize: config.headSize,
    type: kvType,
  });
  return { name: `${keys} of ${heads}`, config, device, model: loadModel(device, config, sources), store };
}

test('what is counted while a model runs is what the formula says, to the byte', async () => {
  for (const kvType of ['f32', 'f16', 'q8_0'] as const) {
    const variants = [await variant(2, 2, kvType), await variant(2, 1, kvType)];
    let time = 0;
    const cells = await measureGrid(variants, {
      grid: [
        { b: 1, n: 1 },
        { b: 3, n: 70 },
      ],
      turns: 3,
      steps: 2,
      types: { dtype: 'Q8_0', kvType },
      clock: () => (time += 2),
      isStopped: () => false,
      onCell: () => {},
    });
    strictEqual(cells.length, 4);
    for (const { predicted, counted, milliseconds } of cells) {
      deepStrictEqual(counted, predicted);
      strictEqual(milliseconds, 1);
    }
    // One row of 64 + 32 + … by hand: Q8_0 has 34 bytes for 32 weights; the output layer is the embedding table (512 × 64).
    const matrices = 2 * (64 * 64 * 4 + 3 * 64 * 96) + 512 * 64;
    strictEqual(cells[0]!.counted.weightBytes, (matrices * 34) / 32);
    strictEqual(cells[2]!.counted.cacheBytes, 3 * 70 * 2 * 2 * 64 * kvBytes[kvType]);
    for (const { device } of variants) device.close();
  }
});

test('the fit finds the rates that times were made of', async () => {
  const made = { weightRate: 10e9, cacheRate: 6e9, perSequence: 0.3 };
  const cells = [1, 4, 16].flatMap((b) =>
    [128, 1024, 4096].map((n) => {
      const predicted = predictStep(presets['tinyllama-1.1b'], { dtype: 'Q4_0', kvType: 'f16' }, { b, n });
      return { predicted, b, n, milliseconds: fitted({ predicted, b }, made), variant: 'x', counted: predicted };
    }),
  );
  const fit = fitCells(cells);
  for (const key of ['weightRate', 'cacheRate', 'perSequence'] as const)
    ok(Math.abs(fit[key] / made[key] - 1) < 1e-6, `${key}: ${fit[key]}`);

  const one = await variant(2, 2, 'f32');
  ok((await timeWithoutCache(one, 9, () => performance.now())) > 0);
  const html = attentionReport({
    shape: 'a <shape>',
    machine: 'one',
    dtype: 'Q4_0',
    kvType: 'f16',
    variants: [{ name: 'x', config: presets['tinyllama-1.1b'], crossover: 100, fit }],
    cells,
    uncached: [{ n: 128, milliseconds: 3 }],
    leftOut: [{ b: 16, n: 8192 }],
  });
  match(html, /a &#60;shape&#62;/);
  match(html, /Left out, as their cache would not fit: b 16, n 8192/);
  ok(!/NaN|undefined/.test(html));
  one.device.close();
});
