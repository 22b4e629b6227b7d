/** Requests that cost what they can: whoever asks something else meanwhile does not notice, and nothing is left of them. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { post, testServer } from '../support/server.ts';
import { missing, shared } from '../support/shared.ts';

const server = await testServer({ bodyBytes: 1 << 24, readSeconds: 3 }, { contextLength: 1024 });
const messages = [{ role: 'user', content: 'hi' }];
const withSchema = (schema: object) => ({
  messages,
  max_tokens: 3,
  response_format: { type: 'json_object', schema },
});
const text = 'The quick brown fox jumps over the lazy dog. ';

const costly: readonly (readonly [what: string, path: string, body: object | string])[] = [
  [
    'counts within counts',
    '/v1/chat/completions',
    withSchema({ type: 'string', pattern: '^((a{1,50}){1,50}){1,50}$' }),
  ],
  [
    'a pattern that doubles',
    '/v1/chat/completions',
    withSchema({ type: 'string', pattern: '^(a|b)*a(a|b){20}(a|b)*c$' }),
  ],
  [
    'ten looks ahead',
    '/v1/chat/completions',
    withSchema({ type: 'string', pattern: `^${'abcdefghij'.replace(/./g, '(?=.*$&.{9})')}.*$` }),
  ],
  [
    'an enum of 100,000 names',
    '/v1/chat/completions',
    withSchema({ enum: Array.from({ length: 100_000 }, (_, i) => `name ${(i * 7919) % 1_000_003}`) }),
  ],
  ['megabytes to tokenize', '/tokenize', { content: text.repeat(7e6 / text.length) }],
  ['a million ids', '/v1/completions', { prompt: Array.from({ length: 1_000_000 }, (_, i) => i % 500) }],
  [
    'a grammar that is all choices',
    '/v1/completions',
    { prompt: 'x', max_tokens: 3, grammar: 'root ::= ("a" | "a"){0,60000}' },
  ],
  ['brackets', '/v1/chat/completions', `{"messages":${'['.repeat(4e6)}`],
];

/** The longest that /health took while `busy` went on. */
async function worstHealth(busy: Promise<unknown>): Promise<number> {
  let worst = 0;
  let over = false;
  void busy.finally(() => {
    over = true;
  });
  do {
    const start = performance.now();
    const { status } = await fetch(`${server.url}/health`);
    strictEqual(status, 200);
    worst = Math.max(worst, performance.now() - start);
    await new Promise((resolve) => setTimeout(resolve, 2));
  } while (!over);
  return worst;
}

describe('while a costly request is worked on', () => {
  for (const [what, path, body] of costly) {
    test(`${what}: /health answers, and a small request is answered`, async () => {
      const begun = performance.now();
      const request = post(server, path, body);
      const small = post(server, '/v1/completions', { prompt: 'Once', max_tokens: 2 });
      const worst = await worstHealth(Promise.all([request, small]));
      const { status } = await request;
      ok([200, 400].includes(status), `status ${status}`);
      strictEqual((await small).status, 200);
      // A bound for a loaded machine: what this test is about took seconds.
      ok(worst < 1000, `${worst} ms`);
      ok(performance.now() - begun < 20_000);
    });
  }

  test('the given cases', { skip: missing('cases/server') }, async () => {
    for (const name of ['01-regex-nested-counts', '04-oneof-recursive-rangeerror']) {
      const request = post(server, '/v1/chat/completions', readFileSync(shared(`cases/server/${name}.json`), 'utf8'));
      ok((await worstHealth(request)) < 1000);
      ok([200, 400].includes((await request).status));
    }
  });
});

test('a request that takes too long is refused, with its worker', async () => {
  const strict = await testServer({ bodyBytes: 1 << 24, readSeconds: 0.05 }, { contextLength: 1024 });
  const { status, json } = await post(strict, '/tokenize', { content: text.repeat(7e6 / text.length) });
  deepStrictEqual([status, json.error.code], [400, 'too_much_work']);
  strictEqual((await post(strict, '/tokenize', { content: 'x' })).status, 200);
});

test('a request that is being read ends with its client', async () => {
  const gone = new AbortController();
  const body = { content: text.repeat(1.4e7 / text.length) };
  const request = post(server, '/tokenize', body, { signal: gone.signal }).catch(() => null);
  setTimeout(() => gone.abort(), 200);
  await request;
  const { status } = await post(server, '/tokenize', { content: text.repeat(3000) });
  strictEqual(status, 200);
});
