import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { withPieces } from './tokens.ts';

const tokenizer = { bytesOf: (id: number) => Uint8Array.of(id) };

test('tokens with their pieces: a text, or the bytes of what is none', () => {
  for (const ids of [[], [65], [65, 200, 34, 65]]) {
    const tokens = ids.map((id) => ({ id, piece: id < 128 ? String.fromCharCode(id) : [id] }));
    strictEqual(new TextDecoder().decode(withPieces(tokenizer, Uint32Array.from(ids))), JSON.stringify({ tokens }));
  }
});

test('a token that comes again is not looked up again', () => {
  const asked: number[] = [];
  const counted = {
    bytesOf(id: number) {
      asked.push(id);
      return Uint8Array.of(id);
    },
  };
  withPieces(
    counted,
    Uint32Array.from({ length: 1000 }, (_, i) => 65 + (i % 3)),
  );
  deepStrictEqual(asked, [65, 66, 67]);
});
