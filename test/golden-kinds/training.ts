/** golden/training: the trajectories of PyTorch + transformers, peft and trl, on every training device. */
import { ok } from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Device, readDoubles } from '../../src/devices/device.ts';
import { type LoraAdapter, refreshLengths, withAdapters } from '../../src/finetuning/lora.ts';
import { preferenceLoss } from '../../src/finetuning/losses/preference.ts';
import { batchOfSequences } from '../../src/kernels/batch.ts';
import { type LowRank, targetsByModule } from '../../src/model/adapter/adapter.ts';
import { mergeAdapters } from '../../src/model/adapter/merge.ts';
import { openAdapter } from '../../src/model/adapter/open.ts';
import { floatSource, readFloats, rowLengths } from '../../src/model/adapter/sources.ts';
import { forward } from '../../src/model/llama.ts';
import { loadModel } from '../../src/model/model.ts';
import { openFolder } from '../../src/platform/node/files.ts';
import type { TensorSource } from '../../src/tensor/source.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { dpoPass } from '../../src/training/dpo.ts';
import { prepareBatch } from '../../src/training/micro-batch.ts';
import type { TrainableParameter } from '../../src/training/optimizer.ts';
import { cosineSchedule, type Schedule } from '../../src/training/schedule.ts';
import { trainable } from '../../src/training/trainable-model.ts';
import { StepTrainer, type TrainerOptions } from '../../src/training/trainer.ts';
import { type GoldenTensor, goldenTensors } from '../support/golden.ts';
import type { Check } from '../support/golden-check.ts';
import { readFacts } from '../support/golden-facts.ts';
import type { GoldenCase } from '../support/golden-folder.ts';
import type { AnyGoldenKind, GoldenKind } from '../support/golden-kinds.ts';
import { goldenModel, goldenParameter, goldenStep, ourLayout, trainingDevices } from '../support/training.ts';

export interface Trajectory {
  readonly recipe: {
    readonly betas: [number, number];
    readonly eps: number;
    readonly weight_decay: number;
    readonly weight_decay_on: 'matrices' | 'all';
    readonly lr: number;
    readonly schedule: 'hf' | 'plus1';
    readonly warmup: number;
    readonly total: number;
    readonly clip: number;
  };
  readonly lr: number[];
  readonly loss: number[];
  readonly grad_norm: number[];
  readonly param_l2_norm_after_step?: number[];
}

/** Words, and how far the reference is from itself: nothing that ours must be. */
// biome-ignore format: a list
const words = [
  'accumulation', 'activation_checkpointing', 'batch', 'batches', 'equals_one_big_batch', 'files', 'formula', 'fp32_vs_fp64',
  'merged_vs_adapter_logits_max_abs', 'optimizer', 'schedule_formula', 'steps', 'tensors', 'trainable', 'trajectory_recipe',
  'update', 'weight_decay_note', 'weights_moved_max_abs_by_tensor',
];

/** transformers' cosine starts its warm-up at 0; ours, like the other cases, at 1 / warmup. */
function scheduleOf({ recipe }: Trajectory): Schedule {
  const { lr: learningRate, warmup: warmupSteps, total: totalSteps } = recipe;
  const ours = cosineSchedule({ learningRate, warmupSteps, totalSteps, finalFraction: 0.1 });
  if (recipe.schedule === 'plus1') return ours;
  return (step) => (step < warmupSteps ? (learningRate * step) / warmupSteps : ours(step));
}

export function optionsOf(expected: Trajectory): TrainerOptions {
  const { betas, eps, weight_decay: weightDecay, weight_decay_on: decay, clip } = expected.recipe;
  return { optimizer: { betas, eps, weightDecay, decay }, schedule: scheduleOf(expected), clip };
}

function checkStep(
  check: Check,
  { loss, grad_norm, lr }: Trajectory,
  step: number,
  result: { loss: number; gradientNorm: number; learningRate: number },
): void {
  check.close(`loss at step ${step}`, [result.loss], [loss[step]!], { atol: 5e-5 });
  check.close(`gradient norm at step ${step}`, [result.gradientNorm], [grad_norm[step]!], { rtol: 1e-4 });
  check.close(`learning rate at step ${step}`, [result.learningRate], [lr[step]!], { rtol: 1e-9 });
}

/** GOLDEN.md: everything within 1e-3, 99.9 % within 2e-5. */
function checkFinal(check: Check, what: string, actual: ArrayLike<number>, expected: Float32Array): void {
  check.close(what, Float32Array.from(actual), expected, { atol: 1e-3 });
  let far = 0;
  for (let i = 0; i < expected.length; i++) if (!(Math.abs(actual[i]! - expected[i]!) <= 2e-5)) far++;
  ok(far <= Math.max(1, expected.length / 1000), `${what}: ${far} of ${expected.length} values differ by over 2e-5`);
}

async function checkGradient(
  check: Check,
  what: string,
  device: Device,
  { gradient }: TrainableParameter,
  expected: Float32Array,
): Promise<void> {
  check.closeByNorm(`gradient of ${what}`, Float32Array.from(await device.read(gradient.tensor)), expected, 1e-5);
}

async function normOf(device: Device, parameters: readonly TrainableParameter[]): Promise<number> {
  const mark = device.mark();
  const reading = readDoubles(device, device.sumSquares(parameters.map(({ tensor }) => tensor)));
  device.release(mark);
  return Math.sqrt((await reading).reduce((sum, x) => sum + x, 0));
}

async function trajectory({ path }: GoldenCase, check: Check, create: () => Promise<Device>): Promise<void> {
  const device = await create();
  const { facts: expected, finish } = readFacts<Trajectory>(join(path, 'expected.json'), words);
  const tensors = goldenTensors(join(path, 'expected.safetensors'));
  const batches = goldenTensors(join(path, 'batches.safetensors'));
  const { model, parameters, config, table } = goldenModel(device, join(path, 'init'));
  const trainer = new StepTrainer(device, model, parameters, optionsOf(expected));
  const steps = batches.input_ids!.shape[0]!;
  const norms = expected.param_l2_norm_after_step;
  for (let step = 0; step < expected.lr.length; step++) {
    const loss = await trainer.computeGradients(goldenStep(batches, step % steps));
    for (const [i, parameter] of table.entries()) {
      if (step > 0) break;
      const gradient = goldenParameter(tensors, parameter, config, 'grad0.');
      await checkGradient(check, parameter.name, device, parameters[i]!, gradient);
    }
    checkStep(check, expected, step, await trainer.update(loss));
    if (norms)
      check.close(`norm of the weights after step ${step}`, [await normOf(device, parameters)], [norms[step]!], {
        rtol: 1e-5,
      });
  }
  const hasMoments = Object.keys(tensors).some((name) => name.startsWith('final_exp_avg.'));
  for (const [i, parameter] of table.entries()) {
    const final = goldenParameter(tensors, parameter, config, 'final.');
    checkFinal(check, parameter.name, await device.read(parameters[i]!.tensor), final);
    if (!hasMoments) continue;
    const { m, v } = trainer.optimizer.shards[i]!.moments!;
    for (const [moment, prefix] of [
      [m, 'final_exp_avg.'],
      [v, 'final_exp_avg_sq.'],
    ] as const) {
      const wanted = goldenParameter(tensors, parameter, config, prefix);
      check.closeByNorm(prefix + parameter.name, Float32Array.from(await device.read(moment!)), wanted, 1e-3);
    }
  }
  finish(check);
}

async function accumulation({ path }: GoldenCase, check: Check, create: () => Promise<Device>): Promise<void> {
  const device = await create();
  const { facts, finish } = readFacts<{
    readonly loss_tokens: number[];
    readonly token_mean: { readonly loss: number; readonly grad_norm: number };
  }>(join(path, 'expected.json'), [...words, 'micro_mean']); // the known wrong way
  const tensors = goldenTensors(join(path, 'expected.safetensors'));
  const batches = goldenTensors(join(path, 'batches.safetensors'));
  const { model, parameters, config, table } = goldenModel(device, join(path, 'init'));
  const asOneStep = Object.fromEntries(
    Object.entries(batches).map(([key, { shape, data }]) => [key, { shape: [1, ...shape], data }]),
  ) as Record<string, GoldenTensor>;
  const trainer = new StepTrainer(device, model, parameters, { schedule: () => 0 });
  const loss = await trainer.computeGradients(goldenStep(asOneStep, 0));
  check.exact(
    'labels',
    loss.labelCount,
    facts.loss_tokens.reduce((a, b) => a + b, 0),
  );
  for (const [i, parameter] of table.entries()) {
    const gradient = goldenParameter(tensors, parameter, config, 'num_items_grad.');
    await checkGradient(check, parameter.name, device, parameters[i]!, gradient);
  }
  check.close('loss', [loss.loss], [facts.token_mean.loss], { atol: 5e-5 });
  check.close('norm', [(await trainer.update(loss)).gradientNorm], [facts.token_mean.grad_norm], { rtol: 1e-4 });
  finish(check);
}

/** Any adapter of peft's: LoRA, rsLoRA and DoRA of any matrices of the blocks. */
async function adapters({ path }: GoldenCase, check: Check, create: () => Promise<Device>): Promise<void> {
  const device = await create();
  const { facts: expected, finish } = readFacts<Trajectory>(join(path, 'expected.json'), words);
  const tensors = goldenTensors(join(path, 'expected.safetensors'));
  const batches = goldenTensors(join(path, 'batches.safetensors'));
  const { model, config, table } = goldenModel(device, join(path, 'init'), () => false);
  const base = goldenTensors(join(path, 'init', 'model.safetensors'));
  const sources = new Map<string, TensorSource>(
    table.map((parameter) => [
      parameter.name,
      floatSource(parameter.name, goldenParameter(base, parameter, config), parameter.shape),
    ]),
  );
  const open = (folder: string) => openAdapter(openFolder(join(path, folder)), config);
  const [init, final] = [open('adapter_init'), open('adapter_final')];
  const modules = new Map([...targetsByModule(config)].map(([module, target]) => [target.name, { module, target }]));
  const placed = new Map<Tensor, LoraAdapter>();
  const trained: {
    readonly parameter: TrainableParameter;
    readonly final: TensorSource;
    readonly gradient: Float32Array;
  }[] = [];
  const refreshes: (() => Promise<void>)[] = [];
  for (const [name, layer] of init.layers) {
    const { module, target } = modules.get(name)!;
    const place = (of: keyof Pick<LowRank, 'a' | 'b' | 'magnitude'>, foreign: string): Tensor => {
      const source = layer[of]!;
      const tensor = device.allocate(source.shape);
      device.write(tensor, readFloats(source));
      const stored = tensors[`grad0.base_model.model.${module}.${foreign}`]!;
      const rows = { ...target, shape: stored.shape };
      const gradient = of === 'a' ? stored.data : ourLayout(stored.data, rows, config);
      trained.push({
        parameter: trainable(device, `${name} ${of}`, tensor),
        final: final.layers.get(name)![of]!,
        gradient,
      });
      return tensor;
    };
    const [a_RI, b_OR] = [place('a', 'lora_A.default.weight'), place('b', 'lora_B.default.weight')];
    const weight = (target.block === null ? model : model.blocks[target.block]!)[target.key as never] as Tensor;
    const dora = layer.magnitude && {
      magnitude_O: place('magnitude', 'lora_magnitude_vector.default.weight'),
      squares_O: device.allocate([target.shape[0]!]),
      zeros_O: device.allocate([target.shape[0]!]),
    };
    const adapter = { a_RI, b_OR, scale: layer.scale, dora };
    placed.set(weight, adapter);
    const squares = rowLengths(sources.get(name)!).map((length) => length ** 2);
    if (dora) refreshes.push(() => refreshLengths(device, weight, squares, adapter));
  }
  const refresh = async () => {
    for (const one of refreshes) await one();
  };
  await refresh();
  const trainer = new StepTrainer(
    device,
    model,
    trained.map(({ parameter }) => parameter),
    { ...optionsOf(expected), decorate: (ops) => withAdapters(ops, placed), afterUpdate: refresh },
  );
  for (let step = 0; step < expected.lr.length; step++) {
    const loss = await trainer.computeGradients(goldenStep(batches, step));
    if (step === 0)
      for (const { parameter, gradient } of trained)
        await checkGradient(check, parameter.name, device, parameter, gradient);
    checkStep(check, expected, step, await trainer.update(loss));
  }
  for (const { parameter, final: wanted } of trained)
    checkFinal(check, parameter.name, await device.read(parameter.tensor), readFloats(wanted));

  const ids = tensors['test.input_ids'];
  if (ids) {
    const [B, T] = ids.shape as [number, number];
    const batch = batchOfSequences(Array.from({ length: B }, (_, b) => ids.data.subarray(b * T, (b + 1) * T)));
    const merged = mergeAdapters({ config, tensors: sources }, [{ adapter: final, scale: 1 }]);
    const mark = device.mark();
    const logits = device.read(forward(loadModel(device, merged.config, merged.tensors), device.ops, batch));
    device.release(mark);
    for (const name of ['test.logits_merged', 'test.logits_with_adapter'])
      check.close(name, Float32Array.from(await logits), tensors[name]!.data, { atol: 2e-4 });
    for (const [module, target] of targetsByModule(config)) {
      const wanted = tensors[`merged.${module}.weight`];
      if (wanted)
        check.close(
          `merged ${module}`,
          readFloats(merged.tensors.get(target.name)!),
          ourLayout(wanted.data, target, config),
          {
            atol: 1e-5,
          },
        );
    }
  }
  finish(check);
}

interface DpoFacts {
  readonly beta: number;
  readonly loss: number;
  readonly trajectory: { readonly loss: number; readonly grad_norm: number; readonly reward_margin: number }[];
}

async function dpo({ path }: GoldenCase, check: Check, create: () => Promise<Device>): Promise<void> {
  const device = await create();
  const { facts: expected, finish } = readFacts<DpoFacts>(join(path, 'expected.json'), [...words, 'trl_metrics']);
  const tensors = goldenTensors(join(path, 'expected.safetensors'));
  const batch = goldenTensors(join(path, 'batch.safetensors'));
  const [rows, length] = batch.input_ids!.shape as [number, number];
  const micro = {
    ids: batch.input_ids!.data,
    labels: batch.input_ids!.data.map((id, i) => (batch.completion_mask!.data[i] ? id : -100)),
    rows,
    length,
  };
  const policy = goldenModel(device, join(path, 'policy_init'));
  const reference = goldenModel(device, join(path, 'reference'), () => false);
  const options = {
    optimizer: { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 },
    schedule: () => 1e-3,
  } as const satisfies TrainerOptions;
  const judge = new StepTrainer(device, reference.model, [], options);
  const trainer = new StepTrainer(device, policy.model, policy.parameters, options);

  const pairs = rows / 2;
  const prepared = prepareBatch(micro, policy.config.vocabSize);
  const sums = async (model: StepTrainer) => {
    const losses_N = await model.losses(prepared);
    return prepared.batch.spans.map(
      ({ firstRow, rowCount }) => -losses_N.subarray(firstRow, firstRow + rowCount).reduce((a, b) => a + b, 0),
    );
  };
  const [now, before] = [await sums(trainer), await sums(judge)];
  const [chosen, rejected] = [now.slice(0, pairs), now.slice(pairs)];
  const [referenceChosen, referenceRejected] = [before.slice(0, pairs), before.slice(pairs)];
  const tokens = new Array<number>(pairs).fill(1);
  const first = preferenceLoss(
    { loss: 'sigmoid', beta: expected.beta },
    { chosen, rejected, referenceChosen, referenceRejected, chosenTokens: tokens, rejectedTokens: tokens },
  );
  for (const [name, found] of [
    ['chosen_logps', chosen],
    ['rejected_logps', rejected],
    ['ref_chosen_logps', referenceChosen],
    ['ref_rejected_logps', referenceRejected],
    ['per_pair_loss', first.perPair],
    ['rewards_chosen', first.rewardsChosen],
    ['rewards_rejected', first.rewardsRejected],
  ] as const)
    if (tensors[name]) check.close(name, Float32Array.from(found), tensors[name].data, { atol: 1e-4 });
  check.close('loss', [first.loss], [expected.loss], { atol: 5e-5 });

  for (const [step, { loss, grad_norm, reward_margin }] of expected.trajectory.entries()) {
    const result = await dpoPass(trainer, judge, micro, expected.beta);
    if (step === 0) {
      for (const [i, parameter] of policy.table.entries()) {
        const gradient = goldenParameter(tensors, parameter, policy.config, 'grad.');
        await checkGradient(check, parameter.name, device, policy.parameters[i]!, gradient);
      }
    }
    check.close(`loss ${step}`, [result.loss], [loss], { atol: 5e-5 });
    check.close(`margin ${step}`, [result.rewardMargin], [reward_margin], { atol: 1e-4 });
    const { gradientNorm } = await trainer.update({ loss: result.loss, labelCount: 1 });
    check.close(`norm ${step}`, [gradientNorm], [grad_norm], { rtol: 1e-4 });
  }
  for (const [i, parameter] of policy.table.entries()) {
    const final = goldenParameter(tensors, parameter, policy.config, 'final.');
    checkFinal(check, parameter.name, await device.read(policy.parameters[i]!.tensor), final);
  }
  finish(check);
}

/** What a case is, its files say: not its name. */
const isAdapter = ({ path }: GoldenCase) => existsSync(join(path, 'adapter_init'));
const isDpo = ({ path }: GoldenCase) => existsSync(join(path, 'policy_init'));
const isAccumulation = ({ path }: GoldenCase) =>
  'token_mean' in (JSON.parse(readFileSync(join(path, 'expected.json'), 'utf8')) as object);

function kind(name: string, matches: (item: GoldenCase) => boolean, run: GoldenKind<Device>['run']): AnyGoldenKind {
  return {
    name: `training/${name}`,
    matches: (item) => item.group === 'training' && matches(item),
    devices: trainingDevices,
    run,
  };
}

export const trainingKinds: readonly AnyGoldenKind[] = [
  kind('trajectory', (item) => !isAdapter(item) && !isDpo(item) && !isAccumulation(item), trajectory),
  kind('accumulation', isAccumulation, accumulation),
  kind('adapter', isAdapter, adapters),
  kind('dpo', isDpo, dpo),
];
