/** The fuzzing of `npm run fuzz`, for a moment: every target reads its seeds, and the first mutants are read or refused by our errors. */
import { deepStrictEqual, notDeepStrictEqual, ok } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { allowed } from './allowed.ts';
import { mutant } from './mutate.ts';
import { targets } from './targets.ts';

const MUTANTS = 40;

describe('fuzz', () => {
  for (const target of targets) {
    const seeds = target.seeds();
    const skip = seeds.length === 0 ? '../shared is not here' : false;
    test(`${target.name}: ${target.what}`, { skip, timeout: 60_000 }, async () => {
      for (const seed of seeds) await target.run(seed.slice());
      const corpus = { seeds, words: target.words.map((word) => new TextEncoder().encode(word)) };
      for (let number = 0; number < MUTANTS; number++) {
        try {
          await target.run(mutant(corpus, number));
        } catch (error) {
          ok(allowed(error, target.name), `mutant ${number}: ${String((error as Error).stack)}`);
        }
      }
    });
  }
});

test('a number gives the same mutant every time, and seeds stay as they are', () => {
  const seed = Uint8Array.from({ length: 100 }, (_, i) => i);
  const corpus = { seeds: [seed], words: [Uint8Array.of(1, 2, 3)] };
  const first = Array.from({ length: 50 }, (_, number) => mutant(corpus, number));
  deepStrictEqual(
    first,
    Array.from({ length: 50 }, (_, number) => mutant(corpus, number)),
  );
  notDeepStrictEqual(first[1], first[2]);
  deepStrictEqual(
    seed,
    Uint8Array.from({ length: 100 }, (_, i) => i),
  );
});
