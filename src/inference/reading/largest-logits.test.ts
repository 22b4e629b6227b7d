/** On a device that tells the largest logits, the engine reads no more than these, and picks what it picks from all. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { runAll, submit, tinyEngine, tinyModel } from '../../../test/support/tiny-model.ts';
import type { Device } from '../../devices/device.ts';
import { createReferenceDevice } from '../../devices/reference/device.ts';
import { largest } from '../../kernels/largest/reference.ts';
import { columnCount, elementCount, rowCount } from '../../tensor/tensor.ts';
import type { GenerationOptions } from '../options.ts';

const plain = createReferenceDevice();
const model = tinyModel(plain);

/** The reference device as if reading took time; `reads` hears of the numbers of each read. */
function telling(reads: number[]): Device {
  const numbersOf = (tensor: object) => (tensor as { data: Float64Array }).data;
  return {
    ...plain,
    mostLargest: 50,
    largest(x_RV, k) {
      const y = plain.scratch([rowCount(x_RV.shape), 2 * k]);
      largest(numbersOf(y), numbersOf(x_RV), rowCount(x_RV.shape), k);
      return y;
    },
    read(tensor, from, count) {
      reads.push(columnCount(tensor.shape));
      return plain.read(tensor, from, count ?? elementCount(tensor.shape));
    },
  };
}

const V = model.config.vocabSize;
const usual = { temperature: 0.9, seed: 3, topK: 20 };
const cases: Readonly<Record<string, { readonly options: GenerationOptions; readonly columns: number }>> = {
  greedy: { options: { temperature: 0 }, columns: 2 },
  'top-k first': {
    options: {
      ...usual,
      topP: 0.8,
      minP: 0.01,
      typicalP: 0.9,
      samplers: ['top_k', 'typ_p', 'top_p', 'min_p', 'temperature'],
    },
    columns: 40,
  },
  'the usual chain': { options: { ...usual, xtcProbability: 0.5 }, columns: 40 },
  'no top-k': { options: { ...usual, topK: 0 }, columns: V },
  'more than the device tells': { options: { ...usual, topK: 60 }, columns: V },
  penalties: { options: { ...usual, repeatPenalty: 1.2 }, columns: V },
  'a logit bias': { options: { temperature: 0, logitBias: [[5, 1]] }, columns: V },
  'log-probabilities': { options: { temperature: 0, logprobs: 2 }, columns: V },
  mirostat: { options: { ...usual, mirostat: 2 }, columns: V },
  'a temperature that looks at all': {
    options: { ...usual, dynatempRange: 0.5, samplers: ['temperature', 'top_k'] },
    columns: V,
  },
};

for (const [name, { options, columns }] of Object.entries(cases)) {
  test(`${name}: reads ${columns} numbers a row, and picks the same tokens`, async () => {
    const reads: number[] = [];
    const texts = [];
    for (const device of [plain, telling(reads)]) {
      const engine = tinyEngine(device, { model });
      const outcomes = [40, 7].map((length) =>
        submit(
          engine,
          Uint32Array.from({ length }, (_, i) => (i * 31) % V),
          { maxTokens: 12, ...options },
        ),
      );
      await runAll(engine);
      texts.push(outcomes.map(({ result }) => [...result!.ids]));
    }
    deepStrictEqual(texts[1], texts[0]);
    ok(reads.length > 0);
    strictEqual(
      reads.find((count) => count !== columns),
      undefined,
    );
  });
}
