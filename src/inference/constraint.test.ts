import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { generate, runAll, submit, tinyEngine } from '../../test/support/tiny-model.ts';
import { createReferenceDevice } from '../devices/reference/device.ts';
import type { Constraint } from './constraint.ts';
import type { GenerationResult, Piece } from './generation.ts';

const ids = (length: number) => Uint32Array.from({ length }, (_, i) => (i * 7 + 3) % 96);

/** Even tokens and odd ones in turn. */
class Alternating implements Constraint {
  readonly accepted: number[] = [];

  mask(logits_V: Float64Array): void {
    const parity = this.accepted.length % 2;
    for (let id = 0; id < logits_V.length; id++) if (id % 2 !== parity) logits_V[id] = Number.NEGATIVE_INFINITY;
  }

  accept(id: number): void {
    this.accepted.push(id);
  }
}

for (const [name, options] of [
  ['greedy', { temperature: 0 }],
  ['sampled', { temperature: 1, seed: 4 }],
  ['mirostat', { mirostat: 2, seed: 4 }],
] as const) {
  test(`a constraint decides what may be picked, and hears every pick (${name})`, async () => {
    const engine = tinyEngine(createReferenceDevice());
    const constraint = new Alternating();
    const pieces: Piece[] = [];
    let result: GenerationResult | null = null;
    const listener = {
      piece: (piece: Piece) => void pieces.push(piece),
      done: (value: GenerationResult) => void (result = value),
      failed: (error: unknown) => {
        throw error;
      },
    };
    engine.submit(ids(9), { ...options, maxTokens: 12 }, listener, { constraint });
    await runAll(engine);
    const picked = [...result!.ids];
    strictEqual(picked.length, 12);
    deepStrictEqual(constraint.accepted, picked);
    ok(picked.every((id, i) => id % 2 === i % 2));
  });
}

test('while others decode, a long prompt is read in small parts: they get a token at every step', async () => {
  const device = createReferenceDevice();
  const engine = tinyEngine(device, { sharedPromptTokens: 16 });
  const talking = submit(engine, ids(5), { temperature: 0, maxTokens: 40 });
  await engine.step();
  strictEqual(talking.pieces.length, 1);
  const long = submit(engine, Uint32Array.from(ids(200).reverse()), { temperature: 0, maxTokens: 3, logprobs: 1 });
  let steps = 0;
  while (long.pieces.length === 0) {
    await engine.step();
    strictEqual(talking.pieces.length, 2 + steps++);
  }
  strictEqual(steps, Math.ceil(200 / 16));
  await runAll(engine);
  const alone = await generate(tinyEngine(device), Uint32Array.from(ids(200).reverse()), {
    temperature: 0,
    maxTokens: 3,
  });
  deepStrictEqual(long.result!.ids, alone.ids);
});
