/** golden/training: see test/support/golden-folder.ts for the folder, test/golden-kinds/training.ts for what is checked. */
import { ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { type Recompute, recomputePolicies } from '../src/autograd/tape.ts';
import { StepTrainer } from '../src/training/trainer.ts';
import { goldenKinds } from './golden-kinds/all.ts';
import { optionsOf, type Trajectory } from './golden-kinds/training.ts';
import { goldenJson, goldenTensors } from './support/golden.ts';
import { runGoldenKinds } from './support/golden-kinds.ts';
import { goldenModel, goldenStep, trainingDevices } from './support/training.ts';

runGoldenKinds(goldenKinds.training);

for (const { name, create } of trainingDevices) {
  test(`recompute on ${name}: none, cheap and block give the same bits`, async () => {
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
}
