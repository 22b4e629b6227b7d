/** /infill and what llama-server's editors send with it. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { LineGuard } from '../../src/server/reply/line-guard.ts';
import { fimModel } from '../support/fim-model.ts';
import { post, testServer } from '../support/server.ts';

const server = await testServer({}, { contextLength: 256 }, fimModel());
const { tokenizer } = server.model;
const idsOf = (text: string) => [...tokenizer.encode(text)];
const bos = tokenizer.bosId!;
/** What the model was given. */
async function promptOf(body: object) {
  const { status, text, json } = await post(server, '/infill', { n_predict: 2, id_slot: 0, ...body });
  strictEqual(status, 200, text);
  const [slot] = server.core.slots.all;
  return { json, ids: [...slot!.ids.subarray(0, json.tokens_evaluated)] };
}

test('a gap: prefix, suffix, middle, and the answer of /completion to the same tokens', async () => {
  const { ids, json } = await promptOf({ input_prefix: 'Once upon', input_suffix: 'the end', temperature: 0 });
  const suffix = idsOf('\nthe end').slice(idsOf('\n').length);
  deepStrictEqual(ids, [bos, 4, ...idsOf('Once upon'), 5, ...suffix, 6]);
  strictEqual(json.truncated, false);
  const same = await post(server, '/completion', { prompt: ids, n_predict: 2, temperature: 0 });
  strictEqual(json.content, same.json.content);
  const { ids: more } = await promptOf({ input_prefix: 'Once', prompt: ' upon', input_suffix: 'the end' });
  deepStrictEqual(more, ids);
});

test('special tokens in the texts of a gap are texts', async () => {
  const { ids } = await promptOf({ input_prefix: '</s>', input_suffix: '<s>' });
  ok(!ids.includes(tokenizer.eosId!));
  strictEqual(ids.filter((id) => id === bos).length, 1);
});

test('other files come before, as a repository', async () => {
  const extra = [{ filename: 'a.ts', text: 'one' }, { text: 'two' }];
  const { ids } = await promptOf({ input_prefix: 'x', input_suffix: 'y', input_extra: extra });
  const expected = [7, ...idsOf('myproject\n'), 8, ...idsOf('a.ts\n'), ...idsOf('one')];
  deepStrictEqual(ids.slice(0, expected.length), expected);
  const second = [8, ...idsOf('tmp\n'), ...idsOf('two'), 8, ...idsOf('filename\n'), bos, 4];
  deepStrictEqual(ids.slice(expected.length, expected.length + second.length), second);
});

test('what does not fit is left out, the farthest from the gap first, and that is said', async () => {
  const long = 'word '.repeat(4000);
  const both = await promptOf({ input_prefix: `${long}near`, input_suffix: `near ${long}` });
  const at = both.ids.indexOf(5);
  ok(both.json.truncated && both.ids.length <= 254);
  deepStrictEqual(both.ids.slice(at - 1 - idsOf('near').length, at).at(-1), idsOf('near').at(-1));
  ok(at > 150 && both.ids.length - at > 40, 'three parts of four stand before the gap');
  const one = await promptOf({ input_prefix: 'short', input_suffix: long, input_extra: [{ text: long }] });
  ok(one.json.truncated && one.ids.length > 245 && one.ids.at(-1) === 6 && one.ids.includes(4));
  const extra = await promptOf({ input_prefix: 'a', input_suffix: 'b', input_extra: [{ text: `${long} last` }] });
  ok(extra.json.truncated && extra.ids.length > 245 && extra.ids.at(-1) === 6);
});

test('what llama.vim sends is answered, with the fields that it asks for', async () => {
  const { status, json } = await post(server, '/infill', {
    id_slot: 0,
    input_prefix: 'function f() {\n',
    input_suffix: '\n}\n',
    input_extra: [],
    prompt: '  return',
    n_predict: 8,
    n_indent: 2,
    top_k: 40,
    top_p: 0.9,
    stream: false,
    samplers: ['top_k', 'top_p', 'infill'],
    cache_prompt: true,
    t_max_prompt_ms: 500,
    t_max_predict_ms: 1000,
    response_fields: ['content', 'timings/prompt_n', 'truncated', 'tokens_cached', 'no/such'],
  });
  strictEqual(status, 200);
  deepStrictEqual(Object.keys(json).sort(), ['content', 'timings/prompt_n', 'tokens_cached', 'truncated']);
  // Its warm-up.
  const warm = { input_prefix: 'a', input_suffix: '', n_predict: 0, samplers: [], response_fields: [''] };
  strictEqual((await post(server, '/infill', warm)).status, 200);
});

test('n_indent ends before a line that leaves the block; t_max_predict_ms once there is a line', async () => {
  const read = (least: number, ...parts: string[]) => {
    const guard = new LineGuard(least);
    return [parts.map((part) => guard.push(part)).join('') + guard.end(), guard.isOver];
  };
  deepStrictEqual(read(2, 'a\n', '  b\n\n \t', 'c\n', ' d', 'e'), ['a\n  b\n\n \tc\n', true]);
  deepStrictEqual(read(2, 'a\n', '   '), ['a\n   ', false]);
  deepStrictEqual(read(0, 'a\nb'), ['a\nb', false]);
  const grammar = 'root ::= "a\\n" "  b\\n" "c" "d"*';
  const { json, text } = await post(server, '/completion', { prompt: 'x', grammar, n_indent: 1, n_predict: 200 });
  ok(json.content !== undefined, text);
  deepStrictEqual([json.content, json.stop_type, json.has_new_line], ['a\n  b\n', 'limit', true]);
  const lines = { prompt: 'x', grammar: 'root ::= "a\\n"*', n_predict: 200, t_max_predict_ms: 1, ignore_eos: true };
  const timed = await post(server, '/completion', lines);
  ok(timed.json.stop_type === 'limit' && timed.json.tokens_predicted < 200, timed.text);
});

test('tokens and their probabilities', async () => {
  const ask = { prompt: 'Once', n_predict: 3, temperature: 0, n_probs: 2, return_tokens: true };
  const { json } = await post(server, '/completion', ask);
  strictEqual(json.tokens.length, 3);
  strictEqual(json.completion_probabilities.length, 3);
  const [first] = json.completion_probabilities;
  deepStrictEqual([first.id, first.top_logprobs.length], [json.tokens[0], 2]);
  const after = await post(server, '/completion', { ...ask, post_sampling_probs: true });
  strictEqual(after.json.completion_probabilities[0].prob, 1);
  const mixed = await post(server, '/completion', { prompt: [bos, 'Once'], n_predict: 1, temperature: 0 });
  strictEqual(mixed.json.prompt.endsWith('Once'), true);
  match((await post(server, '/completion', { prompt: ['a', 'b'] })).json.error.message, /a list of texts/);
});

test('a model without such tokens says which are missing', async () => {
  const plain = await testServer();
  const { status, json } = await post(plain, '/infill', { input_prefix: 'a', input_suffix: 'b' });
  deepStrictEqual([status, json.error.code, json.error.type], [501, 'not_supported', 'not_supported_error']);
  match(json.error.message, /marks the prefix, the suffix, the middle/);
});
