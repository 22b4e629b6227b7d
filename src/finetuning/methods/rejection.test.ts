import { deepEqual } from 'node:assert/strict';
import test from 'node:test';
import { Rejection, type RejectionParts } from './rejection.ts';

test('rejection sampling: each step tells NEFTune of its passes before they are computed', async () => {
  const ids = Uint32Array.of(1, 4, 7);
  const events: string[] = [];
  const parts = {
    trainer: { step: async (passes: readonly unknown[]) => events.push(`step of ${passes.length}`) },
    prompts: [{ ids, trainIds: ids, isSafety: false, answer: null }],
    sampler: { draw: async () => [{ ids: Uint32Array.of(5, 2), isEnded: true, text: 'a' }] },
    judge: { score: async () => Float64Array.of(1) },
    rounds: 1,
    sampling: { answers: 1, maxTokens: 2, temperature: 1 },
    batch: 2,
    passTokens: 5,
    stepsPerRound: 2,
    seed: 3,
    noise: {
      begin: (passes: readonly unknown[], seed: number, step: number) =>
        events.push(`noise of ${passes.length}, seed ${seed}, step ${step}`),
    },
    store: { save() {}, load: () => null },
  } as unknown as RejectionParts;
  const rejection = new Rejection(parts);
  await rejection.step(0);
  await rejection.step(1);
  deepEqual(events, ['noise of 2, seed 3, step 0', 'step of 2', 'noise of 2, seed 3, step 1', 'step of 2']);
});
