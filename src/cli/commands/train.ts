import { basename, join } from 'node:path';
import { UsageError } from '../../base/errors.ts';
import { formatCount, formatDuration } from '../../base/units.ts';
import { describeMachine } from '../../platform/node/machine.ts';
import { joinMpi, mpiJob } from '../../platform/node/native/mpi.ts';
import type { TrainingMachine } from '../../platform/node/training/device.ts';
import { parseMachines, planMachines } from '../../platform/node/training/run/plan-machines.ts';
import { findStart, type StartModel } from '../../platform/node/training/start-model.ts';
import { type TrainResult, train } from '../../platform/node/training/train.ts';
import { checkRecipe, type Recipe } from '../../training/recipe/recipe.ts';
import { withStart } from '../../training/recipe/start.ts';
import type { StepMetrics } from '../../training/run/loop.ts';
import { defineCommand } from '../command.ts';
import { type Io, writeJson, writeLine } from '../io.ts';
import { deviceOption, modelOptions, resumeOptions, timer } from '../model-options.ts';
import { readRecipeFile } from '../parse/recipe-file.ts';
import { alignColumns } from '../terminal/columns.ts';
import { hubOptions, offlineOption } from '../terminal/hub-progress.ts';

const ROOT = 'runs';

export const command = defineCommand({
  options: {
    recipe: {
      kind: 'text',
      value: 'RECIPE',
      required: true,
      help: 'what to train, on what, and how: a YAML file, or the name of a recipe that comes with the package',
    },
    set: { kind: 'texts', value: 'KEY=VALUE', help: 'change a setting of the recipe, as in training.tokens=1000000' },
    out: {
      kind: 'text',
      value: 'FOLDER',
      otherwise: `${ROOT}/NAME`,
      help: 'where checkpoints, metrics and the report go',
    },
    ...resumeOptions,
    offline: offlineOption,
    device: deviceOption,
    threads: {
      kind: 'integer',
      short: 't',
      min: 1,
      max: 1024,
      otherwise: 'one per physical core',
      help: 'threads that compute',
    },
    blas: { kind: 'flag', default: true, help: 'matrix products by our own kernels, even where a BLAS is installed' },
    revectorize: {
      kind: 'flag',
      default: true,
      help: 'stay with 128-bit vectors, where this Node could join two to 256 bits',
    },
    native: modelOptions.native,
    plan: {
      kind: 'text',
      value: 'MACHINES',
      help: 'print what so many machines like this one need, by arithmetic, and train nothing: 8,64,2048',
    },
    network: {
      kind: 'number',
      value: 'GBIT',
      min: 0.01,
      otherwise: '100',
      help: 'with --plan: gigabits a second that a machine sends',
    },
    gflops: {
      kind: 'number',
      value: 'N',
      min: 0.01,
      otherwise: 'measured here',
      help: 'with --plan: 10⁹ operations a second that a machine reaches in large products',
    },
    json: { kind: 'flag', help: 'one JSON object per step, and one with the result' },
  },
  positionals: ['recipe'],
  details:
    'Trains a LLaMA from scratch. The recipe says what is not derived from its one dial, model.depth; what is derived is printed.\n' +
    'With model.from it goes on from a model (continued pre-training): shape, weights as f32 and tokenizer are its own.\n' +
    'Over several processes or machines: mpirun -np N npx cria train … (Open MPI); the same recipe gives the same curve.\n' +
    'What every rank holds whole is said by training.sharding: optimizer (ZeRO-1, the default), gradients or parameters share more, to the same numbers.\n' +
    'Killed at any moment, a run goes on with --resume from its last checkpoint. Ctrl-C saves one and ends.\n' +
    'What has changed since is said; what would spoil the run is refused, the rest needs --allow-change.\n' +
    'With a BLAS the bits depend on the number of threads; with --no-blas they are the same with any.\n' +
    'Checkpoints are Hugging Face folders: every other verb, and transformers, loads them as they are.',
  examples: [
    ['train own-text', 'a small model of own-text.txt, with the tokenizer in own-tokenizer'],
    ['train stories --set data.train.0.path=train.jsonl.gz', 'the bundled model'],
    ['train stories --resume', 'go on with it'],
    ['train more-text --set training.tokens=20000', 'the bundled model goes on with own-text.txt'],
    ['train llama1-7b --plan 8,64,2048', "what the paper's run needs"],
  ],
  async run(options, io) {
    const [value, file] = [readRecipeFile(options.recipe, options.set), basename(options.recipe)];
    const start = await findStart(value, file, hubOptions(options, io));
    const recipe = checkRecipe(start === null ? value : withStart(value, start, file), file);
    if (options.plan !== undefined || options.network !== undefined || options.gflops !== undefined)
      return writePlan(recipe, start, options, io);
    const isOver = timer(options.maxTime);
    let isStopped = false;
    const job = mpiJob(io.env);
    const collective = job && joinMpi();
    const threads = Math.max(1, Math.floor(describeMachine().physicalCores / (job?.localSize ?? 1)));
    try {
      const result = await train({
        recipe,
        start,
        folder: options.out ?? join(ROOT, recipe.name),
        device: options.device,
        threads: options.threads ?? threads,
        blas: options.blas,
        revectorize: options.revectorize,
        native: options.native,
        resume: options.resume,
        allowChange: options.allowChange,
        ...(collective && { collective }),
        isStopped: () => (isStopped ||= io.signal.aborted || isOver()),
        tell: (message) => writeLine(io.stderr, message),
        onStep: (metrics, eta, total) =>
          options.json ? writeJson(io.stdout, metrics) : writeStep(io, metrics, eta, total),
      });
      if (!collective || collective.rank === 0) {
        writeResult(io, result, options.json);
        if (isStopped && result.checkpoint !== null)
          writeLine(io.stderr, 'stopped before its end: go on with --resume');
      }
    } catch (error) {
      if (!collective) throw error;
      // The others wait for this rank for ever: end them too, after its own words.
      const message = error instanceof Error ? error.message : String(error);
      writeLine(io.stderr, `cria train, rank ${collective.rank}: ${message}`);
      collective.abort();
    }
    collective?.finish();
  },
});

interface PlanWords {
  readonly plan?: string | undefined;
  readonly network?: number | undefined;
  readonly gflops?: number | undefined;
  readonly device: TrainingMachine['device'];
  readonly threads?: number | undefined;
  readonly blas: boolean;
  readonly revectorize: boolean;
  readonly native: boolean;
}

async function writePlan(recipe: Recipe, start: StartModel | null, words: PlanWords, io: Io): Promise<void> {
  const {
    plan,
    network = 100,
    gflops = null,
    device,
    blas,
    revectorize,
    native,
    threads = describeMachine().physicalCores,
  } = words;
  if (plan === undefined)
    throw new UsageError(['--network, --gflops: expected --plan beside them, which says how many machines']);
  const machines = parseMachines(plan);
  const tell = (message: string) => writeLine(io.stderr, message);
  const table = await planMachines({
    recipe,
    start,
    machines,
    network,
    gflops,
    device,
    threads,
    blas,
    revectorize,
    native,
    tell,
  });
  writeLine(io.stdout, alignColumns(table, [0, 2, 3, 5, 6, 7, 8]));
}

function writeResult(io: Io, result: TrainResult, json: boolean): void {
  if (json) {
    writeJson(io.stdout, result);
    return;
  }
  const { best, steps, tokens, checkpoint } = result;
  const words = best ? `, best ${best.bitsPerByte.toFixed(4)} bits per byte at step ${best.step}` : '';
  const saved = checkpoint ?? 'nothing was saved';
  writeLine(io.stdout, `${steps} ${steps === 1 ? 'step' : 'steps'}, ${formatCount(tokens)} tokens${words}: ${saved}`);
}

/** One line per step. */
function writeStep(io: Io, m: StepMetrics, eta: number, total: number): void {
  const parts = [
    `step ${String(m.step).padStart(String(total).length)}/${total}`,
    `loss ${m.loss.toFixed(4)} (${m.smoothedLoss.toFixed(4)})`,
    `lr ${m.learningRate.toExponential(2)}`,
    `norm ${m.gradientNorm.toFixed(3)}`,
    `${m.tokensPerSecond.toFixed(0)} tok/s`,
    `${(100 * m.utilization).toFixed(0)} % of peak`,
    `ETA ${formatDuration(eta)}`,
  ];
  writeLine(io.stderr, parts.join('  '));
  if (m.skipped) writeLine(io.stderr, `  left out: ${m.skipped}`);
  if (m.returned) writeLine(io.stderr, `  went back because of ${m.returned}`);
  if (m.validation) {
    const { bitsPerByte, loss, averaged, trained } = m.validation;
    const other = averaged ?? trained;
    const beside = other ? `; ${averaged ? 'averaged' : 'not averaged'} ${other.bitsPerByte.toFixed(4)}` : '';
    writeLine(io.stderr, `  validation ${bitsPerByte.toFixed(4)} bits per byte, loss ${loss.toFixed(4)}${beside}`);
    const sets = Object.entries(m.validation.sets ?? {}).map(([name, set]) => `${name} ${set.bitsPerByte.toFixed(4)}`);
    if (sets.length > 0) writeLine(io.stderr, `  by set: ${sets.join(', ')}`);
  }
  if (m.sample !== undefined) writeLine(io.stderr, `  ${m.sample.replaceAll('\n', '\n  ')}`);
}
