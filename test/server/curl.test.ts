/** What people type: curl, as in the README. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { testServer } from '../support/server.ts';

const noCurl = (() => {
  try {
    execFileSync('curl', ['--version']);
    return false;
  } catch {
    return 'curl is not on this machine';
  }
})();

test('curl', { skip: noCurl }, async (t) => {
  const server = await testServer({ apiKeys: ['secret'] });
  const json = ['-H', 'content-type: application/json'];
  const key = ['-H', 'authorization: Bearer secret'];
  const bare = (path: string, ...options: string[]) =>
    new Promise<{ status: number; text: string }>((resolve, reject) => {
      const all = ['-sS', '-m', '20', '-w', '\n%{http_code}', ...options, server.url + path];
      execFile('curl', all, { encoding: 'utf8' }, (error, stdout) => {
        if (error) reject(error);
        else resolve({ status: Number(stdout.slice(-3)), text: stdout.slice(0, -4) });
      });
    });
  const curl = (path: string, ...options: string[]) => bare(path, ...key, ...json, ...options);
  const body = (more: object = {}) =>
    JSON.stringify({ messages: [{ role: 'user', content: 'Tell me a story.' }], max_tokens: 6, seed: 1, ...more });

  await t.test('an answer, and the same as events', async () => {
    const whole = await curl('/v1/chat/completions', '-d', body());
    strictEqual(whole.status, 200);
    const { choices, usage } = JSON.parse(whole.text);
    strictEqual(usage.completion_tokens, 6);
    const streamed = await curl(
      '/v1/chat/completions',
      '-N',
      '-d',
      body({ stream: true, stream_options: { include_usage: true } }),
    );
    const lines = streamed.text.split('\n').filter((line) => line !== '');
    strictEqual(lines.at(-1), 'data: [DONE]');
    const events = lines.slice(0, -1).map((line) => JSON.parse(line.replace(/^data: /, '')));
    strictEqual(events.map((event) => event.choices[0]?.delta.content ?? '').join(''), choices[0].message.content);
    ok(events.slice(0, -1).every((event) => event.usage === null));
    deepStrictEqual([events.at(-1).choices, events.at(-1).usage.completion_tokens], [[], 6]);
  });

  await t.test('-d alone sends a form, which is refused with a word about the header', async () => {
    const { status, text } = await bare('/v1/chat/completions', ...key, '-d', body());
    strictEqual(status, 415);
    match(JSON.parse(text).error.message, /expected content-type: application\/json/);
  });

  await t.test('a large body is announced first (Expect: 100-continue), and chunked ones are read', async () => {
    const prompt = JSON.stringify({ prompt: 'x', max_tokens: 1, user: 'u'.repeat(500), stop: ['s'.repeat(1000)] });
    const expected = await curl('/v1/completions', '-H', 'expect: 100-continue', '-d', prompt);
    strictEqual(expected.status, 200);
    const chunked = await curl('/v1/completions', '-H', 'transfer-encoding: chunked', '-d', prompt);
    strictEqual(chunked.status, 200);
  });

  await t.test('without the key: 401; health without one; HEAD', async () => {
    strictEqual((await bare('/v1/models')).status, 401);
    strictEqual((await bare('/health')).status, 200);
    strictEqual((await bare('/health', '-I')).status, 200);
  });
});
