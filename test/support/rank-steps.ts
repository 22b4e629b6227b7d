/**
 * Some training steps on as many ranks as mpirun has started, for each case of a list: `mpirun -np 2 node rank-steps.ts '[…]'`. The first
 * rank prints what they came to as JSON. Without mpirun there is one rank.
 */
import { createHash } from 'node:crypto';
import type { Device } from '../../src/devices/device.ts';
import { createWasmDevice } from '../../src/devices/wasm/device.ts';
import { joinMpi, mpiJob } from '../../src/platform/node/native/mpi.ts';
import { newestSound } from '../../src/platform/node/training/run/checkpoint-folder.ts';
import { Checkpoints, type SavedState } from '../../src/platform/node/training/run/checkpoints.ts';
import { elementCount, rowCount } from '../../src/tensor/tensor.ts';
import { type Collective, solo } from '../../src/training/collective.ts';
import { evaluate } from '../../src/training/evaluate.ts';
import { initialWeights } from '../../src/training/initialize.ts';
import { shardOf } from '../../src/training/ranks/parts.ts';
import { type RunState, weightTensors } from '../../src/training/run/state.ts';
import { type PlacedWeight, placeModel } from '../../src/training/trainable-model.ts';
import { StepTrainer, type Weights } from '../../src/training/trainer.ts';
import { config, LENGTH, type RankCase, type RankResult } from './rank-case.ts';

const freshState: RunState = {
  step: 0,
  tokens: 0,
  cursor: { sources: [], open: null },
  guard: { loss: [], norm: [] },
  smoothedLoss: null,
  best: null,
  seconds: 0,
  recipe: null,
};

const mpi = mpiJob(process.env) && joinMpi();
const collective = mpi ?? solo;
const results: RankResult[] = [];
for (const one of JSON.parse(process.argv[2]!) as RankCase[]) results.push(await run(one, collective));
if (collective.rank === 0) console.log(JSON.stringify(results));
mpi?.finish();

async function run(one: RankCase, ranks: Collective): Promise<RankResult> {
  const {
    rows,
    microBatches,
    optimizer = {},
    sharding = 'optimizer',
    overlap = true,
    recompute = 'none',
    dropout = { rates: { embedding: 0, attention: 0, residual: 0 }, seed: 1 },
    ema = null,
    steps = 3,
  } = one;
  const { rank, size } = ranks;
  const device = await createWasmDevice();
  const division = { sharding, rank, size, matrices: optimizer.matrices ?? 'adamw' } as const;
  const all = initialWeights(config, 3);
  const { model, parameters, weights } = placeModel(device, config, all, () => true, division);
  const parallel = { sharding, overlap };
  const options = {
    schedule: () => 0.01,
    optimizer,
    collective: ranks,
    parallel,
    recompute,
    dropout,
    ema,
    measuresNoise: true,
  };
  const trainer = new StepTrainer(device, model, parameters, options);
  const saving = one.checkpoints ? openCheckpoints(one.checkpoints, device, weights, trainer, ranks) : null;
  const last = saving && newestSound<SavedState>(saving.folder, () => {});
  if (last) saving.load(last);
  const losses: number[] = [];
  const norms: number[] = [];
  const small: number[] = [];
  const begin = trainer.optimizer.step;
  for (let step = begin; step < begin + steps; step++) {
    const own = Array.from({ length: microBatches }, (_, i) => {
      const mine = rowsOf(step * microBatches + i, rows, ranks);
      return mine.map((micro) => ({ ...micro, firstToken: micro.firstToken + i * rows * LENGTH }));
    }).flat();
    const { loss, gradientNorm, smallBatch } = await trainer.step(own);
    if (smallBatch) small.push(smallBatch.squares);
    losses.push(loss);
    norms.push(gradientNorm);
  }
  await saving?.save({ ...freshState, step: begin + steps }, { keepLast: 9 });
  const { ids } = rowsOf(99, 1, solo)[0]!;
  const tokens = (_: number, from = 0, to = LENGTH) => ids.slice(from, to);
  const held = { name: 'held out', count: 1, tokenCount: LENGTH, weightOf: null, lengthOf: () => LENGTH, tokens };
  const found = async (of: Weights, placed: readonly PlacedWeight[]) => {
    // Three pieces: one rank of two has nothing to do in the end.
    const { loss } = await evaluate(trainer, held, 1, { rows: 1, length: 5, weights: of }, ranks);
    return { digest: await digestOf(device, placed, ranks), evaluated: loss };
  };
  const { average } = trainer;
  const averaged =
    average &&
    (await found(
      'averaged',
      weights.map((weight) => average.of(weight)),
    ));
  const trained = await found('trained', weights);
  const next = [...(await trainer.nextLogits(ids))];
  const bytes = new Float64Array(size);
  bytes[rank] = device.memory().allocated + trainer.heldBytes();
  ranks.sum(bytes);
  device.close();
  return { losses, norms, small, ...trained, next, averaged, bytes: [...bytes], isOneMachine: ranks.isOneMachine };
}

async function digestOf(device: Device, weights: readonly PlacedWeight[], ranks: Collective): Promise<string> {
  const digest = createHash('sha256');
  for (const source of (await weightTensors(device, weights, ranks)).values()) {
    const bytes = new Uint8Array(4 * elementCount(source.shape));
    source.readRows(bytes, 0, rowCount(source.shape));
    digest.update(bytes);
  }
  return digest.digest('hex');
}

function openCheckpoints(
  folder: string,
  device: Device,
  weights: readonly PlacedWeight[],
  { optimizer, average }: StepTrainer,
  ranks: Collective,
): Checkpoints {
  const content = {
    config,
    weights,
    optimizer,
    tokenizer: null,
    bosId: null,
    eosId: null,
    collective: ranks,
    average,
    output: 'trained' as const,
  };
  return new Checkpoints(folder, device, content);
}

/** This rank's rows of a micro-batch. */
function rowsOf(number: number, rows: number, { rank, size }: Collective) {
  const { from, count } = shardOf(rows, rank, size);
  if (count === 0) return [];
  const all = Uint32Array.from({ length: rows * LENGTH }, (_, i) => (i * i + 7 * i + 5 * number) % config.vocabSize);
  return [
    { ids: all.slice(from * LENGTH, (from + count) * LENGTH), rows: count, length: LENGTH, firstToken: from * LENGTH },
  ];
}
