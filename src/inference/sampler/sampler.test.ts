import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assertClose } from '../../../test/support/close.ts';
import { Random } from '../../base/random.ts';
import { AdaptiveP } from './adaptive-p.ts';
import { Candidates } from './candidates.ts';
import { Dry, findBreakers } from './dry.ts';
import { keptLogProbabilities, rawLogProbabilities } from './log-probabilities.ts';
import { mirostat1, mirostat2, mirostatUpdate } from './mirostat.ts';
import type { SamplingOptions } from './options.ts';
import { penalize } from './penalties.ts';
import { temper } from './temperature.ts';
import { keptIds, off, probabilitiesById, samplerOf, settingsOf } from './testing/samplers.ts';
import { minP, topK, topNSigma, topP, typical, xtc } from './truncation.ts';

const none = new Uint32Array(0);
/** Candidates with the given probabilities, as logits ln p. */
function withProbabilities(...p: number[]): Candidates {
  const candidates = new Candidates(p.length);
  candidates.load(Float64Array.from(p, Math.log));
  return candidates;
}

test('top-k keeps the k best, the smaller id among equals; 0 keeps all', () => {
  const candidates = new Candidates(6);
  candidates.load(Float32Array.of(1, 3, 2, 3, 3, 0));
  topK(candidates, 2);
  deepStrictEqual([...candidates.ids.subarray(0, candidates.count)], [1, 3]);
  candidates.load(Float32Array.of(1, 3, 2, 3, 3, 0));
  topK(candidates, 0);
  strictEqual(candidates.count, 6);
});

test('top-p keeps through the first token that reaches p, inclusive, and at least minKeep', () => {
  const p = [0.1, 0.5, 0.15, 0.25];
  for (const [topPValue, minKeep, want] of [
    [0.5, 0, [1]],
    [0.51, 0, [1, 3]],
    [0.74, 0, [1, 3]],
    [0.8, 0, [1, 2, 3]],
    [0.5, 3, [1, 2, 3]],
    [0, 0, [1]],
    [1, 0, [0, 1, 2, 3]],
  ] as const) {
    const candidates = withProbabilities(...p);
    topP(candidates, topPValue, minKeep);
    deepStrictEqual(keptIds(candidates), [...want], `p ${topPValue}, minKeep ${minKeep}`);
  }
});

test('min-p keeps what is at least p times as likely as the likeliest', () => {
  const candidates = withProbabilities(0.1, 0.5, 0.15, 0.25);
  minP(candidates, 0.3 - 1e-12, 0);
  deepStrictEqual(keptIds(candidates), [1, 2, 3]);
  minP(candidates, 0.9, 2);
  deepStrictEqual(keptIds(candidates), [1, 3]);
});

test('typical keeps the tokens whose surprise is nearest to the entropy, not the likeliest', () => {
  // H = 1.1921 nats; surprises 0.799, 1.204, 1.609, 2.996 → distances 0.394, 0.012, 0.417, 1.804: first 0.3, then 0.45
  const candidates = withProbabilities(0.45, 0.3, 0.2, 0.05);
  typical(candidates, 0.25, 0);
  deepStrictEqual(keptIds(candidates), [1]);
  const more = withProbabilities(0.45, 0.3, 0.2, 0.05);
  typical(more, 0.5, 0);
  deepStrictEqual(keptIds(more), [0, 1]);
});

test('top-n-sigma keeps logits within n standard deviations of the largest, and forbidden tokens do not widen it', () => {
  // logits 4, 0, 0, 0: mean 1, σ = √3 = 1.732
  const candidates = new Candidates(5);
  candidates.load(Float32Array.of(0, 4, 0, Number.NEGATIVE_INFINITY, 0));
  topNSigma(candidates, 2.2); // 4 − 3.81 = 0.19
  deepStrictEqual(keptIds(candidates), [1]);
  candidates.load(Float32Array.of(0, 4, 0, Number.NEGATIVE_INFINITY, 0));
  topNSigma(candidates, 2.4); // 4 − 4.157 < 0
  deepStrictEqual(keptIds(candidates), [0, 1, 2, 4]);
});

test('XTC drops the top choices but the least likely of them', () => {
  const candidates = withProbabilities(0.05, 0.4, 0.2, 0.35);
  xtc(candidates, 0.2 - 1e-9, 0);
  deepStrictEqual(keptIds(candidates), [0, 2]);
  const one = withProbabilities(0.05, 0.9, 0.05);
  xtc(one, 0.1, 0);
  strictEqual(one.count, 3, 'a single token above the threshold stays');
  const high = withProbabilities(0.05, 0.4, 0.2, 0.35);
  xtc(high, 0.51, 0);
  strictEqual(high.count, 4);
  const kept = withProbabilities(0.05, 0.4, 0.2, 0.35);
  xtc(kept, 0.2 - 1e-9, 3);
  strictEqual(kept.count, 4, 'minKeep is respected');
});

test('XTC runs with its probability', () => {
  const logits = Float32Array.from([0.05, 0.4, 0.2, 0.35], Math.log);
  const [sampler] = samplerOf(4, { ...off, seed: 7, temperature: 0, xtcProbability: 0.5, xtcThreshold: 0.19 });
  let excluded = 0;
  for (let i = 0; i < 400; i++) excluded += sampler.sample(logits, 0, none, 0) === 2 ? 1 : 0;
  ok(excluded > 150 && excluded < 250, `${excluded} of 400`);
});

test('penalties: divide positive and multiply negative logits, take off presence and frequency, within the last n', () => {
  const settings = { repeatPenalty: 2, repeatLastN: 3, presencePenalty: 0.5, frequencyPenalty: 0.25 };
  for (const first of ['complete', 'sorted'] as const) {
    const candidates = new Candidates(4);
    candidates.load(Float32Array.of(3, -1, 2, 1));
    if (first === 'sorted') candidates.sortBest(4);
    penalize(candidates, settings, Uint32Array.of(3, 0, 1, 0), 4);
    const byId = new Map([...candidates.ids].map((id, i) => [id, candidates.logits[i]]));
    // 3/2 − 2·0.25 − 0.5 = 0.5; −1·2 − 0.25 − 0.5 = −2.75; 3 is out of the window
    deepStrictEqual(
      [0, 1, 2, 3].map((id) => byId.get(id)),
      [0.5, -2.75, 2, 1],
    );
    ok(candidates.counts_V.every((count) => count === 0));
  }
});

test('DRY: a token that would extend a repeat of length L loses multiplier · base^(L − allowed)', () => {
  const settings = { dryMultiplier: 0.8, dryBase: 1.75, dryAllowedLength: 2, dryPenaltyLastN: -1 };
  const run = (history: number[], breakers = new Map<number, Uint32Array[]>(), changes = {}) => {
    const candidates = new Candidates(8);
    candidates.load(new Float32Array(8));
    new Dry().apply(candidates, { ...settings, ...changes }, breakers, Uint32Array.from(history), history.length);
    ok(candidates.counts_V.every((count) => count === 0));
    return [...candidates.logits];
  };
  // … 1 2 3 4 … 1 2 3: token 4 would extend a repeat of 3
  const extended = run([1, 2, 3, 4, 5, 1, 2, 3]);
  assertClose('penalties', Float64Array.from(extended), [0, 0, 0, 0, -0.8 * 1.75, 0, 0, 0], { atol: 1e-12 });
  deepStrictEqual(run([1, 2, 3, 4, 5, 3]), new Array(8).fill(0), 'a repeat of 1 is shorter than allowed');
  deepStrictEqual(run([1, 2, 3, 4, 5, 1, 2, 3], new Map([[1, [none]]])), run([2, 3, 4, 5, 2, 3]), 'a breaker cuts');
  deepStrictEqual(run([1, 2, 3, 4, 5, 1, 2, 3], new Map([[4, [none]]])), new Array(8).fill(0), 'breakers are free');
  deepStrictEqual(run([1, 2, 3, 4, 5, 1, 2, 3], undefined, { dryPenaltyLastN: 4 }), new Array(8).fill(0));
  ok(Number.isFinite(run(new Array(500).fill(1), undefined, { dryBase: 4 })[1]!), 'the exponent is clamped');
});

test('DRY agrees with trying every candidate the slow way', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 24 }), (tokens) => {
      const history = Uint32Array.from(tokens);
      const candidates = new Candidates(4);
      candidates.load(new Float32Array(4));
      const settings = { dryMultiplier: 1, dryBase: 2, dryAllowedLength: 1, dryPenaltyLastN: -1 };
      new Dry().apply(candidates, settings, new Map(), history, history.length);
      for (let id = 0; id < 4; id++) {
        let longest = 0;
        for (let at = 0; at < tokens.length; at++) {
          if (tokens[at] !== id) continue;
          let match = 0;
          while (match < at && tokens[at - 1 - match] === tokens[tokens.length - 1 - match]) match++;
          longest = Math.max(longest, match);
        }
        strictEqual(candidates.logits[id], longest >= 1 ? -(2 ** (longest - 1)) : 0, `token ${id} after ${tokens}`);
      }
    }),
  );
});

test('DRY breakers are found inside tokens and across their ends', () => {
  const pieces = ['a', 'xENDy', 'qEN', 'D', 'E', 'ND'];
  const vocabulary = {
    size: 6,
    pieceText: (id: number) => pieces[id]!,
    encode: (text: string) => Uint32Array.of(pieces.indexOf(text)),
  };
  const breakers = findBreakers(vocabulary, ['END']);
  deepStrictEqual([...breakers.keys()].sort(), [1, 2, 4]);
  deepStrictEqual(breakers.get(1), [none]);
  deepStrictEqual(breakers.get(2), [Uint32Array.of(3)]);
  deepStrictEqual(breakers.get(4), [Uint32Array.of(5)]);
});

test('temperature divides; 0 leaves the likeliest; the dynamic one follows the entropy', () => {
  const candidates = new Candidates(3);
  candidates.load(Float32Array.of(1, 2, 4));
  temper(candidates, 0.5, 0, 1);
  deepStrictEqual([...candidates.logits], [2, 4, 8]);
  temper(candidates, 0, 0, 1);
  deepStrictEqual(keptIds(candidates), [2]);
  // Uniform: entropy is maximal, so T = 1 + 0.5
  candidates.load(Float32Array.of(3, 3, 3));
  temper(candidates, 1, 0.5, 1);
  assertClose('logits', candidates.logits, [2, 2, 2], { atol: 1e-12 });
});

test('mirostat: version 2 drops surprising tokens, version 1 fits Zipf, and μ moves to the target', () => {
  const candidates = withProbabilities(0.5, 0.25, 0.125, 0.125);
  mirostat2(candidates, 2 + 1e-9); // surprises 1, 2, 3, 3 bits
  deepStrictEqual(keptIds(candidates), [0, 1]);
  mirostat2(candidates, -1);
  deepStrictEqual(keptIds(candidates), [0]);
  assertClose('μ', Float64Array.of(mirostatUpdate(10, 0.125, 5, 0.1)), [10 - 0.1 * (3 - 5)], { atol: 1e-12 });
  // Zipf with s = 1.5: k = (0.5·2^μ / (1 − 8^−0.5))^(2/3), at μ = 3: (4 / 0.6464)^(2/3) = 3.37 → 3
  const zipf = withProbabilities(...[1, 2, 3, 4, 5, 6, 7, 8].map((rank) => rank ** -1.5));
  mirostat1(zipf, 3);
  deepStrictEqual(keptIds(zipf), [0, 1, 2]);
});

test('mirostat holds the mean surprise near its target', () => {
  const logits = Float32Array.from({ length: 1000 }, (_, id) => -1.1 * Math.log(id + 1));
  for (const mirostat of [1, 2]) {
    const [sampler, candidates] = samplerOf(1000, { seed: 3, temperature: 1, mirostat, mirostatTau: 3 });
    let surprise = 0;
    for (let i = 0; i < 800; i++) {
      const id = sampler.sample(logits, 0, none, 0);
      if (i >= 300) surprise -= Math.log2(probabilitiesById(candidates)[id]!) / 500;
    }
    ok(Math.abs(surprise - 3) < 0.35, `version ${mirostat}: mean surprise ${surprise}`);
  }
});

test('adaptive-p peaks where the probability is the target, and moves against the running mean', () => {
  const candidates = withProbabilities(0.6, 0.3, 0.1);
  const adaptive = new AdaptiveP(0.3, 0.5);
  adaptive.apply(candidates);
  // distances 1, 0, 2/3 → 5 − 10/2, 5, 5 − 10·(4/9)/(5/3)
  assertClose('logits', candidates.logits, [0, 5, 5 - 8 / 3], { atol: 1e-9 });
  adaptive.chosen(0.6); // mean (0.6 + 0.5·0.6) / (1 + 0.5·2) = 0.45 → target 0.15
  candidates.load(Float64Array.from([0.6, 0.3, 0.1], Math.log));
  adaptive.apply(candidates);
  assertClose('logits', candidates.logits, [5 - (10 * 1.5 ** 2) / 2.5, 5 - (10 * 0.25) / 1.5, 5 - 10 / 36 / (7 / 6)], {
    atol: 1e-9,
  });
});

test('logit bias comes first: −∞ forbids, +∞ forces, also at temperature 0', () => {
  const logits = Float32Array.of(1, 5, 3);
  const pick = (biases: [number, number][], temperature = 0) =>
    samplerOf(3, { seed: 1, temperature }, new Map(biases))[0].sample(logits, 0, none, 0);
  strictEqual(pick([]), 1);
  strictEqual(pick([[1, Number.NEGATIVE_INFINITY]]), 2);
  strictEqual(pick([[0, 4.5]]), 0);
  strictEqual(pick([[0, Number.POSITIVE_INFINITY]], 1), 0);
  throws(() => pick([0, 1, 2].map((id) => [id, Number.NEGATIVE_INFINITY])), { code: 'sampling.none-left' });
});

test('NaN logits are an error, not a token', () => {
  const logits = Float32Array.of(1, Number.NaN, 3);
  throws(() => samplerOf(3, { temperature: 0, seed: 1 })[0].sample(logits, 0, none, 0), { code: 'sampling.nan' });
  throws(() => samplerOf(3, { seed: 1 })[0].sample(logits, 0, none, 0), { code: 'sampling.nan' });
});

test('log-probabilities: raw ones ignore the samplers, kept ones are what the pick drew from', () => {
  const logits = Float32Array.from([0.1, 0.5, 0.15, 0.25], Math.log);
  const [sampler, candidates] = samplerOf(4, { ...off, seed: 5, temperature: 1, topK: 2 });
  const id = sampler.sample(logits, 0, none, 0);
  const kept = keptLogProbabilities(candidates, id, 3);
  const raw = rawLogProbabilities(candidates, logits, 0, id, 3);
  deepStrictEqual(
    raw.top.map((entry) => entry.id),
    [1, 3, 2],
  );
  assertClose(
    'raw',
    raw.top.map((entry) => Math.exp(entry.logprob)),
    [0.5, 0.25, 0.15],
    { atol: 1e-7 },
  );
  deepStrictEqual(
    kept.top.map((entry) => entry.id),
    [1, 3],
  );
  assertClose(
    'kept',
    kept.top.map((entry) => Math.exp(entry.logprob)),
    [2 / 3, 1 / 3],
    { atol: 1e-7 },
  );
  strictEqual(kept.logprob, kept.top.find((entry) => entry.id === id)?.logprob);
});

const anyLogits = fc.array(fc.float({ min: -20, max: 20, noNaN: true }), { minLength: 1, maxLength: 300 });

test('laws: kept sets are nested in k, p and min-p; what is left sums to 1; the likeliest stays', () => {
  fc.assert(
    fc.property(
      anyLogits,
      fc.integer({ min: 1, max: 40 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (values, k, p) => {
        const logits = Float32Array.from(values);
        const candidates = new Candidates(logits.length);
        const kept = (apply: () => void) => {
          candidates.load(logits);
          apply();
          ok(candidates.count >= 1);
          assertClose('sum', [probabilitiesById(candidates).reduce((a, b) => a + b)], [1], { atol: 1e-9 });
          return new Set(keptIds(candidates));
        };
        const best = logits.indexOf(Math.max(...logits));
        for (const [smaller, larger] of [
          [kept(() => topK(candidates, k)), kept(() => topK(candidates, k + 3))],
          [kept(() => topP(candidates, p * 0.9, 0)), kept(() => topP(candidates, p, 0))],
          [kept(() => minP(candidates, p, 0)), kept(() => minP(candidates, p * 0.9, 0))],
          [kept(() => topNSigma(candidates, k / 20)), kept(() => topNSigma(candidates, k / 10))],
        ] as const) {
          ok(smaller.has(best));
          ok(smaller.isSubsetOf(larger));
        }
      },
    ),
    { numRuns: 60 },
  );
});

test('sortBest orders like a full sort, whatever was sorted before', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 200 }),
      fc.array(fc.integer({ min: 0, max: 220 })),
      (values, sizes) => {
        const candidates = new Candidates(values.length);
        candidates.load(Float64Array.from(values));
        const want = values.map((value, id) => ({ value, id })).sort((a, b) => b.value - a.value || a.id - b.id);
        for (const n of sizes) {
          candidates.sortBest(n);
          deepStrictEqual(
            [...candidates.ids.subarray(0, Math.min(n, values.length))],
            want.slice(0, n).map(({ id }) => id),
          );
        }
      },
    ),
  );
});

test('top-p and typical on a large vocabulary keep what a full sort keeps', () => {
  const random = new Random(11);
  const V = 3000;
  for (const spread of [0.02, 1, 4, 40]) {
    const logits = Float64Array.from({ length: V }, () => random.normal() * spread);
    const reference = new Candidates(V);
    reference.load(logits);
    reference.softmax();
    const entropy = reference.entropy();
    const p_V = reference.probabilities.slice();
    for (const p of [0, 0.3, 0.9, 0.999]) {
      for (const [sampler, order] of [
        [topP, (a: number, b: number) => p_V[b]! - p_V[a]!],
        [
          typical,
          (a: number, b: number) => Math.abs(-Math.log(p_V[a]!) - entropy) - Math.abs(-Math.log(p_V[b]!) - entropy),
        ],
      ] as const) {
        const ranked = Array.from(p_V.keys()).sort(order);
        let sum = 0;
        const want = ranked.slice(0, 1 + ranked.findIndex((id) => (sum += p_V[id]!) > p));
        const candidates = new Candidates(V);
        candidates.load(logits);
        sampler(candidates, p, 0);
        deepStrictEqual(
          keptIds(candidates),
          want.sort((a, b) => a - b),
          `${sampler.name} ${p}, spread ${spread}`,
        );
      }
    }
  }
});

test('same seed, same tokens; another seed, others; frequencies follow the probabilities', () => {
  const logits = Float32Array.from([0.1, 0.5, 0.15, 0.25], Math.log);
  const draw = (seed: number, count: number) => {
    const [sampler] = samplerOf(4, { ...off, seed, temperature: 1 });
    return Array.from({ length: count }, () => sampler.sample(logits, 0, none, 0));
  };
  deepStrictEqual(draw(42, 50), draw(42, 50));
  ok(draw(42, 50).join() !== draw(43, 50).join());
  const counts = [0, 0, 0, 0];
  for (const id of draw(1, 4000)) counts[id]!++;
  assertClose(
    'frequencies',
    counts.map((count) => count / 4000),
    [0.1, 0.5, 0.15, 0.25],
    { atol: 0.03 },
  );
});

test('wrong options are all reported in one ArgumentError, with the nearest name', () => {
  throws(
    () => settingsOf({ topP: 1.5, tempreature: 1, mirostat: 1.5, samplers: ['nucleus'] } as unknown as SamplingOptions),
    ({ code, message }: { code: string; message: string }) => {
      strictEqual(code, 'test.options');
      for (const part of [
        'topP is 1.5, expected a finite number in 0 … 1',
        'did you mean temperature?',
        'mirostat is 1.5',
        'samplers is',
      ])
        ok(message.includes(part), `${part} in ${message}`);
      return true;
    },
  );
});
