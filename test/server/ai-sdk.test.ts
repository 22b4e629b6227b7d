/** The Vercel AI SDK's provider for OpenAI-compatible servers. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { embed, generateText, streamText } from 'ai';
import { testServer } from '../support/server.ts';

const server = await testServer();
const provider = createOpenAICompatible({ name: 'cria', baseURL: `${server.url}/v1`, includeUsage: true });

test('generateText and streamText give the same text and counts', async () => {
  const request = { model: provider('tiny'), prompt: 'Once upon a time', maxOutputTokens: 10, temperature: 0 };
  const whole = await generateText({ ...request, maxRetries: 0 });
  ok(whole.text.length > 0);
  const stream = streamText({ ...request, maxRetries: 0 });
  let streamed = '';
  for await (const part of stream.textStream) streamed += part;
  strictEqual(streamed, whole.text);
  const { inputTokens, outputTokens } = await stream.usage;
  deepStrictEqual([inputTokens, outputTokens], [whole.usage.inputTokens, whole.usage.outputTokens]);
  strictEqual(whole.finishReason, await stream.finishReason);
});

test('embed', async () => {
  const { embedding, usage } = await embed({ model: provider.embeddingModel('tiny'), value: 'Once', maxRetries: 0 });
  strictEqual(embedding.length, server.model.config.width);
  ok(usage.tokens > 0);
});
