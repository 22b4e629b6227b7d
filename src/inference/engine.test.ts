import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { sameBitsDevices, testDevices } from '../../test/support/devices.ts';
import { generate, runAll, submit, tinyConfig, tinyEngine, tinyModel } from '../../test/support/tiny-model.ts';
import type { Device } from '../devices/device.ts';
import type { Engine } from './engine.ts';
import type { GenerationOptions } from './options.ts';

const greedy = (maxTokens: number): GenerationOptions => ({ temperature: 0, maxTokens });
const prompt = (length: number, seed = 1) => Uint32Array.from({ length }, (_, i) => (i * 31 + seed * 17 + i * i) % 96);

/** The tokens, and the exact log-probability of each: equal only if every bit of the logits that matters is. */
async function fingerprint(engine: Engine, ids: Uint32Array, options: GenerationOptions): Promise<string> {
  const outcome = submit(engine, ids, { ...options, logprobs: 3 });
  await runAll(engine);
  return JSON.stringify(outcome.pieces);
}

for (const { name, create } of sameBitsDevices) {
  describe(`engine on ${name}`, () => {
    let shared: { device: Device; model: ReturnType<typeof tinyModel> } | null = null;
    const engineOf = async (options: Parameters<typeof tinyEngine>[1] = {}) => {
      if (!shared) {
        const device = await create();
        shared = { device, model: tinyModel(device) };
      }
      return tinyEngine(shared.device, { model: shared.model, ...options });
    };

    test('reading a prompt in one piece, in chunks or token by token gives the same bits', async () => {
      const ids = prompt(70);
      const whole = await fingerprint(await engineOf({ batchTokens: 512 }), ids, greedy(6));
      for (const batchTokens of [1, 7, 32, 33]) {
        strictEqual(
          await fingerprint(await engineOf({ batchTokens }), ids, greedy(6)),
          whole,
          `chunks of ${batchTokens}`,
        );
      }
      for (const kvType of ['f16', 'q8_0'] as const) {
        const other = await fingerprint(await engineOf({ kvType }), ids, greedy(4));
        strictEqual(await fingerprint(await engineOf({ kvType, batchTokens: 5 }), ids, greedy(4)), other, kvType);
      }
    });

    test('a generation alone and among others has the same bits, whenever they come and go', async () => {
      const requests = [3, 40, 65, 12].map((length, i) => ({
        ids: prompt(length, i),
        options: { ...greedy(5 + 3 * i), seed: i },
      }));
      const alone: string[] = [];
      for (const { ids, options } of requests) alone.push(await fingerprint(await engineOf(), ids, options));
      const engine = await engineOf({ batchTokens: 16 });
      const outcomes = [];
      for (const { ids, options } of requests) {
        outcomes.push(submit(engine, ids, { ...options, logprobs: 3 }));
        await engine.step();
      }
      await runAll(engine);
      deepStrictEqual(
        outcomes.map(({ pieces }) => JSON.stringify(pieces)),
        alone,
      );
    });

    test('a prompt that the cache knows is not computed again, and changes no bit', async () => {
      const engine = await engineOf();
      const ids = prompt(100);
      const first = await fingerprint(engine, ids, greedy(5));
      const again = submit(engine, ids, { ...greedy(5), logprobs: 3 });
      await runAll(engine);
      strictEqual(JSON.stringify(again.pieces), first);
      deepStrictEqual([again.result!.timings.cache_n, again.result!.timings.prompt_n], [96, 4]);
      // a second turn: everything of the first but its last tokens
      const turn = Uint32Array.of(...ids, ...again.result!.ids, 5, 6, 7);
      const second = submit(engine, turn, { ...greedy(5), logprobs: 3 });
      await runAll(engine);
      strictEqual(second.result!.timings.cache_n, 96);
      strictEqual(JSON.stringify(second.pieces), await fingerprint(await engineOf(), turn, greedy(5)));
    });

    test('with too little room for all, sequences make room for older ones and lose nothing', async () => {
      const requests = [30, 60, 90].map((length, i) => ({
        ids: prompt(length, i),
        options: { temperature: 1, seed: i, maxTokens: 60 },
      }));
      const alone: string[] = [];
      for (const { ids, options } of requests) alone.push(await fingerprint(await engineOf(), ids, options));
      const engine = await engineOf({ contextLength: 160 }); // 5 blocks; alone they need 3, 4 and 5
      const outcomes = requests.map(({ ids, options }) => submit(engine, ids, { ...options, logprobs: 3 }));
      let waited = false;
      while (await engine.step()) waited ||= engine.load.waiting > 0;
      ok(waited);
      deepStrictEqual(
        outcomes.map(({ pieces }) => JSON.stringify(pieces)),
        alone,
      );
      strictEqual(engine.cache.usedBlocks, 0);
    });
  });
}

const device = await testDevices[0]!.create();
const model = tinyModel(device);
const engineOf = (options: Parameters<typeof tinyEngine>[1] = {}) => tinyEngine(device, { model, ...options });

test('any schedule of requests, with any chunk size, gives each its own tokens', async () => {
  const request = fc.record({
    length: fc.integer({ min: 1, max: 45 }),
    maxTokens: fc.integer({ min: 1, max: 8 }),
    after: fc.nat(4),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(request, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 40 }),
      async (requests, batchTokens) => {
        const engine = engineOf({ batchTokens, contextLength: 64 });
        const outcomes: ReturnType<typeof submit>[] = [];
        for (const [i, { length, maxTokens, after }] of requests.entries()) {
          for (let step = 0; step < after; step++) await engine.step();
          outcomes.push(submit(engine, prompt(length, i), { seed: i, temperature: 0.9, maxTokens }));
        }
        await runAll(engine);
        for (const [i, { length, maxTokens }] of requests.entries()) {
          const want = await generate(engineOf(), prompt(length, i), { seed: i, temperature: 0.9, maxTokens });
          deepStrictEqual(outcomes[i]!.result!.ids, want.ids);
        }
      },
    ),
    { numRuns: 15 },
  );
});

test('seeds: the same gives the same, the one drawn is reported', async () => {
  const ids = prompt(5);
  const drawn = await generate(engineOf(), ids, { maxTokens: 12, temperature: 1 });
  strictEqual(drawn.seed, 12345);
  deepStrictEqual((await generate(engineOf(), ids, { maxTokens: 12, temperature: 1, seed: 12345 })).ids, drawn.ids);
  ok((await generate(engineOf(), ids, { maxTokens: 12, temperature: 1, seed: 1 })).ids.join() !== drawn.ids.join());
});

test('finish reasons: length by maxTokens and by the context, abort while running and while waiting', async () => {
  const engine = engineOf({ contextLength: 40, maxSequences: 1 });
  const byCount = await generate(engine, prompt(5), greedy(3));
  deepStrictEqual([byCount.finishReason, byCount.ids.length], ['length', 3]);
  strictEqual((await generate(engine, prompt(5), greedy(0))).ids.length, 0);
  const byContext = await generate(engine, prompt(38), greedy(-1));
  deepStrictEqual(
    [byContext.finishReason, byContext.ids.length],
    ['length', 3],
    'the 40th token still has a successor',
  );
  strictEqual((await generate(engine, prompt(40), greedy(-1))).ids.length, 1);

  const running = submit(engine, prompt(5), greedy(-1));
  const waiting = submit(engine, prompt(6), greedy(-1));
  for (let i = 0; i < 3; i++) await engine.step();
  running.abort();
  waiting.abort();
  await runAll(engine);
  strictEqual(running.result!.finishReason, 'abort');
  strictEqual(running.result!.ids.length, running.pieces.length);
  ok(running.pieces.length > 0);
  deepStrictEqual([waiting.result!.finishReason, waiting.pieces.length], ['abort', 0]);
  strictEqual(engine.cache.usedBlocks, 0);
});

test('timings add up, under llama-server’s names', async () => {
  const { timings } = await generate(engineOf(), prompt(50), greedy(4));
  deepStrictEqual([timings.cache_n, timings.prompt_n, timings.predicted_n], [0, 50, 4]);
  strictEqual(timings.prompt_per_second, 50000 / timings.prompt_ms);
  strictEqual(timings.predicted_per_token_ms, timings.predicted_ms / 4);
});

test('log-probabilities: of the model, or of what the samplers left', async () => {
  const engine = engineOf();
  const raw = submit(engine, prompt(9), { ...greedy(3), logprobs: 5 });
  const kept = submit(engine, prompt(9), { ...greedy(3), logprobs: 5, postSamplingProbs: true });
  await runAll(engine);
  for (const { id, logprobs } of raw.pieces) {
    strictEqual(logprobs!.top.length, 5);
    deepStrictEqual(
      [logprobs!.top[0]!.id, logprobs!.top[0]!.logprob],
      [id, logprobs!.logprob],
      'greedy takes the likeliest',
    );
    ok(logprobs!.logprob < 0);
  }
  for (const { id, logprobs } of kept.pieces)
    deepStrictEqual(logprobs, { logprob: 0, top: [{ id, logprob: 0, text: '' }] });
});

test('logit bias forbids and forces by id', async () => {
  const engine = engineOf();
  const [first] = (await generate(engine, prompt(9), greedy(1))).ids;
  ok(
    (await generate(engine, prompt(9), { ...greedy(8), logitBias: [[first!, false]] })).ids.every((id) => id !== first),
  );
  ok(
    (await generate(engine, prompt(9), { ...greedy(8), logitBias: new Map([[42, 1000]]) })).ids.every(
      (id) => id === 42,
    ),
  );
});

test('what is wrong with a request is said at once', () => {
  const engine = engineOf({ contextLength: 20 });
  const refused = (ids: unknown, options: object, code: string, ...parts: string[]) =>
    throws(
      () => submit(engine, ids as number[], options),
      (error: Error & { code: string }) => {
        strictEqual(error.code, code);
        for (const part of parts) ok(error.message.includes(part), `${part} in ${error.message}`);
        return true;
      },
    );
  refused(prompt(21), {}, 'generate.context', '21 tokens', '20');
  refused([], {}, 'generate.prompt', 'no tokens');
  refused([1, 96], {}, 'generate.prompt', 'id 1 is 96', '0 to 95');
  refused([1, 2.5], {}, 'generate.prompt', '2.5');
  refused(undefined, {}, 'generate.prompt', 'undefined');
  refused('text', {}, 'generate.tokenizer', 'no tokenizer');
  refused([1], { stop: ['x'] }, 'generate.tokenizer');
  refused([1], { logitBias: [[96, 1]] }, 'generate.options', '96');
  refused([1], { logitBias: [['x', 1]] }, 'generate.tokenizer');
  refused([1], { max_tokens: 3 }, 'generate.options', 'did you mean maxTokens?');
  strictEqual(engine.load.waiting, 0);
});

test('a sequence that may choose no token fails alone; forbidding wins over forcing', async () => {
  const engine = engineOf();
  const good = submit(engine, prompt(5), {
    ...greedy(3),
    logitBias: [
      [1, Number.NEGATIVE_INFINITY],
      [1, 1e9],
    ],
  });
  const everything = Array.from({ length: tinyConfig.vocabSize }, (_, id) => [id, false] as const);
  const none = submit(engine, prompt(6), { ...greedy(3), logitBias: everything });
  await runAll(engine);
  strictEqual(good.result!.ids.length, 3);
  ok(good.result!.ids.every((id) => id !== 1));
  strictEqual((none.error as { code: string }).code, 'sampling.none-left');
  strictEqual(engine.cache.usedBlocks, 0);
});
