import { deepStrictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ByteSource } from '../../tensor/source.ts';
import {
  encodeTokens,
  parseTokenManifest,
  TOKEN_FORMAT,
  type TokenManifest,
  TokenShards,
  tokenWidthFor,
} from './shards.ts';

function bytesSource(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    byteLength: bytes.length,
    readInto: (target, offset) => target.set(bytes.subarray(offset, offset + target.length)),
    close: () => {},
  };
}

/** Documents laid out as shards of one or more documents each. */
function layOut(shards: number[][][], vocabularySize: number): { manifest: TokenManifest; shards: TokenShards } {
  const files = new Map<string, Uint8Array>();
  const dtype = tokenWidthFor(vocabularySize);
  const entries = shards.map((documents, i) => {
    const ends = documents.map((_, d) => documents.slice(0, d + 1).flat().length);
    files.set(`t${i}`, encodeTokens(documents.flat(), dtype));
    files.set(`e${i}`, encodeTokens(ends, 'u32'));
    return {
      file: `t${i}`,
      endsFile: `e${i}`,
      tokenCount: documents.flat().length,
      documentCount: documents.length,
      sha256: '',
      endsSha256: '',
    };
  });
  const manifest: TokenManifest = {
    format: TOKEN_FORMAT,
    version: 1,
    dtype,
    vocabularySize,
    bos: 1,
    eos: 2,
    tokenizer: { name: 'toy', sha256: '' },
    seed: 0,
    tokenCount: shards.flat(2).length,
    documentCount: shards.flat().length,
    sources: {},
    shards: entries,
  };
  return { manifest, shards: new TokenShards(manifest, (file) => bytesSource(file, files.get(file)!)) };
}

test('any window of the shards is the same window of the row they were cut from, in both widths', () => {
  const document = fc.array(fc.nat(99), { minLength: 1, maxLength: 6 });
  const layout = fc.array(fc.array(document, { maxLength: 4 }), { maxLength: 5 });
  fc.assert(
    fc.property(layout, fc.nat(60), fc.nat(60), fc.constantFrom(100, 128_256), (shards, a, b, vocabularySize) => {
      const row = shards.flat(2);
      const from = Math.min(a, row.length);
      const to = Math.min(from + b, row.length);
      const tokens = layOut(shards, vocabularySize).shards;
      const target = new Uint32Array(to - from);
      tokens.read(target, from);
      deepStrictEqual([...target], row.slice(from, to));
      let end = 0;
      const ends = shards.flat().map((each) => (end += each.length));
      deepStrictEqual(
        tokens.documentEnds(from, to),
        ends.filter((each) => each > from && each <= to),
      );
      const bounds = [0, ...ends];
      const first = Math.min(a, ends.length);
      const some = new Float64Array(Math.min(b, ends.length - first) + 1);
      tokens.readBounds(some, first);
      deepStrictEqual([...some], bounds.slice(first, first + some.length));
    }),
  );
});

test('a manifest round-trips, and a wrong one says all that is wrong', () => {
  const { manifest } = layOut([[[1, 2]], [[3]]], 100);
  deepStrictEqual(parseTokenManifest(JSON.stringify(manifest)), manifest);
  throws(() => parseTokenManifest('{'), { code: 'tokens.manifest' });
  throws(
    () => parseTokenManifest(JSON.stringify({ ...manifest, dtype: 'u8', vocabularySize: -1 })),
    /dtype must be u16 or u32; vocabularySize must be a count/,
  );
  throws(() => parseTokenManifest(JSON.stringify({ ...manifest, tokenCount: 9 })), /hold 3 tokens, tokenCount says 9/);
  const outside = { ...manifest, shards: [{ ...manifest.shards[0]!, file: '../secret' }] };
  throws(() => parseTokenManifest(JSON.stringify(outside)), /must name two plain files/);
});

test('reading beyond the end, a short file and an id outside the vocabulary are refused', () => {
  const { shards, manifest } = layOut([[[1, 2, 99]]], 100);
  throws(() => shards.read(new Uint32Array(4), 0), { code: 'tokens.range' });
  const short = new TokenShards(manifest, (file) => bytesSource(file, new Uint8Array(2)));
  throws(() => short.read(new Uint32Array(1), 0), { code: 'tokens.size' });
  throws(() => short.checkSizes(), { code: 'tokens.size' });
  const { manifest: two } = layOut([[[1], [2, 3]]], 100);
  for (const ends of [
    [2, 1],
    [1, 4],
  ]) {
    const wrong = new TokenShards(two, (file) => bytesSource(file, encodeTokens(ends, 'u32')));
    throws(() => wrong.readBounds(new Float64Array(3), 0), { code: 'tokens.ends' });
  }
  const small = new TokenShards({ ...manifest, vocabularySize: 50 }, (file) =>
    bytesSource(file, encodeTokens([1, 2, 99], 'u16')),
  );
  throws(() => small.read(new Uint32Array(3), 0), { code: 'tokens.id' });
});
