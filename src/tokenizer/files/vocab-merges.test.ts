import { deepStrictEqual, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { letterOfByte } from '../byte-alphabet.ts';
import { readHfTokenizer } from './read-hf.ts';
import { type SlowTokenizerFiles, tokenizerJsonOfSlow } from './vocab-merges.ts';

const vocab: Record<string, number> = Object.fromEntries(letterOfByte.map((letter, id) => [letter, id]));
for (const piece of ['th', 'the', 'Ġthe', '12', '<|endoftext|>']) vocab[piece] = Object.keys(vocab).length;
const merges = '#version: 0.2\nt h\nth e\nĠ the\n1 2\n';
const id = (piece: string) => vocab[piece]!;

function read(changes: Partial<SlowTokenizerFiles>) {
  const config = JSON.stringify({ tokenizer_class: 'GPT2Tokenizer', eos_token: '<|endoftext|>' });
  const files = { vocab: JSON.stringify(vocab), merges, addedTokens: null, config, specialTokens: null, model: null };
  const all = { ...files, ...changes };
  return readHfTokenizer('vocab.json', tokenizerJsonOfSlow(all), all.config, all.specialTokens);
}

test('GPT-2: merges in their order, numbers in one word, the special token only where it is asked for', () => {
  const gpt2 = read({});
  deepStrictEqual([...gpt2.encode('the the 12')], [id('the'), id('Ġthe'), id('Ġ'), id('12')]);
  strictEqual(gpt2.encode('<|endoftext|>').length, 13);
  deepStrictEqual([...gpt2.encode('<|endoftext|>', { special: 'parse' })], [id('<|endoftext|>')]);
  strictEqual(gpt2.eosId, id('<|endoftext|>'));
  strictEqual(gpt2.addBos, false);
  strictEqual(gpt2.decode(gpt2.encode('한 the 12\n')), '한 the 12\n');
  const spaced = read({ config: JSON.stringify({ tokenizer_class: 'GPT2TokenizerFast', add_prefix_space: true }) });
  deepStrictEqual([...spaced.encode('the')], [id('Ġthe')]);
  const withBos = JSON.stringify({
    tokenizer_class: 'GPT2Tokenizer',
    bos_token: { content: '<|endoftext|>' },
    add_bos_token: true,
  });
  const begun = read({ config: withBos });
  deepStrictEqual([begun.addBos, begun.bosId], [true, id('<|endoftext|>')]);
});

test('Qwen 2, by its class or by config.json: digits one by one, composed text, tokens from both lists of added ones', () => {
  const count = Object.keys(vocab).length;
  const decoder = { [count]: { content: '<|im_start|>', special: true }, [count + 1]: { content: '<tool>' } };
  for (const changes of [
    { config: JSON.stringify({ tokenizer_class: 'Qwen2Tokenizer', added_tokens_decoder: decoder }) },
    {
      config: null,
      model: '{"model_type":"qwen2"}',
      addedTokens: JSON.stringify({ '<|im_start|>': count, '<tool>': count + 1 }),
      specialTokens: JSON.stringify({ additional_special_tokens: ['<|im_start|>'] }),
    },
  ]) {
    const qwen2 = read(changes);
    deepStrictEqual([...qwen2.encode('12')], [id('1'), id('2')]);
    deepStrictEqual([...qwen2.encode('e\u0301')], [...qwen2.encode('é')]);
    deepStrictEqual([...qwen2.encode('<tool>')], [count + 1], 'not special: found in any text');
    deepStrictEqual([...qwen2.encode('<|im_start|>', { special: 'parse' })], [count]);
    strictEqual(qwen2.encode('<|im_start|>').length > 1, true);
  }
});

test('wrong files are said with file and place', () => {
  throws(() => read({ config: null }), { code: 'tokenizer.unsupported', message: /found none.*tokenizer\.json/ });
  throws(() => read({ config: '{"tokenizer_class":"RobertaTokenizer"}' }), { message: /found "RobertaTokenizer"/ });
  throws(() => read({ merges: 't h\nthe\n' }), { code: 'tokenizer.invalid', message: /merges\.txt @ line 2.*"the"/ });
  throws(() => read({ merges: 't h\nt h e\n' }), { message: /merges\.txt @ line 2/ });
  throws(() => read({ vocab: '[]' }), { message: /vocab\.json.*expected an object/ });
  throws(() => read({ vocab: '{"a": -1}' }), { message: /vocab\.json @ a/ });
  throws(() => read({ addedTokens: '{"a": "b"}' }), { message: /added_tokens\.json @ a/ });
  throws(() => read({ merges: 'x zzz\n' }), { code: 'tokenizer.invalid' });
});
