import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { byteVocabulary, LEAST_BYTE_VOCABULARY } from './byte-vocabulary.ts';
import { createTokenizer } from './create-tokenizer.ts';

for (const size of [LEAST_BYTE_VOCABULARY, 300, 512, 32_000]) {
  test(`a byte vocabulary of ${size} encodes and decodes every text`, () => {
    const tokenizer = createTokenizer(byteVocabulary(size));
    assert.equal(tokenizer.vocabSize, size);
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        // SentencePiece writes a space as ▁, so that one comes back as the other.
        assert.equal(tokenizer.decode(tokenizer.encode(text)), text.replaceAll('▁', ' '));
      }),
      { numRuns: 50, examples: [['▁']] },
    );
    assert.equal(tokenizer.encode('<s>', { bos: true }).length > 2, true);
  });
}
