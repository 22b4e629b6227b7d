/**
 * Steps on several ranks of this machine beside the arithmetic of src/training/run/plan.ts:
 * `node bench/scale.ts [--ranks 1,2,3,4] [--shape 7M] [--length 128] [--rows 12] [--steps 5] [--no-blas] [--overlap both|yes|no]`
 *
 * Every number of ranks is one job of mpirun, a thread a rank. What the arithmetic needs of the machine is measured in the same job: its
 * rate of passes by steps of which each rank makes its rows' alone, all ranks at once; copies, sums, messages and bytes by themselves.
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { formatBytes } from '../src/base/units.ts';
import { markdownTable } from '../src/cli/terminal/columns.ts';
import { describeMachine } from '../src/platform/node/machine.ts';
import { joinMpi, mpiJob } from '../src/platform/node/native/mpi.ts';
import { createTrainingDevice } from '../src/platform/node/training/device.ts';
import { measureHandling } from '../src/platform/node/training/run/plan-machines.ts';
import { type Collective, solo } from '../src/training/collective.ts';
import { initialWeights } from '../src/training/initialize.ts';
import { type Sharding, shardings } from '../src/training/ranks/sharding.ts';
import { flopsPerToken } from '../src/training/run/estimate.ts';
import { rowsOfRank } from '../src/training/run/loop.ts';
import { type Machine, planStep } from '../src/training/run/plan.ts';
import { placeModel } from '../src/training/trainable-model.ts';
import { StepTrainer } from '../src/training/trainer.ts';
import { median } from './report.ts';
import { shapeConfig } from './shapes.ts';

const { values } = parseArgs({
  options: {
    ranks: { type: 'string', default: '1,2,3,4' },
    shape: { type: 'string', default: '7M' },
    length: { type: 'string', default: '128' },
    rows: { type: 'string', default: '12' },
    steps: { type: 'string', default: '5' },
    overlap: { type: 'string', default: 'both' },
    'no-blas': { type: 'boolean', default: false },
    /** This process is a rank: for the bench itself. */
    rank: { type: 'boolean', default: false },
  },
});
const [length, rows, steps] = [values.length, values.rows, values.steps].map(Number) as [number, number, number];
const config = shapeConfig(values.shape, length);
const overlaps = values.overlap === 'both' ? [true, false] : [values.overlap === 'yes'];

interface Measured {
  readonly sharding: Sharding;
  readonly overlap: boolean;
  /** Median of the steps, each as long as its slowest rank's. */
  readonly seconds: number;
  readonly spread: readonly [number, number];
  /** Of the first rank, on the device and beside it. */
  readonly bytes: number;
}
type Links = Omit<Machine, 'flops'>;

if (values.rank) {
  const mpi = mpiJob(process.env) && joinMpi();
  const result = await runRank(mpi ?? solo);
  if ((mpi ?? solo).rank === 0) console.log(JSON.stringify(result));
  mpi?.finish();
} else compare();

function compare(): void {
  const { cpu, physicalCores, memoryBytes } = describeMachine();
  const table: string[][] = [];
  for (const size of values.ranks.split(',').map(Number)) {
    const { links, alone, measured } = job(size);
    const division = { rows, microBatches: 1, config, recompute: 'none' as const, dropout: null };
    // What a rank needs besides its passes is taken off.
    const { update } = planStep(division, { size: 1, sharding: 'none', overlap: false }, { ...links, flops: 1 });
    const flops = (flopsPerToken(config, length) * Math.ceil(rows / size) * length) / (alone - update);
    const machine = { ...links, flops };
    for (const { sharding, overlap, seconds, spread, bytes } of measured) {
      const plan = planStep(division, { size, sharding, overlap }, machine);
      table.push([
        String(size),
        sharding,
        overlap ? 'yes' : 'no',
        seconds.toFixed(3),
        spread.map((s) => s.toFixed(3)).join(' … '),
        plan.seconds.toFixed(3),
        (plan.seconds / seconds).toFixed(2),
        formatBytes(bytes),
        formatBytes(plan.device + plan.beside),
      ]);
    }
    const between = `, ${(links.bandwidth / 1e9).toFixed(1)} GB/s between ranks, ${(links.latency * 1e6).toFixed(0)} µs a message`;
    const own = `${(links.copying / 1e9).toFixed(1)} GB/s copied, ${(links.adding / 1e9).toFixed(1)} added up`;
    console.log(`ranks: ${size}; ${(flops / 1e9).toFixed(0)} GFLOP/s of passes, ${own}${size > 1 ? between : ''}`);
  }
  console.log(`${cpu}, ${physicalCores} cores, ${formatBytes(memoryBytes)}\n`);
  const head = [
    'ranks',
    'sharding',
    'overlap',
    'step, s',
    'least … most',
    'arithmetic, s',
    'ratio',
    'memory',
    'arithmetic',
  ];
  console.log(markdownTable([head, ...table], [0, 3, 4, 5, 6, 7, 8]));
}

interface Job {
  readonly links: Links;
  /** Seconds of a step whose ranks have nothing to do with each other. */
  readonly alone: number;
  readonly measured: readonly Measured[];
}

function job(size: number): Job {
  const own = [process.argv[1]!, ...process.argv.slice(2), '--rank'];
  const mpi = ['--allow-run-as-root', '--oversubscribe', '--bind-to', 'none', '-np', String(size), process.execPath];
  const [program, words] = size === 1 ? [process.execPath, own] : ['mpirun', [...mpi, ...own]];
  const { stdout, stderr, status } = spawnSync(program, words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Job;
}

async function runRank(ranks: Collective): Promise<Job> {
  const links = await measureLinks(ranks);
  const alone = (await measureSteps(ranks, solo, 'none', false)).seconds;
  const measured: Measured[] = [];
  for (const sharding of ranks.size === 1 ? (['none'] as const) : shardings) {
    for (const overlap of ranks.size === 1 ? [false] : overlaps) {
      measured.push(await measureSteps(ranks, ranks, sharding, overlap));
    }
  }
  return { links, alone, measured };
}

/** Steps of this rank's rows, which all ranks begin and end together; `collective` is what the trainer has of them: all, or itself. */
async function measureSteps(
  ranks: Collective,
  collective: Collective,
  sharding: Sharding,
  overlap: boolean,
): Promise<Measured> {
  const machine = { device: 'wasm', threads: 1, blas: !values['no-blas'], revectorize: true } as const;
  const { device } = await createTrainingDevice(machine, 'f32', () => {});
  const division = { sharding, rank: collective.rank, size: collective.size, matrices: 'adamw' } as const;
  const { model, parameters } = placeModel(device, config, initialWeights(config, 1), () => true, division);
  const options = { schedule: () => 5e-4, collective, parallel: { sharding, overlap } };
  const trainer = new StepTrainer(device, model, parameters, options);
  const ids = Uint32Array.from({ length: rows * length }, (_, i) => (i * i + 7 * i) % config.vocabSize);
  const documents = new Array<number>(rows).fill(length);
  const own = rowsOfRank([{ ids, rows, length, documents, sources: documents.map(() => 0) }], ranks);
  const seconds: number[] = [];
  for (let step = 0; step < steps + 1; step++) {
    ranks.barrier();
    const from = performance.now();
    await trainer.step(own);
    ranks.barrier();
    if (step > 0) seconds.push((performance.now() - from) / 1000);
  }
  const bytes = device.memory().allocated + trainer.heldBytes();
  device.close();
  const spread = [Math.min(...seconds), Math.max(...seconds)] as const;
  return { sharding, overlap, seconds: median(seconds), spread, bytes };
}

/** All ranks at once, as in a step. */
async function measureLinks(ranks: Collective): Promise<Links> {
  const count = 4 * 2 ** 20;
  const [a, b] = [new Float32Array(count).fill(1), new Float32Array(count)];
  ranks.barrier();
  const handling = measureHandling();
  const least = async (work: () => unknown) => {
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 5; i++) {
      ranks.barrier();
      const from = performance.now();
      await work();
      best = Math.min(best, (performance.now() - from) / 1000);
    }
    return best;
  };
  if (ranks.size === 1) return { ...handling, bandwidth: Number.MAX_VALUE, latency: 0 };
  const { size } = ranks;
  const gather = (each: number) => {
    const counts = new Array<number>(size).fill(each);
    return least(() => ranks.gather(b.subarray(0, each * size), a.subarray(0, each), counts));
  };
  const latency = (await gather(1)) / (size - 1);
  const each = Math.floor(count / size);
  const bandwidth = (4 * each * (size - 1)) / ((await gather(each)) - (size - 1) * latency);
  return { ...handling, bandwidth, latency };
}
