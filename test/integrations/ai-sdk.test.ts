/** `cria/ai-sdk` under the real AI SDK: texts, streams, tools over several steps, objects, embeddings, in this process. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { EmbeddingModelV4, LanguageModelV4, ProviderV4 } from '@ai-sdk/provider';
import { embed, embedMany, generateText, jsonSchema, Output, stepCountIs, streamText, tool } from 'ai';
import { Llama } from 'cria';
import { type CriaProviderOptions, createCria } from 'cria/ai-sdk';
import { z } from 'zod';
import { tinyFolder } from '../support/server.ts';

const cria = createCria();
after(() => cria.close());
const load = { threads: 1, contextLength: 2048 };
const model = cria(tinyFolder, { ...load, template: 'chatml' });
const common = { model, maxRetries: 0, temperature: 0 };

// What the SDK asks a provider to be; a mistake here does not compile.
({ cria, model, vectors: cria.embeddingModel(tinyFolder) }) satisfies {
  cria: ProviderV4;
  model: LanguageModelV4;
  vectors: EmbeddingModelV4;
};

const paint = z.object({ color: z.enum(['red', 'green']), times: z.int().min(1).max(99) });
const settings = (options: CriaProviderOptions) => ({ cria: options });

describe('AI SDK', () => {
  test('generateText and streamText say the same, and the same as the model itself', async () => {
    const request = { ...common, prompt: 'Once upon a time', maxOutputTokens: 12 };
    const whole = await generateText(request);
    ok(whole.text.length > 0);
    strictEqual(whole.finishReason, 'length');
    const stream = streamText(request);
    let streamed = '';
    for await (const part of stream.textStream) streamed += part;
    strictEqual(streamed, whole.text);
    const { inputTokens, outputTokens } = await stream.usage;
    deepStrictEqual([inputTokens, outputTokens], [whole.usage.inputTokens, 12]);

    const llama = await Llama.load(tinyFolder, load);
    after(() => llama.close());
    const chat = llama.chat({ template: 'chatml' });
    strictEqual(await chat.send('Once upon a time', { maxTokens: 12, temperature: 0 }).text(), whole.text);
    // A model that is loaded already is one too, and stays the caller's to close.
    strictEqual((await generateText({ ...request, model: cria(llama, { template: 'chatml' }) })).text, whole.text);
  });

  test('conversations, stop texts, seeds and the options that only Cria has', async () => {
    const messages = [
      { role: 'user' as const, content: 'Hello' },
      { role: 'assistant' as const, content: 'Hi.' },
      { role: 'user' as const, content: [{ type: 'text' as const, text: 'Tell me more' }] },
    ];
    const request = { ...common, instructions: 'Be brief.', messages, temperature: 1, seed: 7, maxOutputTokens: 20 };
    const first = await generateText(request);
    strictEqual((await generateText(request)).text, first.text);
    strictEqual((first.providerMetadata!.cria as { seed: number }).seed, 7);
    const stop = first.text.slice(3, 5);
    const cut = await generateText({ ...request, stopSequences: [stop] });
    strictEqual(cut.text, first.text.slice(0, first.text.indexOf(stop)));
    strictEqual(cut.finishReason, 'stop');
    const grammar = 'root ::= ("yes" | "no") "!"';
    match((await generateText({ ...request, providerOptions: settings({ grammar }) })).text, /^(yes|no)!$/);
    const traced = await generateText({ ...request, providerOptions: settings({ logprobs: 1 }) });
    const { logprobs } = traced.providerMetadata!.cria as { logprobs: { logprob: number }[] };
    strictEqual(logprobs.length, traced.usage.outputTokens);
    await rejects(generateText({ ...request, providerOptions: settings({ minp: 1 } as object) }), /did you mean minP/);
  });

  test('objects by schema, whole and streamed: a model that only babbles keeps to it', async () => {
    for (let seed = 0; seed < 3; seed++) {
      const request = { ...common, prompt: 'Paint it.', temperature: 1, seed, maxOutputTokens: 300 };
      const { output } = await generateText({ ...request, output: Output.object({ schema: paint }) });
      deepStrictEqual(paint.parse(output), output);
      const stream = streamText({ ...request, output: Output.object({ schema: paint }) });
      let last: unknown;
      for await (const partial of stream.partialOutputStream) last = partial;
      deepStrictEqual(last, output);
    }
    const choice = await generateText({ ...common, prompt: '?', output: Output.choice({ options: ['cat', 'dog'] }) });
    ok(['cat', 'dog'].includes(choice.output));
  });

  test('a tool is called with arguments of its schema, its result goes back, and the next step answers', async () => {
    const asked: unknown[] = [];
    const tools = {
      paint: tool({
        description: 'Paints',
        inputSchema: paint,
        execute: async (input) => {
          asked.push(input);
          return { done: input.times };
        },
      }),
    };
    const request = {
      ...common,
      prompt: 'Paint it.',
      temperature: 1,
      seed: 2,
      maxOutputTokens: 200,
      tools,
      stopWhen: stepCountIs(2),
      prepareStep: ({ stepNumber }: { stepNumber: number }) => ({
        toolChoice: stepNumber === 0 ? ({ type: 'tool', toolName: 'paint' } as const) : ('auto' as const),
      }),
    };
    const result = await generateText(request);
    strictEqual(result.steps.length, 2);
    strictEqual(result.steps[0]!.finishReason, 'tool-calls');
    ok(result.steps[0]!.toolCalls.length >= 1);
    deepStrictEqual(
      asked,
      result.steps[0]!.toolCalls.map(({ input }) => input),
    );
    asked.forEach((input) => void paint.parse(input));
    ok(result.steps[1]!.usage.inputTokens! > result.steps[0]!.usage.inputTokens!);

    const stream = streamText(request);
    const written: string[] = [];
    for await (const part of stream.fullStream) if (part.type === 'tool-input-delta') written.push(part.delta);
    const calls = (await stream.steps)[0]!.toolCalls.map(({ input }) => input);
    deepStrictEqual(
      calls,
      result.steps[0]!.toolCalls.map(({ input }) => input),
    );
    deepStrictEqual(JSON.parse(`[${written.join('').replaceAll('}{', '},{')}]`), calls);
  });

  test('tools and an object: an answer calls, or is the object', async () => {
    const tools = {
      look: tool({ inputSchema: z.object({ at: z.enum(['sky', 'sea']) }), execute: async () => 'blue' }),
    };
    for (let seed = 0; seed < 6; seed++) {
      const result = await generateText({
        ...common,
        prompt: 'Paint it.',
        temperature: 1,
        seed,
        tools,
        output: Output.object({ schema: paint }),
        maxOutputTokens: 300,
      });
      if (result.finishReason === 'tool-calls')
        ok(result.toolCalls.every(({ input }) => /^(sky|sea)$/.test((input as { at: string }).at)));
      else deepStrictEqual(paint.parse(result.output), result.output);
    }
  });

  test('a call that maxOutputTokens cuts short is not made', async () => {
    const long = jsonSchema<{ text: string }>({
      type: 'object',
      properties: { text: { type: 'string', minLength: 400 } },
      required: ['text'],
    });
    const tools = { write: tool({ inputSchema: long, execute: async () => ok(false, 'called') }) };
    const request = { ...common, prompt: 'x', tools, toolChoice: 'required' as const, maxOutputTokens: 120 };
    await rejects(generateText(request), /did not contain a tool call/);
    const kinds: string[] = [];
    for await (const { type } of streamText({ ...request, onError: () => {} }).fullStream) kinds.push(type);
    ok(kinds.includes('tool-input-delta') && !kinds.includes('tool-call'));
  });

  test('an abort ends the answer, before it and in the middle of it', async () => {
    const long = { ...common, prompt: 'Once', maxOutputTokens: 900, providerOptions: settings({ ignoreEos: true }) };
    await rejects(generateText({ ...long, abortSignal: AbortSignal.abort() }), { name: 'AbortError' });
    const leaving = new AbortController();
    const stream = streamText({ ...long, abortSignal: leaving.signal });
    const seen: string[] = [];
    for await (const part of stream.fullStream) {
      seen.push(part.type);
      if (part.type === 'text-delta') leaving.abort();
    }
    strictEqual(seen.at(-1), 'abort');
  });

  test('embed and embedMany give vectors of unit length; one text of many is the same alone', async () => {
    const vectors = cria.embeddingModel(tinyFolder, load);
    const { embeddings, usage } = await embedMany({ model: vectors, values: ['A cat', 'Two dogs'], maxRetries: 0 });
    const { embedding } = await embed({ model: vectors, value: 'Two dogs', maxRetries: 0 });
    deepStrictEqual(embeddings[1], embedding);
    ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-6);
    ok(usage.tokens > 2);
  });

  test('what cannot be done is said: images, too long a prompt, a file that is not there', async () => {
    const image = { type: 'file' as const, mediaType: 'image/png', data: new Uint8Array(8) };
    await rejects(
      generateText({ ...common, messages: [{ role: 'user', content: [image] }] }),
      /file \(image\/png\), expected texts/,
    );
    await rejects(generateText({ ...common, prompt: 'cat '.repeat(3000) }), { code: 'context_length_exceeded' });
    await rejects(generateText({ ...common, prompt: 'x', maxOutputTokens: 5000 }), /leaves \d+; max_tokens was 5000/);
    await rejects(generateText({ ...common, model: cria('no-such.gguf'), prompt: 'x' }), /no-such\.gguf/);
  });
});
