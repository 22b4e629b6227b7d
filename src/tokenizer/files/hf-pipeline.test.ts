import { deepStrictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { createTokenizer } from '../create-tokenizer.ts';

/** Gemma's stages: spaces become ▁, then a cut at spaces, of which there are none any more. */
function gemma(normalizer: object) {
  const pieces = ['<unk>', 'a', 'b', '▁', '▁a', '▁▁', 'ab'];
  const json = JSON.stringify({
    normalizer,
    pre_tokenizer: { type: 'Split', pattern: { String: ' ' }, behavior: 'MergedWithPrevious', invert: false },
    model: {
      type: 'BPE',
      unk_token: '<unk>',
      vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
      merges: [
        ['▁', '▁'],
        ['▁', 'a'],
        ['a', 'b'],
      ],
    },
  });
  return createTokenizer({ kind: 'hf', file: 't.json', json, config: null, specialTokens: null });
}

test("Gemma's tokenizer.json: text is not cut, and merges cross spaces", () => {
  const tokenizer = gemma({ type: 'Replace', pattern: { String: ' ' }, content: '▁' });
  deepStrictEqual(tokenizer.pieces(tokenizer.encode('ab a  b')), ['ab', '▁a', '▁▁', 'b']);
});

test('the same cut where spaces are left is refused, as it would mean something', () => {
  throws(() => gemma({ type: 'NFC' }), /expected Isolated, or Removed with invert/);
});

test('Punctuation stages cut every sign apart', () => {
  const json = JSON.stringify({
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [{ type: 'Punctuation' }, { type: 'ByteLevel', add_prefix_space: false, use_regex: false }],
    },
    model: {
      type: 'BPE',
      vocab: { a: 0, '!': 1, 'a!': 2, '!!': 3 },
      merges: [
        ['!', '!'],
        ['a', '!'],
      ],
    },
  });
  const tokenizer = createTokenizer({ kind: 'hf', file: 't.json', json, config: null, specialTokens: null });
  deepStrictEqual(tokenizer.pieces(tokenizer.encode('a!!a')), ['a', '!', '!', 'a']);
});
