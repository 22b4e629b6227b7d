/**
 * A step of a tiny model on a device against the reference, before a training run begins on a GPU: some drivers compute wrong numbers without
 * a word, and weights that are trained with them are lost.
 */
import { UnsupportedError } from '../base/errors.ts';
import type { Device } from '../devices/device.ts';
import { createReferenceDevice } from '../devices/reference/device.ts';
import { type LlamaConfig, paperChoices } from '../model/config.ts';
import type { Floats } from '../tensor/tensor.ts';
import { initialWeights } from './initialize.ts';
import { placeModel } from './trainable-model.ts';
import { StepTrainer } from './trainer.ts';

/** Of the largest number of a result: far above rounding, far below nonsense. */
const TOLERANCE = 1e-3;

/** Large enough for every size of tiles. */
const config: LlamaConfig = {
  ...paperChoices,
  width: 64,
  blockCount: 1,
  headCount: 2,
  kvHeadCount: 1,
  headSize: 32,
  ffnWidth: 96,
  vocabSize: 80,
  contextLength: 64,
  normEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: { kind: 'none' },
  tiedEmbeddings: false,
  attentionBias: false,
  slidingWindow: null,
};

async function resultsOf(device: Device): Promise<Map<string, Floats>> {
  const { model, parameters } = placeModel(device, config, initialWeights(config, 1));
  // With this eps no update depends on the sign of a gradient that is nearly 0.
  const optimizer = { matrices: 'muon', eps: 1e-2 } as const;
  const trainer = new StepTrainer(device, model, parameters, { schedule: () => 0.01, clip: 0.5, optimizer });
  const ids = Uint32Array.from({ length: 96 }, (_, i) => (i * i + 7 * i) % config.vocabSize);
  const { loss, gradientNorm } = await trainer.step([{ ids, rows: 2, length: 48 }]);
  const results = new Map<string, Floats>([['loss and gradient norm', Float64Array.of(loss, gradientNorm)]]);
  for (const { name, tensor, gradient } of parameters) {
    results.set(`gradient of ${name}`, await device.read(gradient.tensor));
    results.set(`updated ${name}`, await device.read(tensor));
  }
  return results;
}

/** Throws UnsupportedError `webgpu.wrong-numbers`, which names the device and what is wrong. `onProgress` hears of kernels that are compiled. */
export async function trainingSelfTest(
  device: Device,
  onProgress?: (done: number, total: number) => void,
): Promise<void> {
  await device.rehearse?.(async () => void (await resultsOf(device)), onProgress);
  const [expected, found] = [await resultsOf(createReferenceDevice()), await resultsOf(device)];
  const wrong: string[] = [];
  for (const [name, want] of expected) {
    const got = found.get(name)!;
    const size = Float64Array.from(want).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    // Written so that NaN is wrong.
    const at = want.findIndex((x, i) => !(Math.abs(got[i]! - x) <= TOLERANCE * size));
    if (at >= 0) wrong.push(`${name} (${got[at]}, expected ${want[at]})`);
  }
  if (wrong.length === 0) return;
  const more = wrong.length > 3 ? `; and ${wrong.length - 3} more` : '';
  throw new UnsupportedError(
    'webgpu.wrong-numbers',
    `${device.description}: computes wrong numbers in training: ${wrong.slice(0, 3).join('; ')}${more}. Update its driver, or use device "wasm".`,
  );
}
