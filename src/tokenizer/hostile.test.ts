/** Damaged and hostile tokenizer files: one clear error, in bounded time and memory, never a crash. */
import { ok, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { processorClock } from '../../test/support/processor-time.ts';
import { CriaError, FormatError } from '../base/errors.ts';
import type { GgufValue, TokenizerFiles } from '../formats/tokenizer-files.ts';
import { createTokenizer } from './create-tokenizer.ts';
import { goldenBytes, goldenText, metadataOf } from './testing/golden-files.ts';

const sp = goldenBytes('tokenizers/sp-bpe-512/tokenizer.model');
const tiktoken = goldenBytes('tokenizers/llama3-style-tiny/tokenizer.model');
const json = goldenText('tokenizers/sp-bpe-512/tokenizer.json');
const bin = Uint8Array.from([
  5,
  0,
  0,
  0,
  ...['<unk>', '<s>', '</s>', 'a', ' ', ' a'].flatMap((text) => [
    0,
    0,
    0,
    0,
    text.length,
    0,
    0,
    0,
    ...new TextEncoder().encode(text),
  ]),
]);

/** Passes if the file is refused by one of our errors, or read and usable. */
function readOrRefuse(files: TokenizerFiles): 'read' | 'refused' {
  try {
    const tokenizer = createTokenizer(files);
    tokenizer.decode(tokenizer.encode('Hello <s> 한 12'));
    return 'read';
  } catch (error) {
    if (!(error instanceof CriaError)) throw error;
    return 'refused';
  }
}

const binary = [
  ['sentencepiece', sp],
  ['tiktoken', tiktoken],
  ['llama2c', bin],
] as const;

for (const [kind, bytes] of binary) {
  test(`${kind}: every kind of truncation and corruption is read or refused with our own error`, () => {
    strictEqual(readOrRefuse({ kind, file: 'f', bytes }), 'read');
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), (end) => {
        readOrRefuse({ kind, file: 'f', bytes: bytes.slice(0, end) });
      }),
    );
    const edits = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(edits, (list) => {
        const broken = bytes.slice();
        for (const [at, byte] of list) broken[at] = byte;
        readOrRefuse({ kind, file: 'f', bytes: broken });
      }),
    );
  });
}

test('tokenizer.model cut inside a piece says at which byte', () => {
  throws(
    () => createTokenizer({ kind: 'sentencepiece', file: 't.model', bytes: sp.slice(0, 1001) }),
    (error: FormatError) => error instanceof FormatError && /^t\.model @ byte \d+: expected/.test(error.message),
  );
});

test('tokenizer.model with a length of 2^60 is refused at once', () => {
  const bytes = Uint8Array.from([0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 1, 2, 3]);
  throws(
    () => createTokenizer({ kind: 'sentencepiece', file: 'f', bytes }),
    /expected a field of 1152921504606847000 bytes, found 3 left/,
  );
});

test('tokenizer.model with a negative length is refused, not walked backwards', () => {
  const bytes = Uint8Array.from([0x0a, ...new Array(9).fill(0xff), 0x01, 1, 2, 3]);
  throws(() => createTokenizer({ kind: 'sentencepiece', file: 'f', bytes }), /expected a field of -1 bytes/);
});

test('duplicate pieces, invalid UTF-8 and NaN scores are refused', () => {
  const piece = (text: number[], score = [0, 0, 0, 0]) => {
    const body = [0x0a, text.length, ...text, 0x15, ...score];
    return [0x0a, body.length, ...body];
  };
  const unknown = [0x0a, 7, 0x0a, 3, 0x3c, 0x75, 0x3e, 0x18, 2];
  const trainer = [0x12, 2, 0x18, 2];
  const read = (...parts: number[][]) =>
    createTokenizer({ kind: 'sentencepiece', file: 'f', bytes: Uint8Array.from(parts.flat()) });
  strictEqual(read(unknown, piece([0x61]), trainer).vocabSize, 2);
  throws(
    () => read(unknown, piece([0x61]), piece([0x61]), trainer),
    /expected distinct pieces, found "a" also as piece 1/,
  );
  throws(() => read(unknown, piece([0xff, 0xfe]), trainer), /expected UTF-8 text/);
  throws(() => read(unknown, piece([0x61], [0, 0, 0xc0, 0x7f]), trainer), /expected a score, found NaN/);
  throws(() => read(piece([0x61]), trainer), /expected a piece of kind "unknown"/);
  throws(
    () => read(unknown, [0x12, 2, 0x18, 3]),
    /expected a SentencePiece BPE or unigram model, found model type word/,
  );
  const unigram = [0x12, 2, 0x18, 1];
  throws(
    () => read(unknown, piece([0x61], [0, 0, 0x80, 0x7f]), unigram),
    /piece 1: expected a finite score, found Infinity/,
  );
  const table = (...bytes: number[]) => [0x1a, bytes.length + 2, 0x12, bytes.length, ...bytes];
  throws(() => read(unknown, unigram, table(1, 2, 3)), /normalisation table: expected a trie of whole units/);
  throws(() => read(unknown, unigram, table(4, 0, 0, 0, 0, 0, 0, 0, 0x61)), /and replacements that end/);
  // A trie whose offsets lead out of it maps nothing.
  strictEqual(
    read(unknown, piece([0x61]), unigram, table(4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0)).encode('a').length,
    2,
  );
});

test('tokenizer.json: wrong types, missing merges, absurd ids, unknown stages, deep nesting', () => {
  const refused = (edit: (root: ReturnType<typeof JSON.parse>) => void, message: RegExp) => {
    const root = JSON.parse(json);
    edit(root);
    throws(
      () => createTokenizer({ kind: 'hf', file: 't', json: JSON.stringify(root), config: null, specialTokens: null }),
      message,
    );
  };
  refused((root) => (root.model.vocab = []), /model\.vocab: expected an object/);
  refused((root) => (root.model.vocab.a = 4e9), /model\.vocab\.a: expected ids from 0/);
  refused((root) => (root.model.vocab.a = root.model.vocab.b), /expected an id of its own/);
  refused(
    (root) => (root.model.merges[0] = ['zz', 'q']),
    /merge 0: expected "zz" \+ "q" to join two pieces into a third/,
  );
  refused((root) => (root.model.merges[3] = ['', 'a']), /merge 3/);
  refused((root) => (root.model.merges[1] = 7), /model\.merges\[1\]: expected two pieces/);
  refused((root) => (root.model.dropout = 0.1), /model\.dropout: expected null/);
  refused((root) => (root.normalizer = { type: 'Precompiled' }), /normalizer\.type: expected NFC/);
  refused(
    (root) => (root.pre_tokenizer = { type: 'Whitespace' }),
    /expected ByteLevel, Digits, Punctuation, Split or Metaspace/,
  );
  refused((root) => (root.added_tokens[0].content = 'other'), /expected the piece <unk> that vocab has there/);
  const split = (Regex: string) => ({
    type: 'Sequence',
    pretokenizers: [
      { type: 'Split', pattern: { Regex }, behavior: 'Isolated' },
      { type: 'ByteLevel', add_prefix_space: false },
    ],
  });
  refused(
    (root) => (root.pre_tokenizer = split('(a*)*')),
    /expected no repeated group that may match nothing, found one/,
  );
  refused((root) => (root.pre_tokenizer = split('(a)\\1')), /expected an escape that is known, found \\1/);
  refused((root) => (root.pre_tokenizer = split('[')), /expected a closing bracket, found the end in the pattern "\["/);
  const deep = '['.repeat(100_000);
  strictEqual(readOrRefuse({ kind: 'hf', file: 't', json: deep, config: null, specialTokens: null }), 'refused');
  strictEqual(
    readOrRefuse({
      kind: 'hf',
      file: 't',
      json: `{"model":{"vocab":${deep}${']'.repeat(100_000)}}}`,
      config: null,
      specialTokens: null,
    }),
    'refused',
  );
  strictEqual(
    readOrRefuse({ kind: 'hf', file: 't', json, config: '{"chat_template": 5}', specialTokens: null }),
    'refused',
  );
});

test('vocabularies made to be slow: one huge piece of many characters, added tokens of every length', () => {
  const took = processorClock();
  const many = Array.from({ length: 20_000 }, (_, i) => String.fromCharCode(0x3400 + i))
    .join('')
    .repeat(20);
  const metadata = metadataOf(['<unk>', '<s>', '</s>', many], [0, 0, 0, -1], [2, 3, 3, 1]);
  strictEqual(readOrRefuse({ kind: 'gguf', file: 'g', metadata }), 'read');
  const added_tokens = Array.from({ length: 1000 }, (_, i) => ({
    id: i + 2,
    content: 'a'.repeat(i + 2),
    special: false,
    normalized: false,
  }));
  const slow = JSON.stringify({ added_tokens, model: { vocab: { a: 0, b: 1 }, merges: [] } });
  const tokenizer = createTokenizer({ kind: 'hf', file: 't', json: slow, config: null, specialTokens: null });
  strictEqual(tokenizer.encode('ab'.repeat(100_000)).length, 200_000);
  strictEqual(tokenizer.encode('a'.repeat(100_100)).length, 100);
  ok(took() < 20_000, `${took()} ms`);
});

test('tokenizer.json: any single value replaced is read or refused with our own error', () => {
  const paths: (string | number)[][] = [];
  const walk = (value: unknown, path: (string | number)[]) => {
    paths.push(path);
    if (Array.isArray(value)) for (const [i, inner] of value.slice(0, 3).entries()) walk(inner, [...path, i]);
    else if (value !== null && typeof value === 'object')
      for (const [key, inner] of Object.entries(value).slice(0, 12)) walk(inner, [...path, key]);
  };
  walk(JSON.parse(json), []);
  for (const path of paths.slice(1)) {
    for (const value of [null, -1, 'x', [], {}, true]) {
      const root = JSON.parse(json);
      const parent = path.slice(0, -1).reduce((node, key) => node[key], root);
      parent[path.at(-1)!] = value;
      readOrRefuse({ kind: 'hf', file: 't', json: JSON.stringify(root), config: null, specialTokens: null });
    }
  }
});

test('GGUF: lists of different lengths, wrong types, unknown kinds and patterns', () => {
  const refused = (edit: (metadata: Map<string, GgufValue>) => void, message: RegExp) => {
    const metadata = metadataOf(['<unk>', '<s>', '</s>', 'a'], [0, 0, 0, -1], [2, 3, 3, 1]);
    edit(metadata);
    throws(() => createTokenizer({ kind: 'gguf', file: 'g', metadata }), message);
  };
  const at = (key: string, value: GgufValue) => (metadata: Map<string, GgufValue>) =>
    void metadata.set(`tokenizer.ggml.${key}`, value);
  refused(at('scores', Float32Array.of(1)), /tokenizer\.ggml\.scores: expected 4 numbers/);
  refused(at('token_type', Int32Array.of(1)), /expected 4 numbers/);
  refused(at('token_type', Int32Array.of(2, 3, 3, 9)), /expected a type from 0 to 6, found 9/);
  refused(at('token_type', Int32Array.of(2, 3, 3, 6)), /expected a byte piece like <0x41>, found "a"/);
  refused(at('tokens', 5), /tokenizer\.ggml\.tokens: expected a list of strings/);
  refused(at('bos_token_id', 77), /expected an id from 0 to 3, found 77/);
  refused(at('model', 't5'), /expected llama or gpt2, found "t5"/);
  refused(
    (metadata) => metadata.set('tokenizer.ggml.model', 'gpt2').set('tokenizer.ggml.pre', 'mystery'),
    /expected one of default, llama-bpe, .*gpt-2/,
  );
  const noScores = metadataOf(['<unk>', '<s>', '</s>', '▁a'], [], [2, 3, 3, 1]);
  noScores.delete('tokenizer.ggml.scores');
  const tokenizer = createTokenizer({ kind: 'gguf', file: 'g', metadata: noScores });
  strictEqual(tokenizer.decode([3, 3]), 'a a');
  throws(() => tokenizer.encode('a'), /so text cannot be encoded/);
});
