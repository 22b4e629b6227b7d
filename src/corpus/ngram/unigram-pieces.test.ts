import { deepStrictEqual, strictEqual, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { missing, shared } from '../../../test/support/shared.ts';
import { parseUnigramModel, UnigramPieces } from './unigram-pieces.ts';

test('the best path wins over the longest piece', () => {
  const model = new UnigramPieces([
    { text: '▁', score: -1 },
    { text: 'ab', score: -3 },
    { text: 'abc', score: -9 },
    { text: 'c', score: -2 },
    { text: '▁a', score: -5 },
    { text: 'bc', score: -4 },
  ]);
  deepStrictEqual(model.encode('abc'), ['▁', 'ab', 'c']); // −6, against −10 and −9
  deepStrictEqual(model.encode('  ab\tc '), ['▁', 'ab', '▁', 'c']);
  deepStrictEqual(model.encode('xyab'), ['▁', 'xy', 'ab'], 'neighbouring unknown characters are one piece');
  deepStrictEqual(model.encode(''), []);
});

test("pieces of SentencePiece's own test model, as its Python package cuts them", {
  skip: missing('real/tokenizers/sentencepiece/test_model.model'),
}, () => {
  const model = parseUnigramModel(
    readFileSync(shared('real/tokenizers/sentencepiece/test_model.model')),
    'test_model.model',
  )!;
  // Made with sentencepiece 0.2 (encode, out_type=str); over all 4,288 lines of botchan.txt both agree as well.
  const expected: [string, string[]][] = [
    ['this is a test', ['▁this', '▁is', '▁a', '▁', 't', 'est']],
    ['the 000 cafe é x', ['▁the', '▁', '0', '0', '0', '▁c', 'a', 'f', 'e', '▁', 'é', '▁', 'x']],
    ['i could not tell how', ['▁', 'i', '▁could', '▁not', '▁tell', '▁how']],
    ['he said ◆◆ zebra', ['▁he', '▁said', '▁', '◆◆', '▁', 'z', 'e', 'b', 'r', 'a']],
  ];
  for (const [text, pieces] of expected) deepStrictEqual(model.encode(text), pieces);
});

test('a BPE model is not a unigram model, and rubbish is refused', () => {
  const bpe = new URL('../../../test/golden/tokenizers/sp-bpe-512/tokenizer.model', import.meta.url);
  strictEqual(parseUnigramModel(readFileSync(bpe), 'bpe.model'), undefined);
  throws(() => parseUnigramModel(Uint8Array.of(10, 200, 1, 1), 'cut.model'), { name: 'FormatError' });
});
