import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { bundledModels } from '../../platform/node/bundled-models.ts';
import { findTokenizerFiles } from '../../platform/node/load-tokenizer.ts';
import { byteVocabulary } from '../../tokenizer/byte-vocabulary.ts';
import { createTokenizer } from '../../tokenizer/create-tokenizer.ts';
import { mapVocabularies } from './vocabulary-map.ts';

const stories = createTokenizer(findTokenizerFiles(bundledModels()[0]!.path)!);
const large = { name: 'stories', vocabSize: stories.vocabSize, tokenizer: stories };
const bytes = (vocabSize: number) => ({
  name: `bytes ${vocabSize}`,
  vocabSize,
  tokenizer: createTokenizer(byteVocabulary(vocabSize), { vocabSize }),
});

test('the same vocabulary is no map', () => {
  strictEqual(mapVocabularies(large, large).toModel, null);
  strictEqual(mapVocabularies(bytes(300), bytes(300)).toModel, null);
});

test('a model whose pieces are a few of the draft’s: each piece finds its own, and control tokens their office', () => {
  const small = bytes(354);
  const { toDraft, toModel } = mapVocabularies(small, large);
  for (const letter of ['A', 'z', '<0x0A>', '▁']) {
    const [id, other] = [small.tokenizer.idOf(letter)!, stories.idOf(letter)!];
    deepStrictEqual(toDraft(id), [other], letter);
    strictEqual(toModel![other], id, letter);
  }
  deepStrictEqual(toDraft(small.tokenizer.bosId!), [stories.bosId]);
  ok(
    toModel!.some((id) => id === -1),
    'the draft has pieces that the model has not',
  );
});

test('a vocabulary with too little in common is refused, and what it shares is said', () => {
  throws(() => mapVocabularies(large, bytes(340)), /has \d+ of the \d+ pieces of stories, expected at least half/);
  throws(
    () => mapVocabularies({ ...large, tokenizer: null }, bytes(340)),
    /has 340 tokens and stories has \d+, expected equal vocabularies/,
  );
  strictEqual(mapVocabularies({ ...large, tokenizer: null }, { ...large, tokenizer: null }).toModel, null);
});

test('a token that the draft does not have is spelled with its own', () => {
  // The two vocabularies differ by the letters that only the larger one has: they are bytes to the other.
  const { toDraft } = mapVocabularies(bytes(354), bytes(330));
  const model = bytes(354).tokenizer;
  const id = model.idOf('~')!;
  deepStrictEqual(toDraft(id), [bytes(330).tokenizer.idOf('<0x7E>')]);
});
