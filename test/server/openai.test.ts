/** The official client speaks to the server as to OpenAI. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict';
import { describe, test } from 'node:test';
import OpenAI from 'openai';
import { testServer } from '../support/server.ts';

const server = await testServer();
const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });

const messages = [{ role: 'user' as const, content: 'Once upon a time' }];
const greedy = { model: 'tiny', messages, max_tokens: 12, temperature: 0 };

describe('chat completions', () => {
  test('whole and streamed answers are the same text, with exact counts', async () => {
    const whole = await client.chat.completions.create(greedy);
    strictEqual(whole.object, 'chat.completion');
    const [choice] = whole.choices;
    strictEqual(choice!.message.role, 'assistant');
    const prompt = await server.model.encodePrompt({ messages, template: 'chatml' });
    const { timings, text } = await server.model.generate(prompt, { temperature: 0, maxTokens: 12 }).result;
    strictEqual(choice!.message.content, text);
    strictEqual(whole.usage!.prompt_tokens, prompt.length);
    strictEqual(whole.usage!.completion_tokens, timings.predicted_n);
    strictEqual(whole.usage!.total_tokens, prompt.length + timings.predicted_n);

    let streamed = '';
    let finish: string | null = null;
    let usage: OpenAI.CompletionUsage | null = null;
    const stream = await client.chat.completions.create({
      ...greedy,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      strictEqual(chunk.object, 'chat.completion.chunk');
      streamed += chunk.choices[0]?.delta.content ?? '';
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    strictEqual(streamed, text);
    strictEqual(finish, choice!.finish_reason);
    const { prompt_tokens, completion_tokens } = usage!;
    deepStrictEqual([prompt_tokens, completion_tokens], [prompt.length, timings.predicted_n]);
  });

  test('n answers differ by their seeds, and each is the answer of its own seed', async () => {
    const many = await client.chat.completions.create({ ...greedy, temperature: 1, seed: 5, n: 3 });
    strictEqual(many.choices.length, 3);
    for (const [i, choice] of many.choices.entries()) {
      strictEqual(choice.index, i);
      const alone = await client.chat.completions.create({ ...greedy, temperature: 1, seed: 5 + i });
      strictEqual(alone.choices[0]!.message.content, choice.message.content);
    }
    strictEqual(new Set(many.choices.map(({ message }) => message.content)).size, 3);
    const single = await client.chat.completions.create(greedy);
    strictEqual(many.usage!.prompt_tokens, single.usage!.prompt_tokens);

    const streamed = ['', '', ''];
    const stream = await client.chat.completions.create({ ...greedy, temperature: 1, seed: 5, n: 3, stream: true });
    for await (const { choices } of stream) {
      for (const { index, delta } of choices) streamed[index] += delta.content ?? '';
    }
    deepStrictEqual(
      streamed,
      many.choices.map(({ message }) => message.content),
    );
  });

  test('log-probabilities: bytes of the tokens are the bytes of the text, the best come first', async () => {
    const { choices } = await client.chat.completions.create({ ...greedy, logprobs: true, top_logprobs: 4 });
    const content = choices[0]!.logprobs!.content!;
    strictEqual(content.length, 12);
    const bytes = Uint8Array.from(content.flatMap((entry) => entry.bytes!));
    strictEqual(new TextDecoder().decode(bytes), choices[0]!.message.content);
    for (const { logprob, token, top_logprobs } of content) {
      strictEqual(top_logprobs.length, 4);
      strictEqual(top_logprobs[0]!.token, token);
      strictEqual(top_logprobs[0]!.logprob, logprob);
      for (let i = 1; i < 4; i++) ok(top_logprobs[i]!.logprob <= top_logprobs[i - 1]!.logprob);
      ok(logprob <= 0 && logprob > -9999);
    }
  });

  test('a stop string ends the answer and is not part of it', async () => {
    const { choices } = await client.chat.completions.create({ ...greedy, max_tokens: 20 });
    const text = choices[0]!.message.content!;
    const stop = text.slice(6, 9);
    const stopped = await client.chat.completions.create({ ...greedy, max_tokens: 20, stop: [stop] });
    strictEqual(stopped.choices[0]!.message.content, text.slice(0, text.indexOf(stop)));
    strictEqual(stopped.choices[0]!.finish_reason, 'stop');
  });

  test('a logit bias forbids a token', async () => {
    const first = await client.chat.completions.create({ ...greedy, logprobs: true });
    const { token } = first.choices[0]!.logprobs!.content![0]!;
    const ids = server.model.tokenizer;
    const id = Array.from({ length: ids.vocabSize }, (_, i) => i).find(
      (i) => new TextDecoder().decode(ids.bytesOf(i)) === token,
    )!;
    const biased = await client.chat.completions.create({ ...greedy, logprobs: true, logit_bias: { [id]: -100 } });
    ok(biased.choices[0]!.logprobs!.content![0]!.token !== token);
  });
});

describe('the other endpoints', () => {
  test('completions: several prompts, n, echo, logprobs with offsets', async () => {
    const reply = await client.completions.create({
      model: 'tiny',
      prompt: ['Once', 'There was'],
      max_tokens: 6,
      temperature: 0,
      n: 2,
      echo: true,
    });
    strictEqual(reply.choices.length, 4);
    ok(reply.choices[1]!.text.startsWith('Once') && reply.choices[2]!.text.startsWith('There was'));
    strictEqual(reply.choices[0]!.text, reply.choices[1]!.text);
    const one = await client.completions.create({
      model: 'tiny',
      prompt: 'Once',
      max_tokens: 6,
      temperature: 0,
      logprobs: 2,
    });
    const { text, logprobs } = one.choices[0]!;
    strictEqual(`Once${text}`, reply.choices[0]!.text);
    strictEqual(logprobs!.tokens!.length, 6);
    strictEqual(logprobs!.text_offset![0], 0);
    strictEqual(Object.keys(logprobs!.top_logprobs![0]!).length, 2);
    let streamed = '';
    const stream = await client.completions.create({
      model: 'tiny',
      prompt: 'Once',
      max_tokens: 6,
      temperature: 0,
      stream: true,
    });
    for await (const { choices } of stream) streamed += choices[0]?.text ?? '';
    strictEqual(streamed, text);
  });

  test('echo with logprobs: the prompt token by token, each as likely as the model finds it after those before', async () => {
    const request = {
      model: 'tiny',
      prompt: 'Once upon a time',
      max_tokens: 5,
      temperature: 0,
      echo: true,
      logprobs: 3,
    };
    const { choices, usage } = await client.completions.create({ ...request, n: 2, seed: 1 });
    const { text, logprobs } = choices[0]!;
    const { tokens, token_logprobs: given, top_logprobs: top, text_offset: offsets } = logprobs!;
    strictEqual(tokens!.length, usage!.prompt_tokens + 5);
    deepStrictEqual([given![0], top![0]], [null, null]);
    const ids = await server.model.encodePrompt('Once upon a time');
    const logits = await server.model.logits(ids);
    const V = server.model.config.vocabSize;
    for (let i = 1; i < ids.length; i++) {
      const row = logits.subarray((i - 1) * V, i * V);
      const largest = Math.max(...row);
      const total = row.reduce((sum, logit) => sum + Math.exp(logit - largest), 0);
      const expected = row[ids[i]!]! - largest - Math.log(total);
      ok(Math.abs(given![i]! - expected) < 1e-4, `token ${i}: ${given![i]}, expected ${expected}`);
      ok(Math.max(...Object.values(top![i]!)) >= given![i]!);
    }
    const parts = Array.from(ids, (_, i) => text.slice(offsets![i]!, offsets![i + 1]));
    strictEqual(parts.join(''), 'Once upon a time');
    // The beginning token is no text, and the tokenizer's own space before the first word is not shown.
    deepStrictEqual(parts, ['', tokens![1]!.slice(1), ...tokens!.slice(2, ids.length)]);
    deepStrictEqual(choices[1], { ...choices[0]!, index: 1 });

    const again = await client.completions.create({ ...request, max_tokens: 0 }); // what evaluation harnesses ask for
    deepStrictEqual(again.choices[0]!.logprobs!.token_logprobs, given!.slice(0, ids.length));
    strictEqual(again.choices[0]!.text, 'Once upon a time');

    const streamed = { text: '', logprobs: [] as (number | null)[], offsets: [] as number[] };
    for await (const chunk of await client.completions.create({ ...request, stream: true })) {
      const [choice] = chunk.choices;
      streamed.text += choice?.text ?? '';
      streamed.logprobs.push(...((choice?.logprobs?.token_logprobs ?? []) as (number | null)[]));
      streamed.offsets.push(...(choice?.logprobs?.text_offset ?? []));
    }
    deepStrictEqual(streamed, { text, logprobs: given, offsets });
  });

  test('embeddings: of unit length, of both encodings, near for near texts', async () => {
    const input = ['Once upon a time', 'Once upon a day', 'xyz 12345'];
    const floats = await client.embeddings.create({ model: 'tiny', input, encoding_format: 'float' });
    const packed = await client.embeddings.create({ model: 'tiny', input });
    const [a, b, c] = floats.data.map(({ embedding }) => embedding) as [number[], number[], number[]];
    const dot = (x: number[], y: number[]) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
    ok(Math.abs(dot(a, a) - 1) < 1e-6);
    ok(dot(a, b) > dot(a, c));
    deepStrictEqual(
      packed.data.map(({ embedding }) => embedding),
      [a, b, c],
    );
    strictEqual(floats.usage.prompt_tokens > 10, true);
  });

  test('models', async () => {
    const list = await client.models.list();
    strictEqual(list.data[0]!.id, 'tiny');
    strictEqual((await client.models.retrieve('tiny')).id, 'tiny');
    await rejects(client.models.retrieve('other'), OpenAI.NotFoundError);
  });
});

describe('refusals come as the client knows them', () => {
  for (const [what, request, param, code] of [
    ['an unknown parameter', { temperatur: 1 }, 'temperatur', 'unknown_parameter'],
    ['an unknown kind of output', { response_format: { type: 'xml' } }, 'response_format.type', 'invalid_value'],
    ['a wrong type', { temperature: 'hot' }, 'temperature', 'invalid_type'],
    ['a value out of range', { top_p: 2 }, 'top_p', 'invalid_value'],
    ['no messages', { messages: undefined }, 'messages', 'missing_required_parameter'],
    ['neither of two kinds', { messages: [{ role: 'user', content: 42 }] }, 'messages.0.content', 'invalid_type'],
    ['an unknown role', { messages: [{ role: 'king', content: 'x' }] }, 'messages.0.role', 'invalid_value'],
    [
      'too long a prompt',
      { messages: [{ role: 'user', content: 'many words '.repeat(400) }] },
      'messages',
      'context_length_exceeded',
    ],
    ['a bias of a token that is not there', { logit_bias: { 99999: 1 } }, 'logit_bias', 'generate.options'],
    ['alternatives without logprobs', { top_logprobs: 3 }, 'top_logprobs', 'invalid_value'],
    [
      'an image',
      { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] },
      'messages.0.content.0.type',
      'invalid_value',
    ],
  ] as const) {
    test(what, async () => {
      const body = { ...greedy, ...request } as unknown as OpenAI.ChatCompletionCreateParamsNonStreaming;
      await rejects(client.chat.completions.create(body), (error) => {
        ok(error instanceof OpenAI.BadRequestError, String(error));
        deepStrictEqual([error.param, error.code, error.type], [param, code, 'invalid_request_error'], error.message);
        return true;
      });
    });
  }

  test('what could have stood there is said', async () => {
    const said = async (content: unknown, role = 'user') => {
      const body = { ...greedy, messages: [{ role, content }] } as unknown as typeof greedy;
      return client.chat.completions.create(body).then(() => '', String);
    };
    match(await said(42), /messages\.0\.content: expected string or array, found 42/);
    match(await said('x', 'king'), /messages\.0\.role: .*"user".*"assistant"/);
    match(await said('many words '.repeat(400)), /tokens, more than this model's \d+\. Shorten it/);
  });

  test('another model', async () => {
    await rejects(client.chat.completions.create({ ...greedy, model: 'gpt-4o' }), OpenAI.NotFoundError);
  });
});
