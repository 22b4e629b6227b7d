import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ByteSource } from '../../tensor/source.ts';
import { keyRanges, LotteryHistogram, lottery, planEpochs, shardOfKey, shuffleRank } from './mix.ts';
import { documentKey, encodeIndex, type IndexEntry, TokenIndex } from './token-index.ts';

const supply = [
  { name: 'a', weight: 3, epochs: 1, tokens: 300 },
  { name: 'b', weight: 1, epochs: 2, tokens: 400 },
];

test('the longest mixture that no epoch limit forbids, by hand', () => {
  // a allows 300 · 4/3 = 400 tokens in all, b allows 800 · 4 = 3200.
  deepStrictEqual(planEpochs(supply, 'weights', undefined), { a: 1, b: 0.25 });
  deepStrictEqual(planEpochs(supply, 'weights', 1200), { a: 3, b: 0.75 });
  deepStrictEqual(planEpochs(supply, 'natural', undefined), { a: 1, b: 2 });
  throws(() => planEpochs([{ ...supply[0]!, tokens: 0 }], 'weights', undefined), { code: 'mixture.empty' });
});

test("LLaMA's shares and epochs give back its 1.4 T tokens", () => {
  // Table 1: tokens available = share · 1.4e12 / epochs.
  const table = [
    ['cc', 67, 1.1],
    ['c4', 15, 1.06],
    ['github', 4.5, 0.64],
    ['wiki', 4.5, 2.45],
    ['books', 4.5, 2.23],
    ['arxiv', 2.5, 1.06],
    ['se', 2, 1.03],
  ] as const;
  const sources = table.map(([name, weight, epochs]) => ({
    name,
    weight,
    epochs,
    tokens: (weight / 100) * (1.4e12 / epochs),
  }));
  const planned = planEpochs(sources, 'weights', undefined);
  for (const [name, , epochs] of table) ok(Math.abs(planned[name]! - epochs) < 1e-9, `${name}: ${planned[name]}`);
});

const entries: fc.Arbitrary<IndexEntry[]> = fc
  .array(fc.record({ id: fc.string({ maxLength: 6 }), length: fc.integer({ min: 1, max: 50 }) }), {
    minLength: 1,
    maxLength: 60,
  })
  .map((documents) =>
    documents.map(({ id, length }, place) => ({ ...documentKey(1, `${id}${place}`), length, place })),
  );

test('the threshold takes as many tokens as wanted, to half of what is in the bin on the border', () => {
  fc.assert(
    fc.property(entries, fc.double({ min: 0, max: 1.2, noNaN: true }), (documents, share) => {
      const total = documents.reduce((sum, { length }) => sum + length, 0);
      const wanted = total * share;
      // Histograms of units add up: half of the documents in each.
      const halves = [new LotteryHistogram(), new LotteryHistogram()];
      for (const [i, each] of documents.entries()) halves[i % 2]!.add(each);
      const sum = new LotteryHistogram();
      for (const half of halves) sum.addEncoded(new Uint32Array(half.encode().buffer));
      const threshold = sum.threshold(wanted);
      const taken = documents.filter((each) => lottery(each) < threshold).reduce((sum, { length }) => sum + length, 0);
      const error = Math.abs(taken - Math.min(wanted, total));
      ok(error <= 50, `wanted ${wanted}, took ${taken}`);
    }),
  );
});

test('every copy of every document is in exactly one shard', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.nat(5), fc.nat(0xffffffff), (shardCount, copy, key) => {
      let found = 0;
      for (let shard = 0; shard < shardCount; shard++) {
        for (const [from, below] of keyRanges(shard, shard + 1, shardCount, copy)) {
          if (!(key >= from && key < below)) continue;
          found++;
          strictEqual(shardOfKey(key, shardCount, copy), shard);
        }
      }
      strictEqual(found, 1);
    }),
    { numRuns: 300 },
  );
});

test('copies of a document land in different places, and ranks spread evenly', () => {
  const ranks = Array.from({ length: 4000 }, (_, i) => shuffleRank(documentKey(3, `d${i}`), 0) / 2 ** 53);
  for (let decile = 0; decile < 10; decile++) {
    const count = ranks.filter((rank) => Math.floor(rank * 10) === decile).length;
    ok(count > 320 && count < 480, `decile ${decile}: ${count}`);
  }
  const key = documentKey(3, 'x');
  strictEqual(new Set([0, 1, 2, 3].map((copy) => shuffleRank(key, copy))).size, 4);
});

test('the index gives back its documents by key range', () => {
  fc.assert(
    fc.property(entries, fc.nat(0xffffffff), fc.nat(0xffffffff), (documents, a, b) => {
      const bytes = encodeIndex([...documents]);
      const source: ByteSource = {
        name: 'index',
        byteLength: bytes.length,
        close: () => {},
        readInto: (target, offset) => target.set(bytes.subarray(offset, offset + target.length)),
      };
      const [from, below] = [Math.min(a, b), Math.max(a, b)];
      const found: number[] = [];
      new TokenIndex(source).each(from, below, ({ place }) => found.push(place));
      const expected = documents.filter(({ keyHigh }) => keyHigh >= from && keyHigh < below).map(({ place }) => place);
      deepStrictEqual(
        found.sort((x, y) => x - y),
        expected,
      );
    }),
  );
});
