/** Answers that must be something: JSON, a grammar's text, calls of tools. By the official client, with a model that only babbles. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict';
import { describe, test } from 'node:test';
import OpenAI from 'openai';
import { withToolTexts } from '../../src/server/request/tool-messages.ts';
import { toolSignature } from '../../src/server/request/tool-signature.ts';
import { post, testServer } from '../support/server.ts';

const server = await testServer({}, { contextLength: 1024 });
const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
const messages = [{ role: 'user' as const, content: 'Paint it.' }];
const common = { model: 'tiny', messages, temperature: 1, max_tokens: 300 };
const schema = {
  type: 'object',
  properties: { color: { enum: ['red', 'green'] }, times: { type: 'integer', minimum: 1, maximum: 99 } },
  required: ['color', 'times'],
  additionalProperties: false,
};
const tool = (name: string) => ({ type: 'function' as const, function: { name, parameters: schema } });

function checkPaint(text: string) {
  const { color, times, ...rest } = JSON.parse(text);
  ok(['red', 'green'].includes(color) && Number.isInteger(times) && times >= 1 && times <= 99, text);
  deepStrictEqual(rest, {});
}

describe('constrained answers', () => {
  test('response_format json_schema and json_object', async () => {
    for (let seed = 0; seed < 5; seed++) {
      const { choices } = await client.chat.completions.create({
        ...common,
        seed,
        response_format: { type: 'json_schema', json_schema: { name: 'paint', schema, strict: true } },
      });
      checkPaint(choices[0]!.message.content!);
      strictEqual(choices[0]!.finish_reason, 'stop');
    }
    const { choices } = await client.chat.completions.create({
      ...common,
      seed: 1,
      response_format: { type: 'json_object' },
    });
    match(choices[0]!.message.content!, /^\s*\{/);
  });

  test("llama-server's grammar and json_schema, of both endpoints, streamed too", async () => {
    const grammar = 'root ::= ("yes" | "no") "!" [0-9]{3}';
    for (const path of ['/v1/completions', '/v1/chat/completions']) {
      const prompt = path === '/v1/completions' ? { prompt: 'Well?' } : { messages };
      const text = (json: { choices: { text?: string; message?: { content: string } }[] }) =>
        json.choices[0]!.text ?? json.choices[0]!.message!.content;
      match(text((await post(server, path, { ...prompt, grammar, seed: 3 })).json), /^(yes|no)![0-9]{3}$/);
      checkPaint(text((await post(server, path, { ...prompt, json_schema: schema, seed: 3 })).json));
    }
    const { text } = await post(server, '/v1/completions', { prompt: 'Well?', grammar, seed: 3, stream: true });
    const streamed = [...text.matchAll(/"text":"([^"]*)"/g)].map(([, part]) => part).join('');
    match(streamed, /^(yes|no)![0-9]{3}$/);
  });

  test('a tool that must be called is called with arguments of its schema, whole and streamed', async () => {
    const request = { ...common, seed: 2, tools: [tool('paint'), tool('draw')], parallel_tool_calls: false };
    const choice = { type: 'function' as const, function: { name: 'draw' } };
    const whole = await client.chat.completions.create({ ...request, tool_choice: choice });
    const { message, finish_reason } = whole.choices[0]!;
    strictEqual(finish_reason, 'tool_calls');
    strictEqual(message.content, null);
    const [call] = message.tool_calls as [OpenAI.ChatCompletionMessageFunctionToolCall];
    deepStrictEqual([message.tool_calls!.length, call.type, call.function.name], [1, 'function', 'draw']);
    match(call.id, /^call_\w+$/);
    checkPaint(call.function.arguments);

    const stream = client.chat.completions.stream({ ...request, tool_choice: choice });
    const final = (await stream.finalChatCompletion()).choices[0]!;
    strictEqual(final.finish_reason, 'tool_calls');
    const [streamed] = final.message.tool_calls as [OpenAI.ChatCompletionMessageFunctionToolCall];
    deepStrictEqual(streamed.function.arguments, call.function.arguments);

    const deltas: OpenAI.ChatCompletionChunk.Choice.Delta.ToolCall[] = [];
    for await (const { choices } of await client.chat.completions.create({
      ...request,
      tool_choice: choice,
      stream: true,
    })) {
      deltas.push(...(choices[0]?.delta.tool_calls ?? []));
    }
    const [first, ...rest] = deltas;
    deepStrictEqual([first!.index, first!.function], [0, { name: 'draw', arguments: '' }]);
    match(first!.id!, /^call_\w+$/);
    ok(rest.length > 3 && rest.every((delta) => delta.index === 0 && delta.id === undefined));
    strictEqual(rest.map((delta) => delta.function!.arguments).join(''), call.function.arguments);

    const cut = await client.chat.completions.create({ ...request, tool_choice: choice, max_tokens: 14 });
    strictEqual(cut.choices[0]!.finish_reason, 'length');
    ok(!(cut.choices[0]!.message.content ?? '').includes('<tool_call>'));

    const answer = await client.chat.completions.create({
      ...request,
      messages: [...messages, message, { role: 'tool', tool_call_id: call.id, content: 'done' }],
      max_tokens: 5,
    });
    ok(answer.usage!.prompt_tokens > whole.usage!.prompt_tokens);
  });

  test('what is wrong with a constraint is said, with its parameter', async () => {
    for (const [more, param] of [
      [
        { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'nothing' } } } },
        'response_format',
      ],
      [{ grammar: 'root ::= (' }, 'grammar'],
      [{ grammar: 'root ::= "a"', json_schema: {} }, 'json_schema'],
      [{ tool_choice: 'required' }, 'tool_choice'],
      [{ tools: [tool('a')], tool_choice: { type: 'function', function: { name: 'b' } } }, 'tools'],
      [{ tools: [tool('a')], grammar: 'root ::= "a"' }, 'grammar'],
      [{ tools: [tool('a b')] }, 'tools.0.function.name'],
    ] as const) {
      const body = { ...common, ...more } as unknown as OpenAI.ChatCompletionCreateParamsNonStreaming;
      await rejects(client.chat.completions.create(body), (error) => {
        ok(error instanceof OpenAI.BadRequestError, String(error));
        strictEqual(error.param, param, error.message);
        return true;
      });
    }
  });
});

test('a template that knows no tools is told of them in the system message, and of calls and results in texts', () => {
  const call = { id: 'call_1', type: 'function', function: { name: 'f', arguments: { a: 1 } } };
  const told = withToolTexts(
    [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Go.' },
      { role: 'assistant', content: '', tool_calls: [call] },
      { role: 'tool', content: 'gone', tool_call_id: 'call_1' },
    ],
    [tool('f')],
  );
  match(String(told[0]!.content), /^Be brief\.\n\n[\s\S]*<tools>\nf\(/);
  deepStrictEqual(told.slice(1), [
    { role: 'user', content: 'Go.' },
    { role: 'assistant', content: '<tool_call>\n{"name":"f","arguments":{"a":1}}\n</tool_call>' },
    { role: 'user', content: '<tool_response>\ngone\n</tool_response>' },
  ]);
  deepStrictEqual(withToolTexts([{ role: 'user', content: 'Go.' }], []), [{ role: 'user', content: 'Go.' }]);
});

test('a function in one line: types, choices, lists, references, what may be left out, and what is said of each', () => {
  const described = {
    name: 'find',
    description: 'Looks\n something up.',
    parameters: {
      type: 'object',
      properties: {
        text: { type: 'string', description: 'what to look for' },
        limit: { type: ['integer', 'null'] },
        sort: { enum: ['new', 'old'] },
        tags: { type: 'array', items: { anyOf: [{ type: 'string' }, { type: 'integer' }] } },
        'within-days': { $ref: '#/$defs/range' },
        node: { $ref: '#/$defs/node' },
      },
      required: ['text', 'node'],
      $defs: {
        range: { type: 'object', properties: { from: { type: 'number' }, to: { const: 3 } }, required: ['from'] },
        node: { type: 'object', properties: { next: { $ref: '#/$defs/node' } } },
      },
    },
  };
  strictEqual(
    toolSignature(described),
    'find(text: string /* what to look for */, limit?: integer | null, sort?: "new" | "old", tags?: (string | integer)[], ' +
      '"within-days"?: { from: number, to?: 3 }, node: { next?: { next?: { next?: { next?: { next?: any } } } } }) // Looks something up.',
  );
  strictEqual(toolSignature({ name: 'now' }), 'now(arguments: object)');
  strictEqual(toolSignature({ name: 'now', parameters: { type: 'object', properties: {} } }), 'now()');
});
