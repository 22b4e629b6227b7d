import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ByteSource } from '../../../tensor/source.ts';
import { BandHasher, type Bands, bandPresets } from './bands.ts';
import { Clusters } from './clusters.ts';
import { BandRun, gatherBands, meetInBands } from './runs.ts';

function fileOf(write: (sink: (bytes: Uint8Array) => void) => void): ByteSource {
  const parts: Uint8Array[] = [];
  write((bytes) => parts.push(bytes.slice()));
  const bytes = new Uint8Array(Buffer.concat(parts));
  return {
    name: 'memory',
    byteLength: bytes.length,
    readInto: (target, at) => target.set(bytes.subarray(at, at + target.length)),
    close: () => {},
  };
}

/** Share of `trials` pairs with this Jaccard similarity of single words that meet in a band. */
function meeting(shape: Bands, shared: number, own: number, trials: number): number {
  const [a, b] = [new BandHasher(shape), new BandHasher(shape)];
  let met = 0;
  for (let trial = 0; trial < trials; trial++) {
    const words = (from: string, count: number) => Array.from({ length: count }, (_, i) => `${from}${trial}x${i}`);
    const common = words('c', shared);
    a.hash([...common, ...words('a', own)].join(' '));
    b.hash([...words('b', own), ...common].join(' '));
    for (let band = 0; band < shape.bands; band++) {
      if (a.low[band] !== b.low[band] || a.high[band] !== b.high[band]) continue;
      met++;
      break;
    }
  }
  return met / trials;
}

test('texts meet as often as 1 − (1 − s^rows)^bands says', () => {
  const shape = { bands: 6, rows: 3, words: 1 };
  for (const [shared, own] of [
    [30, 35],
    [60, 20],
    [80, 10],
  ] as const) {
    const similarity = shared / (shared + 2 * own);
    const wanted = 1 - (1 - similarity ** shape.rows) ** shape.bands;
    const found = meeting(shape, shared, own, 400);
    const deviation = Math.sqrt((wanted * (1 - wanted)) / 400);
    ok(Math.abs(found - wanted) < 4 * deviation + 0.01, `similarity ${similarity}: ${found}, wanted ${wanted}`);
  }
});

test('presets: the same text with other marks meets, another does not, one without words is like none', () => {
  for (const shape of Object.values(bandPresets)) {
    const [a, b] = [new BandHasher(shape), new BandHasher(shape)];
    const words = Array.from({ length: 200 }, (_, i) => `word${(i * 7919) % 1000}`);
    ok(a.hash(words.join(' ')) && b.hash(words.join(', ').toUpperCase()));
    deepStrictEqual([a.low, a.high], [b.low, b.high]);
    b.hash(words.map((word) => `${word}z`).join(' '));
    ok(a.low.every((value, band) => value !== b.low[band]));
    strictEqual(a.hash(' … '), false);
    strictEqual(a.hash('short'), true);
  }
});

test('clusters are those of a plain search, whatever the slices, the width of merges and the order of edges', () => {
  const unit = fc.array(fc.array(fc.nat(12), { minLength: 1, maxLength: 3 }), { maxLength: 6 });
  fc.assert(
    fc.property(
      fc.array(unit, { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 5 }),
      fc.boolean(),
      (units, slices, gathered) => {
        const hashOf = (value: number) => [Math.imul(value, 77) >>> 0, Math.imul(value + 1, 0x9e3779b1) >>> 0] as const;
        let runs = units.map((texts, i) => {
          const run = new BandRun(i);
          for (const [text, values] of texts.entries()) for (const value of values) run.add(...hashOf(value), text);
          return fileOf((sink) => run.finish(sink));
        });
        if (gathered) {
          const half = Math.ceil(runs.length / 2);
          runs = [runs.slice(0, half), runs.slice(half)].map((part) => fileOf((sink) => gatherBands(part, sink)));
        }
        const clusters = new Clusters(units.map(({ length }) => length));
        const order = Array.from({ length: slices }, (_, slice) => slice).reverse();
        for (const slice of order)
          clusters.addEdges(fileOf((sink) => meetInBands(runs, { slice, sliceCount: slices }, sink)));
        // Plain: repeat until nothing changes.
        const all = units.flatMap((texts, i) => texts.map((values, text) => ({ i, text, values })));
        const kept = all.map((_, i) => i);
        for (let changed = true; changed; ) {
          changed = false;
          for (const [a, x] of all.entries())
            for (const [b, y] of all.entries()) {
              if (kept[b]! <= kept[a]! || !x.values.some((value) => y.values.includes(value))) continue;
              kept[b] = kept[a]!;
              changed = true;
            }
        }
        const wanted = units.map((_, i) =>
          all.flatMap((each, n) => {
            const first = all[kept[n]!]!;
            return each.i === i && kept[n] !== n ? [each.text, first.i, first.text] : [];
          }),
        );
        deepStrictEqual(
          units.map((_, i) => [...clusters.duplicatesOf(i)]),
          wanted,
        );
      },
    ),
    { numRuns: 150 },
  );
});
