/** Text is cut into words as llama.cpp does it, under every name of tokenizer.ggml.pre (test/golden/tokenizers/pre-tokenizers). */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { createTokenizer } from '../src/tokenizer/create-tokenizer.ts';
import { namedSplits } from '../src/tokenizer/encode/named-splits.ts';
import { goldenPath } from './support/golden.ts';
import { pairVocabulary } from './support/pair-vocabulary.ts';

interface Vectors {
  readonly texts: readonly string[];
  /** By name; a text names another entry with the same ids. */
  readonly ids: Readonly<Record<string, readonly (readonly number[])[] | string>>;
}

const vectors = JSON.parse(readFileSync(goldenPath('tokenizers/pre-tokenizers/vectors.json'), 'utf8')) as Vectors;
const tokenizerOf = (pre: string | null) =>
  createTokenizer({ kind: 'gguf', file: 'pairs', metadata: pairVocabulary(pre) });

describe("pre-tokenizers: ids equal llama.cpp's", () => {
  for (const [name, recorded] of Object.entries(vectors.ids)) {
    const expected = typeof recorded === 'string' ? vectors.ids[recorded]! : recorded;
    const tokenizer = tokenizerOf(name === '(absent)' ? null : name);
    test(`${name}: ${vectors.texts.length} texts`, () => {
      for (const [i, text] of vectors.texts.entries()) {
        deepStrictEqual([...tokenizer.encode(text)], expected[i], JSON.stringify(text));
        strictEqual(tokenizer.decode(tokenizer.encode(text)), text);
      }
    });
  }
});

test('every name of the table is recorded, but for those that llama.cpp does not have', () => {
  const missing = [...namedSplits.keys()].filter((name) => vectors.ids[name] === undefined);
  deepStrictEqual(missing, ['phi-3', 'phi-4', 'granite']);
});

test('a vocabulary that does not say how it cuts text is guessed, and that is said', () => {
  match(
    tokenizerOf(null).remarks.join(),
    /does not say .* taken as default, as llama\.cpp takes it\. Another: --pre NAME/,
  );
  strictEqual(tokenizerOf('qwen2').remarks.length, 0);
  const llama3 = pairVocabulary(null);
  const tokens = llama3.get('tokenizer.ggml.tokens') as string[];
  const more = Array.from({ length: 128_256 - tokens.length }, (_, i) =>
    i === 0 ? '<|begin_of_text|>' : `<more ${i}>`,
  );
  llama3.set('tokenizer.ggml.tokens', [...tokens, ...more]);
  llama3.set('tokenizer.ggml.token_type', new Int32Array(128_256).fill(1));
  const guessed = createTokenizer({ kind: 'gguf', file: 'f', metadata: llama3 });
  match(
    guessed.remarks.join(),
    /taken as llama-bpe, as its 128256 tokens with <\|begin_of_text\|> are those of Llama 3/,
  );
  ok(guessed.addBos);
});
