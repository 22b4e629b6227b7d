/** `cria finetune`: a recipe → a tuned model, with everything that needs files, threads and native libraries. */
import { ArgumentError } from '../../../base/errors.ts';
import { formatBytes, formatCount, formatDuration } from '../../../base/units.ts';
import type { Device } from '../../../devices/device.ts';
import { tuningRules } from '../../../finetuning/recipe-changes.ts';
import type { Recipe } from '../../../finetuning/recipe-keys.ts';
import { recipeSchema } from '../../../finetuning/recipe-keys.ts';
import { runTuning, type TuningMetrics } from '../../../finetuning/run/loop.ts';
import { tensorsOf } from '../../../finetuning/trained-adapter.ts';
import { placeTuned, type TunedModel } from '../../../finetuning/tuned-model.ts';
import type { LlamaConfig } from '../../../model/config.ts';
import { type Collective, solo } from '../../../training/collective.ts';
import { AnomalyError } from '../../../training/guard.ts';
import { check } from '../../../training/recipe/schema.ts';
import { estimateMemory, flopsPerToken } from '../../../training/run/estimate.ts';
import { differencesOf, otherBits, settleChanges } from '../../../training/run/resume.ts';
import type { PullOptions } from '../../hub/pull.ts';
import { createDeviceOfRun, deviceOfRun, type TrainingMachine } from '../training/device.ts';
import { measurePeak } from '../training/measure-peak.ts';
import type { FoundCheckpoint } from '../training/run/checkpoint-folder.ts';
import { withCheckpoints } from '../training/run/going-back.ts';
import { openRun, type ResumeOptions } from '../training/run/open-run.ts';
import { type SavedTuning, TuningCheckpoints } from './checkpoints.ts';
import { createMethod, type TuningParts } from './create-method.ts';
import { modelWriter, openTuned } from './models.ts';
import { type Prepared, prepare, shownSamples } from './prepare.ts';
import { digestsOfTuning } from './run-digests.ts';
import { TuningFolder } from './run-folder.ts';

export interface FinetuneOptions extends TrainingMachine, ResumeOptions {
  readonly recipe: Recipe;
  readonly folder: string;
  /** Paths of the models that the recipe names. */
  readonly models: { readonly from: string; readonly helpfulness: string | null; readonly safety: string | null };
  readonly collective?: Collective;
  readonly hub: PullOptions;
  isStopped(): boolean;
  tell(message: string): void;
  onStep(metrics: TuningMetrics, etaSeconds: number, totalSteps: number): void;
}

export interface TuningResult {
  readonly steps: number;
  readonly tokens: number;
  readonly best: { readonly step: number; readonly loss: number } | null;
  readonly checkpoint: string | null;
  /** Why it ended before its last step. */
  readonly ended: string | null;
}

/** To whom the guard has ended a run. */
const ADVICE =
  'Go on from the last with a lower rate: --resume --set training.learningRate=LOWER --allow-change training.learningRate; ' +
  'or tune the best in another folder (--out, model.from).';

/** Samples with their marks in the report. */
const SHOWN = 5;
/** How many steps pass between two writings of the report. */
const REPORT_EVERY = 20;

export async function finetune(options: FinetuneOptions): Promise<TuningResult> {
  const { collective = solo } = options;
  const tell = collective.rank === 0 ? options.tell : () => {};
  checkRequest(options, collective);
  const run = new TuningFolder(options.folder);
  const { found, close } = await openRun<SavedTuning>(run, [], options, collective, tell);
  try {
    return await finetuneWithin(run, found, options, tell);
  } finally {
    close();
  }
}

async function finetuneWithin(
  run: TuningFolder,
  found: FoundCheckpoint<SavedTuning> | null,
  options: FinetuneOptions,
  tell: (message: string) => void,
): Promise<TuningResult> {
  const { recipe, models, collective = solo } = options;
  const isFirst = collective.rank === 0;
  const checkpoint = openTuned(recipe, models.from);
  let device: Device | null = null;
  try {
    const prepared = await prepare(recipe, checkpoint, { hub: options.hub, tell });
    for (const warning of prepared.warnings) tell(`warning: ${warning}`);
    const digests = digestsOfTuning(prepared, checkpoint);
    if (found) sayChanges(found.state, { recipe, digests }, options.allowChange, tell);
    if (isFirst) run.writeRefused(prepared.census);
    const config: LlamaConfig = { ...checkpoint.config, contextLength: prepared.contextLength };
    const { products } = recipe.training;
    const known = { products, ranks: collective.size, began: found?.state.bits };
    const kind = await deviceOfRun(options.device, known, tell);
    const machine = await createDeviceOfRun(options, kind, products, tell);
    device = machine.device;
    const tuned = await placeTuned(device, config, checkpoint.tensors, recipe);
    const parts: TuningParts = { recipe, prepared, device, checkpoint, config, tuned, collective, run, models };
    const { method, trainer, parameters, derived, sample } = await createMethod(parts);
    const template = prepared.template?.source ?? null;
    const checkpoints = new TuningCheckpoints(run.checkpoints, {
      device,
      parameters,
      modelTensors: tuned.adapter === null ? tensorsOf(tuned.model) : [],
      optimizer: trainer.optimizer,
      collective,
      model: () =>
        modelWriter({
          device: device!,
          tuned,
          checkpoint,
          config,
          tokenizer: prepared.tokenizer,
          basePath: models.from,
          peft: { isRankStabilized: recipe.adapter.rsLora, dropout: recipe.adapter.dropout },
          template,
        }),
    });
    if (found) checkpoints.load(found);
    if (found) await tuned.adapter?.refresh();
    const inputs = { recipe, digests, bits: { ...machine.bits, ranks: String(collective.size) } };
    for (const words of otherBits(found?.state.bits, inputs.bits)) tell(`changed: ${words}`);
    if (isFirst) run.rewindMetrics(found?.state.step ?? 0);
    const peakFlops = await measurePeak(device);
    const facts = describe(recipe, prepared, tuned, config, device, derived, method.totalSteps, peakFlops, collective);
    for (const [what, value] of facts) tell(`${what}: ${value}`);
    const isFinished = found !== null && (found.state.step >= method.totalSteps || found.state.ended !== undefined);
    if (isFinished) tell(`the run is finished: ${found.state.ended ?? `all its ${found.state.step} steps are done`}`);
    else if (found) tell(`resuming after step ${found.state.step}`);
    run.setReport({ name: recipe.name, facts, samples: shownSamples(prepared, SHOWN) });

    let saved: string | null = null;
    const patience = recipe.method === 'ppo' ? (recipe.ppo.patience ?? null) : null;
    const tuning = runTuning({ method, guard: trainer.guard, recipe, patience, inputs }, found?.state ?? null, {
      clock: () => performance.now(),
      isStopped() {
        const flags = Float64Array.of(options.isStopped() ? 1 : 0);
        collective.sum(flags);
        return flags[0]! > 0;
      },
      save: async (state) => {
        saved = await checkpoints.save(state, recipe.output);
      },
      record(metrics, eta) {
        if (!isFirst) return;
        options.onStep(metrics, eta, method.totalSteps);
        run.record(metrics);
        if (metrics.step % REPORT_EVERY === 0 || metrics.validation) run.writeReport(true);
      },
      sample: async (step) => (isFirst ? sample(step) : null),
      breathe: () => new Promise((resolve) => setImmediate(resolve)),
    });
    const end = await tuning.catch((error: unknown) => {
      throw error instanceof AnomalyError ? withCheckpoints(error, run.checkpoints, ADVICE) : error;
    });
    if (isFirst) run.writeReport(false);
    return {
      steps: end.step,
      tokens: end.tokens,
      best: end.best,
      checkpoint: saved ?? found?.path ?? null,
      ended: end.ended ?? null,
    };
  } finally {
    device?.close();
    checkpoint.close();
  }
}

/** Throws ArgumentError where the command and the recipe do not go together. */
function checkRequest({ recipe, blas }: FinetuneOptions, { size }: Collective): void {
  if (recipe.training.products === 'bf16' && !blas) {
    const both = '--no-blas and training.products=bf16 were given: bf16 products are those of a system library';
    throw new ArgumentError('finetune.products', `${both}. Leave one of the two out.`);
  }
  const draws = recipe.method === 'rejection' || recipe.method === 'ppo' || recipe.method === 'grpo';
  const isKto = recipe.method === 'dpo' && recipe.dpo.loss === 'kto';
  if (size > 1 && (draws || isKto)) {
    const what = isKto ? 'dpo.loss kto' : `method ${recipe.method}`;
    throw new ArgumentError(
      'finetune.ranks',
      `${what} runs in one process, with as many --threads as it has cores; found ${size} ranks.`,
    );
  }
}

/** Throws ConfigError `training.changed`. */
function sayChanges(
  state: SavedTuning,
  now: { readonly recipe: Recipe; readonly digests: Record<string, string> },
  allowed: readonly string[],
  tell: (message: string) => void,
): void {
  // What an earlier version did not know is as if it had been left out.
  const before = { ...state, recipe: check(recipeSchema, state.recipe, '', []) };
  const rules = tuningRules(state.digests, now.digests);
  settleChanges(`recipe ${now.recipe.name}`, differencesOf(before, now, rules), allowed, tell);
}

/** What is said before the first step, and what heads the report. */
function describe(
  recipe: Recipe,
  { facts, samples }: Prepared,
  { adapter }: TunedModel,
  config: LlamaConfig,
  device: Device,
  derived: { readonly learningRate: number; readonly warmupSteps: number; readonly notes: readonly string[] },
  totalSteps: number,
  peakFlops: number,
  { size }: Collective,
): (readonly [string, string])[] {
  const { method, training } = recipe;
  const memory = device.memory();
  const activations = estimateMemory(
    config,
    Math.max(training.microBatchTokens, config.contextLength),
    training.recompute,
  ).activations;
  const tokens = tokensOf(samples);
  const lines: (readonly [string, string])[] = [
    ['method', method === 'dpo' ? `dpo, loss ${recipe.dpo.loss}` : method],
    [
      'model',
      `${recipe.model.from}: ${config.blockCount} blocks of width ${config.width}, context ${config.contextLength}`,
    ],
    ['trained', adapter === null ? 'the whole model' : adapter.description],
    ...facts,
    [
      'training',
      `${totalSteps} steps, learning rate ${derived.learningRate}, warm-up over ${derived.warmupSteps}, schedule ${training.schedule}, seed ${recipe.seed}`,
    ],
    ...(derived.notes.length > 0 ? [['derived', derived.notes.join('; ')] as const] : []),
    [
      'device',
      `${size > 1 ? `${size} ranks, each ` : ''}${device.description}; large matrix products at ${(peakFlops / 1e9).toFixed(0)} GFLOP/s`,
    ],
    [
      'memory',
      `${formatBytes(memory.weights + memory.allocated)} for weights, gradients and moments, ${formatBytes(memory.cache)} for drawing answers, up to ${formatBytes(activations)} for activations (recompute: ${training.recompute})`,
    ],
  ];
  if (tokens === null) return lines;
  // An adapter's base gets no gradients: two thirds of the work. Steps reach about half of the rate of one large product.
  const perToken = flopsPerToken(config, Math.round(tokens / samples.train.length)) * (adapter === null ? 1 : 2 / 3);
  const all = Math.round((tokens * totalSteps * recipe.training.batch) / Math.max(1, samples.train.length));
  lines.push([
    'time',
    `about ${formatDuration((perToken * all) / (0.5 * peakFlops * size))} for ${formatCount(all)} tokens at half of that rate`,
  ]);
  return lines;
}

/** Of an epoch; null: answers are still to be drawn. */
function tokensOf(samples: Prepared['samples']): number | null {
  const length = ({ ids }: { ids: Uint32Array }) => ids.length;
  switch (samples.kind) {
    case 'sft':
      return samples.train.reduce((sum, sample) => sum + length(sample), 0);
    case 'pairs':
      return samples.train.reduce((sum, { chosen, rejected }) => sum + length(chosen) + length(rejected), 0);
    case 'rated':
      return samples.train.reduce((sum, { answer }) => sum + length(answer), 0);
    default:
      return null;
  }
}
