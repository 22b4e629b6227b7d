import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { goldenPath } from '../../../../test/support/golden.ts';
import { missing, shared } from '../../../../test/support/shared.ts';
import { readGguf } from '../../../formats/gguf.ts';
import type { GgufField } from '../../../formats/gguf-values.ts';
import { writeGguf } from '../../../formats/gguf-write.ts';
import { MemorySource } from '../../../formats/memory-source.ts';
import { MemorySink } from '../../../formats/sink.ts';
import type { TokenizerFiles } from '../../../formats/tokenizer-files.ts';
import { openFile } from '../../../platform/node/files.ts';
import { createTokenizer } from '../../../tokenizer/create-tokenizer.ts';
import { ggufTokenizer } from '../find-tokenizer.ts';
import { ggufTokenizerFields } from './gguf-tokenizer.ts';
import { byteLevelHfOf } from './hf-tokenizer.ts';
import { sentencePieceOf } from './sentencepiece-write.ts';

const bytes = (path: string) => new Uint8Array(readFileSync(path));
const sentencepiece = (path: string): TokenizerFiles => ({
  kind: 'sentencepiece',
  file: 'tokenizer.model',
  bytes: bytes(path),
});
const hf = (path: string): TokenizerFiles => ({
  kind: 'hf',
  file: 'tokenizer.json',
  json: readFileSync(path, 'utf8'),
  config: null,
  specialTokens: null,
});
const tiktoken = (path: string): TokenizerFiles => ({ kind: 'tiktoken', file: 'tokenizer.model', bytes: bytes(path) });

const texts = [
  '',
  ' ',
  'The old captain watched the river, and a friend said hello.',
  '  two  spaces\n\n\tand a tab ',
  '한국어 🦙 naïve café',
  "I'll pay 1234567 won; they'd WE'LL see.\r\n",
  'def f(x):\n    return x ** 2  # ok',
  'aaaaaaaaaaaaaaaaaaaa',
  '\u{1F468}‍\u{1F469}‍\u{1F467}',
];

/** Text gives the same ids through the original files and through a GGUF file made of them. */
function assertSameIds(files: TokenizerFiles, vocabSize: number): void {
  const original = createTokenizer(files, { vocabSize });
  const sink = new MemorySink();
  writeGguf(sink, ggufTokenizerFields(files, vocabSize), []);
  const written = ggufTokenizer('m.gguf', readGguf(new MemorySource('m.gguf', sink.bytes())));
  ok(written);
  const copy = createTokenizer(written);
  for (const text of texts) deepStrictEqual([...copy.encode(text)], [...original.encode(text)], JSON.stringify(text));
  for (const text of texts) strictEqual(copy.decode(copy.encode(text)), original.decode(original.encode(text)));
  deepStrictEqual(
    [copy.bosId, copy.eosId, copy.addBos, copy.addEos],
    [original.bosId, original.eosId, original.addBos, original.addEos],
  );
}

const tokenizers = 'tokenizers';
test('SentencePiece becomes "llama"', () => {
  assertSameIds(sentencepiece(goldenPath(`${tokenizers}/sp-bpe-512/tokenizer.model`)), 512);
  assertSameIds(sentencepiece(goldenPath(`${tokenizers}/sp-bpe-1000/tokenizer.model`)), 1024);
});

test('tokenizer.json with byte fallback becomes "llama"', () => {
  assertSameIds(hf(goldenPath(`${tokenizers}/sp-bpe-512/tokenizer.json`)), 512);
});

test('byte-level BPE, from tokenizer.json and from ranks, becomes "gpt2"', () => {
  const size = createTokenizer(hf(goldenPath(`${tokenizers}/llama3-style-tiny/tokenizer.json`))).vocabSize;
  assertSameIds(hf(goldenPath(`${tokenizers}/llama3-style-tiny/tokenizer.json`)), size);
  assertSameIds(tiktoken(goldenPath(`${tokenizers}/llama3-style-tiny/tokenizer.model`)), size);
});

test("the pieces, scores and ids are those of llama.cpp's converter", () => {
  const path = goldenPath('formats/gguf-llama-cpp-converter');
  const theirs = readGguf(openFile(`${path}/model-f16.gguf`)).fields;
  const ours = ggufTokenizerFields(sentencepiece(`${path}/hf/tokenizer.model`), 512);
  for (const key of [
    'model',
    'pre',
    'tokens',
    'bos_token_id',
    'eos_token_id',
    'add_bos_token',
    'add_eos_token',
    'add_space_prefix',
  ]) {
    if (key !== 'token_type')
      deepStrictEqual(ours.get(`tokenizer.ggml.${key}`), theirs.get(`tokenizer.ggml.${key}`), key);
  }
  const scores = (fields: ReadonlyMap<string, GgufField>) =>
    (fields.get('tokenizer.ggml.scores')!.value as Float32Array).subarray(3);
  deepStrictEqual(scores(ours), scores(theirs)); // <unk>, <s> and </s> have no score that matters
});

test('a vocabulary copied from GGUF is written as it was read', () => {
  const source = readGguf(openFile(goldenPath('formats/gguf-llama-mixed/model.gguf')));
  const expected = [...source.fields].filter(([key]) => key.startsWith('tokenizer.'));
  deepStrictEqual([...ggufTokenizerFields(ggufTokenizer('m', source)!, 512)], expected);
});

test('a SentencePiece vocabulary inside GGUF becomes tokenizer.model again', () => {
  const gguf = ggufTokenizer('m', readGguf(openFile(goldenPath('formats/gguf-llama-mixed/model.gguf'))))!;
  assertSameIds(gguf, 512);
  const model = sentencePieceOf(gguf, 512);
  ok(model);
  const [original, copy] = [
    createTokenizer(gguf),
    createTokenizer({ kind: 'sentencepiece', file: 'tokenizer.model', bytes: model }),
  ];
  for (const text of texts) deepStrictEqual([...copy.encode(text)], [...original.encode(text)], text);
  deepStrictEqual([copy.bosId, copy.eosId, copy.unknownId], [original.bosId, original.eosId, original.unknownId]);
});

/** The same through a tokenizer.json made of the vocabulary, and through a GGUF file made of that. */
function assertFolderHasSameIds(files: TokenizerFiles, vocabSize: number): void {
  const written = byteLevelHfOf(files, vocabSize);
  ok(written);
  const folder: TokenizerFiles = { kind: 'hf', file: 'tokenizer.json', ...written, specialTokens: null };
  const [original, copy] = [createTokenizer(files, { vocabSize }), createTokenizer(folder)];
  for (const bos of [true, false])
    for (const text of texts)
      deepStrictEqual([...copy.encode(text, { bos })], [...original.encode(text, { bos })], text);
  const controls = original.controlTokens.map(({ content }) => content).join(' a ');
  deepStrictEqual(
    [...copy.encode(controls, { special: 'parse' })],
    [...original.encode(controls, { special: 'parse' })],
  );
  deepStrictEqual([...copy.encode(controls)], [...original.encode(controls)]);
  deepStrictEqual([copy.bosId, copy.eosId, copy.addBos], [original.bosId, original.eosId, original.addBos]);
  assertSameIds(folder, vocabSize);
}

test('byte-level BPE inside GGUF, and as ranks, becomes tokenizer.json again', () => {
  const folder = `${tokenizers}/llama3-style-tiny`;
  const json = hf(goldenPath(`${folder}/tokenizer.json`));
  const size = createTokenizer(json).vocabSize;
  const sink = new MemorySink();
  writeGguf(sink, ggufTokenizerFields(json, size + 3), []);
  const gguf = ggufTokenizer('m.gguf', readGguf(new MemorySource('m.gguf', sink.bytes())))!;
  assertFolderHasSameIds(gguf, size + 3); // three pieces of padding, which are left out
  strictEqual(createTokenizer(gguf).decode([size, size + 2]), '', 'padding has no text');
  assertFolderHasSameIds(tiktoken(goldenPath(`${folder}/tokenizer.model`)), size);
  strictEqual(byteLevelHfOf(sentencepiece(goldenPath(`${tokenizers}/sp-bpe-512/tokenizer.model`)), 512), null);
});

const real = 'real/tokenizers';
test("Llama 2's, llama2.c's and Llama 3's real tokenizers", { skip: missing(real) }, () => {
  assertSameIds(sentencepiece(shared(`${real}/llama2_tokenizer.model`)), 32_000);
  assertSameIds(
    { kind: 'llama2c', file: 'tokenizer.bin', bytes: bytes(shared(`${real}/llama2_tokenizer.bin`)) },
    32_000,
  );
  assertSameIds(tiktoken(shared(`${real}/llama3_tokenizer.model`)), 128_256);
  assertFolderHasSameIds(tiktoken(shared(`${real}/llama3_tokenizer.model`)), 128_256);
});
