/** The promise of speculative decoding: with guesses, good or bad, every request has exactly the outcome that it has without. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { sameBitsDevices } from '../../../test/support/devices.ts';
import { type Outcome, runAll, tinyConfig, tinyEngine, tinyWeights } from '../../../test/support/tiny-model.ts';
import { Random } from '../../base/random.ts';
import type { Device } from '../../devices/device.ts';
import { createReferenceDevice } from '../../devices/reference/device.ts';
import { KV_BLOCK_TOKENS, kvTypes } from '../../kernels/ops.ts';
import { loadModel } from '../../model/model.ts';
import { byteVocabulary } from '../../tokenizer/byte-vocabulary.ts';
import { createTokenizer } from '../../tokenizer/create-tokenizer.ts';
import type { Engine } from '../engine.ts';
import { ConstraintCompiler, type ConstraintSpec } from '../grammar/compile-constraint.ts';
import type { GenerationOptions } from '../options.ts';
import type { Running } from '../running.ts';
import { Agreement } from './agreement.ts';
import { DraftModel } from './draft-model.ts';
import { Guess } from './guesser.ts';
import { Speculation } from './speculation.ts';
import { mapVocabularies } from './vocabulary-map.ts';

const V = 360;
const config = { ...tinyConfig, vocabSize: V };
const tokenizer = createTokenizer(byteVocabulary(V), { vocabSize: V });
const eogIds = new Set([2]);
const constraints = new ConstraintCompiler(tokenizer, eogIds, V);
const weights = tinyWeights(config);

function lookUps(): Speculation {
  let now = 0;
  return new Speculation({ lookUp: true, clock: () => now++ });
}

interface Request {
  readonly prompt: readonly number[];
  readonly options: GenerationOptions;
  readonly spec: ConstraintSpec | null;
  /** Steps of the engine before it comes. */
  readonly after: number;
}

async function outcomes(engine: Engine, requests: readonly Request[]): Promise<Outcome[]> {
  const all: Outcome[] = [];
  for (const { prompt, options, spec, after } of requests) {
    for (let i = 0; i < after; i++) await engine.step();
    const outcome: Outcome = { pieces: [], result: null, error: null };
    all.push(outcome);
    const listener = {
      piece: (piece: Outcome['pieces'][number]) => void outcome.pieces.push(piece),
      done: (result: NonNullable<Outcome['result']>) => {
        outcome.result = result;
      },
      failed: (error: unknown) => {
        outcome.error = String(error);
      },
    };
    const constraint = spec && constraints.compile(spec);
    engine.submit(Uint32Array.from(prompt), options, listener, { constraint });
  }
  await runAll(engine);
  return all;
}

/** All that a client may see but the time it took. */
function seen({ pieces, result, error }: Outcome): string {
  const { timings: _, ...rest } = result ?? { timings: null };
  return JSON.stringify({ pieces, rest, error });
}

/** Guesses the very tokens that will come, or others: as many as it likes, and none at times. */
class Oracle extends Speculation {
  private readonly random: Random;
  private readonly answers: ReadonlyMap<string, Uint32Array>;
  private readonly share: number;

  constructor(answers: ReadonlyMap<string, Uint32Array>, seed: number, share: number) {
    super({ lookUp: true, clock: () => 0 });
    this.answers = answers;
    this.random = new Random(seed);
    this.share = share;
  }

  override async prepare(decoding: readonly Running[], room: number): Promise<void> {
    for (const job of decoding) {
      const { guesser, ids, length, promptLength, settings } = job;
      const limit = Math.min(guesser?.settings.draftMax ?? 0, job.guessLimit, Math.floor(room / decoding.length) - 1);
      if (!guesser || limit < 1) continue;
      const answer = this.answers.get(`${settings.seed}`) ?? new Uint32Array(0);
      const count = this.random.below(limit + 1);
      guesser.guess = new Guess(limit, new Agreement(1));
      for (let i = 0; i < count; i++) {
        const right = answer[length - promptLength + i];
        const isRight = right !== undefined && this.random.uniform() < this.share;
        guesser.guess.ids[i] = isRight ? right : this.random.below(V);
      }
      ok(ids.length >= length);
      if (count > 0) job.takeGuess(count);
    }
  }
}

const options = fc.record(
  {
    temperature: fc.constantFrom(0, 0.3, 1, 2),
    topK: fc.constantFrom(0, 5, 40),
    topP: fc.constantFrom(0.5, 1),
    minP: fc.constantFrom(0, 0.2),
    typicalP: fc.constantFrom(0.5, 1),
    topNSigma: fc.constantFrom(-1, 1.5),
    xtcProbability: fc.constantFrom(0, 0.5),
    repeatPenalty: fc.constantFrom(1, 1.3),
    frequencyPenalty: fc.constantFrom(0, 0.5),
    dryMultiplier: fc.constantFrom(0, 0.8),
    noRepeatNgram: fc.constantFrom(0, 3),
    mirostat: fc.constantFrom(0, 0, 1, 2),
    adaptiveTarget: fc.constantFrom(-1, 0.4),
    samplers: fc.constantFrom(
      ['penalties', 'dry', 'top_k', 'top_p', 'min_p', 'xtc', 'temperature'],
      ['temperature', 'top_k', 'adaptive_p'],
    ),
    dynatempRange: fc.constantFrom(0, 0.5),
    ignoreEos: fc.boolean(),
    logprobs: fc.constantFrom(-1, 0, 3),
    promptLogprobs: fc.boolean(),
    postSamplingProbs: fc.boolean(),
    stop: fc.constantFrom([], ['a'], ['ab', 'q', ' ']),
    maxTokens: fc.integer({ min: 0, max: 40 }),
    contextShift: fc.boolean(),
    keep: fc.constantFrom(0, 4),
    draftMax: fc.constantFrom(0, 1, 5, 16),
    draftMin: fc.constantFrom(0, 3),
    draftPMin: fc.constantFrom(0, 0.4),
  },
  { requiredKeys: ['maxTokens'] },
);
const specs = fc.constantFrom<ConstraintSpec | null>(
  null,
  null,
  { kind: 'grammar', grammar: 'root ::= ("ab" | "cd")+ "." ' },
  { kind: 'json_schema', schema: { type: 'array', items: { enum: ['aa', 'bb', 12] }, minItems: 2 } },
);
const request = fc.record({
  prompt: fc
    .tuple(
      fc.array(fc.integer({ min: 3, max: V - 1 }), { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 5 }),
    )
    .map(([ids, times]) => Array.from({ length: times }, () => ids).flat()),
  options,
  spec: specs,
  after: fc.nat(3),
});

for (const { name, create } of sameBitsDevices.slice(0, 2)) {
  describe(`on ${name}`, async () => {
    const device = await create();
    after(() => device.close());
    const model = loadModel(device, config, weights);
    const engineOf = (given: Parameters<typeof tinyEngine>[1] = {}, speculation: Speculation | null = null) => {
      const engine = tinyEngine(device, { model, tokenizer, eogIds: [...eogIds], contextLength: 96, ...given });
      if (speculation) engine.guessBy(speculation);
      return engine;
    };

    /** Its own weights, other weights, and a vocabulary with holes; with and without the look-up; with little room. */
    const drafts: Readonly<Record<string, (cacheTokens: number) => Speculation>> = {
      'drafted by itself': (tokens) => draftBy(V, 1, tokens, { lookUp: false }),
      'drafted by another': (tokens) => draftBy(V, 2, tokens, { lookUp: true }),
      'drafted in another vocabulary': (tokens) => draftBy(300, 3, tokens, { lookUp: false }),
    };
    function draftBy(vocabSize: number, seed: number, tokens: number, { lookUp }: { lookUp: boolean }): Speculation {
      const other = { ...config, vocabSize };
      const draft = loadModel(device, other, tinyWeights(other, seed));
      const store = device.createKvStore({
        layerCount: config.blockCount,
        blockCount: Math.ceil(tokens / KV_BLOCK_TOKENS),
        kvHeadCount: config.kvHeadCount,
        headSize: config.headSize,
        type: 'f32',
      });
      const map = mapVocabularies(
        { name: 'model', vocabSize: V, tokenizer },
        { name: 'draft', vocabSize, tokenizer: createTokenizer(byteVocabulary(vocabSize), { vocabSize }) },
      );
      // Its steps take no time, so that it goes ahead wherever it may be right.
      const ahead = new DraftModel({ model: draft, device, store, map, vocabSize: V });
      return new Speculation({ lookUp, draft: ahead, clock: () => 0 });
    }

    test('a draft by the same model is always right, sampled and under a grammar too', async () => {
      for (const [options, spec] of [
        [{ temperature: 0 }, null],
        [{ temperature: 1, seed: 7, dryMultiplier: 0.8, repeatPenalty: 1.2 }, null],
        [{ mirostat: 2, seed: 8 }, null],
        [
          { temperature: 1, seed: 9 },
          { kind: 'grammar', grammar: 'root ::= ("ab" | "cd" | [e-z])+' },
        ],
      ] as const) {
        const engine = engineOf({}, draftBy(V, 1, 96, { lookUp: false }));
        const given = { prompt: [40, 50, 60], options: { ...options, maxTokens: 60, ignoreEos: true }, spec, after: 0 };
        const [got] = await outcomes(engine, [given]);
        const { draft_n = 0, draft_n_accepted = 0 } = got!.result!.timings;
        ok(
          draft_n > 40 && draft_n_accepted === draft_n,
          `${draft_n_accepted} of ${draft_n}, ${JSON.stringify(options)}`,
        );
      }
    });

    test('any sampler, grammar, stop string, kv type and company: guesses change nothing', async () => {
      let accepted = 0;
      let proposed = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(request, { minLength: 1, maxLength: 4 }),
          fc.constantFrom(...kvTypes),
          fc.constantFrom(96, 160, 400),
          fc.constantFrom(7, 40, 512),
          fc.nat(1000),
          async (given, kvType, cacheTokens, batchTokens, seed) => {
            // The seed also says to whom an answer belongs.
            const requests = given.map((entry, i) => {
              const { promptLogprobs = false, logprobs = -1 } = entry.options;
              const rest = { promptLogprobs: promptLogprobs && logprobs >= 0, seed: 10 * seed + i };
              return { ...entry, options: { ...entry.options, ...rest } };
            });
            const common = { kvType, cacheTokens, batchTokens };
            const plain = await outcomes(engineOf(common), requests);
            const want = plain.map(seen);
            const lookUp = await outcomes(engineOf(common, lookUps()), requests);
            deepStrictEqual(lookUp.map(seen), want, 'look-up');
            for (const [title, ahead] of Object.entries(drafts)) {
              const engine = engineOf(common, ahead(cacheTokens));
              const drafted = await outcomes(engine, requests);
              deepStrictEqual(drafted.map(seen), want, title);
              strictEqual(engine.cache.usedBlocks, 0);
            }
            const answers = new Map(plain.flatMap(({ result }) => (result ? [[`${result.seed}`, result.ids]] : [])));
            for (const share of [0.5, 0.9]) {
              const engine = engineOf(common, new Oracle(answers, seed, share));
              const guessed = await outcomes(engine, requests);
              deepStrictEqual(guessed.map(seen), want, `${share} of the guesses right`);
              strictEqual(engine.cache.usedBlocks, 0);
              for (const { result } of guessed) {
                accepted += result?.timings.draft_n_accepted ?? 0;
                proposed += result?.timings.draft_n ?? 0;
              }
            }
          },
        ),
        { numRuns: name === 'wasm' ? 30 : 8 },
      );
      // Otherwise it has proved nothing.
      ok(accepted > 50 && proposed - accepted > 50, `${accepted} of ${proposed} guesses were right`);
    });

    test('a text that repeats itself takes fewer steps, and the timings say what was guessed', async () => {
      const prompt = Array.from({ length: 60 }, (_, i) => 3 + ((i * 7) % 20));
      const requests = [{ prompt, options: { temperature: 0, maxTokens: 30, ignoreEos: true }, spec: null, after: 0 }];
      const plain = engineOf();
      const fast = engineOf({}, lookUps());
      const [want] = await outcomes(plain, requests);
      const [got] = await outcomes(fast, requests);
      strictEqual(seen(got!), seen(want!));
      const { draft_n = 0, draft_n_accepted = 0 } = got!.result!.timings;
      ok(draft_n_accepted > 0 && draft_n_accepted <= draft_n, `${draft_n_accepted} of ${draft_n}`);
      strictEqual(plain.load.steps - fast.load.steps, draft_n_accepted);
      strictEqual(want!.result!.timings.draft_n, undefined);
      const [none] = await outcomes(fast, [{ ...requests[0]!, options: { ...requests[0]!.options, draftMax: 0 } }]);
      strictEqual(none!.result!.timings.draft_n, undefined);
    });
  });
}

describe('how much is guessed', () => {
  const device = createReferenceDevice();
  const model = loadModel(device, config, weights);
  /** Steps that cost what their rows cost, on a clock of their own. */
  async function run(msOf: (rows: number) => number, request: Omit<Request, 'after'>): Promise<Outcome> {
    let now = 0;
    const counted: Device = {
      ...device,
      read(tensor, from, count) {
        now += msOf(tensor.shape[0]!);
        return device.read(tensor, from, count);
      },
    };
    const engine = tinyEngine(counted, {
      model,
      tokenizer,
      clock: () => now,
    });
    engine.guessBy(new Speculation({ lookUp: true, clock: () => now }));
    return (await outcomes(engine, [{ ...request, after: 0 }]))[0]!;
  }
  const repeating = { prompt: [5, 6], spec: { kind: 'grammar', grammar: 'root ::= "abcdefghijk"+' } } as const;
  const free = { prompt: [5, 6], spec: null };
  const options = { temperature: 0, maxTokens: 150, ignoreEos: true };

  test('where rows are cheap, long guesses; where each costs a step, none', async () => {
    const cheap = (await run((rows) => 10 + rows, { ...repeating, options })).result!.timings;
    const dear = (await run((rows) => 10 * rows, { ...repeating, options })).result!.timings;
    ok(cheap.draft_n_accepted! > 60 && cheap.predicted_ms < 0.6 * dear.predicted_ms, JSON.stringify(cheap));
    ok(dear.draft_n! < 40 && dear.predicted_ms < 1.08 * 1490, JSON.stringify(dear));
  });

  test('a text that does not repeat itself loses at most a twentieth', async () => {
    const unlike = { temperature: 1.5, seed: 5, maxTokens: 190, ignoreEos: true };
    const msOf = (rows: number) => 10 + 3 * (rows - 1);
    const plain = (await run(msOf, { ...free, options: { ...unlike, draftMax: 0 } })).result!.timings;
    const guessed = (await run(msOf, { ...free, options: unlike })).result!.timings;
    ok(guessed.predicted_ms <= plain.predicted_ms / 0.95, `${guessed.predicted_ms} beside ${plain.predicted_ms}`);
  });

  test('a guess that the grammar refuses is not made', async () => {
    const spec = { kind: 'grammar', grammar: 'root ::= "abcdabefabghabij"' } as const;
    const { text, timings } = (await run((rows) => 10 + 0.1 * rows, { prompt: [5, 6], spec, options })).result!;
    strictEqual(text, 'abcdabefabghabij');
    strictEqual(timings.draft_n, 0);
  });

  test('draftMax, draftMin and draftPMin bound the guesses', async () => {
    const cheap = (rows: number) => 10 + 0.1 * rows;
    const steps = async (more: object) =>
      (await run(cheap, { ...repeating, options: { ...options, ...more } })).result!;
    const one = (await steps({ draftMax: 1 })).timings;
    ok(one.draft_n! <= 150 && one.draft_n_accepted! > 50);
    strictEqual((await steps({ draftMin: 17 })).timings.draft_n, 0);
    strictEqual((await steps({ draftPMin: 1 })).timings.draft_n, 0);
  });
});
