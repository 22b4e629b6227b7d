import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { runAll, submit, tinyEngine } from '../../test/support/tiny-model.ts';
import { createReferenceDevice } from '../devices/reference/device.ts';
import type { GenerationOptions } from './options.ts';

const prompt = (length: number) => Uint32Array.from({ length }, (_, i) => (i * 31 + 17 + i * i) % 96);

/** llama.cpp's rule by hand: when the context is full, half of what follows the kept tokens goes, and the rest is read anew. */
async function byHand(ids: Uint32Array, count: number, contextLength: number, kept: number): Promise<number[]> {
  let window = [...ids];
  const generated: number[] = [];
  while (generated.length < count) {
    const engine = tinyEngine(createReferenceDevice(), { contextLength });
    const outcome = submit(engine, Uint32Array.from(window), { temperature: 0, maxTokens: 1 });
    await runAll(engine);
    const next = outcome.result!.ids[0]!;
    generated.push(next);
    window.push(next);
    if (window.length > contextLength) {
      const forgotten = Math.floor((window.length - 1 - kept) / 2);
      window = [...window.slice(0, kept), ...window.slice(kept + forgotten)];
    }
  }
  return generated;
}

async function shifted(ids: Uint32Array, contextLength: number, options: GenerationOptions) {
  const engine = tinyEngine(createReferenceDevice(), { contextLength });
  const outcome = submit(engine, ids, { temperature: 0, ...options });
  await runAll(engine);
  return outcome.result!;
}

test('a shift forgets what llama.cpp forgets, and computes the rest as if it had been the prompt', async () => {
  const ids = prompt(6);
  for (const [keep, kept] of [
    [0, 0],
    [4, 4],
    [-1, 6],
    [100, 6],
  ] as const) {
    const result = await shifted(ids, 12, { contextShift: true, keep, maxTokens: 30 });
    deepStrictEqual([...result.ids], await byHand(ids, 30, 12, kept), `keep ${keep}`);
    deepStrictEqual([...result.promptIds], [...ids]);
    strictEqual(result.finishReason, 'length');
    strictEqual(result.timings.predicted_n, 30);
    // What is left fits the context.
    ok(result.forgotten! > 0 && 6 + 30 - result.forgotten! <= 12 + 1);
  }
});

test('without it, or where everything is kept, a full context ends the generation', async () => {
  const { ids, forgotten } = await shifted(prompt(6), 12, { maxTokens: 30 });
  deepStrictEqual([ids.length, forgotten], [7, undefined]);
  strictEqual((await shifted(prompt(12), 12, { contextShift: true, keep: -1, maxTokens: 30 })).ids.length, 1);
});

test('sequences that shift share batches with others, and change none of their tokens', async () => {
  const engine = tinyEngine(createReferenceDevice(), { contextLength: 12, cacheTokens: 64, batchTokens: 5 });
  const jobs = [6, 3, 9].map((length) =>
    submit(engine, prompt(length), { temperature: 0, contextShift: true, maxTokens: 25 }),
  );
  await runAll(engine);
  for (const [i, length] of [6, 3, 9].entries()) {
    deepStrictEqual(
      [...jobs[i]!.result!.ids],
      [...(await shifted(prompt(length), 12, { contextShift: true, maxTokens: 25 })).ids],
    );
  }
});
