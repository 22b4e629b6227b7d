/** What a step adds up, and what is kept beside the weights, against the formulas computed slowly. */
import { deepEqual, equal, match, ok, throws } from 'node:assert/strict';
import test from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { config, ids, trainer } from '../../../test/support/tiny-trainer.ts';
import { forward } from '../../model/llama.ts';
import { prepareBatch, splitMicroBatch } from '../micro-batch.ts';

test('zLoss adds its mean of (ln Z)² to what is made small, and is told beside the loss', async () => {
  const zLoss = 0.05;
  const micro = { ids, rows: 2, length: 16 };
  const { device, model, trainer: own } = trainer({ zLoss });
  const { batch, targets_N } = prepareBatch(micro, config.vocabSize);
  const logits_NV = Float64Array.from(await device.read(forward(model, device.ops, batch)));
  let [losses, penalties] = [0, 0];
  for (const [n, label] of targets_N.entries()) {
    if (label < 0) continue;
    const row = logits_NV.subarray(n * config.vocabSize, (n + 1) * config.vocabSize);
    const lnZ = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0));
    losses += (lnZ - row[label]!) / 30;
    penalties += (zLoss * lnZ ** 2) / 30;
  }
  const first = await own.step([micro]);
  assertClose('means', [first.loss, first.zLoss!], [losses, penalties], { rtol: 1e-9 });
  const { trainer: split } = trainer({ zLoss });
  const parts = await split.step([0, 16].map((from) => ({ ids: ids.slice(from, from + 16), rows: 1, length: 16 })));
  const told = ({ loss, zLoss: z, gradientNorm }: typeof parts) => [loss, z!, gradientNorm];
  assertClose('in two parts', told(parts), told(first), { rtol: 1e-6 });
  const plain = trainer().trainer;
  equal((await plain.step([micro])).zLoss, undefined);
  let [with_, without] = [first, first];
  for (let i = 0; i < 100; i++) [with_, without] = [await own.step([micro]), await plain.step([micro])];
  ok(with_.zLoss! < 0.2 * first.zLoss!, `the normalizer comes to 1: ${first.zLoss} → ${with_.zLoss}`);
  ok(without.loss < with_.loss);
});

test('the average of the weights is that of all steps so far, weighed by the decay, and computes as a model of its own', async () => {
  const micro = [{ ids, rows: 2, length: 16 }];
  const decay = 0.8;
  const { device, parameters, trainer: own } = trainer({ ema: decay, guard: { onAnomaly: 'skip' } });
  const seen: Float64Array[] = [];
  for (let n = 0; n < 5; n++) {
    await own.step(micro);
    seen.push(Float64Array.from(await device.read(parameters[0]!.tensor)));
  }
  const shares = seen.map((_, i) => decay ** (seen.length - 1 - i));
  const sum = shares.reduce((a, b) => a + b, 0);
  const expected = seen[0]!.map((_, at) => seen.reduce((mean, w, i) => mean + (shares[i]! / sum) * w[at]!, 0));
  const { average } = own;
  const mean = await device.read(average!.of(parameters[0]!).tensor);
  assertClose('average', mean, expected, { atol: 1e-7 });

  const prepared = prepareBatch(micro[0]!, config.vocabSize);
  const averaged = await own.losses(prepared, 'averaged');
  const trained = await own.losses(prepared);
  ok(averaged.some((loss, n) => loss !== trained[n]));
  for (const parameter of parameters) device.copy(parameter.tensor, average!.of(parameter).tensor);
  deepEqual(await own.losses(prepared), averaged);

  device.write(parameters[0]!.tensor, [Number.NaN]);
  match((await own.step(micro)).skipped!, /NaN/);
  deepEqual(await device.read(average!.of(parameters[0]!).tensor), mean, 'a step that is left out moves no average');
});

test('the loss of each source is that of its documents, however they are split', async () => {
  const documents = [5, 3, 8, 7, 9];
  const sources = [1, 0, 1, 2, 0];
  const micro = { ids, rows: 2, length: 16, documents, sources };
  const { trainer: own } = trainer({ sourceCount: 4, zLoss: 0.1 });
  const { targets_N } = prepareBatch(micro, config.vocabSize);
  const losses = await own.losses(prepareBatch(micro, config.vocabSize));
  const sums = [0, 0, 0, 0];
  const counts = [0, 0, 0, 0];
  let row = 0;
  for (const [i, count] of documents.entries()) {
    for (const end = row + count; row < end; row++) {
      sums[sources[i]!]! += losses[row]!;
      counts[sources[i]!]! += Number(targets_N[row]! >= 0);
    }
  }
  const found = await own.computeGradients([micro]);
  assertClose(
    'by source',
    found.sources!.slice(0, 3).map(({ loss }) => loss),
    sums.slice(0, 3).map((sum, i) => sum / counts[i]!),
    { rtol: 1e-9 },
  );
  deepEqual(
    found.sources!.map(({ labelCount }) => labelCount),
    counts,
  );
  const parts = splitMicroBatch(micro, 10);
  ok(parts.length > 2);
  const split = await own.computeGradients(parts);
  assertClose(
    'split',
    split.sources!.slice(0, 3).map(({ loss }) => loss),
    found.sources!.slice(0, 3).map(({ loss }) => loss),
    { rtol: 1e-9 },
  );
  throws(() => prepareBatch({ ...micro, sources: [1] }, 11), /expected one source per document = 5, got 1/);
});

test('embeddings and head have rates of their own, the rest has the schedule’s', async () => {
  const micro = [{ ids, rows: 2, length: 16 }];
  const moved = async (rate: number, rateScales: Record<string, number>) => {
    const optimizer = { weightDecay: 0, rateScales };
    const own = trainer({ optimizer, clip: null, schedule: () => rate }, { tiedEmbeddings: false });
    const read = () =>
      Promise.all(own.parameters.map(async ({ tensor }) => Float32Array.from(await own.device.read(tensor))));
    const before = await read();
    await own.trainer.step(micro);
    const after = await read();
    return new Map(own.parameters.map(({ name }, i) => [name, after[i]!.map((x, at) => x - before[i]![at]!)]));
  };
  const scales: Record<string, number> = { embed_VD: 3, head_VD: 0.25 };
  const scaled = await moved(0.01, scales);
  for (const [name, change] of await moved(0.01, {})) {
    const factor = scales[name] ?? 1;
    ok(change.some((x) => x !== 0));
    assertClose(
      name,
      scaled.get(name)!,
      change.map((x) => x * factor),
      { rtol: 1e-4, atol: 1e-7 },
    );
  }
});

const dropout = { rates: { embedding: 0.1, attention: 0.2, residual: 0.3 }, seed: 4 };

test('dropout follows from seed, step and token alone: recomputing changes no bit, and splitting a batch only rounding', async () => {
  const micro = { ids, rows: 2, length: 16, documents: [16, 7, 9] };
  const runs = (['none', 'cheap', 'block'] as const).map((recompute) => trainer({ dropout, recompute }));
  const results = await Promise.all(runs.map((run) => run.trainer.step([micro])));
  deepEqual(results[1], results[0]);
  deepEqual(results[2], results[0]);
  for (const [i, { tensor }] of runs[0]!.parameters.entries()) {
    const expected = await runs[0]!.device.read(tensor);
    for (const run of runs.slice(1)) deepEqual(await run.device.read(run.parameters[i]!.tensor), expected);
  }
  const told = ({ loss, gradientNorm }: (typeof results)[number]) => [loss, gradientNorm];
  const split = await trainer({ dropout }).trainer.step(splitMicroBatch({ ...micro, firstToken: 0 }, 12));
  assertClose('split', told(split), told(results[0]!), { rtol: 1e-6 });
  // What a rank has of the step's rows, with their places.
  const [first, second] = [0, 16].map((from) => ({
    ids: ids.slice(from, from + 16),
    rows: 1,
    length: 16,
    documents: from === 0 ? [16] : [7, 9],
    firstToken: from,
  }));
  assertClose('in another order', told(await trainer({ dropout }).trainer.step([second!, first!])), told(results[0]!), {
    rtol: 1e-6,
  });
});

test('another step, seed or rate drops others; nothing is dropped where the model is evaluated', async () => {
  const micro = { ids, rows: 2, length: 16 };
  const loss = async (options: Parameters<typeof trainer>[0], steps = 1) => {
    const { trainer: own } = trainer({ schedule: () => 0, ...options });
    for (let i = 1; i < steps; i++) await own.step([micro]);
    return (await own.step([micro])).loss;
  };
  const rates = { embedding: 0, attention: 0, residual: 0 };
  const plain = await loss({});
  const found = [
    plain,
    await loss({ dropout }),
    await loss({ dropout }, 2),
    await loss({ dropout: { ...dropout, seed: 5 } }),
    await loss({ dropout: { ...dropout, rates: { ...rates, embedding: 0.1 } } }),
    await loss({ dropout: { ...dropout, rates: { ...rates, attention: 0.1 } } }),
    await loss({ dropout: { ...dropout, rates: { ...rates, residual: 0.1 } } }),
  ];
  equal(new Set(found).size, found.length);
  equal(await loss({ dropout: { ...dropout, rates } }), plain);
  const prepared = prepareBatch(micro, config.vocabSize);
  deepEqual(await trainer({ dropout }).trainer.losses(prepared), await trainer().trainer.losses(prepared));
});

test('a model with dropout learns, of every kind that has a norm behind its branches', async () => {
  for (const changed of [{}, { normPlacement: 'after' }, { normPlacement: 'both', positions: 'learned' }] as const) {
    const { trainer: own } = trainer({ dropout, recompute: 'block' }, changed);
    const losses: number[] = [];
    for (let i = 0; i < 40; i++) losses.push((await own.step([{ ids, rows: 2, length: 16 }])).loss);
    ok(losses.at(-1)! < losses[0]! - 0.3, `${losses[0]} → ${losses.at(-1)}`);
  }
});
