/** What the server refuses: bodies, too many, too late, too slow, and the wrong people. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { endless, endlessRoom, post, testServer } from '../support/server.ts';

const server = await testServer({ logPrompts: false }, { contextLength: 4096, cacheTokens: 8192 });
const story = (i: number, more: object = {}) => ({
  prompt: `Once upon a time number ${i} `.repeat(1 + (i % 4)),
  max_tokens: 24,
  temperature: 1,
  seed: 100 + i,
  ignore_eos: true,
  ...more,
});

describe('limits', () => {
  test('bodies: too large, not JSON, not UTF-8, of another type, too deep', async () => {
    const cases: [string, string | Uint8Array<ArrayBuffer>, Record<string, string>, number, string][] = [
      ['large', JSON.stringify({ prompt: 'x'.repeat(2 << 20) }), {}, 413, 'body_too_large'],
      ['cut', '{"prompt": "x', {}, 400, 'invalid_json'],
      ['bytes', Uint8Array.of(0x22, 0xff, 0x22), {}, 400, 'invalid_json'],
      ['form', 'prompt=x', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'unsupported_media_type'],
      ['deep', `{"prompt":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, {}, 400, 'invalid_json'],
      ['array', '[]', {}, 400, 'invalid_type'],
      ['null', 'null', {}, 400, 'invalid_type'],
    ];
    for (const [what, body, headers, status, code] of cases) {
      const response = await fetch(`${server.url}/v1/completions`, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json', ...headers },
      });
      const { error } = (await response.json()) as { error: { code: string } };
      deepStrictEqual([what, response.status, error.code], [what, status, code]);
    }
  });

  test('a text that could never fit is refused without reading it', async () => {
    const roomy = await testServer({ bodyBytes: 1 << 25 }, { contextLength: 64 });
    const text = 'Once upon a time '.repeat(1_000_000);
    for (const [path, body, param] of [
      ['/v1/completions', { prompt: text }, 'prompt'],
      ['/v1/chat/completions', { messages: [{ role: 'user', content: text }] }, 'messages'],
      ['/v1/embeddings', { input: text }, 'input'],
    ] as const) {
      const { status, json } = await post(roomy, path, body);
      deepStrictEqual([status, json.error.code, json.error.param], [400, 'context_length_exceeded', param]);
      ok(/characters/.test(json.error.message));
    }
  });

  test('unknown paths and wrong methods are said in the same shape', async () => {
    const lost = await fetch(`${server.url}/v1/nothing`);
    deepStrictEqual([lost.status, ((await lost.json()) as { error: { code: string } }).error.code], [404, 'not_found']);
    strictEqual((await fetch(`${server.url}/v1/completions`)).status, 405);
    strictEqual((await fetch(`${server.url}/v1/models`, { method: 'DELETE' })).status, 405);
    strictEqual((await fetch(`${server.url}/..%2f..%2fpackage.json`)).status, 404);
  });

  test('more than fits is refused at once, and may be tried again', async () => {
    const small = await testServer({ parallel: 1, queue: 1 }, { ...endlessRoom, maxSequences: 1 });
    const gone = new AbortController();
    const busy = [0, 1].map((i) =>
      post(small, '/v1/completions', story(i, { max_tokens: endless }), { signal: gone.signal }).catch(() => null),
    );
    await eventually(() => small.core.gate.inside === 2, 'two are inside');
    const refused = await post(small, '/v1/completions', story(3));
    deepStrictEqual([refused.status, refused.json.error.code], [503, 'overloaded']);
    ok(Number(refused.headers.get('retry-after')) >= 1);
    gone.abort();
    await Promise.all(busy);
    await eventually(() => small.core.gate.inside === 0, 'nobody is inside');
    strictEqual((await post(small, '/v1/completions', story(3, { n: 3 }))).status, 400);
    strictEqual((await post(small, '/v1/completions', story(3))).status, 200);
  });

  test('who waits too long for a place is refused with a status, streaming or not; who talks too long is cut', async () => {
    const slow = await testServer(
      { parallel: 1, queue: 4, queueSeconds: 0.05, timeLimitSeconds: 2 },
      { ...endlessRoom, maxSequences: 1 },
    );
    const long = post(slow, '/v1/completions', story(0, { max_tokens: endless }));
    await eventually(async () => (await slow.model.engineLoad()).running === 1, 'the first runs');
    const late = await Promise.all([true, false].map((stream) => post(slow, '/v1/completions', story(1, { stream }))));
    for (const { status, json, headers } of late) {
      deepStrictEqual([status, json.error.code], [503, 'queue_timeout']);
      ok(Number(headers.get('retry-after')) >= 1);
    }
    const { json } = await long;
    strictEqual(json.choices[0].finish_reason, 'length');
    ok(json.usage.completion_tokens > 1 && json.usage.completion_tokens < endless);
  });

  test('a client that reads nothing is let go, and the others do not notice', async () => {
    const strict = await testServer({ stallSeconds: 0.3 }, { contextLength: 4096 });
    const { port } = new URL(strict.url);
    const messages = [{ role: 'user', content: 'Once' }];
    const much = { max_tokens: 1500, ignore_eos: true, stream: true, logprobs: true, top_logprobs: 20, n: 4 };
    const body = JSON.stringify({ messages, ...much });
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => {});
    socket.pause();
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await eventually(() => strict.core.gate.inside > 0, 'it is inside');
    const healthy = await post(strict, '/v1/completions', story(2));
    strictEqual(healthy.json.choices[0].text, (await post(server, '/v1/completions', story(2))).json.choices[0].text);
    await eventually(() => strict.log.some(({ status }) => status === 499), 'it was let go');
    await eventually(async () => (await strict.model.engineLoad()).running === 0, 'it does not run');
    socket.destroy();
  });
});

describe('access', () => {
  test('with API keys, nobody else gets in; health stays open', async () => {
    const locked = await testServer({ apiKeys: ['first', 'second'] });
    strictEqual((await post(locked, '/v1/completions', story(0))).status, 401);
    for (const [key, status] of [
      ['first', 200],
      ['second', 200],
      ['third', 401],
      ['', 401],
    ] as const) {
      const headers = { authorization: `Bearer ${key}` };
      strictEqual((await post(locked, '/v1/completions', story(0), { headers })).status, status, key);
    }
    strictEqual((await fetch(`${locked.url}/v1/models`)).status, 401);
    strictEqual((await fetch(`${locked.url}/health`)).status, 200);
  });

  test('a local server answers to local names only, and to other sites not at all unless asked', async () => {
    const { port } = new URL(server.url);
    const evil = connect(Number(port), '127.0.0.1');
    evil.setEncoding('utf8');
    const reply = new Promise<string>((resolve) => evil.once('data', (data) => resolve(String(data))));
    evil.write('GET /v1/models HTTP/1.1\r\nhost: evil.example\r\n\r\n');
    ok((await reply).startsWith('HTTP/1.1 403'));
    evil.destroy();
    const asked = {
      method: 'OPTIONS',
      headers: { origin: 'https://a.example', 'access-control-request-method': 'POST' },
    };
    strictEqual((await fetch(`${server.url}/v1/completions`, asked)).headers.get('access-control-allow-origin'), null);
    const friendly = await testServer({ corsOrigins: ['https://a.example'] });
    const allowed = await fetch(`${friendly.url}/v1/completions`, asked);
    strictEqual(allowed.headers.get('access-control-allow-origin'), 'https://a.example');
  });
});
