import { createReferenceDevice } from '../../src/devices/reference/device.ts';
import { type LlamaConfig, paperChoices } from '../../src/model/config.ts';
import { initialWeights } from '../../src/training/initialize.ts';
import { placeModel } from '../../src/training/trainable-model.ts';
import { StepTrainer } from '../../src/training/trainer.ts';

export const config: LlamaConfig = {
  ...paperChoices,
  width: 8,
  blockCount: 2,
  headCount: 2,
  kvHeadCount: 1,
  headSize: 4,
  ffnWidth: 12,
  vocabSize: 11,
  contextLength: 16,
  normEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: { kind: 'none' },
  tiedEmbeddings: true,
  attentionBias: false,
  slidingWindow: null,
};

/** A trainer of a tiny model on the reference device. */
export function trainer(
  options: Partial<ConstructorParameters<typeof StepTrainer>[3]> = {},
  changed: Partial<LlamaConfig> = {},
) {
  const device = createReferenceDevice();
  const all = { ...config, ...changed };
  const { model, parameters } = placeModel(device, all, initialWeights(all, 3));
  return {
    device,
    model,
    parameters,
    trainer: new StepTrainer(device, model, parameters, { schedule: () => 0.01, ...options }),
  };
}

/** Something to learn: two rows of 16. */
export const ids = Uint32Array.from({ length: 32 }, (_, i) => (i * i) % 11);
