/**
 * Some training steps on as many ranks as mpirun has started, for each case of a list: `mpirun -np 2 node rank-steps.ts '[…]'`. The first
 * rank prints what they came to as JSON. Without mpirun there is one rank.
 */
import { createHash } from 'node:crypto';
import { createWasmDevice } from '../../src/devices/wasm/device.ts';
import { compileKernels } from '../../src/devices/wasm/modules.ts';
import { type LlamaConfig, paperChoices } from '../../src/model/config.ts';
import { joinMpi, mpiJob } from '../../src/platform/node/native/mpi.ts';
import { type Collective, solo } from '../../src/training/collective.ts';
import { initialWeights } from '../../src/training/initialize.ts';
import type { MicroBatch } from '../../src/training/micro-batch.ts';
import type { OptimizerOptions } from '../../src/training/optimizer.ts';
import { shardOf } from '../../src/training/ranks/parts.ts';
import { placeModel } from '../../src/training/trainable-model.ts';
import { StepTrainer } from '../../src/training/trainer.ts';

export interface RankCase {
  /** Of a micro-batch, over all ranks. */
  readonly rows: number;
  readonly microBatches: number;
  readonly optimizer?: Partial<OptimizerOptions>;
}

export interface RankResult {
  readonly losses: readonly number[];
  readonly norms: readonly number[];
  /** Of all weights after the last step. */
  readonly digest: string;
}

const STEPS = 3;
const LENGTH = 12;
const config: LlamaConfig = {
  ...paperChoices,
  width: 16,
  blockCount: 2,
  headCount: 2,
  kvHeadCount: 1,
  headSize: 8,
  ffnWidth: 24,
  vocabSize: 29,
  contextLength: LENGTH,
  normEps: 1e-5,
  ropeTheta: 10_000,
  ropeScaling: { kind: 'none' },
  tiedEmbeddings: true,
  attentionBias: false,
  slidingWindow: null,
};

const kernels = await compileKernels({ simd: 'auto', shared: false });
const mpi = mpiJob(process.env) && joinMpi();
const collective = mpi ?? solo;
const results: RankResult[] = [];
for (const one of JSON.parse(process.argv[2]!) as RankCase[]) results.push(await run(one, collective));
if (collective.rank === 0) console.log(JSON.stringify(results));
mpi?.finish();

async function run({ rows, microBatches, optimizer = {} }: RankCase, ranks: Collective): Promise<RankResult> {
  const device = await createWasmDevice({ kernels });
  const { model, parameters, weights } = placeModel(device, config, initialWeights(config, 3));
  const trainer = new StepTrainer(device, model, parameters, { schedule: () => 0.01, optimizer, collective: ranks });
  const losses: number[] = [];
  const norms: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    const own = Array.from({ length: microBatches }, (_, i) => rowsOf(step * microBatches + i, rows, ranks)).flat();
    const { loss, gradientNorm } = await trainer.step(own);
    losses.push(loss);
    norms.push(gradientNorm);
  }
  const digest = createHash('sha256');
  for (const { tensor } of weights) digest.update((await device.read(tensor)) as Float32Array);
  device.close();
  return { losses, norms, digest: digest.digest('hex') };
}

/** This rank's rows of a micro-batch. */
function rowsOf(number: number, rows: number, { rank, size }: Collective): MicroBatch[] {
  const { from, count } = shardOf(rows, rank, size);
  if (count === 0) return [];
  const all = Uint32Array.from({ length: rows * LENGTH }, (_, i) => (i * i + 7 * i + 5 * number) % config.vocabSize);
  return [{ ids: all.slice(from * LENGTH, (from + count) * LENGTH), rows: count, length: LENGTH }];
}
