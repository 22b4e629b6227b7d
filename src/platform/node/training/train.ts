/** `cria train`: a recipe → a model, with everything that needs files, threads and native libraries. */
import { ArgumentError } from '../../../base/errors.ts';
import type { Collective } from '../../../training/collective.ts';
import { solo } from '../../../training/collective.ts';
import { Packer } from '../../../training/data/packer.ts';
import { AnomalyError } from '../../../training/guard.ts';
import { initialWeights } from '../../../training/initialize.ts';
import { trainingRules } from '../../../training/recipe/changes.ts';
import { type DerivedRecipe, deriveRecipe, type Recipe, recipeSchema } from '../../../training/recipe/recipe.ts';
import { check } from '../../../training/recipe/schema.ts';
import { type RunPorts, runTraining, type StepMetrics } from '../../../training/run/loop.ts';
import { differencesOf, otherBits, type RunInputs, settleChanges } from '../../../training/run/resume.ts';
import { sampleIds } from '../../../training/run/sample.ts';
import type { RunState } from '../../../training/run/state.ts';
import { cosineSchedule, inverseSqrtSchedule, linearSchedule, stableSchedule } from '../../../training/schedule.ts';
import { placeModel } from '../../../training/trainable-model.ts';
import { StepTrainer } from '../../../training/trainer.ts';
import { digestsOf, openData, openTokenizer } from './data/open-data.ts';
import { createDeviceOfRun, deviceOfRun, type TrainingMachine } from './device.ts';
import { measurePeak } from './measure-peak.ts';
import { checkPaths } from './recipe-paths.ts';
import type { FoundCheckpoint } from './run/checkpoint-folder.ts';
import { Checkpoints, type SavedState } from './run/checkpoints.ts';
import { describeRun, epochWarnings, memoryOf } from './run/describe-run.ts';
import { goBack, rateOf, withCheckpoints } from './run/going-back.ts';
import { checkMemory } from './run/memory-limit.ts';
import { openRun, type ResumeOptions } from './run/open-run.ts';
import { RunFolder } from './run/run-folder.ts';
import { checkTokens, openStart, type StartModel } from './start-model.ts';

export interface TrainOptions extends TrainingMachine, ResumeOptions {
  readonly recipe: Recipe;
  /** The model of the recipe's model.from; absent: it has none. */
  readonly start?: StartModel | null;
  readonly folder: string;
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

/** To whom the guard has ended a run. */
const ADVICE =
  'Let the run go back by itself, with half the rate: --resume --set training.onAnomaly=return; ' +
  'or begin another with a lower training.learningRate (--out, model.from).';

/** How many steps pass between two writings of the report. */
const REPORT_EVERY = 20;

export async function train(options: TrainOptions): Promise<TrainResult> {
  const { recipe, collective = solo } = options;
  const tell = collective.rank === 0 ? options.tell : () => {};
  checkRequest(options, collective);
  checkPaths(recipe);
  const folder = new RunFolder(options.folder);
  const { found, close } = await openRun<SavedState>(folder, [folder.tokens], options, collective, tell);
  try {
    return await trainWithin(folder, found, options, tell);
  } finally {
    close();
  }
}

async function trainWithin(
  run: RunFolder,
  found: FoundCheckpoint<SavedState> | null,
  options: TrainOptions,
  tell: (message: string) => void,
): Promise<TrainResult> {
  const { recipe, start: from = null, collective = solo, threads, isStopped } = options;
  const { training, output } = recipe;
  const isFirst = collective.rank === 0;
  const { files, tokenizer } = openTokenizer(recipe);
  if (from) checkTokens(from, tokenizer, recipe.name);
  const derived = deriveRecipe(recipe, tokenizer.vocabSize, from?.config);
  const digests = { ...(await digestsOf(recipe, { tell, isStopped })), ...(from && { 'model.from': from.digest }) };
  if (found) {
    sayChanges(found.state, { recipe, digests }, derived, options.allowChange, tell);
    if (found.state.step >= derived.totalSteps) return sayFinished(found, tell);
  }
  const { size } = collective;
  const { products } = training;
  const kind = await deviceOfRun(options.device, { products, ranks: size, began: found?.state.bits }, tell);
  checkMemory(recipe.name, memoryOf(recipe, derived, size), { kind, size, sharding: training.sharding });
  const { contextLength } = derived.config;
  const reading = { files, tokenizer, threads, contextLength, digests, tell, isStopped };
  // A GPU that cannot be used is said before the texts are read.
  const gpu = kind === 'webgpu' ? await createDeviceOfRun(options, kind, products, tell) : null;
  let device = gpu?.device ?? null;
  try {
    const made = isFirst ? await openData(recipe, run.tokens, reading) : null;
    collective.barrier(); // the first rank has made the tokens, the others find them
    const { sources, validations } = made ?? (await openData(recipe, run.tokens, reading));
    const machine = gpu ?? (await createDeviceOfRun(options, kind, products, tell));
    const { bits } = machine;
    device = machine.device;
    const stored = from === null || found ? null : openStart(from);
    const begin = stored?.numbers ?? initialWeights(derived.config, recipe.seed);
    const { sharding, overlap, matrices } = training;
    const division = { sharding, matrices, rank: collective.rank, size: collective.size };
    const { model, parameters, weights } = placeModel(device, derived.config, begin, () => true, division);
    stored?.close();
    const schedule = scheduleOf(recipe, derived);
    let start = found;
    const trainer = new StepTrainer(device, model, parameters, {
      optimizer: {
        betas: [training.beta1, training.beta2],
        eps: training.eps,
        weightDecay: training.weightDecay,
        matrices,
        rateScales: derived.rateScales,
      },
      schedule: (step) => schedule(step) * rateOf(start?.state ?? null),
      clip: training.clip,
      measuresNoise: true,
      ...(sources.length > 1 && { sourceCount: sources.length }),
      zLoss: training.zLoss ?? 0,
      ema: training.ema ?? null,
      recompute: derived.recompute,
      ...(derived.dropout && { dropout: derived.dropout }),
      guard: {
        onAnomaly: training.onAnomaly,
        spikeDeviations: training.spikeDeviations ?? null,
        guessing: Math.log(derived.config.vocabSize),
      },
      collective,
      parallel: { sharding, overlap },
    });
    const checkpoints = new Checkpoints(run.checkpoints, device, {
      config: derived.config,
      weights,
      optimizer: trainer.optimizer,
      average: trainer.average,
      output: output.weights,
      tokenizer: files,
      bosId: tokenizer.bosId,
      eosId: tokenizer.eosId,
      collective,
    });
    if (found) checkpoints.load(found);
    const inputs = { recipe, digests, bits: { ...bits, ranks: String(collective.size) } };
    for (const words of otherBits(found?.state.bits, inputs.bits)) tell(`changed: ${words}`);
    if (isFirst) run.rewindMetrics(found?.state.step ?? 0);
    const peakFlops = await measurePeak(device);
    const facts = describeRun({ recipe, derived, start: from, device, peakFlops, sources, collective });
    for (const [what, value] of facts) tell(`${what}: ${value}`);
    for (const warning of epochWarnings(sources, derived)) tell(warning);
    if (found) tell(`resuming after step ${found.state.step}`);

    let saved: string | null = null;
    const promptIds = tokenizer.encode(output.samplePrompt, { bos: tokenizer.bosId !== null });
    const packer = new Packer(sources, recipe.seed);
    const parts = { recipe, derived, trainer, packer, validations, peakFlops, collective, inputs };
    const ports: RunPorts = {
      clock: () => performance.now(),
      isStopped() {
        const flags = Float64Array.of(options.isStopped() ? 1 : 0);
        collective.sum(flags);
        return flags[0]! > 0;
      },
      save: async (state) => {
        saved = await checkpoints.save(state, output);
      },
      record(metrics, eta) {
        if (!isFirst) return;
        options.onStep(metrics, eta, derived.totalSteps);
        run.record(metrics);
        if (metrics.step % REPORT_EVERY === 0 || metrics.validation) run.writeReport(recipe.name, facts, true);
      },
      sample: async (step) =>
        tokenizer.decode(await sampleIds(trainer, promptIds, 80, step, tokenizer.eosId, output.weights)),
      breathe: () => new Promise((resolve) => setImmediate(resolve)),
    };
    let end: RunState | null = null;
    while (end === null) {
      try {
        end = await runTraining(parts, start?.state ?? null, ports);
      } catch (error) {
        if (!(error instanceof AnomalyError)) throw error;
        const canReturn = training.onAnomaly === 'return';
        const back = canReturn
          ? await goBack(error, trainer.optimizer.step + 1, checkpoints, output, collective)
          : null;
        if (back === null) throw withCheckpoints(error, run.checkpoints, ADVICE);
        start = back;
        if (isFirst) run.rewindMetrics(back.state.step);
        const rate = `${100 * rateOf(back.state)} % of the schedule's learning rate`;
        tell(`${error.message}. Going back to step ${back.state.step}, on with ${rate}`);
      }
    }
    if (isFirst) run.writeReport(recipe.name, facts, false);
    return { steps: end.step, tokens: end.tokens, best: end.best, checkpoint: saved ?? found?.path ?? null };
  } finally {
    device?.close();
  }
}

/** Throws ConfigError `training.changed`. */
function sayChanges(
  state: SavedState,
  now: Pick<RunInputs, 'recipe' | 'digests'>,
  { totalSteps, warmupSteps }: DerivedRecipe,
  allowed: readonly string[],
  tell: (message: string) => void,
): void {
  // What an earlier version did not know is as if it had been left out.
  const before = { ...state, recipe: check(recipeSchema, state.recipe, '', []) as Recipe };
  const { schedule, decayFraction } = before.recipe.training;
  const isLengthOpen =
    schedule === 'stable' && state.step >= warmupSteps && state.step <= totalSteps * (1 - decayFraction);
  const differences = differencesOf(before, now, trainingRules(isLengthOpen));
  settleChanges(`recipe ${before.recipe.name}`, differences, allowed, tell);
}

function sayFinished({ path, state }: FoundCheckpoint<SavedState>, tell: (message: string) => void): TrainResult {
  const { step, tokens, best } = state;
  const advice = 'To train on: --set training.tokens=MORE --allow-change training.tokens';
  tell(`the run is finished: all its ${step} steps are done. ${advice}`);
  return { steps: step, tokens, best, checkpoint: path };
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

function scheduleOf({ training }: Recipe, derived: DerivedRecipe) {
  const { learningRate, warmupSteps, totalSteps } = derived;
  const shape = { learningRate, warmupSteps, totalSteps, finalFraction: training.finalFraction };
  switch (training.schedule) {
    case 'cosine':
      return cosineSchedule(shape);
    case 'linear':
      return linearSchedule(shape);
    case 'inverse-sqrt':
      return inverseSqrtSchedule(shape);
    default:
      return stableSchedule({ ...shape, decayFraction: training.decayFraction });
  }
}
