/** Laws that hold for every text and every id, and limits of time. */
import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { processorClock } from '../../test/support/processor-time.ts';
import { createTokenizer } from './create-tokenizer.ts';
import { mergeByHeap, mergeByScan, Symbols } from './encode/merge.ts';
import { namedSplits, splitPatterns } from './encode/named-splits.ts';
import { PairTable } from './encode/pair-table.ts';
import { compileSplitPattern, createSplitter, splitBy } from './encode/split-pattern.ts';
import { goldenHf, goldenHfFiles, goldenSentencePiece, metadataOf } from './testing/golden-files.ts';

const metaspace = goldenSentencePiece('tokenizers/sp-bpe-512');
const byteLevel = goldenHf('tokenizers/llama3-style-tiny');
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({
    unit: fc.constantFrom('a', 'the', ' ', '\n', '한', '🦙', '<s>', '<|eot_id|>', '\u0301', '’s', "'s", '12'),
    maxLength: 30,
  }),
);

test('decode after encode gives every text back (well-formed, and without a leading ▁ that reads as a space)', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const whole = text.toWellFormed();
      strictEqual(byteLevel.decode(byteLevel.encode(text)), whole);
      if (!whole.includes('▁')) strictEqual(metaspace.decode(metaspace.encode(text)), whole);
    }),
  );
});

test('merge by merge gives the same pieces: each merge joins two neighbours of the state before', () => {
  for (const tokenizer of [metaspace, byteLevel]) {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', 'the', ' ', 'er', 'n', 'in', 'g', '.'), maxLength: 30 }),
        (text) => {
          const words = tokenizer.merges(text);
          for (const { states, merges } of words) {
            strictEqual(merges.length, states.length - 1);
            for (const [i, { at }] of merges.entries()) {
              const before = states[i]!;
              const joined = [...before.slice(0, at), before[at]! + before[at + 1]!, ...before.slice(at + 2)];
              deepStrictEqual(states[i + 1], joined);
            }
          }
          const last = words.flatMap(({ states }) => states.at(-1)!);
          deepStrictEqual(last, tokenizer.pieces(tokenizer.encode(text)));
        },
      ),
    );
  }
  // By hand: in "▁the" the pair of lowest rank goes first, whatever its place.
  const [word] = metaspace.merges('the');
  deepStrictEqual(word!.states[0], ['▁', 't', 'h', 'e']);
  deepStrictEqual(word!.states.at(-1), metaspace.pieces(metaspace.encode('the')));
});

test('ordinary text never yields a control token', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      for (const tokenizer of [metaspace, byteLevel]) {
        const control = new Set(tokenizer.controlTokens.map(({ id }) => id));
        strictEqual(
          Array.from(tokenizer.encode(text)).some((id) => control.has(id)),
          false,
        );
      }
    }),
  );
});

test('one id at a time gives the text of all ids, and never half a character', () => {
  for (const tokenizer of [metaspace, byteLevel]) {
    const ids = fc.array(fc.nat(tokenizer.vocabSize - 1), { maxLength: 40 });
    fc.assert(
      fc.property(ids, fc.constantFrom('skip', 'text'), (list, special) => {
        const decoder = tokenizer.decoder({ special });
        const pieces = [...list.map((id) => decoder.push(id)), decoder.flush()];
        strictEqual(pieces.join(''), tokenizer.decode(list, { special }));
        for (const piece of pieces) strictEqual(piece.isWellFormed(), true);
      }),
    );
    fc.assert(
      fc.property(anyText, (text) => {
        const decoder = tokenizer.decoder();
        const pieces = Array.from(tokenizer.encode(text), (id) => decoder.push(id));
        if (!text.includes('\uFFFD') && text.isWellFormed()) strictEqual(pieces.join('').includes('\uFFFD'), false);
      }),
    );
  }
});

test('a character of four byte tokens appears when its last byte is there', () => {
  const decoder = metaspace.decoder();
  const ids = Array.from(metaspace.encode('🦙'));
  deepStrictEqual(
    ids.map((id) => decoder.push(id)),
    ['', '', '', '', '🦙'],
  );
});

test('segments encode as the joined text, apart from special tokens in untrusted ones', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ text: anyText, trusted: fc.boolean() }), { maxLength: 6 }), (segments) => {
      for (const tokenizer of [metaspace, byteLevel]) {
        const control = new Set(tokenizer.controlTokens.map(({ id }) => id));
        const ids = tokenizer.encodeSegments(segments);
        const all = segments.map(({ text }) => text).join('');
        const expected = segments
          .filter(({ trusted }) => trusted)
          .reduce(
            (sum, { text }) =>
              sum + Array.from(tokenizer.encode(text, { special: 'parse' })).filter((id) => control.has(id)).length,
            0,
          );
        strictEqual(ids.filter((id) => control.has(id)).length, expected);
        if (expected === 0) deepStrictEqual(ids, tokenizer.encode(all));
      }
    }),
  );
});

test('a special token that straddles segments stays text', () => {
  const spell = (texts: [string, boolean][]) =>
    byteLevel.pieces(byteLevel.encodeSegments(texts.map(([text, trusted]) => ({ text, trusted }))));
  strictEqual(spell([['<|eot_id|>', true]]).length, 1);
  strictEqual(spell([['<|eot_id|>', false]]).includes('<|eot_id|>'), false);
  strictEqual(
    spell([
      ['<|eot', true],
      ['_id|>', false],
    ]).includes('<|eot_id|>'),
    false,
  );
  strictEqual(
    spell([
      ['<|eot', true],
      ['_id|>', true],
    ]).includes('<|eot_id|>'),
    false,
  );
  deepStrictEqual(
    spell([
      ['<|eot_id|>', true],
      ['<|eot_id|>', false],
      ['<|eot_id|>', true],
    ]).filter((p) => p === '<|eot_id|>').length,
    2,
  );
});

test('merging by heap equals merging by scan', () => {
  const pairs = fc.array(fc.tuple(fc.nat(7), fc.nat(7), fc.nat(5), fc.nat(7)), { maxLength: 30 });
  fc.assert(
    fc.property(pairs, fc.array(fc.integer({ min: -1, max: 7 }), { maxLength: 60 }), (rules, ids) => {
      const table = new PairTable(4);
      for (const [left, right, rank, merged] of rules) table.add(left, right, rank, merged + 8 * (rank + 1));
      const run = (merge: (symbols: Symbols, table: PairTable) => void) => {
        const symbols = new Symbols();
        for (const [i, id] of ids.entries()) symbols.push(id, i);
        merge(symbols, table);
        return [
          Array.from(symbols.id.subarray(0, symbols.count)),
          Array.from(symbols.start.subarray(0, symbols.count)),
        ];
      };
      deepStrictEqual(run(mergeByHeap), run(mergeByScan));
    }),
    { numRuns: 500 },
  );
});

test('white space is Unicode’s, not JavaScript’s: U+0085 is, U+FEFF is not', () => {
  const words = (text: string) => {
    const found: string[] = [];
    splitBy(compileSplitPattern('f', splitPatterns.llama3), 'keep')(text, (word) => found.push(word));
    return found;
  };
  deepStrictEqual(words('a\u0085\u0085b'), ['a', '\u0085', '\u0085b']);
  deepStrictEqual(words('a \uFEFF b'), ['a', ' \uFEFF', ' b']);
  deepStrictEqual(words("I'LL don't’s 12345\r\n\n x"), [
    'I',
    "'LL",
    ' don',
    "'t",
    '’s',
    ' ',
    '123',
    '45',
    '\r\n\n',
    ' x',
  ]);
});

test('splitting of the other families: GPT-2 keeps digits together, Qwen 2 and SmolLM cut them apart', () => {
  const words = (name: string, text: string) => {
    const found: string[] = [];
    createSplitter(namedSplits.get(name)!)(text, (word) => found.push(word));
    return found;
  };
  const text = " 1234 it's\n\n x(y)";
  deepStrictEqual(words('gpt-2', text), [' 1234', ' it', "'s", '\n\n', ' x', '(', 'y', ')']);
  deepStrictEqual(words('qwen2', text), [' ', '1', '2', '3', '4', ' it', "'s", '\n\n', ' x', '(y', ')']);
  deepStrictEqual(words('smollm', text), [' ', '1', '2', '3', '4', ' it', "'s", '\n\n', ' x', '(', 'y', ')']);
});

test('a megabyte encodes in seconds, also as one word', () => {
  const took = processorClock();
  const line = 'theandofwithhereaboutsomething';
  for (const tokenizer of [metaspace, byteLevel]) {
    for (const text of [line.repeat(33_000), '<|'.repeat(20_000)]) {
      strictEqual(tokenizer.decode(tokenizer.encode(text)), text);
    }
  }
  ok(took() < 20_000, `${took()} ms`);
});

test('added tokens: strip white space, stand alone as words, and the longest wins', () => {
  const json = (flags: object) =>
    JSON.stringify({
      added_tokens: [
        { id: 4, content: '<x>', special: true, normalized: false, ...flags },
        { id: 5, content: '<x>y', special: false, normalized: false },
      ],
      normalizer: null,
      pre_tokenizer: null,
      decoder: null,
      model: { type: 'BPE', unk_token: '?', vocab: { '?': 0, a: 1, ' ': 2, b: 3 }, merges: [] },
    });
  const ids = (flags: object, text: string) =>
    Array.from(
      createTokenizer({ kind: 'hf', file: 't', json: json(flags), config: null, specialTokens: null }).encode(text, {
        special: 'parse',
      }),
    );
  deepStrictEqual(ids({}, 'a <x> b'), [1, 2, 4, 2, 3]);
  deepStrictEqual(ids({ lstrip: true }, 'a  <x> b'), [1, 4, 2, 3]);
  deepStrictEqual(ids({ rstrip: true }, 'a <x>  b'), [1, 2, 4, 3]);
  deepStrictEqual(ids({ single_word: true }, 'a<x>').includes(4), false);
  deepStrictEqual(ids({ single_word: true }, 'a <x>').includes(4), true);
  deepStrictEqual(ids({}, '<x>y<x>'), [5, 4]);
});

test('user-defined pieces of SentencePiece are found whole, unused ones are taken apart again', () => {
  const base = ['<unk>', '<s>', '</s>', '▁', 'a', 'b', 'ab', '▁a', 'abb', '[x]'];
  const scores = [0, 0, 0, -9, -8, -7, -1, -2, -3, 0];
  const types = [2, 3, 3, 1, 1, 1, 1, 1, 5, 4];
  const tokenizer = createTokenizer({ kind: 'gguf', file: 'g', metadata: metadataOf(base, scores, types) });
  deepStrictEqual(tokenizer.pieces(tokenizer.encode('abb[x]a')), ['▁', 'ab', 'b', '[x]', '▁a']);
  deepStrictEqual(Array.from(tokenizer.encode('azzb')), [7, 0, 5]);
  strictEqual(tokenizer.decode([7, 0, 5]), 'a ⁇ b');
});

test('tokenizer_config.json and special_tokens_map.json say which tokens are special and which template is meant', () => {
  const files = goldenHfFiles('tokenizers/sp-bpe-512');
  const config = JSON.stringify({
    add_bos_token: false,
    eos_token: { content: '<unk>' },
    chat_template: [
      { name: 'tool_use', template: 'T' },
      { name: 'default', template: 'D' },
    ],
  });
  const tokenizer = createTokenizer({ ...files, config, specialTokens: '{"pad_token":"</s>","eos_token":"</s>"}' });
  deepStrictEqual(
    [tokenizer.addBos, tokenizer.bosId, tokenizer.eosId, tokenizer.padId, tokenizer.chatTemplate],
    [false, 1, 0, 2, 'D'],
  );
  deepStrictEqual(Array.from(tokenizer.encode('', { bos: true, eos: true })), [1, 0]);
});

test('ids outside the vocabulary and a missing bos are refused', () => {
  for (const id of [-1, 512, 1.5, Number.NaN]) throws(() => metaspace.decode([id]), /expected an id from 0 to 511/);
  const bare = createTokenizer({
    kind: 'hf',
    file: 't',
    json: '{"model":{"vocab":{"a":0},"merges":[]}}',
    config: null,
    specialTokens: null,
  });
  throws(() => bare.encode('a', { bos: true }), /expected a tokenizer with a bos token/);
});

test('an option that encode or decode does not have is refused, with the nearest one; so is a value it does not have', () => {
  const encode = (options: object) => () => metaspace.encode('text', options);
  throws(encode({ parseSpecial: true }), { code: 'tokenizer.options', message: /parseSpecial is not an option/ });
  throws(encode({ boss: true }), { code: 'tokenizer.options', message: /did you mean bos\?/ });
  throws(encode({ special: 'Parse' }), { code: 'tokenizer.options', message: /expected "text" or "parse"/ });
  throws(() => metaspace.decode([1], { special: 'parse' as 'text' }), { code: 'tokenizer.options' });
});
