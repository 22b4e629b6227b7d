import { basename } from 'node:path';
import { formatCount, formatDuration } from '../../base/units.ts';
import type { Recipe } from '../../finetuning/recipe-keys.ts';
import type { TuningMetrics } from '../../finetuning/run/loop.ts';
import type { TuningResult } from '../../platform/node/finetuning/finetune.ts';
import { type Prepared, shownSamples } from '../../platform/node/finetuning/prepare.ts';
import { checkRun, prepareRecipe, RUNS, runRecipe } from '../../platform/node/finetuning/run-recipe.ts';
import { describeMachine } from '../../platform/node/machine.ts';
import { joinMpi, mpiJob } from '../../platform/node/native/mpi.ts';
import { defineCommand } from '../command.ts';
import { type Io, writeJson, writeLine } from '../io.ts';
import { deviceOption, modelOptions, resumeOptions, timer } from '../model-options.ts';
import { readRecipeFile } from '../parse/recipe-file.ts';
import { hubOptions, offlineOption } from '../terminal/hub-progress.ts';
import { markedLines } from '../terminal/loss-marks.ts';

export const command = defineCommand({
  options: {
    recipe: { kind: 'text', value: 'RECIPE.yaml', required: true, help: 'which model to tune, on what, and how' },
    set: { kind: 'texts', value: 'KEY=VALUE', help: 'change a setting of the recipe, as in training.epochs=1' },
    show: {
      kind: 'integer',
      value: 'N',
      min: 1,
      max: 1000,
      otherwise: 'train',
      help: 'print so many samples with what carries loss marked, and what is proved of the data, and end',
    },
    out: {
      kind: 'text',
      value: 'FOLDER',
      otherwise: `${RUNS}/NAME`,
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
    json: { kind: 'flag', help: 'one JSON object per step, and one with the result' },
  },
  positionals: ['recipe'],
  details:
    'Tunes a model: method sft (the default), dpo (with ipo, kto, orpo, simpo and others as dpo.loss), reward, rejection, ppo or grpo;\n' +
    'whole, or as an adapter (adapter.kind: lora or dora). A recipe may hold several stages that build on each other.\n' +
    'Data: Alpaca, ShareGPT, OpenAI messages, prompt and completion, texts, pairs; JSON, JSON lines, Parquet, compressed, or hf: data sets.\n' +
    'Before the first step it says what carries loss; --show prints it. Rows that cannot be used are refused by row, with the reason.\n' +
    'Killed at any moment, a run goes on with --resume from its last checkpoint. Ctrl-C saves one and ends.\n' +
    'What has changed since is said; what would spoil the run is refused, the rest needs --allow-change.\n' +
    'With a BLAS the bits depend on the number of threads; with --no-blas they are the same with any.',
  examples: [
    ['finetune alpaca --show 3', 'what would be learned'],
    ['finetune alpaca --set model.from=model.gguf', 'tune a model on it'],
    ['chat runs/alpaca', 'talk with the result'],
    ['chat --adapter runs/own-lora', 'the same of an adapter of the bundled model'],
  ],
  async run(options, io) {
    const run = checkRun(readRecipeFile(options.recipe, options.set), basename(options.recipe));
    const common = { hub: hubOptions(options, io), tell: (message: string) => writeLine(io.stderr, message) };
    if (options.show !== undefined) {
      show(await prepareRecipe(run, common), options.show, options.json, io);
      return;
    }
    const isOver = timer(options.maxTime);
    let isStopped = false;
    const job = mpiJob(io.env);
    const collective = job && joinMpi();
    const threads = Math.max(1, Math.floor(describeMachine().physicalCores / (job?.localSize ?? 1)));
    const isFirst = !collective || collective.rank === 0;
    try {
      await runRecipe(run, {
        out: options.out,
        device: options.device,
        threads: options.threads ?? threads,
        blas: options.blas,
        revectorize: options.revectorize,
        native: options.native,
        resume: options.resume,
        allowChange: options.allowChange,
        ...(collective && { collective }),
        isStopped: () => (isStopped ||= io.signal.aborted || isOver()),
        ...common,
        onStage: ({ name, method }, i, count) => {
          if (isFirst) writeLine(io.stderr, `stage ${i + 1} of ${count}: ${name} (${method})`);
        },
        onStep: (metrics, eta, total) =>
          options.json ? writeJson(io.stdout, metrics) : writeStep(io, metrics, eta, total),
        onResult: (recipe, result) => {
          if (!isFirst) return;
          writeResult(io, recipe, result, options.json);
          if (isStopped) writeLine(io.stderr, 'stopped before its end: go on with --resume');
        },
      });
    } catch (error) {
      if (!collective) throw error;
      // The others wait for this rank for ever: end them too, after its own words.
      const message = error instanceof Error ? error.message : String(error);
      writeLine(io.stderr, `cria finetune, rank ${collective.rank}: ${message}`);
      collective.abort();
    }
    collective?.finish();
  },
});

function show(prepared: Prepared, count: number, json: boolean, io: Io): void {
  const { facts, warnings } = prepared;
  const samples = shownSamples(prepared, count);
  if (json) {
    writeJson(io.stdout, { facts: Object.fromEntries(facts), warnings, samples });
    return;
  }
  for (const { title, runs } of samples) {
    writeLine(io.stdout, `── ${title}`);
    io.stdout.write(`${markedLines(runs, io.stdout, io.env)}\n`); // harmless already; colours would not be
    writeLine(io.stdout);
  }
  for (const [what, fact] of facts) writeLine(io.stdout, `${what}: ${fact}`);
  for (const warning of warnings) writeLine(io.stderr, `warning: ${warning}`);
}

function writeResult(io: Io, { name, method, adapter, model }: Recipe, result: TuningResult, json: boolean): void {
  if (json) {
    writeJson(io.stdout, result);
    return;
  }
  const { steps, tokens, best, checkpoint, ended } = result;
  const words = best ? `, best validation ${best.loss.toFixed(4)} at step ${best.step}` : '';
  const why = ended === null ? '' : ` (${ended})`;
  writeLine(io.stdout, `${name}: ${steps} steps, ${formatCount(tokens)} tokens${words}${why}: ${checkpoint}`);
  if (checkpoint === null) return;
  if (method === 'reward') {
    writeLine(io.stderr, `a reward model: judge.helpfulness=${checkpoint} in a recipe of rejection, ppo or grpo`);
    return;
  }
  if (adapter.kind === 'none') return;
  const base = model.from === 'bundled' ? '' : ` -m ${model.from}`;
  writeLine(
    io.stderr,
    `an adapter: cria chat${base} --adapter ${checkpoint}, or cria merge ${model.from} --adapter ${checkpoint} -o FILE to add it to the model`,
  );
}

/** One line per step. */
function writeStep(io: Io, m: TuningMetrics, eta: number, total: number): void {
  const numbers = Object.entries(m.numbers).map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`);
  const parts = [
    `step ${String(m.step).padStart(String(total).length)}/${total}`,
    `loss ${m.loss.toFixed(4)} (${m.smoothedLoss.toFixed(4)})`,
    ...numbers,
    `lr ${m.learningRate.toExponential(2)}`,
    `norm ${m.gradientNorm.toFixed(3)}`,
    `${m.tokensPerSecond.toFixed(0)} tok/s`,
    `ETA ${formatDuration(eta)}`,
  ];
  writeLine(io.stderr, parts.join('  '));
  if (m.skipped) writeLine(io.stderr, `  left out: ${m.skipped}`);
  for (const alarm of m.alarms) writeLine(io.stderr, `  alarm: ${alarm}`);
  if (m.validation) {
    const words = Object.entries(m.validation).map(([name, value]) => `${name} ${value.toFixed(4)}`);
    writeLine(io.stderr, `  validation ${words.join(', ')}`);
  }
  if (m.sample !== undefined) writeLine(io.stderr, `  ${m.sample.replaceAll('\n', '\n  ')}`);
}
