/** Ollama's /api by its own client, with a model that only babbles: what is called and answered is held by grammar. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Message, Ollama } from 'ollama';
import { post, testServer } from '../support/server.ts';

const server = await testServer({}, { contextLength: 4096 });
const client = new Ollama({ host: server.url });
const model = 'tiny';
const user: Message = { role: 'user', content: 'Do it.' };
const parameters = {
  type: 'object',
  properties: { x: { type: 'integer', minimum: 1, maximum: 9 } },
  required: ['x'],
  additionalProperties: false,
};
const tools = ['look', 'think', 'write'].map((name) => ({
  type: 'function',
  function: { name, description: name, parameters: parameters as { type: 'object' } },
}));

test('a loop of tool turns: calls and results go into the conversation, and its end is of a form', async () => {
  const messages: Message[] = [user];
  for (const { function: f } of tools) {
    const call = { function: { name: f.name, arguments: { x: 3 } } };
    messages.push({ role: 'assistant', content: '', tool_calls: [call] });
    messages.push({ role: 'tool', content: 'done', tool_name: f.name });
    const { message, done_reason } = await client.chat({
      model,
      messages,
      tools,
      options: { num_predict: 30, seed: 1 },
    });
    strictEqual(message.role, 'assistant');
    ok(['stop', 'length'].includes(done_reason));
  }
  const last = await client.chat({ model, messages, format: parameters });
  ok(JSON.parse(last.message.content).x >= 1);
});

test('a call is told whole, as an object, streamed too', async () => {
  const forced = tools.slice(0, 1);
  // Ollama has no tool_choice: a form of the answer beside tools leaves calls or JSON; a few seeds find a call.
  const kinds = new Set<string>();
  for (let seed = 0; seed < 12 && kinds.size < 2; seed++) {
    const options = { seed, num_predict: 200, temperature: 1 };
    const request = { model, messages: [user], tools: forced, format: parameters, options };
    const whole = await client.chat(request);
    const streamed: Message = { role: 'assistant', content: '', tool_calls: [] };
    for await (const { message } of await client.chat({ ...request, stream: true })) {
      streamed.content += message.content;
      streamed.tool_calls!.push(...(message.tool_calls ?? []));
    }
    const calls = (message: Message) => (message.tool_calls ?? []).map((call) => call.function);
    deepStrictEqual([streamed.content, calls(streamed)], [whole.message.content, calls(whole.message)]);
    for (const { name, arguments: given } of calls(whole.message)) {
      strictEqual(name, 'look');
      ok(given.x >= 1 && given.x <= 9);
    }
    kinds.add(calls(whole.message).length > 0 ? 'call' : 'text');
  }
  ok(kinds.has('call'), 'one of the seeds calls');
});

describe('generate', () => {
  const options = { num_predict: 8, temperature: 0 };

  test('streamed and whole are the same text; raw reads the prompt as it is', async () => {
    const whole = await client.generate({ model, prompt: 'Once', system: 'Tell.', options });
    let text = '';
    let counted = 0;
    for await (const part of await client.generate({ model, prompt: 'Once', system: 'Tell.', options, stream: true })) {
      text += part.response;
      if (part.done) counted = part.eval_count;
    }
    deepStrictEqual([text, counted], [whole.response, whole.eval_count]);
    const raw = await client.generate({ model, prompt: 'Once', raw: true, options });
    const { json } = await post(server, '/v1/completions', { prompt: 'Once', max_tokens: 8, temperature: 0 });
    deepStrictEqual([raw.response, raw.prompt_eval_count], [json.choices[0].text, json.usage.prompt_tokens]);
  });

  test('a form', async () => {
    const { response } = await client.generate({ model, prompt: 'Once', format: { enum: ['yes'] } });
    strictEqual(response, '"yes"');
    const raw = await client.generate({ model, prompt: 'Once', raw: true, format: { enum: ['yes'] } });
    strictEqual(raw.response, '"yes"');
  });

  test('nothing to answer: the model is there', async () => {
    const { json } = await post(server, '/api/generate', { model });
    deepStrictEqual([json.done, json.done_reason, json.response], [true, 'load', '']);
  });
});

test('what is served: tags, ps, show, version, pull', async () => {
  const { models } = await client.list();
  deepStrictEqual(
    models.map(({ name }) => name),
    [model],
  );
  match(models[0]!.digest, /^[0-9a-f]{64}$/);
  strictEqual((await client.ps()).models[0]!.name, model);
  const shown = await client.show({ model: 'tiny:latest' });
  ok(shown.capabilities.includes('completion'));
  strictEqual((await client.version()).version, 'test');
  strictEqual((await client.pull({ model })).status, 'success');
  for await (const { status } of await client.pull({ model, stream: true })) strictEqual(status, 'success');
});

test('embed', async () => {
  const { embeddings } = await client.embed({ model, input: ['Once', 'Twice'] });
  const { json } = await post(server, '/v1/embeddings', { input: ['Once', 'Twice'] });
  deepStrictEqual(
    embeddings,
    json.data.map(({ embedding }: { embedding: number[] }) => embedding),
  );
});

test('what cannot be done is said, in the shape that its clients know', async () => {
  for (const request of [
    () => client.pull({ model: 'another' }),
    () => client.chat({ model: 'another', messages: [user] }),
    () => client.generate({ model, prompt: 'x', suffix: 'y' }),
    () => client.generate({ model, prompt: 'x', images: ['aGk='] }),
    () => client.chat({ model, messages: [user], options: { no_such_option: true } as object }),
  ]) {
    await rejects(request() as Promise<unknown>, (error: Error & { status_code: number }) => {
      ok(error.name === 'ResponseError' && error.status_code >= 400 && error.status_code < 500);
      match(error.message, /pull|another|serves|suffix|images|no_such_option/);
      return true;
    });
  }
});
