/** POST /v1/responses by OpenAI's own client, with a model that only babbles: what is called and answered is held by grammar. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict';
import { describe, test } from 'node:test';
import OpenAI from 'openai';
import type { ResponseStream } from 'openai/lib/responses/ResponseStream';
import type { ResponseInput, ResponseInputItem, ResponseStreamEvent } from 'openai/resources/responses/responses';
import { ResponseMemory } from '../../src/server/kept/response-memory.ts';
import { post, testServer } from '../support/server.ts';

const server = await testServer({}, { contextLength: 4096 });
const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });

const integer = { type: 'integer', minimum: 1, maximum: 9 };
const parameters = { type: 'object', properties: { x: integer }, required: ['x'], additionalProperties: false };
const tool = (name: string) => ({ type: 'function' as const, name, description: name, parameters, strict: true });
const tools = [tool('look'), tool('think'), tool('write')];
const common = { model: 'tiny', temperature: 1, max_output_tokens: 400 };
const format = { type: 'json_schema' as const, name: 'report', strict: true, schema: parameters };

type Call = OpenAI.Responses.ResponseFunctionToolCall;
const callsOf = ({ output }: { output: OpenAI.Responses.ResponseOutputItem[] }) =>
  output.filter((item): item is Call => item.type === 'function_call');

describe('a three-tool task', () => {
  test('with the whole conversation sent back each time', async () => {
    const input: ResponseInput = [{ role: 'user', content: 'Do it.' }];
    for (const [turn, { name }] of tools.entries()) {
      const response = await client.responses.create({
        ...common,
        seed: turn,
        input,
        tools,
        tool_choice: { type: 'function', name },
      } as OpenAI.Responses.ResponseCreateParamsNonStreaming);
      strictEqual(response.status, 'completed');
      const [call, ...more] = callsOf(response) as [Call];
      deepStrictEqual([call.name, more], [name, []]);
      const { x } = JSON.parse(call.arguments);
      ok(x >= 1 && x <= 9);
      input.push(...(response.output as ResponseInputItem[]));
      input.push({ type: 'function_call_output', call_id: call.call_id, output: `${name} saw ${x}` });
    }
    const last = await client.responses.create({ ...common, input, tools, tool_choice: 'none', text: { format } });
    const { x } = JSON.parse(last.output_text);
    ok(x >= 1 && x <= 9);
  });

  test('with previous_response_id and streams; the prompt is the same as with the whole conversation', async () => {
    let previous: string | null = null;
    let input: ResponseInput = [{ role: 'user', content: 'Do it.' }];
    const whole: ResponseInput = [...input];
    for (const { name } of tools) {
      const stream: ResponseStream<null> = client.responses.stream({
        ...common,
        input,
        previous_response_id: previous,
        tools,
        tool_choice: { type: 'function', name },
      });
      const response: OpenAI.Responses.Response = await stream.finalResponse();
      const [call] = callsOf(response) as unknown as [Call];
      strictEqual(call.name, name);
      JSON.parse(call.arguments);
      previous = response.id;
      input = [{ type: 'function_call_output', call_id: call.call_id, output: `${name} is done` }];
      whole.push({ type: 'function_call', call_id: call.call_id, name, arguments: call.arguments }, ...input);
    }
    const last = { ...common, tools, text: { format }, tool_choice: 'none' as const, temperature: 0 };
    const kept = await client.responses.create({ ...last, input, previous_response_id: previous });
    const sent = await client.responses.create({ ...last, input: whole });
    strictEqual(kept.output_text, sent.output_text);
    strictEqual(kept.usage!.input_tokens, sent.usage!.input_tokens);
  });
});

describe('events', () => {
  const collect = async (more: object) => {
    const events: ResponseStreamEvent[] = [];
    const params = { ...common, seed: 5, input: 'Once', stream: true as const, ...more };
    for await (const event of await client.responses.create(params)) events.push(event);
    deepStrictEqual(
      events.map(({ sequence_number }) => sequence_number),
      events.map((_, i) => i),
    );
    return events;
  };

  test('of a text', async () => {
    const events = await collect({ max_output_tokens: 6, ignore_eos: true });
    const types = events.map(({ type }) => type).filter((type, i, all) => type !== all[i - 1]);
    deepStrictEqual(types, [
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.incomplete',
    ]);
    const text = events.map((event) => (event.type === 'response.output_text.delta' ? event.delta : '')).join('');
    const end = events.at(-1) as OpenAI.Responses.ResponseIncompleteEvent;
    const [message] = end.response.output as [OpenAI.Responses.ResponseOutputMessage];
    const [part] = message.content as [OpenAI.Responses.ResponseOutputText];
    deepStrictEqual([part.text, message.status], [text, 'incomplete']);
    deepStrictEqual(end.response.incomplete_details, { reason: 'max_output_tokens' });
    strictEqual(end.response.usage!.output_tokens, 6);
    const whole = await client.responses.create({
      ...common,
      seed: 5,
      input: 'Once',
      max_output_tokens: 6,
      ignore_eos: true,
    } as OpenAI.Responses.ResponseCreateParamsNonStreaming);
    strictEqual(whole.output_text, text);
  });

  test('of calls: each item is added, written and done before the next', async () => {
    const events = await collect({ tools, tool_choice: 'required', parallel_tool_calls: false });
    const deltas = events.filter((event) => event.type === 'response.function_call_arguments.delta');
    const [done] = events.filter((event) => event.type === 'response.function_call_arguments.done');
    ok(deltas.length > 1);
    strictEqual(deltas.map(({ delta }) => delta).join(''), done!.arguments);
    const [added] = events.filter((event) => event.type === 'response.output_item.added');
    match((added!.item as Call).call_id, /^call_/);
  });
});

describe('what is kept', () => {
  const create = (more: object) =>
    post(server, '/v1/responses', { input: 'Once', max_output_tokens: 3, ignore_eos: true, ...more });

  test('is retrieved and deleted; store: false is not kept', async () => {
    const { id } = await client.responses.create({ ...common, input: 'Once', max_output_tokens: 3 });
    strictEqual((await client.responses.retrieve(id)).id, id);
    await client.responses.delete(id);
    await rejects(client.responses.retrieve(id), { status: 404 });
    const { json } = await create({ store: false });
    const { status, json: refused } = await create({ previous_response_id: json.id });
    deepStrictEqual([status, refused.error.param], [404, 'previous_response_id']);
  });

  test('an item by its id, as the AI SDK sends it', async () => {
    const { json } = await create({});
    const input = [
      { role: 'user', content: 'Once' },
      { type: 'item_reference', id: json.output[0].id },
    ];
    const whole = [{ role: 'user', content: 'Once' }, json.output[0]];
    const ask = async (items: object[]) =>
      (await create({ input: [...items, { role: 'user', content: 'And?' }], temperature: 0 })).json;
    const [byId, sent] = [await ask(input), await ask(whole)];
    deepStrictEqual(
      [byId.usage, byId.output[0].content],
      [{ ...sent.usage, input_tokens_details: byId.usage.input_tokens_details }, sent.output[0].content],
    );
    strictEqual((await create({ input: [{ type: 'item_reference', id: 'msg_none' }] })).status, 404);
  });

  test('within a bound: the least recently used goes', () => {
    const memory = new ResponseMemory({ responses: 2, characters: 1e6 });
    const keep = (id: string) =>
      memory.keep({ id, body: {}, conversation: [{ role: 'user', content: id, id: `msg_${id}` }] });
    keep('a');
    keep('b');
    memory.get('a');
    keep('c');
    strictEqual(memory.get('a').id, 'a');
    for (const needs of [
      { previous: 'b', items: [] },
      { previous: null, items: ['msg_b'] },
    ]) {
      try {
        memory.earlier(needs);
        ok(false, 'b is gone');
      } catch (error) {
        match(String(error), /is not kept here/);
      }
    }
    const small = new ResponseMemory({ responses: 9, characters: 100 });
    small.keep({ id: 'x', body: {}, conversation: [{ role: 'user', content: 'x'.repeat(200) }] });
    strictEqual(small.forget('x'), false);
  });
});

describe('what cannot be done is said', () => {
  const ask = (more: object) => post(server, '/v1/responses', { input: 'Once', max_output_tokens: 3, ...more });

  test('tools that others run are not offered', async () => {
    const { status, headers } = await ask({ tools: [...tools, { type: 'web_search' }] });
    strictEqual(status, 200);
    match(headers.get('cria-not-held') ?? '', /web_search is not offered/);
  });

  test('images, conversations, background work and unknown fields', async () => {
    const image = [{ role: 'user', content: [{ type: 'input_image', image_url: 'x' }] }];
    for (const more of [
      { input: image },
      { conversation: 'c' },
      { background: true },
      { temperatur: 1 },
      { input: [] },
    ]) {
      const { status, json } = await ask(more);
      strictEqual(status, 400, JSON.stringify(json));
    }
  });

  test('a path that is there with another method: 405 and the methods it has', async () => {
    const { status, headers } = await fetch(`${server.url}/v1/responses/x`, { method: 'PUT' });
    deepStrictEqual([status, headers.get('allow')], [405, 'GET, DELETE']);
  });
});
