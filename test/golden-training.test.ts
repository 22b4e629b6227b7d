/** test/golden/training: the trajectories of PyTorch + transformers, peft and trl, on every training device. */
import { ok, strictEqual } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Recompute, recomputePolicies } from '../src/autograd/tape.ts';
import type { Device } from '../src/devices/device.ts';
import { type LoraAdapter, withAdapters } from '../src/finetuning/lora.ts';
import type { Parameter } from '../src/model/parameters.ts';
import type { Tensor } from '../src/tensor/tensor.ts';
import { dpoPass } from '../src/training/dpo.ts';
import type { TrainableParameter } from '../src/training/optimizer.ts';
import { cosineSchedule, type Schedule } from '../src/training/schedule.ts';
import { trainable } from '../src/training/trainable-model.ts';
import { StepTrainer, type TrainerOptions } from '../src/training/trainer.ts';
import { assertClose, relativeL2 } from './support/close.ts';
import { type GoldenTensor, goldenJson, goldenTensors } from './support/golden.ts';
import {
  goldenConfig,
  goldenModel,
  goldenParameter,
  goldenStep,
  ourLayout,
  trainingDevices,
} from './support/training.ts';

interface Trajectory {
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
}

/** transformers' cosine starts its warm-up at 0; ours, like the other cases, at 1 / warmup. */
function scheduleOf({ recipe }: Trajectory): Schedule {
  const { lr: learningRate, warmup: warmupSteps, total: totalSteps } = recipe;
  const ours = cosineSchedule({ learningRate, warmupSteps, totalSteps, finalFraction: 0.1 });
  if (recipe.schedule === 'plus1') return ours;
  return (step) => (step < warmupSteps ? (learningRate * step) / warmupSteps : ours(step));
}

function optionsOf(expected: Trajectory): TrainerOptions {
  const { betas, eps, weight_decay: weightDecay, weight_decay_on: decay, clip } = expected.recipe;
  return { optimizer: { betas, eps, weightDecay, decay }, schedule: scheduleOf(expected), clip };
}

function checkStep(
  { loss, grad_norm, lr }: Trajectory,
  step: number,
  result: { loss: number; gradientNorm: number; learningRate: number },
): void {
  assertClose(`loss at step ${step}`, [result.loss], [loss[step]!], { atol: 5e-5 });
  assertClose(`gradient norm at step ${step}`, [result.gradientNorm], [grad_norm[step]!], { rtol: 1e-4 });
  assertClose(`learning rate at step ${step}`, [result.learningRate], [lr[step]!], { rtol: 1e-9 });
}

/** GOLDEN.md: everything within 1e-3, 99.9 % within 2e-5. */
function checkFinal(what: string, actual: ArrayLike<number>, expected: Float32Array): void {
  assertClose(what, Float32Array.from(actual), expected, { atol: 1e-3 });
  let far = 0;
  for (let i = 0; i < expected.length; i++) if (!(Math.abs(actual[i]! - expected[i]!) <= 2e-5)) far++;
  ok(
    far <= Math.max(1, expected.length / 1000),
    `${what}: ${far} of ${expected.length} values differ by more than 2e-5`,
  );
}

async function checkGradient(what: string, device: Device, { gradient }: TrainableParameter, expected: Float32Array) {
  const error = relativeL2(Float32Array.from(await device.read(gradient.tensor)), expected);
  ok(error <= 1e-5, `${what}: relative L2 error ${error}, expected at most 1e-5`);
}

const trajectories = ['grad-accum4', 'llama1-recipe', 'llama2-recipe', 'sft-label-mask', 'tied-embeddings', 'wd-all'];

for (const { name: deviceName, create } of trainingDevices) {
  describe(`golden training on ${deviceName}`, () => {
    for (const name of trajectories) {
      test(`${name}: losses, norms, first gradients and final weights of 20 steps`, async () => {
        const device = await create();
        const folder = `training/${name}`;
        const expected = goldenJson<Trajectory>(`${folder}/expected.json`);
        const tensors = goldenTensors(`${folder}/expected.safetensors`);
        const batches = goldenTensors(`${folder}/batches.safetensors`);
        const { model, parameters, config, table } = goldenModel(device, `${folder}/init`);
        const trainer = new StepTrainer(device, model, parameters, optionsOf(expected));
        const steps = batches.input_ids!.shape[0]!;
        for (let step = 0; step < expected.lr.length; step++) {
          const loss = await trainer.computeGradients(goldenStep(batches, step % steps));
          for (const [i, parameter] of table.entries()) {
            if (step > 0) break;
            const gradient = goldenParameter(tensors, parameter, config, 'grad0.');
            await checkGradient(parameter.name, device, parameters[i]!, gradient);
          }
          checkStep(expected, step, await trainer.update(loss));
        }
        for (const [i, parameter] of table.entries()) {
          const final = goldenParameter(tensors, parameter, config, 'final.');
          checkFinal(parameter.name, await device.read(parameters[i]!.tensor), final);
          if (name !== 'llama1-recipe') continue;
          const { m, v } = trainer.optimizer.shards[i]!.moments!;
          for (const [moment, prefix] of [
            [m, 'final_exp_avg.'],
            [v, 'final_exp_avg_sq.'],
          ] as const) {
            const error = relativeL2(
              Float32Array.from(await device.read(moment)),
              goldenParameter(tensors, parameter, config, prefix),
            );
            ok(error <= 1e-3, `${prefix}${parameter.name}: relative L2 error ${error}`);
          }
        }
        device.close();
      });
    }

    test('recompute: none, cheap and block give the same bits', async () => {
      const run = async (recompute: Recompute) => {
        const device = await create();
        const folder = 'training/llama1-recipe';
        const batches = goldenTensors(`${folder}/batches.safetensors`);
        const { model, parameters } = goldenModel(device, `${folder}/init`);
        const options = optionsOf(goldenJson<Trajectory>(`${folder}/expected.json`));
        const trainer = new StepTrainer(device, model, parameters, { ...options, recompute });
        const losses: number[] = [];
        for (const step of [0, 1, 2]) losses.push((await trainer.step(goldenStep(batches, step))).loss);
        const weights = await Promise.all(
          parameters.map(async ({ tensor }) => Float32Array.from(await device.read(tensor))),
        );
        device.close();
        return { losses, weights };
      };
      const [none, cheap, block] = await Promise.all(recomputePolicies.map(run));
      for (const other of [cheap!, block!]) {
        strictEqual(JSON.stringify(other.losses), JSON.stringify(none!.losses));
        for (const [i, weights] of other.weights.entries())
          ok(Buffer.from(weights.buffer).equals(Buffer.from(none!.weights[i]!.buffer)));
      }
    });

    test('sft-accum-normalisation: two micro-batches are normalised by all their labels together', async () => {
      const device = await create();
      const folder = 'training/sft-accum-normalisation';
      const { token_mean } = goldenJson<{ token_mean: { loss: number; grad_norm: number } }>(`${folder}/expected.json`);
      const tensors = goldenTensors(`${folder}/expected.safetensors`);
      const batches = goldenTensors(`${folder}/batches.safetensors`);
      const { model, parameters, config, table } = goldenModel(device, `${folder}/init`);
      const asOneStep = Object.fromEntries(
        Object.entries(batches).map(([key, { shape, data }]) => [key, { shape: [1, ...shape], data }]),
      ) as Record<string, GoldenTensor>;
      const trainer = new StepTrainer(device, model, parameters, { schedule: () => 0 });
      const loss = await trainer.computeGradients(goldenStep(asOneStep, 0));
      for (const [i, parameter] of table.entries()) {
        const gradient = goldenParameter(tensors, parameter, config, 'num_items_grad.');
        await checkGradient(parameter.name, device, parameters[i]!, gradient);
      }
      assertClose('loss', [loss.loss], [token_mean.loss], { atol: 5e-5 });
      assertClose('norm', [(await trainer.update(loss)).gradientNorm], [token_mean.grad_norm], { rtol: 1e-4 });
      device.close();
    });

    test('lora-qv-r4: only the adapters train, and they end where peft ends', async () => {
      const device = await create();
      const folder = 'training/lora-qv-r4';
      const expected = goldenJson<Trajectory>(`${folder}/expected.json`);
      const tensors = goldenTensors(`${folder}/expected.safetensors`);
      const init = goldenTensors(`${folder}/adapter_init/adapter_model.safetensors`);
      const final = goldenTensors(`${folder}/adapter_final/adapter_model.safetensors`);
      const batches = goldenTensors(`${folder}/batches.safetensors`);
      const { model, config, table } = goldenModel(device, `${folder}/init`, () => false);
      const adapters = new Map<Tensor, LoraAdapter>();
      const trained: { parameter: TrainableParameter; name: string; source: Parameter | null }[] = [];
      for (const source of table) {
        if (source.key !== 'wq_QD' && source.key !== 'wv_PD') continue;
        const place = (part: 'A' | 'B') => {
          const module = source.key === 'wq_QD' ? 'q_proj' : 'v_proj';
          const name = `base_model.model.model.layers.${source.block}.self_attn.${module}.lora_${part}`;
          const { shape, data } = init[`${name}.weight`]!;
          const tensor = device.allocate(shape);
          // The rows of B are rows of W: they are permuted as W's are.
          const rows = part === 'B' ? { ...source, shape } : null;
          device.write(tensor, rows ? ourLayout(data, rows, config) : data);
          trained.push({ parameter: trainable(device, name, tensor), name, source: rows });
          return tensor;
        };
        adapters.set(model.blocks[source.block!]![source.key], { a_RI: place('A'), b_OR: place('B'), scale: 8 / 4 });
      }
      const layout = ({ source }: (typeof trained)[number], { data }: GoldenTensor) =>
        source ? ourLayout(data, source, config) : data;
      const trainer = new StepTrainer(
        device,
        model,
        trained.map(({ parameter }) => parameter),
        { ...optionsOf(expected), decorate: (ops) => withAdapters(ops, adapters) },
      );
      for (let step = 0; step < expected.lr.length; step++) {
        const loss = await trainer.computeGradients(goldenStep(batches, step));
        if (step === 0) {
          for (const item of trained) {
            const gradient = tensors[`grad0.${item.name}.default.weight`]!;
            await checkGradient(item.name, device, item.parameter, layout(item, gradient));
          }
        }
        checkStep(expected, step, await trainer.update(loss));
      }
      for (const item of trained) {
        checkFinal(item.name, await device.read(item.parameter.tensor), layout(item, final[`${item.name}.weight`]!));
      }
      device.close();
    });

    test('dpo: loss, gradients and five steps', async () => {
      const device = await create();
      const folder = 'training/dpo';
      const expected = goldenJson<{
        beta: number;
        trajectory: { loss: number; grad_norm: number; reward_margin: number }[];
      }>(`${folder}/expected.json`);
      const tensors = goldenTensors(`${folder}/expected.safetensors`);
      const batch = goldenTensors(`${folder}/batch.safetensors`);
      const [rows, length] = batch.input_ids!.shape as [number, number];
      const micro = {
        ids: batch.input_ids!.data,
        labels: batch.input_ids!.data.map((id, i) => (batch.completion_mask!.data[i] ? id : -100)),
        rows,
        length,
      };
      const policy = goldenModel(device, `${folder}/policy_init`);
      const reference = goldenModel(device, `${folder}/reference`, () => false);
      const options = {
        optimizer: { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 },
        schedule: () => 1e-3,
      } as const satisfies TrainerOptions;
      const judge = new StepTrainer(device, reference.model, [], options);
      const trainer = new StepTrainer(device, policy.model, policy.parameters, options);
      for (const [step, { loss, grad_norm, reward_margin }] of expected.trajectory.entries()) {
        const result = await dpoPass(trainer, judge, micro, expected.beta);
        if (step === 0) {
          for (const [i, parameter] of policy.table.entries()) {
            const gradient = goldenParameter(tensors, parameter, policy.config, 'grad.');
            await checkGradient(parameter.name, device, policy.parameters[i]!, gradient);
          }
        }
        assertClose(`loss ${step}`, [result.loss], [loss], { atol: 5e-5 });
        assertClose(`margin ${step}`, [result.rewardMargin], [reward_margin], { atol: 1e-4 });
        const { gradientNorm } = await trainer.update({ loss: result.loss, labelCount: 1 });
        assertClose(`norm ${step}`, [gradientNorm], [grad_norm], { rtol: 1e-4 });
      }
      for (const [i, parameter] of policy.table.entries()) {
        const final = goldenParameter(tensors, parameter, goldenConfig(`${folder}/policy_init`), 'final.');
        checkFinal(parameter.name, await device.read(policy.parameters[i]!.tensor), final);
      }
      device.close();
    });
  });
}
