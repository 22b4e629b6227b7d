import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { missing, shared } from '../../../test/support/shared.ts';
import type { ByteSource } from '../../tensor/source.ts';
import { HashMap64 } from './hash-set.ts';
import { hashLine, hashWords } from './line-hash.ts';
import {
  normaliseForDedup,
  normaliseForLanguageModel,
  removePunctuation,
  replacePunctuation,
  strip,
  wordCount,
} from './normalise.ts';
import { HashBuffer, KEEP_ONCE, mergeRuns, REMOVE_ALL, RunCollector } from './runs.ts';
import { sha1Hex } from './sha1.ts';

test('sha1 is SHA-1 at every length around its blocks', () => {
  for (let length = 0; length < 200; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 37 + length) & 255);
    strictEqual(sha1Hex(bytes), createHash('sha1').update(bytes).digest('hex'), `${length} bytes`);
  }
  strictEqual(sha1Hex(new TextEncoder().encode('abc')), 'a9993e364706816aba3e25717850c26c9cd0d89d');
});

test('a line hash is the first eight bytes of SHA-1 over the normalised line, little-endian; the ASCII path agrees', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), (line) => {
      hashLine(line, 'ccnet');
      const digest = createHash('sha1').update(normaliseForDedup(line), 'utf8').digest();
      deepStrictEqual([...hashWords], [digest.readUInt32LE(0), digest.readUInt32LE(4)]);
    }),
    { numRuns: 150 },
  );
});

test("cc_net's own examples of its normalisation", {
  skip: missing('real/reference/cc_net/expected_results.json'),
}, () => {
  const { normalizer } = JSON.parse(readFileSync(shared('real/reference/cc_net/expected_results.json'), 'utf8')) as {
    normalizer: { test: string; weird: string; replaced: string; normalized: string }[];
  };
  const example = (name: string) => normalizer.find((each) => each.test === name)!;
  strictEqual(replacePunctuation(example('test_unicode_punct').weird), example('test_unicode_punct').replaced);
  strictEqual(removePunctuation(example('test_unicode_punct').weird), '');
  strictEqual(normaliseForLanguageModel(example('test_numbers').weird), example('test_numbers').normalized);
  strictEqual(
    normaliseForDedup(example('test_normalize_for_dedup').weird),
    example('test_normalize_for_dedup').normalized,
  );
});

test('the traps of porting it: digits of every script, separators that only Python strips, accents kept or not', () => {
  strictEqual(normaliseForDedup('  ١٢٣ ABC é. '), '000 abc é.');
  strictEqual(strip('\x1c\x85\u2028 a \u3000'), 'a');
  strictEqual(strip('\ufeffa'), '\ufeffa');
  strictEqual(normaliseForLanguageModel('Ça coûte １２ € …'), 'ca coute 00 € ...');
  strictEqual(wordCount(' a\u00a0b\x1dc  d\n'), 4);
});

function memorySource(bytes: Uint8Array): ByteSource {
  return {
    name: 'memory',
    byteLength: bytes.length,
    readInto: (target, offset) => target.set(bytes.subarray(offset, offset + target.length)),
    close: () => {},
  };
}

/** Collects hashes into a run with room for only a few in memory. */
function makeRun(documents: readonly number[][], capacity: number): ByteSource {
  const parts: Uint8Array[] = [];
  const collector = new RunCollector({ spill: memorySource, append: (bytes) => parts.push(bytes) }, capacity);
  for (const document of documents) for (const hash of new Set(document)) collector.add(hash * 7, hash * 99991);
  collector.finish();
  return memorySource(Buffer.concat(parts));
}

test('duplicates found by merging runs are those that counting finds, whatever spilled and however the space is sliced', () => {
  const document = fc.array(fc.nat(30), { maxLength: 6 });
  const corpus = fc.array(fc.array(document, { maxLength: 8 }), { minLength: 1, maxLength: 5 });
  const keeps = fc.constantFrom('none' as const, 'first' as const);
  fc.assert(
    fc.property(
      corpus,
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 4 }),
      keeps,
      (units, capacity, sliceCount, keep) => {
        const runs = units.map((documents) => makeRun(documents, capacity));
        const found: string[] = [];
        for (let slice = 0; slice < sliceCount; slice++) {
          mergeRuns(runs, { keep, slice, sliceCount }, (run, low, high, action) =>
            found.push(`${run} ${low} ${high} ${action}`),
          );
        }
        const expected: string[] = [];
        for (let hash = 0; hash <= 30; hash++) {
          const counts = units.map((documents) => documents.filter((each) => each.includes(hash)).length);
          if (counts.reduce((sum, count) => sum + count, 0) < 2) continue;
          const first = counts.findIndex((count) => count > 0);
          counts.forEach((count, run) => {
            const once = keep === 'first' && run === first;
            if (count > 0 && !(once && count < 2))
              expected.push(`${run} ${hash * 7} ${hash * 99991} ${once ? KEEP_ONCE : REMOVE_ALL}`);
          });
        }
        deepStrictEqual(found.sort(), expected.sort());
      },
    ),
  );
});

test('the hash map agrees with a Map of strings', () => {
  const key = fc.tuple(fc.nat(5), fc.nat(5));
  fc.assert(
    fc.property(fc.array(fc.tuple(key, fc.integer({ min: 1, max: 255 })), { maxLength: 60 }), (entries) => {
      const map = new HashMap64(1);
      const expected = new Map<string, number>();
      for (const [[low, high], value] of entries) {
        map.set(low, high, value);
        expected.set(`${low} ${high}`, value);
      }
      strictEqual(map.size, expected.size);
      for (let low = 0; low <= 5; low++) {
        for (let high = 0; high <= 5; high++) strictEqual(map.get(low, high), expected.get(`${low} ${high}`) ?? 0);
      }
    }),
  );
});

test('a hash buffer hands on what it was given', () => {
  const parts: Uint8Array[] = [];
  const buffer = new HashBuffer((bytes) => parts.push(bytes));
  for (let i = 0; i < 20_000; i++) buffer.push(i, i + 1);
  buffer.flush();
  const words = new Uint32Array(new Uint8Array(Buffer.concat(parts)).buffer);
  strictEqual(words.length, 40_000);
  deepStrictEqual([words[39_998], words[39_999]], [19_999, 20_000]);
});
