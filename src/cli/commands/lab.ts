import { UsageError } from '../../base/errors.ts';
import { formatDuration } from '../../base/units.ts';
import type { LabSize } from '../../lab/arm-model.ts';
import { experiments } from '../../lab/experiments.ts';
import { chooseExperiments, costInRuns, type LabChoice, type LabResult, quickExperiments } from '../../lab/lab.ts';
import { verdictWords } from '../../lab/report.ts';
import { lab } from '../../platform/node/lab/lab.ts';
import { describeMachine } from '../../platform/node/machine.ts';
import { defineCommand } from '../command.ts';
import { type Io, writeJson, writeLine } from '../io.ts';
import { deviceOption } from '../model-options.ts';
import { alignColumns } from '../terminal/columns.ts';
import { startProgress } from '../terminal/progress.ts';

/** Half a million parameters: a training of a million tokens takes a core about a minute. */
const small = { width: 96, blocks: 4, heads: 4, vocabSize: 512, length: 128, batchTokens: 512 } as const;
const sizes = {
  quick: { ...small, tokens: 400_000 },
  usual: { ...small, tokens: 800_000 },
  /** The shape of a model that tells stories. */
  long: { width: 256, blocks: 6, heads: 4, vocabSize: 4096, length: 512, batchTokens: 8192, tokens: 5_000_000 },
} as const satisfies Record<string, LabSize>;

export const command = defineCommand({
  options: {
    experiment: {
      kind: 'texts',
      value: 'NAME',
      otherwise: 'all',
      help: `what to compare: ${experiments.map(({ name }) => name).join(', ')}`,
    },
    quick: {
      kind: 'flag',
      help: 'four arms, short runs, no search for learning rates: four minutes on two cores, where all take most of an hour',
    },
    long: { kind: 'flag', help: 'models of six million parameters, five million tokens: a night' },
    seeds: {
      kind: 'integer',
      value: 'N',
      min: 1,
      max: 100,
      default: 3,
      help: 'runs of each arm; more show smaller differences',
    },
    minutes: {
      kind: 'number',
      value: 'M',
      min: 0.5,
      otherwise: 'what the sizes need',
      help: 'how long all runs together may take: the tokens of a run follow',
    },
    data: {
      kind: 'text',
      value: 'FILE',
      otherwise: 'stories that the bundled model wrote',
      help: 'the text: plain or JSON lines with a "text" each, gzip or not',
    },
    out: {
      kind: 'text',
      value: 'FOLDER',
      otherwise: 'runs/lab',
      help: 'where results and the report go; what is there already is not run again',
    },
    threads: {
      kind: 'integer',
      short: 't',
      min: 1,
      max: 256,
      otherwise: 'one per physical core',
      help: 'trainings at a time, one thread each',
    },
    device: {
      ...deviceOption,
      help: 'what trains: auto is wasm, on which trainings this small run side by side, one a core; the GPU by webgpu (in Node: npm install webgpu), which they share; or the slow reference',
    },
    blas: { kind: 'flag', default: true, help: 'matrix products by our own kernels, even where a BLAS is installed' },
    list: { kind: 'flag', help: 'the experiments, what their sources claim, and nothing else' },
    json: { kind: 'flag', help: 'all numbers as JSON' },
  },
  positionals: [],
  details:
    'Small trainings that differ from LLaMA in one thing, and what may be concluded. Every arm has the parameters (or FLOPs) of the baseline,\n' +
    'sees the same text in the same order, begins with the same weights and looks for its own learning rate. The report puts a verdict\n' +
    'beside what the source claimed, “no difference seen” among them, with the smallest difference that would have been.\n' +
    'Stopped at any moment, the same command goes on: finished runs are kept, unfinished ones begin again.',
  examples: [
    ['lab --quick', 'LayerNorm, learned positions, ReLU and GPT-2 beside LLaMA, in minutes'],
    ['lab --experiment activation --seeds 10', 'SwiGLU beside ReLU, GELU and GEGLU, more closely'],
    ['lab --data own.txt --minutes 120', 'all experiments on a text of your own, in two hours'],
  ],
  async run(options, io) {
    if (options.quick && options.long) throw new UsageError(['--quick and --long: expected one of the two']);
    const chosen = chooseExperiments(options.experiment);
    if (options.list) {
      writeList(io, chosen, options.json);
      return;
    }
    const shown = options.quick ? quickExperiments(chosen) : chosen;
    if (shown.length === 0) {
      const names = quickExperiments(experiments).map(({ name }) => name);
      throw new UsageError([`--quick has no arm of ${options.experiment.join(', ')}: expected ${names.join(', ')}`]);
    }
    const choice: LabChoice = {
      size: options.quick ? sizes.quick : options.long ? sizes.long : sizes.usual,
      experiments: shown,
      seeds: options.seeds,
      searchesRates: !options.quick,
      hasValley: !options.quick && options.experiment.length === 0,
    };
    const tell = (message: string) => writeLine(io.stderr, message);
    tell(`${costInRuns(choice)} runs' worth of training, ${choice.seeds} seeds`);
    const begun = performance.now();
    const progress = startProgress(io, {
      what: 'training',
      total: 1,
      json: options.json,
      amount: (done) => `${(100 * done).toFixed(0)} %`,
    });
    const { minutes, data, blas, device } = options;
    const folder = options.out ?? 'runs/lab';
    const { result, report } = await lab({
      choice,
      ...(minutes !== undefined && { minutes }),
      ...(data !== undefined && { data }),
      folder,
      workers: options.threads ?? describeMachine().physicalCores,
      device: device === 'auto' ? 'wasm' : device,
      blas,
      signal: io.signal,
      tell,
      onProgress: (share) => progress.update(share),
    }).finally(() => progress.end());
    if (result === null) {
      tell(`stopped before its end: the same command goes on`);
      return;
    }
    if (options.json) writeJson(io.stdout, result);
    else for (const line of summary(result)) writeLine(io.stdout, line);
    tell(`${formatDuration((performance.now() - begun) / 1000)}; the report: ${report}`);
  },
});

function writeList(io: Io, chosen: typeof experiments, json: boolean): void {
  if (json) {
    writeJson(io.stdout, chosen);
    return;
  }
  for (const { name, question, claim, source, arms } of chosen) {
    writeLine(io.stdout, `${name}: ${question}`);
    writeLine(io.stdout, `  ${arms.map((arm) => arm.name).join('; ')}`);
    writeLine(io.stdout, `  ${claim}`);
    writeLine(io.stdout, `  ${source}`);
  }
}

/** The table of verdicts, for a terminal. */
function summary({ baseline, arms, comparisons }: LabResult): string[] {
  const mean = (runs: LabResult['baseline']['runs']) => {
    const values = runs.flatMap(({ bitsPerByte }) => (bitsPerByte === null ? [] : [bitsPerByte]));
    return values.length === 0 ? '–' : (values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(3);
  };
  const rows = arms.map(({ arm, experiment, runs }) => {
    const comparison = comparisons.find((one) => one.arm === arm.name && one.experiment === experiment)!;
    const { test, differences } = comparison;
    const difference = differences.length === 0 ? '' : `${test.mean < 0 ? '−' : '+'}${Math.abs(test.mean).toFixed(3)}`;
    return [arm.name, mean(runs), difference, verdictWords(comparison)];
  });
  const head = ["instead of LLaMA's", 'bits per byte', 'difference', 'verdict'];
  const text = alignColumns([head, [`${baseline.arm.name} itself`, mean(baseline.runs), '', ''], ...rows], [1, 2]);
  return text.split('\n');
}
