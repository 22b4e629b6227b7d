import { strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { off, samplerOf } from './testing/samplers.ts';

test('no-repeat agrees with the set of n-grams, also greedy, and holds over a whole generation', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 16 }),
      fc.integer({ min: 0, max: 5 }),
      (tokens, n) => {
        const seen = new Set<string>();
        for (let i = 0; n > 0 && i + n <= tokens.length; i++) seen.add(tokens.slice(i, i + n).join());
        const wouldRepeat = (id: number) =>
          n > 0 &&
          tokens.length >= n - 1 &&
          seen.has([...tokens.slice(tokens.length - n + 1, tokens.length), id].join());
        const allowed = [0, 1, 2, 3].filter((id) => !wouldRepeat(id));
        const logits = Float32Array.of(4, 3, 2, 1);
        const [sampler] = samplerOf(4, { seed: 1, temperature: 0, noRepeatNgram: n });
        const pick = () => sampler.sample(logits, 0, Uint32Array.from(tokens), tokens.length);
        if (allowed.length === 0) throws(pick, { code: 'sampling.none-left' });
        else strictEqual(pick(), allowed[0], `${n}-grams of ${tokens}`);
      },
    ),
  );
  const history = new Uint32Array(200);
  const [sampler] = samplerOf(32, { ...off, seed: 3, noRepeatNgram: 2, temperature: 0.2 });
  for (let length = 0; length < 200; length++)
    history[length] = sampler.sample(
      Float32Array.from({ length: 32 }, (_, id) => -id / 8),
      0,
      history,
      length,
    );
  const pairs = Array.from({ length: 199 }, (_, i) => `${history[i]} ${history[i + 1]}`);
  strictEqual(new Set(pairs).size, pairs.length);
});
