import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assertClose } from '../../../test/support/close.ts';
import { cutDocuments, type Documents, PAGE } from './documents.ts';
import { epochOrder, type Order } from './epoch-order.ts';

/** Documents of which token t is t, counted through all of them, and the weight of a document its number. */
function documents(lengths: readonly number[]): Documents {
  const ends: number[] = [];
  for (const length of lengths) ends.push((ends.at(-1) ?? 0) + length);
  const begin = (i: number) => (i === 0 ? 0 : ends[i - 1]!);
  return {
    name: 'a',
    count: lengths.length,
    tokenCount: ends.at(-1) ?? 0,
    weightOf: (i) => i,
    lengthOf: (i) => lengths[i]!,
    tokens: (i, from = 0, to = lengths[i]!) => Uint32Array.from({ length: to - from }, (_, t) => begin(i) + from + t),
  };
}

test('documents longer than the context are cut there, and nothing is lost, in whatever order they are asked for', () => {
  const lengths = fc.array(fc.nat(9), { minLength: 1, maxLength: 12 });
  // The pattern is repeated over more than two pages.
  fc.assert(
    fc.property(lengths, fc.integer({ min: 1, max: 6 }), fc.nat(), (pattern, length, seed) => {
      const all = Array.from({ length: 2 * PAGE + 9 }, (_, i) => pattern[i % pattern.length]!);
      const whole = documents(all);
      const cut = cutDocuments(whole, length);
      const expected = all.flatMap((count, owner) =>
        Array.from({ length: Math.max(1, Math.ceil(count / length)) }, (_, part) => ({
          tokens: [...whole.tokens(owner, part * length, Math.min(count, (part + 1) * length))],
          weight: owner,
        })),
      );
      equal(cut.count, expected.length);
      const { count } = cut;
      const asked = [...Array(count).keys(), ...Array.from({ length: 50 }, (_, i) => (seed * (i + 1)) % count)];
      for (const piece of asked) {
        const { tokens, weight } = expected[piece]!;
        if (tokens.length !== cut.lengthOf(piece)) equal(cut.lengthOf(piece), tokens.length);
        if (weight !== cut.weightOf!(piece)) equal(cut.weightOf!(piece), weight);
        if (piece % 97 === 0) deepEqual([...cut.tokens(piece)], tokens);
      }
    }),
    { numRuns: 20 },
  );
  const short = documents([1, 2]);
  equal(cutDocuments(short, 2), short);
  equal(cutDocuments(documents([5]), 2).tokens(1, 1, 2)[0], 3);
});

const listed = (order: Order) => Array.from({ length: order.length }, (_, i) => order.at(i)!);

for (const [kind, held] of [
  ['held', 2 ** 21],
  ['computed', 0],
] as const) {
  test(`${kind}: an epoch holds every document once, in an order that only seed and epoch decide`, () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 * PAGE }), fc.nat(), (count, seed) => {
        const order = epochOrder(count, null, seed, 0, held);
        deepEqual(Uint32Array.from(listed(order)).sort(), Uint32Array.from(Array(count).keys()));
      }),
      { numRuns: 30 },
    );
    const order = listed(epochOrder(5000, null, 7, 0, held));
    deepEqual(listed(epochOrder(5000, null, 7, 0, held)), order);
    for (const [seed, epoch] of [
      [7, 1],
      [8, 0],
    ] as const) {
      const other = listed(epochOrder(5000, null, seed, epoch, held));
      // One of 5000 is expected to be where it was; nine are less likely than one in a million.
      ok(other.filter((document, i) => document === order[i]).length < 10);
    }
    // Neighbours are not: of a random order a third of all neighbouring steps go on in the same direction, and their mean is n / 3.
    const steps = order.slice(1).map((document, i) => document - order[i]!);
    const turns = steps.slice(1).filter((step, i) => step > 0 !== steps[i]! > 0).length;
    assertClose('turns', [turns / steps.length], [2 / 3], { rtol: 0.05 });
    assertClose('step', [steps.reduce((sum, step) => sum + Math.abs(step), 0) / steps.length], [5000 / 3], {
      rtol: 0.05,
    });
  });

  test(`${kind}: weighted documents are seen in proportion to their weights`, () => {
    const weights = [0, 0.5, 2.25, ...Array<number>(PAGE).fill(0), 0.75];
    const counts = weights.map(() => 0);
    for (let epoch = 0; epoch < 400; epoch++) {
      const order = listed(epochOrder(weights.length, (i) => weights[i]!, 1, epoch, held));
      const seen = weights.map((_, i) => order.filter((document) => document === i).length);
      weights.forEach((weight, i) => {
        ok(seen[i] === Math.floor(weight) || seen[i] === Math.ceil(weight));
        counts[i]! += seen[i]!;
      });
    }
    assertClose('counts', [counts[1]!, counts[2]!, counts.at(-1)!], [200, 900, 300], { rtol: 0.15 });
  });
}

test('the order of few documents is as it was when every order was held', () => {
  deepEqual(listed(epochOrder(12, null, 7, 3)), [2, 0, 7, 9, 10, 1, 8, 3, 5, 11, 6, 4]);
  const weights = [1, 0.5, 2.25, 0, 1.5, 0.1];
  deepEqual(listed(epochOrder(6, (i) => weights[i]!, 7, 3)), [4, 2, 0, 5, 1, 2]);
});
