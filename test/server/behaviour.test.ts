/** Many clients at once: shared batches, cancellation, the log, shutting down. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { endless, endlessRoom, post, testServer } from '../support/server.ts';

const server = await testServer({ logPrompts: false }, endlessRoom);
const story = (i: number, more: object = {}) => ({
  prompt: `Once upon a time number ${i} `.repeat(1 + (i % 4)),
  max_tokens: 24,
  temperature: 1,
  seed: 100 + i,
  ignore_eos: true,
  ...more,
});

describe('continuous batching', () => {
  test('requests that come together share steps, and each has the text that it has alone', async () => {
    const requests = Array.from({ length: 12 }, (_, i) => story(i, { max_tokens: 150 }));
    const alone: string[] = [];
    for (const request of requests) alone.push((await post(server, '/v1/completions', request)).json.choices[0].text);
    const before = await server.model.engineLoad();
    const together = await Promise.all(requests.map((request) => post(server, '/v1/completions', request)));
    const after = await server.model.engineLoad();
    deepStrictEqual(
      together.map(({ json }) => json.choices[0].text),
      alone,
    );
    const tokens = 12 * 150;
    ok(after.steps - before.steps < tokens / 2, `${after.steps - before.steps} steps for ${tokens} tokens`);
  });

  test('a second turn finds the first in the cache', async () => {
    const messages = [{ role: 'user', content: 'Tell me a long story about a little dog and a very big cat.' }];
    const ask = (turns: object[]) =>
      post(server, '/v1/chat/completions', { messages: turns, max_tokens: 8, temperature: 0 });
    const first = (await ask(messages)).json;
    const { content } = first.choices[0].message;
    const again = [...messages, { role: 'assistant', content }, { role: 'user', content: 'And then?' }];
    const second = (await ask(again)).json;
    const { cached_tokens } = second.usage.prompt_tokens_details;
    ok(cached_tokens >= first.usage.prompt_tokens - 32, `${cached_tokens} of ${first.usage.prompt_tokens} cached`);
    strictEqual(second.timings.cache_n, cached_tokens);
    strictEqual(second.timings.prompt_n + cached_tokens, second.usage.prompt_tokens);
  });
});

/** A request as bytes on a socket. */
function rawRequest(path: string, body: object | string, headers = ''): { socket: Socket; received: () => string } {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const { port } = new URL(server.url);
  const socket = connect(Number(port), '127.0.0.1');
  let seen = '';
  socket.setEncoding('utf8');
  socket.on('data', (data) => {
    seen += data;
  });
  socket.on('error', () => {});
  socket.write(
    `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n${headers}\r\n${text}`,
  );
  return { socket, received: () => seen };
}

describe('clients that go', () => {
  for (const stream of [true, false]) {
    test(`an answer ends at once when its client goes (stream: ${stream}), and its blocks are free`, async () => {
      const { socket } = rawRequest('/v1/completions', story(1, { max_tokens: endless, stream }));
      await eventually(async () => (await server.model.engineLoad()).running === 1, 'it runs');
      socket.destroy();
      await eventually(async () => {
        const { running, usedBlocks } = await server.model.engineLoad();
        return running === 0 && usedBlocks === 0;
      }, 'nothing runs');
      await eventually(() => server.log.some(({ status }) => status === 499), 'the log says so');
      strictEqual(server.core.gate.inside, 0);
    });
  }

  // About two milliseconds after the request its answer has a place, and nobody reads its body yet.
  test('a client that goes while its answer begins is not one that was answered', async () => {
    const first = server.log.length;
    for (let i = 0; i < 120; i++) {
      const { socket } = rawRequest('/v1/completions', story(i, { max_tokens: endless, stream: true }));
      await new Promise((resolve) => setTimeout(resolve, 1 + (i % 6)));
      socket.destroy();
      await eventually(() => server.core.gate.inside === 0, 'nothing runs');
    }
    deepStrictEqual([...new Set(server.log.slice(first).map(({ status }) => status))], [499]);
    ok(server.log.length > first + 60, `${server.log.length - first} of 120 requests came in`);
  });

  test('a raw socket gets events in chunks, and [DONE]', async () => {
    const { socket, received } = rawRequest('/v1/completions', story(2, { stream: true }), 'connection: close\r\n');
    await new Promise((resolve) => socket.once('close', resolve));
    ok(received().startsWith('HTTP/1.1 200'));
    ok(/content-type: text\/event-stream/i.test(received()));
    strictEqual(received().match(/data: \{/g)!.length >= 10, true);
    ok(received().includes('data: [DONE]\n\n'));
  });
});

describe('operation', () => {
  test('the log has a line per request, and no text of anybody', async () => {
    await post(server, '/v1/completions', story(0, { prompt: 'a secret word', user: 'anna' }));
    const line = server.log.findLast(({ path }) => path === '/v1/completions')!;
    deepStrictEqual([line.method, line.status, line.user], ['POST', 200, 'anna']);
    strictEqual(line.completionTokens, 24);
    await post(server, '/v1/completions', '{"prompt": "a secret word", "secret key": 1}');
    ok(!JSON.stringify(server.log).includes('secret word'));
    const open = await testServer({ logPrompts: true });
    await post(open, '/v1/completions', story(0, { prompt: 'a secret word' }));
    ok(JSON.stringify(open.log).includes('a secret word'));
  });

  test('metrics count what happened, in the form that Prometheus reads', async () => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)![1]);
    ok(value('cria_tokens_predicted_total') > 12 * 24);
    ok(value('cria_prompt_tokens_cached_total') > 0);
    strictEqual(value('cria_answers_running'), 0);
    ok(value('cria_time_to_first_token_seconds_count') > 24);
    for (const line of text.trimEnd().split('\n')) {
      ok(/^(# (HELP|TYPE) \w+ .+|\w+(\{[^}]*\})? [\d.e+-]+)$/.test(line), line);
    }
  });

  test('closing lets answers finish and takes no new ones', async () => {
    const closing = await testServer({ drainSeconds: 10 }, { contextLength: 4096 });
    const whole = post(closing, '/v1/completions', story(1, { max_tokens: 300 }));
    await eventually(async () => (await closing.model.engineLoad()).running === 1, 'it runs');
    const closed = closing.close();
    await fetch(`${closing.url}/health`).then(
      ({ status }) => strictEqual(status, 503),
      () => {}, // no new connections is as good
    );
    const { status, json } = await whole;
    deepStrictEqual([status, json.usage.completion_tokens], [200, 300]);
    await closed;
    await fetch(closing.url).then(
      () => ok(false, 'it still answers'),
      () => {},
    );
  });
});

describe('small tools', () => {
  test('tokenize and detokenize are inverse; pieces are texts or bytes', async () => {
    const content = 'Once upon a time, 안녕!';
    const { tokens } = (await post(server, '/tokenize', { content })).json;
    deepStrictEqual(tokens, [...server.model.tokenizer.encode(content)]);
    strictEqual((await post(server, '/detokenize', { tokens })).json.content, content);
    const pieces = (await post(server, '/tokenize', { content, with_pieces: true })).json.tokens as {
      piece: string | number[];
    }[];
    const bytes = pieces.flatMap(({ piece }) => (typeof piece === 'string' ? [...Buffer.from(piece)] : piece));
    strictEqual(Buffer.from(bytes).toString().trimStart(), content);
    strictEqual((await post(server, '/detokenize', { tokens: [99999] })).status, 400);
  });

  test('apply-template shows what the model reads', async () => {
    const { prompt } = (await post(server, '/apply-template', { messages: [{ role: 'user', content: 'Hi' }] })).json;
    strictEqual(prompt, '<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n');
  });

  test('apply-template shows the tools as well, as chat completions show them to the model', async () => {
    const messages = [{ role: 'user', content: 'Hi' }];
    const tools = [{ type: 'function', function: { name: 'get_weather', parameters: { type: 'object' } } }];
    const shown = async (more: object) =>
      String((await post(server, '/apply-template', { messages, tools, ...more })).json.prompt);
    match(await shown({}), /get_weather[\s\S]*user\nHi/);
    ok(!(await shown({ tool_choice: 'none' })).includes('get_weather'));
    strictEqual((await post(server, '/apply-template', { messages, tool_choice: 'required' })).status, 400);
  });

  test('openapi.json lists every endpoint with its parameters', async () => {
    const described = (await (await fetch(`${server.url}/openapi.json`)).json()) as {
      paths: Record<
        string,
        { post?: { requestBody: { content: { 'application/json': { schema: { properties: object } } } } } }
      >;
    };
    const chat = described.paths['/v1/chat/completions']!.post!.requestBody.content['application/json'].schema;
    for (const name of ['messages', 'temperature', 'mirostat_tau', 'dry_multiplier', 'n', 'stop', 'seed']) {
      ok(name in chat.properties, name);
    }
    ok('/v1/models/{model}' in described.paths);
  });
});
