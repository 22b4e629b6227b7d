/** POST /v1/messages by Anthropic's own client, with a model that only babbles: what is called and answered is held by grammar. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict';
import { describe, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { post, testServer } from '../support/server.ts';

const server = await testServer({ apiKeys: ['secret'] }, { contextLength: 4096 });
const client = new Anthropic({ baseURL: server.url, apiKey: 'secret', maxRetries: 0 });
const headers = { 'x-api-key': 'secret' };

const input_schema = {
  type: 'object' as const,
  properties: { x: { type: 'integer', minimum: 1, maximum: 9 } },
  required: ['x'],
  additionalProperties: false,
};
const tools: Anthropic.Tool[] = ['look', 'think', 'write'].map((name) => ({ name, description: name, input_schema }));
const common = { model: 'tiny', max_tokens: 400, temperature: 1 };
const cold = { ...common, temperature: 0 };
const user: Anthropic.MessageParam = { role: 'user', content: 'Do it.' };

function checkCall({ content, stop_reason }: Anthropic.Message, name: string): Anthropic.ToolUseBlock {
  strictEqual(stop_reason, 'tool_use');
  const [call, ...more] = content as [Anthropic.ToolUseBlock];
  deepStrictEqual([call.type, call.name, more], ['tool_use', name, []]);
  const { x } = call.input as { x: number };
  ok(x >= 1 && x <= 9, JSON.stringify(call.input));
  return call;
}

test('a three-tool task, whole and streamed in turn', async () => {
  const messages: Anthropic.MessageParam[] = [user];
  for (const [turn, { name }] of tools.entries()) {
    const params = { ...common, system: 'Use tools.', messages, tools, tool_choice: { type: 'tool' as const, name } };
    const reply =
      turn % 2 === 0 ? await client.messages.create(params) : await client.messages.stream(params).finalMessage();
    const call = checkCall(reply, name);
    messages.push({ role: 'assistant', content: reply.content });
    const content = [{ type: 'text' as const, text: `${name} is done` }];
    messages.push({ role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content }] });
  }
  const last = await client.messages.create({
    ...common,
    messages,
    tools,
    tool_choice: { type: 'none' },
    output_config: { format: { type: 'json_schema', schema: input_schema } },
  });
  strictEqual(last.stop_reason, 'end_turn');
  const [block] = last.content as [Anthropic.TextBlock];
  ok(JSON.parse(block.text).x >= 1);
});

test('a stream has the text of the whole message, and its events in order', async () => {
  const params = { ...cold, max_tokens: 8, messages: [user] };
  const whole = await client.messages.create(params);
  const types: string[] = [];
  let text = '';
  for await (const event of await client.messages.create({ ...params, stream: true })) {
    if (types.at(-1) !== event.type) types.push(event.type);
    if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') text += event.delta.text;
    if (event.type === 'message_delta') deepStrictEqual(event.usage.output_tokens, whole.usage.output_tokens);
  }
  deepStrictEqual(types, [
    'message_start',
    'content_block_start',
    'content_block_delta',
    'content_block_stop',
    'message_delta',
    'message_stop',
  ]);
  strictEqual(text, (whole.content[0] as Anthropic.TextBlock).text);
});

test('stop sequences are named, and max_tokens is told', async () => {
  const cut = await client.messages.create({
    ...common,
    max_tokens: 3,
    messages: [user],
    tools,
    tool_choice: { type: 'any' },
  });
  strictEqual(cut.stop_reason, 'max_tokens');
  const ids = await client.messages.create({ ...cold, messages: [user] });
  const said = (ids.content[0] as Anthropic.TextBlock).text;
  const stopped = await client.messages.create({
    ...cold,
    messages: [user],
    stop_sequences: [said.slice(5, 8)],
  });
  deepStrictEqual([stopped.stop_reason, stopped.stop_sequence], ['stop_sequence', said.slice(5, 8)]);
});

test('count_tokens counts what a message with the same words reads, even beyond the context', async () => {
  const params = { model: 'tiny', system: 'Be brief.', messages: [user], tools };
  const { input_tokens } = await client.messages.countTokens(params);
  const { usage } = await client.messages.create({ ...params, max_tokens: 1 });
  strictEqual(usage.input_tokens + (usage.cache_read_input_tokens ?? 0), input_tokens);
  const long = await client.messages.countTokens({
    model: 'tiny',
    messages: [{ role: 'user', content: 'a b '.repeat(3000) }],
  });
  ok(long.input_tokens > 4096);
});

describe('refused', () => {
  test("in Anthropic's shape", async () => {
    const other = new Anthropic({ baseURL: server.url, apiKey: 'wrong', maxRetries: 0 });
    await rejects(other.messages.create({ ...common, messages: [user] }), Anthropic.AuthenticationError);
    await rejects(client.messages.create({ ...common, model: 'another', messages: [user] }), Anthropic.NotFoundError);
    const image = { type: 'image' as const, source: { type: 'url' as const, url: 'x' } };
    await rejects(
      client.messages.create({ ...common, messages: [{ role: 'user', content: [image] }] }),
      (error: InstanceType<typeof Anthropic.BadRequestError>) => {
        strictEqual(error.status, 400);
        match(error.message, /only texts, thoughts, calls/);
        deepStrictEqual((error.error as { error: { type: string } }).error.type, 'invalid_request_error');
        return true;
      },
    );
  });

  test('blocks in a place where they cannot be', async () => {
    const call = { type: 'tool_use', id: 'a', name: 'f', input: {} };
    const body = { ...common, messages: [{ role: 'user', content: [call] }] };
    const { status, json } = await post(server, '/v1/messages', body, { headers });
    strictEqual(status, 400);
    match(json.error.message, /messages\.0: a tool_use block/);
  });

  test('tools that others run are not offered, which is said', async () => {
    const body = {
      ...common,
      max_tokens: 2,
      messages: [user],
      tools: [{ type: 'web_search_20250305', name: 'web_search' }],
    };
    const reply = await post(server, '/v1/messages', body, { headers });
    strictEqual(reply.status, 200);
    match(reply.headers.get('cria-not-held') ?? '', /web_search_20250305 is not offered/);
  });
});
