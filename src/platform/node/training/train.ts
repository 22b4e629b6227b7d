/** `cria train`: a recipe → a model, with everything that needs files, threads and native libraries. */
import { join } from 'node:path';
import { ArgumentError, ConfigError } from '../../../base/errors.ts';
import { formatBytes, formatCount, formatDuration } from '../../../base/units.ts';
import type { Device } from '../../../devices/device.ts';
import type { TokenizerFiles } from '../../../formats/tokenizer-files.ts';
import { createTokenizer } from '../../../tokenizer/create-tokenizer.ts';
import type { Tokenizer } from '../../../tokenizer/tokenizer.ts';
import type { Collective } from '../../../training/collective.ts';
import { solo } from '../../../training/collective.ts';
import { Packer, type Source } from '../../../training/data/packer.ts';
import { initialWeights } from '../../../training/initialize.ts';
import { PASS_TOKENS } from '../../../training/micro-batch.ts';
import { type DerivedRecipe, deriveRecipe, type Recipe } from '../../../training/recipe.ts';
import { estimateMemory, flopsPerToken } from '../../../training/run/estimate.ts';
import { runTraining, type StepMetrics } from '../../../training/run/loop.ts';
import { sampleIds } from '../../../training/run/sample.ts';
import { cosineSchedule, stableSchedule } from '../../../training/schedule.ts';
import { placeModel } from '../../../training/trainable-model.ts';
import { StepTrainer } from '../../../training/trainer.ts';
import { findTokenizerFiles } from '../load-tokenizer.ts';
import { Checkpoints } from './checkpoints.ts';
import { createTrainingDevice, type TrainingMachine } from './device.ts';
import { checkPaths } from './recipe-paths.ts';
import { checkpointNames } from './run-checkpoint.ts';
import { RunFolder } from './run-folder.ts';
import { openStoredWeights } from './stored-weights.ts';
import { openTokens, type TextSource } from './token-cache.ts';
import { digestOf } from './whole-folder.ts';

export interface TrainOptions extends TrainingMachine {
  readonly recipe: Recipe;
  readonly folder: string;
  readonly resume: boolean;
  readonly collective?: Collective;
  isStopped(): boolean;
  tell(message: string): void;
  onStep(metrics: StepMetrics, etaSeconds: number, totalSteps: number): void;
}

export interface TrainResult {
  readonly steps: number;
  readonly tokens: number;
  readonly best: { readonly step: number; readonly bitsPerByte: number } | null;
  readonly checkpoint: string | null;
}

/** How many steps pass between two writings of the report. */
const REPORT_EVERY = 20;

export async function train(options: TrainOptions): Promise<TrainResult> {
  const { recipe, collective = solo } = options;
  const isFirst = collective.rank === 0;
  const tell = isFirst ? options.tell : () => {};
  const run = new RunFolder(options.folder);
  if (!options.resume && checkpointNames(run.checkpoints).length > 0) {
    throw new ArgumentError(
      'training.exists',
      `${run.path} already holds a run. Go on with it with --resume, or choose another folder with --out.`,
    );
  }
  checkRequest(options, collective);
  checkPaths(recipe);
  const { files, tokenizer, digest } = openTokenizer(recipe);
  const derived = deriveRecipe(recipe, tokenizer.vocabSize);
  if (isFirst) await openData(recipe, run, tokenizer, digest, tell);
  collective.barrier(); // the first rank has made the tokens, the others find them
  const { sources, validation } = await openData(recipe, run, tokenizer, digest, tell);

  const device = await createTrainingDevice(options, recipe.training.products, tell);
  try {
    const { training, output } = recipe;
    const { from } = recipe.model;
    const stored = from === undefined ? null : openStoredWeights(from, derived.config);
    const begin = stored?.numbers ?? initialWeights(derived.config, recipe.seed);
    const { model, parameters, weights } = placeModel(device, derived.config, begin);
    stored?.close();
    const trainer = new StepTrainer(device, model, parameters, {
      optimizer: {
        betas: [training.beta1, training.beta2],
        eps: training.eps,
        weightDecay: training.weightDecay,
        matrices: training.matrices,
      },
      schedule: scheduleOf(recipe, derived),
      clip: training.clip,
      recompute: derived.recompute,
      guard: { onAnomaly: training.onAnomaly, spikeDeviations: training.spikeDeviations ?? null },
      collective,
    });
    const checkpoints = new Checkpoints(run.checkpoints, device, {
      config: derived.config,
      weights,
      optimizer: trainer.optimizer,
      tokenizer: files,
      bosId: tokenizer.bosId,
      eosId: tokenizer.eosId,
      collective,
    });
    const start = options.resume ? checkpoints.restore(tell) : null;
    if (isFirst) run.rewindMetrics(start?.step ?? 0);
    const peakFlops = await measurePeak(device);
    const facts = describe(recipe, derived, device, peakFlops, sources, collective);
    for (const [what, value] of facts) tell(`${what}: ${value}`);
    if (start) tell(`resuming after step ${start.step}`);
    else if (options.resume) tell(`nothing to go on with in ${run.path}: from the beginning`);

    let saved: string | null = null;
    const promptIds = tokenizer.encode(output.samplePrompt, { bos: tokenizer.bosId !== null });
    const packer = new Packer(sources, recipe.seed);
    const end = await runTraining({ recipe, derived, trainer, packer, validation, peakFlops, collective }, start, {
      clock: () => performance.now(),
      isStopped() {
        const flags = Float64Array.of(options.isStopped() ? 1 : 0);
        collective.sum(flags);
        return flags[0]! > 0;
      },
      save: async (state) => {
        saved = await checkpoints.save(state, output.keepLast);
      },
      record(metrics, eta) {
        if (!isFirst) return;
        options.onStep(metrics, eta, derived.totalSteps);
        run.record(metrics);
        if (metrics.step % REPORT_EVERY === 0 || metrics.validation) run.writeReport(recipe.name, facts, true);
      },
      sample: async (step) => tokenizer.decode(await sampleIds(trainer, promptIds, 80, step, tokenizer.eosId)),
      breathe: () => new Promise((resolve) => setImmediate(resolve)),
    });
    if (isFirst) run.writeReport(recipe.name, facts, false);
    return { steps: end.step, tokens: end.tokens, best: end.best, checkpoint: saved };
  } finally {
    device.close();
  }
}

/** Throws ArgumentError where the command and the recipe do not go together. */
function checkRequest({ recipe, blas }: TrainOptions, { size }: Collective): void {
  if (recipe.training.products === 'bf16' && !blas) {
    const both = '--no-blas and training.products=bf16 were given: bf16 products are those of a system library';
    throw new ArgumentError('training.products', `${both}. Leave one of the two out.`);
  }
  if (recipe.model.norm === 'batch' && size > 1) {
    const found = `model.norm is batch on ${size} ranks, and each would standardize its own rows only`;
    throw new ArgumentError(
      'training.batch-norm',
      `${found}. Train it in one process, with as many --threads as it has cores.`,
    );
  }
}

function openTokenizer(recipe: Recipe): { files: TokenizerFiles; tokenizer: Tokenizer; digest: string } {
  const { path } = recipe.tokenizer;
  const files = findTokenizerFiles(path);
  const tokenizer = createTokenizer(files);
  return { files, tokenizer, digest: digestOf(path) };
}

async function openData(
  recipe: Recipe,
  run: RunFolder,
  tokenizer: Tokenizer,
  digest: string,
  tell: (message: string) => void,
): Promise<{ sources: Source[]; validation: { documents: Source['documents']; textBytes: number } }> {
  const { train, valid } = recipe.data;
  const open = (source: TextSource, folder: string) =>
    openTokens(source, join(run.path, 'tokens', folder), tokenizer, digest, tell);
  const part = valid === undefined ? 'kept' : 'all';
  const sources: Source[] = [];
  for (const [i, { name = `source ${i + 1}`, path, share, weightField, weightPower }] of train.entries()) {
    const { documents } = await open({ name, paths: [path], part, weightField, weightPower }, `train-${i}`);
    sources.push({ documents, share });
  }
  const all = { name: 'validation', weightField: undefined, weightPower: 1 };
  const { documents, textBytes } = await open(
    valid === undefined
      ? { ...all, paths: train.map(({ path }) => path), part: 'heldBack' }
      : { ...all, paths: [valid], part: 'all' },
    'valid',
  );
  if (textBytes === null) {
    throw new ConfigError(`recipe ${recipe.name}`, [
      'data.valid is a folder of token shards; bits per byte need the text itself (.jsonl, .jsonl.gz, .txt)',
    ]);
  }
  return { sources, validation: { documents, textBytes } };
}

function scheduleOf({ training }: Recipe, derived: DerivedRecipe) {
  const { learningRate, warmupSteps, totalSteps } = derived;
  const shape = { learningRate, warmupSteps, totalSteps, finalFraction: training.finalFraction };
  if (training.schedule === 'cosine') return cosineSchedule(shape);
  return stableSchedule({ ...shape, decayFraction: training.decayFraction });
}

/** Floating-point operations a second in large matrix products on this device: what a step's rate is compared with. */
export async function measurePeak(device: Device): Promise<number> {
  const small = await measureProducts(device, 128, 256);
  // A device that would take seconds for each of the large ones is known by the small ones.
  return 2 * 2048 * 1024 ** 2 > small ? small : Math.max(small, await measureProducts(device, 2048, 1024));
}

async function measureProducts(device: Device, rows: number, width: number): Promise<number> {
  const mark = device.mark();
  const [x, w] = [device.scratch([rows, width]), device.scratch([width, width])];
  for (const tensor of [x, w]) device.fill(tensor, 0.5);
  const begun = performance.now();
  let least = Number.POSITIVE_INFINITY;
  // The first products compile kernels and touch memory; beside other programs some are slow.
  for (let i = 0; i < 6 || performance.now() - begun < 250; i++) {
    const from = performance.now();
    const before = device.mark();
    const reading = device.read(device.ops.linear(x, w), 0, 1);
    device.release(before);
    await reading;
    least = Math.min(least, performance.now() - from);
  }
  device.release(mark);
  return (2 * rows * width ** 2) / (least / 1000);
}

/** What is said before the first step, and what heads the report. */
function describe(
  recipe: Recipe,
  derived: DerivedRecipe,
  device: Device,
  peakFlops: number,
  sources: readonly Source[],
  { size }: Collective,
): (readonly [string, string])[] {
  const { config } = derived;
  const rankTokens = Math.ceil(derived.rows / size) * config.contextLength;
  const tokens = Math.min(rankTokens, Math.max(PASS_TOKENS, config.contextLength));
  const memory = estimateMemory(config, tokens, derived.recompute, size);
  const all = derived.totalSteps * derived.batchTokens;
  // Steps reach about half of the rate of one large product.
  const seconds = (flopsPerToken(config, config.contextLength) * all) / (0.5 * peakFlops * size);
  const available = sources.reduce((sum, { documents }) => sum + documents.tokenCount, 0);
  return [
    [
      'model',
      `${formatCount(derived.parameters)} parameters, ${config.blockCount} blocks of width ${config.width}, ${config.headCount} heads, vocabulary ${config.vocabSize}, context ${config.contextLength}`,
    ],
    ['derived', derived.notes.join('; ') || 'nothing'],
    [
      'data',
      `${formatCount(available)} tokens in ${sources.length} ${sources.length === 1 ? 'source' : 'sources'}, seed ${recipe.seed}`,
    ],
    [
      'training',
      `${derived.totalSteps} steps of ${derived.batchTokens} tokens (${formatCount(all)}), ${derived.microBatches} ${derived.microBatches === 1 ? 'micro-batch' : 'micro-batches'} of ${derived.rows} × ${config.contextLength}, learning rate ${derived.learningRate}, ${derived.warmupSteps} steps of warm-up, schedule ${recipe.training.schedule}`,
    ],
    [
      'device',
      `${size > 1 ? `${size} ranks, each ` : ''}${device.description}; large matrix products at ${(peakFlops / 1e9).toFixed(0)} GFLOP/s`,
    ],
    [
      'memory',
      `about ${formatBytes(memory.parameters)} for weights, gradients and moments, ${formatBytes(memory.activations)} for activations (recompute: ${derived.recompute})`,
    ],
    ['time', `about ${formatDuration(seconds)} at half of that rate`],
  ];
}
