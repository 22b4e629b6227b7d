/** The Vercel AI SDK with its provider for OpenAI-compatible servers, and with that for OpenAI. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { embed, generateText, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';
import { testServer } from '../support/server.ts';

const server = await testServer({}, { contextLength: 2048 });
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

test('the provider that the AI SDK takes for OpenAI, which speaks Responses: a task of three tools, whole and streamed', async () => {
  const openai = createOpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none' });
  const steps = ['find', 'read', 'finish'] as const;
  const done: string[] = [];
  const made = (name: string, inputSchema: z.ZodObject) =>
    tool({
      description: name,
      inputSchema,
      execute: async (input: object) => {
        done.push(`${name} ${Object.keys(input).join()}`);
        return 'ok';
      },
    });
  const task = {
    model: openai('tiny'),
    prompt: 'Do it.',
    maxOutputTokens: 300,
    maxRetries: 0,
    tools: {
      find: made('find', z.object({ kind: z.enum(['a', 'b']) })),
      read: made('read', z.object({ line: z.int().min(0).max(9) })),
      finish: made('finish', z.object({ good: z.boolean() })),
    },
    stopWhen: stepCountIs(4),
    prepareStep: ({ stepNumber }: { stepNumber: number }) => {
      const toolName = steps[stepNumber];
      return { toolChoice: toolName ? { type: 'tool' as const, toolName } : ('none' as const) };
    },
  };
  const whole = await generateText(task);
  deepStrictEqual([whole.steps.length, done], [4, ['find kind', 'read line', 'finish good']]);
  done.length = 0;
  const stream = streamText(task);
  await stream.consumeStream();
  deepStrictEqual([(await stream.steps).length, done], [4, ['find kind', 'read line', 'finish good']]);
});
