/** What somebody does first: `cria serve` with nothing else, and the official client; then SIGTERM while an answer is under way. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, describe, test } from 'node:test';
import OpenAI from 'openai';
import { binary } from './cria.ts';

describe('cria serve, the bundled model', async () => {
  const server = spawn(process.execPath, [binary, 'serve', '--port', '0', '--api-key', 'secret']);
  const exit = once(server, 'exit') as Promise<[code: number | null]>;
  after(() => server.kill('SIGKILL'));
  let log = '';
  server.stderr.setEncoding('utf8').on('data', (data) => {
    log += data;
  });
  const [url] = (await once(server.stdout.setEncoding('utf8'), 'data')) as [string];
  const client = new OpenAI({ baseURL: `${url.trim()}/v1`, apiKey: 'secret', maxRetries: 0 });
  const { data } = await client.models.list();
  const model = data[0]!.id;
  const messages = [{ role: 'user' as const, content: 'Once upon a time' }];

  test('answers a chat through its own adapter, and goes on with a text without it', async () => {
    ok(!log.includes('no chat template'), log);
    const { choices, usage } = await client.chat.completions.create({
      model,
      messages,
      max_tokens: 20,
      temperature: 0,
    });
    const text = choices[0]!.message.content!;
    ok(/[a-z]{3}/.test(text) && usage!.completion_tokens <= 20, text);
    const plain = await client.completions.create({
      model,
      prompt: 'Once upon a time',
      max_tokens: 20,
      temperature: 0,
    });
    match(plain.choices[0]!.text, /^,? there was/);
  });

  test('a form, a tool, an embedding', async () => {
    const schema = {
      type: 'object',
      properties: { a: { enum: [1, 2] } },
      required: ['a'],
      additionalProperties: false,
    };
    const formed = await client.chat.completions.create({
      model,
      messages,
      response_format: { type: 'json_schema', json_schema: { name: 'x', schema, strict: true } },
    });
    ok([1, 2].includes(JSON.parse(formed.choices[0]!.message.content!).a));
    const called = await client.chat.completions.create({
      model,
      messages,
      tools: [{ type: 'function', function: { name: 'f', parameters: schema } }],
      tool_choice: 'required',
      parallel_tool_calls: false,
    });
    const [call] = called.choices[0]!.message.tool_calls as [OpenAI.ChatCompletionMessageFunctionToolCall];
    deepStrictEqual([call.function.name, typeof JSON.parse(call.function.arguments).a], ['f', 'number']);
    const { data: vectors } = await client.embeddings.create({ model, input: 'Once upon a time' });
    strictEqual(vectors[0]!.embedding.length, 320);
  });

  test('SIGTERM: the answer under way comes to its end, and the program ends well', async () => {
    const stream = await client.completions.create({
      model,
      prompt: 'Once upon a time',
      max_tokens: 200,
      stream: true,
      stream_options: { include_usage: true },
      ...{ ignore_eos: true },
    });
    let chunks = 0;
    let counted = 0;
    for await (const { usage } of stream) {
      if (++chunks === 3) server.kill('SIGTERM');
      counted = usage?.completion_tokens ?? counted;
    }
    strictEqual(counted, 200);
    const [code] = await exit;
    strictEqual(code, 0, log);
    match(log, /"msg":"closing"/);
  });
});

test('nobody reads its log any more: it goes on', async () => {
  const server = spawn(process.execPath, [binary, 'serve', '--port', '0', '--no-page']);
  after(() => server.kill('SIGKILL'));
  const [url] = (await once(server.stdout.setEncoding('utf8'), 'data')) as [string];
  server.stderr.destroy();
  for (let i = 0; i < 3; i++) strictEqual((await fetch(`${url.trim()}/v1/models`)).status, 200);
  strictEqual(server.exitCode, null);
});
