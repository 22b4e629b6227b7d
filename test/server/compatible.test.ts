/** Paths without /v1, /v1/rerank, and llama-server's own /completion and /props. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { post, testServer } from '../support/server.ts';

const server = await testServer({}, { contextLength: 1024 });

test('every path of /v1 is there without it', async () => {
  const body = { messages: [{ role: 'user', content: 'Once' }], max_tokens: 4, temperature: 0 };
  const [whole, bare] = [
    await post(server, '/v1/chat/completions', body),
    await post(server, '/chat/completions', body),
  ];
  strictEqual(bare.json.choices[0].message.content, whole.json.choices[0].message.content);
  strictEqual((await fetch(`${server.url}/models`)).status, 200);
  strictEqual((await post(server, '/embeddings', { input: 'Once' })).status, 200);
});

test('rerank: the nearest first, and the query itself is nearest of all', async () => {
  const documents = ['a dog in the garden', 'Once upon a time', { text: 'numbers 1 2 3' }];
  for (const path of ['/rerank', '/v1/rerank']) {
    const { json } = await post(server, path, { query: 'Once upon a time', documents, return_documents: true });
    const scores = json.results.map(({ relevance_score }: { relevance_score: number }) => relevance_score);
    deepStrictEqual(
      scores,
      [...scores].sort((a, b) => b - a),
    );
    deepStrictEqual([json.results[0].index, json.results[0].document.text], [1, 'Once upon a time']);
    ok(Math.abs(scores[0] - 1) < 1e-5 && json.usage.prompt_tokens > 0);
  }
  const { json } = await post(server, '/rerank', { query: 'Once', documents, top_n: 1 });
  deepStrictEqual([json.results.length, json.results[0].document], [1, undefined]);
  strictEqual((await post(server, '/rerank', { query: 'Once', documents: [] })).status, 400);
});

test("llama-server's completion: the text of /v1/completions, whole and streamed; why it ended", async () => {
  const request = { prompt: 'Once', n_predict: 8, temperature: 0 };
  const { json } = await post(server, '/completion', request);
  const { json: other } = await post(server, '/v1/completions', { prompt: 'Once', max_tokens: 8, temperature: 0 });
  deepStrictEqual([json.content, json.tokens_predicted], [other.choices[0].text, other.usage.completion_tokens]);
  deepStrictEqual([json.stop, json.stop_type], [true, 'limit']);
  const { text } = await post(server, '/completion', { ...request, stream: true });
  const events = text
    .trim()
    .split('\n\n')
    .map((line) => JSON.parse(line.slice('data: '.length)));
  strictEqual(events.map(({ content }) => content).join(''), json.content);
  deepStrictEqual(
    events.map(({ stop }) => stop),
    events.map((_, i) => i === events.length - 1),
  );
  const word = await post(server, '/completion', { ...request, stop: [json.content.slice(3, 6)] });
  deepStrictEqual([word.json.stop_type, word.json.stopping_word], ['word', json.content.slice(3, 6)]);
  const held = await post(server, '/completion', { prompt: 'Once', json_schema: { enum: ['yes'] } });
  deepStrictEqual([held.json.content, held.json.stop_type], ['"yes"', 'eos']);
});

test('props', async () => {
  const body = (await (await fetch(`${server.url}/props`)).json()) as Record<string, unknown>;
  deepStrictEqual(body.default_generation_settings, { n_ctx: 1024 });
  strictEqual(body.model_alias, 'tiny');
});
