/** What real clients send: accepted where it changes nothing, refused with words where it would change the text. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { post, testServer } from '../support/server.ts';
import { missing, shared } from '../support/shared.ts';

const server = await testServer({ aliases: ['gpt-4o'] }, { contextLength: 1024 });
const path = '/v1/chat/completions';
const user = { role: 'user', content: 'hi' };
const ask = (more: object = {}) => ({ messages: [user], max_tokens: 4, seed: 1, ...more });
const call = { id: 'a', type: 'function', function: { name: 'f', arguments: '{"x":1}' } };
const tool = (parameters: object, strict?: boolean) => ({
  type: 'function',
  function: { name: 'f', parameters, ...(strict !== undefined && { strict }) },
});

describe('fields that change nothing', async () => {
  const plain = (await post(server, path, ask())).json.choices[0].message.content;
  const fields: Record<string, unknown> = {
    metadata: { session: 'x' },
    store: true,
    service_tier: 'priority',
    prediction: { type: 'content', content: 'x' },
    reasoning_effort: 'high',
    verbosity: 'low',
    prompt_cache_key: 'k',
    prompt_cache_retention: '24h',
    cache_prompt: false,
    tools: [],
    tool_choice: 'auto',
    parallel_tool_calls: true,
    stream_options: { include_usage: true, include_obfuscation: false },
    modalities: ['text'],
    model: 'gpt-4o',
    max_tokens: 4,
    logit_bias: {},
    stop: null,
    user: 'anna',
  };
  for (const [name, value] of Object.entries(fields)) {
    test(name, async () => {
      const { status, json } = await post(server, path, ask({ [name]: value }));
      deepStrictEqual([status, json.choices?.[0].message.content], [200, plain], JSON.stringify(json));
    });
  }

  test('a max_tokens beyond the context ends where the context does; refused where the server is told to', async () => {
    const { status, json } = await post(server, path, ask({ max_tokens: 100_000, ignore_eos: true }));
    deepStrictEqual([status, json.choices[0].finish_reason, json.usage.total_tokens <= 1025], [200, 'length', true]);
    const strict = await testServer({ refuseBeyondContext: true, anyModel: true }, { contextLength: 64 });
    const refused = await post(strict, path, ask({ max_tokens: 1000, model: 'whatever' }));
    deepStrictEqual([refused.status, refused.json.error.param], [400, 'max_tokens']);
  });

  test('fields that would change the text are refused, and what to do instead is said', async () => {
    for (const [name, value] of Object.entries({ functions: [], web_search_options: {}, audio: {} })) {
      const { status, json } = await post(server, path, ask({ [name]: value }));
      deepStrictEqual([status, json.error.code, json.error.param], [400, 'unsupported_parameter', name]);
    }
    strictEqual((await post(server, path, ask({ model: 'another' }))).status, 404);
  });
});

describe('history as clients send it back', () => {
  const reply = { role: 'assistant', content: null, tool_calls: [call] };
  const result = { role: 'tool', tool_call_id: 'a', content: 'x' };
  const histories: readonly (readonly [what: string, turns: readonly object[]])[] = [
    ['a tool message with a name', [user, reply, { ...result, name: 'f' }]],
    ['a call with its index', [user, { ...reply, tool_calls: [{ index: 0, ...call }] }, result]],
    ['null and absent ids', [user, { ...reply, tool_calls: [{ ...call, id: null }] }, { role: 'tool', content: 'x' }]],
    [
      'arguments as an object',
      [user, { ...reply, tool_calls: [{ ...call, function: { name: 'f', arguments: { x: 1 } } }] }, result],
    ],
    ['thoughts', [user, { role: 'assistant', content: 'a', reasoning_content: 'hm', reasoning: 'hm' }, user]],
    ['a refusal', [user, { role: 'assistant', content: [{ type: 'refusal', refusal: 'no' }], refusal: 'no' }, user]],
    [
      'marks of caches',
      [{ role: 'user', content: [{ type: 'text', text: 'hi', cache_control: { type: 'ephemeral' } }] }],
    ],
    [
      'annotations of an answer',
      [user, { role: 'assistant', content: 'a', annotations: [{ type: 'url_citation' }] }, user],
    ],
    ['a message without content', [{ role: 'user', content: null }]],
    ['an empty list of parts', [user, { role: 'assistant', content: [] }, user]],
  ];
  for (const [what, messages] of histories) {
    test(what, async () => {
      const { status, json } = await post(server, path, ask({ messages }));
      strictEqual(status, 200, JSON.stringify(json));
    });
  }

  test('the text of the prompt is what it would be without them', async () => {
    const render = async (messages: readonly object[]) =>
      (await post(server, '/apply-template', { messages })).json.prompt;
    strictEqual(
      await render([user, { ...reply, tool_calls: [{ ...call, index: 3 }] }, { ...result, name: 'f' }]),
      await render([user, reply, result]),
    );
  });

  test('an assistant message at the end is gone on with', async () => {
    const messages = [user, { role: 'assistant', content: 'Once upon' }];
    const { prompt } = (await post(server, '/apply-template', { messages })).json;
    match(prompt, /assistant\nOnce upon$/);
    strictEqual((await post(server, path, ask({ messages }))).status, 200);
  });
});

describe('tools', () => {
  test('a named function is called once', async () => {
    const closed = { type: 'object', properties: {}, additionalProperties: false };
    const choice = { type: 'function', function: { name: 'f' } };
    for (let seed = 0; seed < 4; seed++) {
      const { json } = await post(
        server,
        path,
        ask({ tools: [tool(closed)], tool_choice: choice, max_tokens: 200, seed }),
      );
      const [{ message, finish_reason }] = json.choices;
      deepStrictEqual([message.tool_calls.length, finish_reason], [1, 'tool_calls']);
    }
  });

  test('what cannot be held of a schema is let go, and is in a header and the log; strict refuses it by its place', async () => {
    const schema = {
      type: 'object',
      properties: { a: { type: 'array', items: { type: 'string' }, uniqueItems: true } },
    };
    const { status, headers } = await post(server, path, ask({ tools: [tool(schema)] }));
    strictEqual(status, 200);
    match(headers.get('cria-not-held') ?? '', /tools: f: #\/properties\/a: uniqueItems is not held/);
    ok(server.log.some(({ notHeld }) => /uniqueItems/.test(String(notHeld))));
    const strict = await post(server, path, ask({ tools: [tool(schema, true)] }));
    deepStrictEqual([strict.status, strict.json.error.param], [400, 'tools']);
    match(strict.json.error.message, /#\/properties\/a: uniqueItems/);
    const nameless = { type: 'json_schema', json_schema: { schema: { enum: [1], markdownDescription: 'x' } } };
    const answer = await post(server, path, ask({ response_format: nameless }));
    strictEqual(answer.json.choices[0].message.content, '1');
    match(answer.headers.get('cria-not-held') ?? '', /markdownDescription/);
  });
});

test('where every token is forbidden the request is at fault, not the server', async () => {
  const logit_bias = Array.from({ length: server.model.config.vocabSize }, (_, id) => [id, false]);
  const { status, json } = await post(server, path, ask({ logit_bias }));
  deepStrictEqual([status, json.error.param], [400, 'logit_bias']);
});

test('dimensions: the first numbers of a vector, of unit length again', async () => {
  const embed = (more: object) => post(server, '/v1/embeddings', { input: 'Once', ...more });
  const whole: number[] = (await embed({})).json.data[0].embedding;
  const cut: number[] = (await embed({ dimensions: 5 })).json.data[0].embedding;
  const norm = Math.hypot(...whole.slice(0, 5));
  ok(cut.length === 5 && cut.every((value, i) => Math.abs(value - whole[i]! / norm) < 1e-6));
  strictEqual((await embed({ dimensions: whole.length + 1 })).json.error.param, 'dimensions');
});

test('the given cases', { skip: missing('cases/server') }, async () => {
  const cases = {
    '05-tool-auto-not': 200,
    '05-tool-auto-uniqueItems': 200,
    '05-tool-auto-unknown-keyword': 200,
    '06-tool-message-with-name': 200,
    '07-tool-call-with-index': 200,
    '09-named-tool-many-calls': 200,
    '10-logit-bias-all-false': 400,
  };
  for (const [name, status] of Object.entries(cases)) {
    const reply = await post(server, path, readFileSync(shared(`cases/server/${name}.json`), 'utf8'));
    // The given bias names the tokens of one vocabulary: in a larger one some are left.
    if (name !== '10-logit-bias-all-false') strictEqual(reply.status, status, `${name}: ${reply.text}`);
    else ok([200, 400].includes(reply.status), reply.text);
  }
});
