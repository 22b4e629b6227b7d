import { deepEqual, equal, match, ok, rejects, throws } from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { assertClose } from '../../test/support/close.ts';
import { config, ids, trainer } from '../../test/support/tiny-trainer.ts';
import type { LlamaConfig } from '../model/config.ts';
import { forward } from '../model/llama.ts';
import { rebuild, statisticsOf } from '../model/model.ts';
import type { Documents } from './data/documents.ts';
import { Packer } from './data/packer.ts';
import { evaluate } from './evaluate.ts';
import { AnomalyError, defaultGuard, Guard, type GuardOptions } from './guard.ts';
import { NO_LABEL, prepareBatch, splitMicroBatch } from './micro-batch.ts';
import { shardOf } from './ranks/parts.ts';
import { Pace, rowsOfRank } from './run/loop.ts';
import { cosineSchedule, stableSchedule } from './schedule.ts';

test('schedules by hand: warm-up, peak, half-way and end', () => {
  const shape = { learningRate: 2, warmupSteps: 4, totalSteps: 20, finalFraction: 0.1 };
  const cosine = cosineSchedule(shape);
  assertClose('cosine', [0, 3, 4, 12, 20, 99].map(cosine), [0.5, 2, 2, 1.1, 0.2, 0.2], { atol: 1e-12 });
  const stable = stableSchedule({ ...shape, decayFraction: 0.5 });
  assertClose('stable', [0, 3, 10, 15, 20, 99].map(stable), [0.5, 2, 2, 1.1, 0.2, 0.2], { atol: 1e-12 });
});

test('targets are shifted by one and never cross from one document to the next', () => {
  const { targets_N, targetCount, batch } = prepareBatch(
    { ids: [1, 2, 3, 4, 5, 6], rows: 2, length: 3, documents: [3, 1, 2] },
    11,
  );
  deepEqual([...targets_N], [2, 3, NO_LABEL, NO_LABEL, 6, NO_LABEL]);
  equal(targetCount, 3);
  deepEqual([...batch.positions], [0, 1, 2, 0, 0, 1]);
});

test('a micro-batch that is inconsistent says what is wrong', async () => {
  throws(() => prepareBatch({ ids: [1, 2], rows: 1, length: 3 }, 11), /expected rows × length = 1 × 3 = 3 ids, got 2/);
  throws(
    () => prepareBatch({ ids: [12, 1], rows: 1, length: 2 }, 11),
    /id 12 at token 0 is outside the vocabulary of 11/,
  );
  throws(() => prepareBatch({ ids: [1, 2], labels: [0, -3], rows: 1, length: 2 }, 11), /label -3/);
  throws(() => prepareBatch({ ids: [1, 2], rows: 1, length: 2, documents: [1] }, 11), /add up to 1, expected 2/);
  const { trainer: own } = trainer();
  await rejects(own.step([{ ids: [1, 2], labels: [NO_LABEL, NO_LABEL], rows: 1, length: 2 }]), /found none/);
});

test('one batch is learned by heart', async () => {
  const { trainer: own } = trainer();
  const micro = [{ ids, rows: 2, length: 16 }];
  const first = (await own.step(micro)).loss;
  let last = first;
  for (let i = 0; i < 150; i++) last = (await own.step(micro)).loss;
  ok(first > 2 && last < 0.2, `loss went from ${first} to ${last}`);
});

test('splitting a batch into micro-batches changes nothing but rounding, whatever the lengths', async () => {
  const whole = trainer();
  const split = trainer();
  const a = await whole.trainer.step([{ ids, rows: 1, length: 32, documents: [20, 5, 7] }]);
  const b = await split.trainer.step([
    { ids: ids.slice(0, 20), rows: 1, length: 20 },
    { ids: ids.slice(20), rows: 1, length: 12, documents: [5, 7] },
  ]);
  assertClose('loss', [a.loss, a.gradientNorm], [b.loss, b.gradientNorm], { rtol: 1e-6 });
  for (const [i, { tensor }] of whole.parameters.entries()) {
    assertClose('weights', await whole.device.read(tensor), await split.device.read(split.parameters[i]!.tensor), {
      atol: 1e-5,
    });
  }
});

test('a large micro-batch is worked off in parts that hold its sequences whole, in order', () => {
  const micro = { ids, labels: ids.map((id) => id + 1), rows: 4, length: 8 };
  deepEqual(splitMicroBatch(micro, 32), [micro]);
  const parts = splitMicroBatch({ ...micro, documents: [5, 6, 20, 1] }, 12);
  deepEqual(
    parts.map(({ documents }) => documents),
    [[5, 6], [20], [1]],
  );
  deepEqual(
    parts.flatMap((part) => Array.from(part.ids)),
    [...ids],
  );
  deepEqual(
    parts.flatMap((part) => Array.from(part.labels!)),
    [...micro.labels],
  );
});

test('every variant of the lab, and what relatives choose otherwise, trains: its loss falls', async () => {
  const variants: Partial<LlamaConfig>[] = [
    { norm: 'layer', activation: 'gelu', positions: 'learned', tiedEmbeddings: false },
    { norm: 'batch', activation: 'relu', positions: 'sinusoidal' },
    { normPlacement: 'after', activation: 'geglu', kvHeadCount: 2 },
    { positions: 'none', attentionBias: true, slidingWindow: 3 },
    { normPlacement: 'output', qkNorm: 'row', rotatedBlocks: [true, false], residualScale: 0.5, logitDivisor: 2 },
    {
      normPlacement: 'both',
      qkNorm: 'head',
      activation: 'geglu-tanh',
      embeddingScale: 4,
      attentionScale: 0.4,
      attentionCap: 5,
      logitCap: 6,
      slidingWindow: 4,
      slidingBlocks: [true, false],
      slidingTheta: 1000,
    },
    {
      experts: {
        count: 4,
        used: 2,
        width: 8,
        weights: 'chosen',
        weighs: 'results',
        shared: null,
        blocks: null,
        bias: true,
      },
      swigluLimit: 7,
      attentionSinks: true,
      attentionBias: true,
      attentionOutputBias: true,
    },
    {
      qkNorm: 'unit',
      rotatedBlocks: [true, false],
      queryGrowth: { interval: 4, offset: 1, slope: 0.3, blocks: 'unrotated' },
      windowKind: 'chunks',
      slidingWindow: 32,
      slidingBlocks: [true, false],
      experts: {
        count: 4,
        used: 2,
        width: 8,
        weights: 'sigmoid',
        weighs: 'inputs',
        shared: 12,
        blocks: [false, true],
        bias: false,
      },
    },
  ];
  for (const changed of variants) {
    for (const recompute of ['none', 'cheap', 'block'] as const) {
      const { trainer: own } = trainer({ recompute }, changed);
      const micro = [{ ids, rows: 2, length: 16 }];
      const losses: number[] = [];
      for (let i = 0; i < 20; i++) losses.push((await own.step(micro)).loss);
      ok(losses.at(-1)! < losses[0]! - 0.3, `${JSON.stringify(changed)}: ${losses[0]} → ${losses.at(-1)}`);
    }
  }
});

test('the expected time forgets a pause', () => {
  const pace = new Pace(5);
  let now = 5;
  const after = (steps: number, milliseconds: number) => {
    let last = 0;
    for (let i = 0; i < steps; i++) last = pace.next((now += milliseconds));
    return last;
  };
  equal(after(3, 10), 10);
  equal(after(1, 50), 20);
  now += 3_600_000; // the machine slept
  ok(after(1, 10) > 1000);
  equal(after(200, 10), 10);
});

test('batch norms use the batch in steps and the running statistics elsewhere, which only a step that counts moves', async () => {
  const { device, model, trainer: own } = trainer({ guard: { onAnomaly: 'skip' } }, { norm: 'batch' });
  const micro = { ids, rows: 2, length: 16 };
  for (let i = 0; i < 30; i++) await own.step([micro]);
  const running = () => Promise.all(statisticsOf(model).map(async (tensor) => Array.from(await device.read(tensor))));
  const after = await running();
  ok(after.length === 10 && after.every((values, i) => values.some((value) => value !== i % 2)));

  const prepared = prepareBatch(micro, config.vocabSize);
  const losses = await own.losses(prepared);
  const stored = rebuild(model, {}); // as a file's model comes
  const logits_NV = Float64Array.from(await device.read(forward(stored, device.ops, prepared.batch)));
  const expected = Array.from(prepared.targets_N, (label, n) => {
    if (label < 0) return 0;
    const row = logits_NV.subarray(n * config.vocabSize, (n + 1) * config.vocabSize);
    return Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0)) - row[label]!;
  });
  assertClose('losses', losses, expected, { atol: 1e-9 });
  assertClose('logits', await own.nextLogits(ids.subarray(0, 16)), logits_NV.subarray(15 * 11, 16 * 11), {
    atol: 1e-9,
  });
  deepEqual(await running(), after);

  const { tensor: head } = own.parameters[1]!;
  const kept = await device.read(head, 0, 1);
  device.write(head, [Number.NaN]);
  match((await own.step([micro])).skipped!, /NaN/);
  deepEqual(await running(), after);
  own.clearGradients(); // as a pass of its own does: DPO's
  own.pass(prepared.batch, prepared.targets_N, new Float64Array(prepared.targets_N.length).fill(1));
  match((await own.update({ loss: Number.NaN, labelCount: 1 })).skipped!, /NaN/);
  deepEqual(await running(), after);
  device.write(head, kept);
  equal((await own.step([micro])).skipped, null);
  ok((await running())[0]!.some((value, i) => value !== after[0]![i]));
});

test('a gradient that is no number stops the run and names the tensor, or is left out', async () => {
  const stopping = trainer();
  stopping.device.write(stopping.parameters[3]!.tensor, [Number.NaN]);
  await rejects(
    stopping.trainer.step([{ ids, rows: 2, length: 16 }]),
    (error: unknown) => error instanceof AnomalyError && /no number is that of embed_VD/.test(error.message),
  );
  const skipping = trainer({ guard: { onAnomaly: 'skip' } });
  skipping.device.write(skipping.parameters[3]!.tensor, [Number.NaN]);
  const before = Float32Array.from(await skipping.device.read(skipping.parameters[1]!.tensor));
  match((await skipping.trainer.step([{ ids, rows: 2, length: 16 }])).skipped!, /NaN/);
  deepEqual(Float32Array.from(await skipping.device.read(skipping.parameters[1]!.tensor)), before);
});

const watching = (more: Partial<GuardOptions> = {}) => new Guard({ ...defaultGuard, spikeDeviations: 6, ...more });
const feed = (guard: Guard, losses: Iterable<number>, norm = 1) => {
  for (const loss of losses) {
    const verdict = guard.judge(loss, norm, () => null);
    if (verdict) return verdict;
  }
  return null;
};

test('the guard calls a rise a spike, from the first steps on, and a fall none', () => {
  const guard = watching();
  equal(feed(guard, [10]), null);
  match(watching().judge(10, 1, () => null)?.words ?? 'none', /none/);
  match(feed(guard, [17])!.words, /loss 17\.000 is 7\.4 standard deviations above the 10\.000 of the last 1 steps/);
  equal(
    feed(
      guard,
      Array.from({ length: 200 }, (_, i) => 5 + 0.1 * Math.sin(i)),
    ),
    null,
  );
  match(feed(guard, [9])!.words, /loss 9.0000 is .* standard deviations above/);
  equal(feed(guard, [1]), null);
  const copy = watching();
  copy.restore(guard.save());
  deepEqual(copy.save(), guard.save());
});

test('the guard ends a run that only leaves steps out, one without gradients, and one whose median rises', () => {
  const skipping = watching({ onAnomaly: 'skip' });
  for (let i = 0; i < 9; i++) equal(skipping.judge(Number.NaN, 1, () => null)?.kind, 'leave out');
  match(
    skipping.judge(Number.NaN, 1, () => null)!.words,
    /^10 steps in a row had to be left out, the last because of loss NaN/,
  );
  const guessing = Math.log(4096);
  const dead = watching({ guessing });
  equal(feed(dead, [8.3, 8.3, 8.3, 8.3], 0), null);
  const verdict = feed(dead, [8.3], 0)!;
  equal(verdict.kind, 'end');
  match(verdict.words, /loss 8\.3000 is that of guessing \(ln V = 8\.3178\), and no gradient is left/);
  equal(feed(watching({ guessing }), Array(20).fill(0.001), 0), null, 'learned by heart, not destroyed');
  const rising = watching({ guessing, spikeDeviations: null });
  const slowly = Array.from({ length: 600 }, (_, i) => (i < 200 ? 4 - i / 200 : 3 + (i - 200) / 100));
  match(feed(rising, slowly)!.words, /median loss of the last 64 steps has risen from 3\.\d+ to 4\.\d+/);
  equal(feed(watching({ spikeDeviations: null }), slowly), null, 'another kind of loss may rise');
});

test('shards of a parameter cover it without overlap', () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.integer({ min: 1, max: 9 }), (length, size) => {
      let at = 0;
      for (let rank = 0; rank < size; rank++) {
        const { from, count } = shardOf(length, rank, size);
        equal(from, at);
        at += count;
      }
      equal(at, length);
    }),
  );
});

function documents(
  name: string,
  texts: readonly (readonly number[])[],
  weights: readonly number[] | null = null,
): Documents {
  const tokenCount = texts.reduce((sum, { length }) => sum + length, 0);
  return {
    name,
    count: texts.length,
    tokenCount,
    weightOf: weights && ((i) => weights[i]!),
    lengthOf: (i) => texts[i]!.length,
    tokens: (i, from = 0, to = texts[i]!.length) => Uint32Array.from(texts[i]!.slice(from, to)),
  };
}

test('the rows of a step are shared evenly, whatever its micro-batches are', () => {
  const step = [0, 1, 2].map((i) => ({
    ids: [0, 1, 2, 3].map((k) => 4 * i + k),
    rows: 2,
    length: 2,
    documents: [2, 1, 1],
    sources: [0, 1, i],
  }));
  const shares = [0, 1, 2, 3].map((rank) => rowsOfRank(step, { rank, size: 4 }));
  // Six rows: one, two, one, two of them; the second rank's are of two micro-batches.
  deepEqual(
    shares.map((parts) => parts.map(({ ids, rows }) => ({ rows, ids: Array.from(ids) }))),
    [
      [{ rows: 1, ids: [0, 1] }],
      [
        { rows: 1, ids: [2, 3] },
        { rows: 1, ids: [4, 5] },
      ],
      [{ rows: 1, ids: [6, 7] }],
      [{ rows: 2, ids: [8, 9, 10, 11] }],
    ],
  );
  deepEqual(shares[0]![0]!.documents, [2]);
  deepEqual(shares[3]![0]!.documents, [2, 1, 1]);
  deepEqual(shares[3]![0]!.sources, [0, 1, 2]);
  equal(rowsOfRank(step, { rank: 0, size: 1 }), step);
});

test('packed rows hold the documents in order, cut where a row ends, and a restored cursor goes on exactly there', () => {
  const texts = [[1, 1, 1, 1, 1], [2, 2], [3], [4, 4, 4, 4, 4, 4, 4]];
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 9 }), (before, length) => {
      const sources = [
        { documents: documents('a', texts), share: 2 },
        { documents: documents('b', [[9, 9, 9], []]), share: 1 },
      ];
      const packer = new Packer(sources, 5);
      for (let i = 0; i < before; i++) packer.next(1, length);
      const copy = new Packer(sources, 5);
      copy.restore(JSON.parse(JSON.stringify(packer.cursor())) as ReturnType<Packer['cursor']>);
      for (let i = 0; i < 10; i++) {
        const row = packer.next(2, length);
        deepEqual(copy.next(2, length), row);
        equal(
          row.documents!.reduce((a, b) => a + b, 0),
          2 * length,
        );
      }
    }),
  );
});

test('sources are drawn by their shares', () => {
  const packer = new Packer(
    [
      { documents: documents('a', [[1], [1]]), share: 0.67 },
      { documents: documents('b', [[2, 2, 2]]), share: 0.33 },
    ],
    1,
  );
  const counts = [0, 0];
  for (const id of packer.next(100, 30).ids as Uint32Array) counts[id - 1]!++;
  assertClose(
    'shares',
    counts.map((count) => count / 3000),
    [0.67, 0.33],
    { atol: 0.01 },
  );
  const told = packer.progress();
  deepEqual(
    told.map(({ name, tokens }) => [name, tokens]),
    [
      ['a', counts[0]],
      ['b', counts[1]],
    ],
    'exactly what the rows hold, a cut document in part',
  );
  const one = new Packer([{ documents: documents('c', [[1, 2, 3, 4, 5]]), share: 1 }], 1);
  one.next(1, 7);
  deepEqual(one.progress(), [{ name: 'c', tokens: 7, epochs: 2 }]);
  throws(() => new Packer([], 1), /expected positive shares/);
  throws(() => new Packer([{ documents: documents('empty', [[]]), share: 1 }], 1).next(1, 1), /only empty/);
});

test('evaluation predicts every token but the first of each document once', async () => {
  const { trainer: own } = trainer();
  const texts = documents('valid', [[...ids], [1, 2], [3]]);
  const { loss, tokenCount, bitsPerByte } = await evaluate(own, texts, 100, { rows: 2, length: 7 });
  equal(tokenCount, 31 + 1);
  assertClose('bits', [bitsPerByte], [(loss * 32) / Math.LN2 / 100], { rtol: 1e-12 });
  const whole = await evaluate(own, texts, 100, { rows: 1, length: 40 });
  equal(whole.tokenCount, tokenCount);
});
