/** Answers that must be something: JSON, a grammar's text, calls of tools. By the official client, with a model that only babbles. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict';
import { describe, test } from 'node:test';
import OpenAI from 'openai';
import { ToolText } from '../../src/server/reply/tool-text.ts';
import { post, testServer } from '../support/server.ts';

const server = await testServer();
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

    const answer = await client.chat.completions.create({
      ...common,
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
      [{ tool_choice: 'auto' }, 'tool_choice'],
      [{ tools: [tool('a')], tool_choice: { type: 'function', function: { name: 'b' } } }, 'tools'],
      [{ tools: [tool('a')], response_format: { type: 'json_object' } }, 'response_format'],
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

test('what is said before a call is passed on as it comes, the call is not', () => {
  const call = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>';
  const read = (parts: readonly string[], format: 'hermes' | 'llama3' = 'hermes') => {
    const reader = new ToolText(format);
    const passed = parts.map((part) => reader.push(part));
    const { rest, calls } = reader.end(parts.join(''));
    return { passed, rest, calls: calls.map(({ name, arguments: given }) => [name, given]) };
  };
  const f = [['f', '{"a":1}']];
  deepStrictEqual(read(['Let me', ' see. <tool', call.slice('<tool'.length)]), {
    passed: ['Let me', ' see. ', ''],
    rest: '',
    calls: f,
  });
  deepStrictEqual(read([call]), { passed: [''], rest: '', calls: f });
  deepStrictEqual(read(['2 <', ' 3']), { passed: ['2 ', '< 3'], rest: '', calls: [] });
  deepStrictEqual(read(['a <tool']), { passed: ['a '], rest: '<tool', calls: [] });
  deepStrictEqual(read(['{"name": "f", ', '"parameters": {"a": 1}}'], 'llama3'), {
    passed: ['', ''],
    rest: '',
    calls: f,
  });
  deepStrictEqual(read(['{ no', ' call }'], 'llama3'), { passed: ['', ''], rest: '{ no call }', calls: [] });
});
