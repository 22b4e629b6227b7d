import { deepStrictEqual, ok, rejects, strictEqual, throws } from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { sameBitsDevices } from '../../../test/support/devices.ts';
import { runAll, submit, tinyEngine, tinyModel } from '../../../test/support/tiny-model.ts';
import type { Device } from '../../devices/device.ts';
import { logSoftmaxAt } from '../../kernels/softmax/reference.ts';
import type { Model } from '../../model/model.ts';
import type { Engine } from '../engine.ts';
import { logitsOf } from '../observe.ts';
import type { Score, TokenScores } from './scoring.ts';

const ids = (length: number, seed = 1) => Uint32Array.from({ length }, (_, i) => (i * 13 + 5 * seed + i * i) % 96);

function score(engine: Engine, context: Uint32Array, continuations: readonly Uint32Array[]) {
  let abort = () => {};
  const scores = new Promise<readonly TokenScores[]>((done, failed) => {
    abort = engine.score(context, continuations, { done, failed }).abort;
  });
  return { scores, abort };
}

/** The definition: the logits of the whole text, without a cache. */
async function defined(device: Device, model: Model, context: Uint32Array, continuation: Uint32Array): Promise<Score> {
  const V = model.config.vocabSize;
  const logits = await logitsOf(device, model, Uint32Array.of(...context, ...continuation));
  let logLikelihood = 0;
  let isGreedy = true;
  for (const [i, target] of continuation.entries()) {
    const row = logits.subarray((context.length + i - 1) * V, (context.length + i) * V);
    logLikelihood += logSoftmaxAt(row, target);
    isGreedy &&= row.indexOf(Math.max(...row)) === target;
  }
  return { logLikelihood, isGreedy, tokens: continuation.length };
}

const opened: Device[] = [];
after(() => {
  for (const device of opened) device.close();
});

for (const { name, create } of sameBitsDevices) {
  describe(`scoring on ${name}`, async () => {
    const device = await create();
    opened.push(device);
    const model = tinyModel(device);
    /** Alone, with nothing shared. */
    const alone = async (context: Uint32Array, continuation: Uint32Array) => {
      const engine = tinyEngine(device, { model });
      const { scores } = score(engine, context, [continuation]);
      await runAll(engine);
      return (await scores)[0]!;
    };
    const aloneAll = (context: Uint32Array) =>
      Promise.all(continuations.map((continuation) => alone(context, continuation)));
    const continuations = [1, 5, 40, 2, 1].map((length, i) => ids(length, i + 7));

    test('the scores are those of the definition', async () => {
      for (const continuation of continuations) {
        const { logProbabilities, ...found } = await alone(ids(33), continuation);
        strictEqual(
          logProbabilities.reduce((sum, log) => sum + log, 0),
          found.logLikelihood,
        );
        const want = await defined(device, model, ids(33), continuation);
        const error = Math.abs(found.logLikelihood - want.logLikelihood);
        ok(error <= 1e-5, `${found.logLikelihood} instead of ${want.logLikelihood}`);
        deepStrictEqual({ ...found, logLikelihood: 0 }, { ...want, logLikelihood: 0 });
      }
    });

    test('the bits are the same however the texts are cut, what they share and whoever rides along', async () => {
      for (const contextLength of [1, 2, 31, 32, 33, 70]) {
        const context = ids(contextLength, contextLength);
        const want = await aloneAll(context);
        for (const batchTokens of [512, 7]) {
          const engine = tinyEngine(device, { model, batchTokens });
          const talking = submit(engine, ids(20), { temperature: 0, maxTokens: 12 });
          const first = score(engine, context, continuations);
          const again = score(engine, context, continuations.slice(0, 1));
          await runAll(engine);
          deepStrictEqual(await first.scores, want, `context ${contextLength}, chunks of ${batchTokens}`);
          deepStrictEqual(await again.scores, want.slice(0, 1));
          ok(talking.result);
          strictEqual(engine.load.usedBlocks, 0);
        }
      }
    });

    test('the shared text is computed once', async () => {
      const engine = tinyEngine(device, { model });
      const { scores } = score(engine, ids(70), continuations);
      await runAll(engine);
      await scores;
      // 69 shared tokens; then the last of them and all but the last of each continuation
      strictEqual(engine.load.rows, 69 + continuations.reduce((sum, { length }) => sum + length, 0));
    });

    test('with too little room or too few places some wait, and nothing changes', async () => {
      const want = await aloneAll(ids(70));
      for (const options of [{ contextLength: 128 }, { maxSequences: 2 }, { contextLength: 110, batchTokens: 16 }]) {
        const engine = tinyEngine(device, { model, ...options });
        const both = [score(engine, ids(70), continuations), score(engine, ids(70), continuations)];
        await runAll(engine);
        for (const { scores } of both) deepStrictEqual(await scores, want, JSON.stringify(options));
      }
    });

    test('what the model itself writes is greedy', async () => {
      const engine = tinyEngine(device, { model });
      const written = submit(engine, ids(9), { temperature: 0, maxTokens: 6 });
      await runAll(engine);
      const same = Uint32Array.from(written.result!.ids);
      const { scores } = score(engine, ids(9), [same, same.map((id, i) => (i === 5 ? (id + 1) % 96 : id))]);
      await runAll(engine);
      deepStrictEqual(
        (await scores).map(({ isGreedy }) => isGreedy),
        [true, false],
      );
    });

    test('too long a text is refused with both lengths; an abort ends all its parts', async () => {
      const engine = tinyEngine(device, { model, contextLength: 64, cacheTokens: 256 });
      engine.score(ids(60), [ids(5)], { done() {}, failed() {} });
      throws(() => engine.score(ids(60), [ids(2), ids(6)], { done() {}, failed() {} }), {
        code: 'score.context',
        message: /66 tokens, expected at most one more than the context's 64/,
      });
      await runAll(engine);
      for (const steps of [0, 1, 2]) {
        const { scores, abort } = score(engine, ids(40), [ids(3), ids(20)]);
        for (let i = 0; i < steps; i++) await engine.step();
        abort();
        await runAll(engine);
        if (steps < 2) await rejects(scores, { name: 'AbortError' });
        else await scores;
        strictEqual(engine.load.usedBlocks, 0, `after ${steps} steps`);
      }
    });
  });
}
