/** From a recipe and a placed model to the method that tunes it, with the models and the sampler that it needs. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Tape } from '../../../autograd/tape.ts';
import { ArgumentError } from '../../../base/errors.ts';
import type { Device } from '../../../devices/device.ts';
import { packRows } from '../../../finetuning/data/packing.ts';
import { EngineSampler } from '../../../finetuning/methods/engine-sampler.ts';
import { Grpo } from '../../../finetuning/methods/grpo.ts';
import { type Judge, llama2Judge, modelJudge, ruleJudge } from '../../../finetuning/methods/judge.ts';
import type { TuningMethod } from '../../../finetuning/methods/method.ts';
import { Policy, type PolicyOptions } from '../../../finetuning/methods/policy.ts';
import { Ppo } from '../../../finetuning/methods/ppo.ts';
import { Kto, mismatch, needsReference, Preference, referenceSums } from '../../../finetuning/methods/preference.ts';
import { type BestAnswer, Rejection } from '../../../finetuning/methods/rejection.ts';
import { RewardModel } from '../../../finetuning/methods/reward.ts';
import { NoisyEmbeddings, Sft } from '../../../finetuning/methods/sft.ts';
import { AdapterDropout, allNoise } from '../../../finetuning/pass-noise.ts';
import type { Recipe } from '../../../finetuning/recipe-keys.ts';
import { createRule } from '../../../finetuning/rules.ts';
import { type DerivedRun, deriveRun } from '../../../finetuning/run/schedule.ts';
import type { TunedModel } from '../../../finetuning/tuned-model.ts';
import type { Ops } from '../../../kernels/ops.ts';
import type { Checkpoint } from '../../../model/checkpoint/checkpoint.ts';
import type { LlamaConfig } from '../../../model/config.ts';
import type { Collective } from '../../../training/collective.ts';
import type { TrainableParameter } from '../../../training/optimizer.ts';
import { trainable } from '../../../training/trainable-model.ts';
import { StepTrainer } from '../../../training/trainer.ts';
import { modelOfRun } from '../training/run-checkpoint.ts';
import { restoreTrained } from './checkpoints.ts';
import { openTunable, placeFrozen } from './models.ts';
import type { Prepared, TuningSamples } from './prepare.ts';
import type { TuningFolder } from './run-folder.ts';

export interface TuningParts {
  readonly recipe: Recipe;
  readonly prepared: Prepared;
  readonly device: Device;
  readonly checkpoint: Checkpoint;
  readonly config: LlamaConfig;
  readonly tuned: TunedModel;
  readonly collective: Collective;
  readonly run: TuningFolder;
  readonly models: { readonly helpfulness: string | null; readonly safety: string | null };
}

export interface CreatedMethod {
  readonly method: TuningMethod;
  readonly trainer: StepTrainer;
  /** The trained ones, a head's too. */
  readonly parameters: readonly TrainableParameter[];
  readonly derived: DerivedRun;
  /** An answer of the model as it is now, to look at; null where the method shows its own. */
  sample(step: number): Promise<string | null>;
}

/** The name under which a head's weights are trained and stored. */
const HEAD = 'score.weight';

export async function createMethod(parts: TuningParts): Promise<CreatedMethod> {
  const { recipe, prepared, device, config, tuned, collective, run } = parts;
  const { method, training, seed } = recipe;
  const { samples } = prepared;
  const hasHead = method === 'reward' || method === 'ppo';
  const head = hasHead ? device.allocate([1, config.width]) : null;
  const parameters = head ? [...tuned.parameters, trainable(device, HEAD, head)] : tuned.parameters;
  const rows =
    samples.kind === 'sft' ? packRows(lengths(samples.train), prepared.contextLength, recipe.data.packing) : null;
  const derived = deriveRun(recipe, rows?.length ?? samples.train.length);
  const noisy = training.neftuneAlpha === undefined ? null : new NoisyEmbeddings(device, training.neftuneAlpha);
  const dropout = recipe.adapter.dropout === undefined ? null : new AdapterDropout(recipe.adapter.dropout);
  const noise = allNoise([noisy, dropout]);
  const adapt = (ops: Tape['ops']): Ops => (tuned.adapter ? tuned.adapter.decorate(ops) : ops);
  const adaptInTraining = (ops: Tape['ops']) =>
    dropout && tuned.adapter ? tuned.adapter.decorate(ops, dropout.next()) : adapt(ops);
  const updates = updatesPerStep(recipe);
  const passTokens = training.microBatchTokens;
  const trainer = new StepTrainer(device, tuned.model, parameters, {
    optimizer: {
      betas: [training.beta1, training.beta2],
      eps: training.eps,
      weightDecay: training.weightDecay,
    },
    // Each round of rejection sampling has the whole schedule.
    schedule: (update) => derived.schedule(Math.floor(update / updates) % derived.totalSteps),
    clip: training.clip,
    recompute: training.recompute,
    guard: {
      onAnomaly: training.onAnomaly,
      spikeDeviations: training.spikeDeviations ?? null,
      guessing: method === 'sft' ? Math.log(config.vocabSize) : null,
    },
    collective,
    decorate: (ops) => (noisy ? noisy.decorate(adaptInTraining(ops)) : adaptInTraining(ops)),
    ...(tuned.adapter && { afterUpdate: () => tuned.adapter!.refresh() }),
  });
  const policyOf = (more: Partial<PolicyOptions> = {}) =>
    new Policy({
      device,
      model: tuned.model,
      parameters,
      decorate: adapt,
      recompute: training.recompute,
      head,
      passTokens,
      ...more,
    });
  const common = { passTokens, trainer, collective, seed, batch: training.batch, totalSteps: derived.totalSteps };
  const drawing = { maxTokens: recipe.sampling.maxTokens, temperature: recipe.sampling.temperature };
  const answers = recipe.sampling.answers;

  switch (method) {
    case 'sft': {
      const { train, valid } = of(samples, 'sft');
      const sft = new Sft({ ...common, samples: train, rows: rows!, valid, noise });
      return { method: sft, trainer, parameters, derived, sample: sampleOf(parts, adapt) };
    }
    case 'reward': {
      const { train, valid } = of(samples, 'pairs');
      const { margins, centerCoefficient } = recipe.reward;
      const reward = new RewardModel({
        ...common,
        policy: policyOf(),
        pairs: train,
        valid,
        margins,
        centerCoefficient,
      });
      return { method: reward, trainer, parameters, derived, sample: async () => null };
    }
    case 'dpo': {
      const policy = policyOf();
      const references = (compute: () => Promise<Float64Array>) => onFirstRank(collective, run, compute);
      const settings = recipe.dpo;
      const sample = sampleOf(parts, adapt);
      if (samples.kind === 'rated') {
        const mismatched = mismatch(samples.train, prepared.contextLength);
        const all = [...samples.train.map(({ answer }) => answer), ...mismatched];
        const sums = await references(async () =>
          Float64Array.from(await policy.read(all), ({ logps }) => logps.reduce((a, b) => a + b, 0)),
        );
        const kto = new Kto({ ...common, policy, answers: samples.train, mismatched, references: sums, settings });
        return { method: kto, trainer, parameters, derived, sample };
      }
      const { train, valid } = of(samples, 'pairs');
      const sums = needsReference(settings)
        ? await references(() => referenceSums(policy, [...train, ...valid]))
        : null;
      const dpo = new Preference({ ...common, policy, pairs: train, valid, references: sums, settings });
      return { method: dpo, trainer, parameters, derived, sample };
    }
    case 'rejection': {
      const { train } = of(samples, 'prompts');
      const stepsPerRound = derived.totalSteps;
      const rejection = new Rejection({
        ...common,
        prompts: train,
        sampler: samplerOf(parts, adapt, 64),
        judge: await judgeOf(parts),
        rounds: recipe.rejection.rounds,
        sampling: { answers: answers ?? 8, ...drawing },
        stepsPerRound,
        noise,
        store: {
          save: (round, best) => run.save(`best-answers-${round + 1}.json`, best),
          load: (round) => run.load<readonly BestAnswer[]>(`best-answers-${round + 1}.json`),
        },
      });
      return { method: rejection, trainer, parameters, derived, sample: async () => null };
    }
    case 'ppo': {
      const { train, valid } = of(samples, 'prompts');
      const { temperature } = drawing;
      const ppo = new Ppo({
        trainer,
        policy: policyOf({ temperature }),
        reference: referenceOf(parts, temperature),
        prompts: train,
        valid,
        sampler: samplerOf(parts, adapt, 64),
        judge: await judgeOf(parts),
        settings: recipe.ppo,
        sampling: drawing,
        seed,
      });
      return { method: ppo, trainer, parameters, derived, sample: async () => null };
    }
    case 'grpo': {
      const { train, valid } = of(samples, 'prompts');
      const { temperature } = drawing;
      const grpo = new Grpo({
        trainer,
        policy: policyOf({ temperature }),
        reference: recipe.grpo.beta === 0 ? null : referenceOf(parts, temperature),
        prompts: train,
        valid,
        sampler: samplerOf(parts, adapt, 64),
        judge: await judgeOf(parts),
        settings: recipe.grpo,
        sampling: { answers: answers ?? 8, ...drawing },
        seed,
      });
      return { method: grpo, trainer, parameters, derived, sample: async () => null };
    }
    default:
      return method satisfies never;
  }
}

function of<Kind extends TuningSamples['kind']>(samples: TuningSamples, kind: Kind): TuningSamples & { kind: Kind } {
  if (samples.kind === kind) return samples as TuningSamples & { kind: Kind };
  throw new ArgumentError('finetune.samples', `expected ${kind}, found ${samples.kind}`);
}

function lengths(samples: readonly { readonly ids: Uint32Array }[]): number[] {
  return samples.map(({ ids }) => ids.length);
}

/** Gradient steps in one step of the method. */
function updatesPerStep({ method, ppo, grpo }: Recipe): number {
  if (method === 'ppo') return ppo.epochs * Math.ceil(ppo.prompts / ppo.minibatch);
  return method === 'grpo' ? grpo.epochs : 1;
}

/** Computed by the first rank before the first step, read by the others, and by resumed runs. */
async function onFirstRank(
  { rank, barrier }: Collective,
  run: TuningFolder,
  compute: () => Promise<Float64Array>,
): Promise<Float64Array> {
  if (rank > 0) barrier();
  const numbers = await run.once('reference.json', compute);
  if (rank === 0) barrier();
  return numbers;
}

/** The model as it was: without its adapter, or a frozen copy. */
function referenceOf({ recipe, device, tuned, checkpoint, config }: TuningParts, temperature: number): Policy {
  const model = tuned.adapter ? tuned.model : placeFrozen(device, checkpoint, config);
  return new Policy({ device, model, parameters: [], temperature, passTokens: recipe.training.microBatchTokens });
}

function samplerOf(
  { device, tuned, prepared, config }: TuningParts,
  adapt: (ops: Tape['ops']) => Ops,
  maxSequences: number,
) {
  return new EngineSampler({
    device,
    model: tuned.model,
    tokenizer: prepared.tokenizer,
    contextLength: config.contextLength,
    maxSequences,
    decorate: adapt,
    clock: () => performance.now(),
  });
}

/** Answers to the recipe's sample prompt. */
function sampleOf(parts: TuningParts, adapt: (ops: Tape['ops']) => Ops): CreatedMethod['sample'] {
  const { tokenizer, template, contextLength } = parts.prepared;
  const { samplePrompt, sampleTokens } = parts.recipe.output;
  const rendered = template?.render([{ role: 'user', content: samplePrompt }], { addGenerationPrompt: true });
  const encoded = rendered ? tokenizer.encodeSegments(rendered.segments) : tokenizer.encode(samplePrompt);
  const { bosId, addBos } = tokenizer;
  const ids = bosId !== null && addBos && encoded[0] !== bosId ? Uint32Array.of(bosId, ...encoded) : encoded;
  const sampler = samplerOf(parts, adapt, 1);
  return async (step) => {
    const maxTokens = Math.min(sampleTokens, contextLength - ids.length);
    if (maxTokens < 1) return null;
    const [answer] = await sampler.draw([{ ids, seed: step }], { maxTokens, temperature: 0.7 });
    return `${samplePrompt}\n→ ${answer!.text}${answer!.isEnded ? '' : ' …'}`;
  };
}

async function judgeOf(parts: TuningParts): Promise<Judge> {
  const { judge } = parts.recipe;
  if (judge.rule !== undefined) return ruleJudge(createRule(judge.rule, judge.words ?? []));
  const helpfulness = rewardModel(parts, parts.models.helpfulness!);
  return parts.models.safety === null ? helpfulness : llama2Judge(helpfulness, rewardModel(parts, parts.models.safety));
}

/** A reward model of an earlier run: its weights and its head. */
function rewardModel({ recipe, device, prepared }: TuningParts, path: string): Judge {
  const folder = existsSync(join(path, 'checkpoints')) ? (modelOfRun(path) ?? path) : path;
  const checkpoint = openTunable(folder);
  try {
    const config = { ...checkpoint.config, contextLength: prepared.contextLength };
    if (config.vocabSize !== prepared.tokenizer.vocabSize) {
      throw new ArgumentError(
        'finetune.judge',
        `${path}: expected a reward model with this model's vocabulary of ${prepared.tokenizer.vocabSize}, found ${config.vocabSize}. Train it from the same model.`,
      );
    }
    const model = placeFrozen(device, checkpoint, config);
    const head = device.allocate([1, config.width]);
    restoreTrained(device, folder, [{ name: HEAD, tensor: head }]);
    return modelJudge(
      new Policy({ device, model, parameters: [], head, passTokens: recipe.training.microBatchTokens }),
    );
  } finally {
    checkpoint.close();
  }
}
