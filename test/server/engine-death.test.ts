import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { endless, endlessRoom, post, testServer } from '../support/server.ts';

test('when the engine is gone, requests under way and new ones are told so, and health says it', async () => {
  const server = await testServer({}, { ...endlessRoom, cacheTokens: 2 * endlessRoom.cacheTokens });
  const request = { prompt: 'Once', max_tokens: endless, ignore_eos: true };
  const whole = post(server, '/v1/completions', request);
  const streamed = post(server, '/v1/completions', { ...request, stream: true });
  while ((await server.model.engineLoad()).running < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  await server.model.close();
  const { status, json } = await whole;
  deepStrictEqual([status, json.error.code], [503, 'engine_unavailable']);
  const { text } = await streamed;
  strictEqual(JSON.parse(text.trim().split('\n\n').at(-1)!.slice('data: '.length)).error.code, 'engine_unavailable');
  strictEqual((await post(server, '/v1/completions', request)).json.error.code, 'engine_unavailable');
  strictEqual((await fetch(`${server.url}/health`)).status, 503);
  strictEqual(server.core.gate.inside, 0);
});
