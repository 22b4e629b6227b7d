/** `handler()`: the server as a function from Request to Response, mounted where people mount such functions. */
import { deepStrictEqual, match, ok, rejects, strictEqual, throws } from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { Llama } from 'cria';
import { handler, nodeListener, type RequestLine } from 'cria/server';
import { Hono } from 'hono';
import { tinyFolder } from '../support/server.ts';

const loading = Llama.load(tinyFolder, { threads: 1, contextLength: 8192, cacheTokens: 8192 });
after(async () => (await loading).close());

const question = {
  messages: [{ role: 'user', content: 'Once upon a time' }],
  max_tokens: 8,
  temperature: 0,
};
const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  new Request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
const contentOf = async (response: Response) => {
  const text = await response.text();
  strictEqual(response.status, 200, text);
  return (JSON.parse(text) as { choices: { message: { content: string } }[] }).choices[0]!.message.content;
};

const handle = handler(loading);
const answer = await contentOf(await handle(post('http://any.name/v1/chat/completions', question)));

test('it answers while the model may still be loading, under any host name, whole and as a stream', async () => {
  ok(answer.length > 0);
  const stream = await handle(post('http://x/v1/chat/completions', { ...question, stream: true }));
  match(stream.headers.get('content-type')!, /text\/event-stream/);
  const events = (await stream.text()).split('\n\n').filter((line) => line !== '');
  strictEqual(events.pop(), 'data: [DONE]');
  const deltas = events.map((line) => JSON.parse(line.slice(6)).choices[0].delta.content ?? '');
  strictEqual(deltas.join(''), answer);
  const models = (await (await handle(new Request('http://x/v1/models'))).json()) as { data: { id: string }[] };
  deepStrictEqual(
    models.data.map(({ id }) => id),
    ['hf'],
  );
  strictEqual((await handle(new Request('http://x/'))).status, 404); // no chat page
});

test('with a base path it answers below it and nowhere else, as a route of Next needs', async () => {
  const based = handler(loading, { basePath: '/api/llm/', modelId: 'tiny' });
  strictEqual(await contentOf(await based(post('http://x/api/llm/v1/chat/completions', question))), answer);
  strictEqual((await based(post('http://x/v1/chat/completions', question))).status, 404);
  const described = (await (await based(new Request('http://x/api/llm/openapi.json'))).json()) as { servers: unknown };
  deepStrictEqual(described.servers, [{ url: '/api/llm' }]);
});

test('it mounts in Hono', async () => {
  const app = new Hono().mount('/llm', handle);
  strictEqual(await contentOf(await app.request(post('http://x/llm/v1/chat/completions', question))), answer);
});

test("it is a listener of Node's http server; a client that goes ends its answer", async () => {
  const lines: RequestLine[] = [];
  const listener = nodeListener(handler(loading, { onRequest: (line) => void lines.push(line) }));
  const server = createServer(listener).listen(0);
  after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  strictEqual(await contentOf(await fetch(post(`${url}/v1/chat/completions`, question))), answer);
  const leaving = new AbortController();
  const long = post(`${url}/v1/chat/completions`, { ...question, max_tokens: 8000, ignore_eos: true, stream: true });
  const response = await fetch(long, { signal: leaving.signal });
  leaving.abort();
  await rejects(response.text(), { name: 'AbortError' });
  while (lines.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  deepStrictEqual(
    lines.map(({ status, path }) => [status, path]),
    [
      [200, '/v1/chat/completions'],
      [499, '/v1/chat/completions'],
    ],
  );
});

test('a key is asked for where there is one', async () => {
  const guarded = handler(loading, { apiKeys: ['secret'] });
  strictEqual((await guarded(post('http://x/v1/chat/completions', question))).status, 401);
  const known = post('http://x/v1/chat/completions', question, { authorization: 'Bearer secret' });
  strictEqual(await contentOf(await guarded(known)), answer);
});

test('wrong options are all named', () => {
  throws(() => handler(loading, { modelld: 'x', queue: 0, basePath: 'api' } as object), {
    code: 'handler.options',
    message: /modelld is not an option \(did you mean modelId\?\); basePath is "api".*; queue is 0/,
  });
});

test('a model that cannot be loaded is the error of the first request', async () => {
  await rejects(handler(Llama.load('no-such.gguf'))(new Request('http://x/health')), /no-such\.gguf/);
});
