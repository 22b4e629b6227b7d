import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { fimTokensOf } from './fim.ts';
import { createVocabulary, PieceKind } from './vocabulary.ts';

const vocabularyOf = (pieces: string[]) =>
  createVocabulary('v', pieces, new Uint8Array(pieces.length).fill(PieceKind.control), 'first');

test('the tokens of published vocabularies, by their pieces', () => {
  const qwen = [
    'a',
    '<|fim_prefix|>',
    '<|fim_middle|>',
    '<|fim_suffix|>',
    '<|fim_pad|>',
    '<|repo_name|>',
    '<|file_sep|>',
  ];
  deepStrictEqual(fimTokensOf(vocabularyOf(qwen)), { prefix: 1, middle: 2, suffix: 3, pad: 4, repository: 5, file: 6 });
  const codeLlama = ['▁<PRE>', '▁<MID>', '▁<SUF>'];
  const none = { pad: null, repository: null, file: null };
  deepStrictEqual(fimTokensOf(vocabularyOf(codeLlama)), { prefix: 0, middle: 1, suffix: 2, ...none });
});

test('ids that a file names come first; without all three nothing else is taken for a mark', () => {
  const pieces = ['<fim_prefix>', '<fim_suffix>', '<fim_middle>', 'x', '<|file_sep|>'];
  strictEqual(fimTokensOf(vocabularyOf(pieces), { prefix: 3 }).prefix, 3);
  strictEqual(fimTokensOf(vocabularyOf(pieces)).file, 4);
  deepStrictEqual(fimTokensOf(vocabularyOf(pieces.slice(1))).file, null);
});
