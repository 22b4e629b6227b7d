import assert from 'node:assert/strict';
import { test } from 'node:test';
import { goldenJson, goldenPath } from '../../test/support/golden.ts';
import { createReferenceDevice } from '../devices/reference/device.ts';
import { logitsOf } from '../inference/observe.ts';
import { logSoftmaxAt } from '../kernels/softmax/reference.ts';
import { loadModel } from '../model/model.ts';
import { openCheckpointAt } from '../platform/node/files.ts';
import { halfScoredWindows, overlappingWindows, perplexity, type WindowScorer } from './perplexity.ts';

interface Golden {
  readonly input_ids: number[];
  readonly runs: { max_length: number; stride: number; ppl: number; n_tokens: number; windows: { nll: number }[] }[];
}

test("overlapping windows give the perplexity of transformers' loop", async () => {
  const golden = goldenJson<Golden>('sampling-eval/perplexity-stride/expected.json');
  const checkpoint = openCheckpointAt(goldenPath('sampling-eval/multiple-choice/model'));
  const device = createReferenceDevice();
  const model = loadModel(device, checkpoint.config, checkpoint.tensors);
  const score: WindowScorer = async ({ ids, places, targets }) => {
    const logits_TV = await logitsOf(device, model, ids);
    const V = checkpoint.config.vocabSize;
    return places.map((place, k) => logSoftmaxAt(logits_TV.subarray(place * V, (place + 1) * V), targets[k]!));
  };
  for (const { max_length, stride, ppl, n_tokens, windows: expected } of golden.runs) {
    const windows = overlappingWindows(Uint32Array.from(golden.input_ids), max_length, stride);
    assert.equal(windows.length, expected.length);
    const result = await perplexity(windows, score);
    assert.equal(result.tokens, n_tokens);
    assert.ok(!(Math.abs(result.perplexity / ppl - 1) > 1e-5), `${result.perplexity} instead of ${ppl}`);
    const [first] = windows;
    const one = await perplexity([first!], score);
    assert.ok(!(Math.abs(Math.log(one.perplexity) - expected[0]!.nll) > 1e-4));
  }
  checkpoint.close();
});

test("llama.cpp's windows score the second half, with bos for the first token", () => {
  const ids = Uint32Array.from({ length: 21 }, (_, i) => 10 + i);
  const windows = halfScoredWindows(ids, 8, 1);
  assert.equal(windows.length, 2);
  assert.deepEqual([...windows[1]!.ids], [1, 19, 20, 21, 22, 23, 24, 25]);
  assert.deepEqual(windows[1]!.places, [4, 5, 6]);
  assert.deepEqual(windows[1]!.targets, [23, 24, 25]);
  assert.deepEqual([...halfScoredWindows(ids, 8, null)[0]!.ids].slice(0, 2), [10, 11]);
  assert.throws(() => halfScoredWindows(ids, 11, null), { code: 'perplexity.too-short' });
});

test('a uniform model has the perplexity of its vocabulary, without error', async () => {
  const windows = halfScoredWindows(new Uint32Array(64), 16, null);
  const result = await perplexity(windows, async ({ targets }) => targets.map(() => -Math.log(7)));
  assert.ok(Math.abs(result.perplexity - 7) < 1e-9);
  assert.ok(!(result.error > 1e-6));
});
