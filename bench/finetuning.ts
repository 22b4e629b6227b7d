/**
 * Fine-tuning's ratios: `node bench/finetuning.ts [--threads 1] [--steps 16] [--rank 16] [--blas]`
 *
 *   adapter   tokens a second of LoRA (all linear layers) against tuning the whole model, of the same model on the same batch
 *   drawing   tokens a second of 16 answers at once against one after the other, by the sampler of PPO
 *
 * Steps of both sides alternate; the median counts. With one thread time is that of its processor, which other work on the machine does not lengthen.
 */
import { parseArgs } from 'node:util';
import { Random } from '../src/base/random.ts';
import { EngineSampler } from '../src/finetuning/methods/engine-sampler.ts';
import { type AdapterSettings, placeTrainedAdapter } from '../src/finetuning/trained-adapter.ts';
import { floatSource } from '../src/model/adapter/sources.ts';
import { type LlamaConfig, paperChoices } from '../src/model/config.ts';
import { loadModel } from '../src/model/model.ts';
import { listParameters } from '../src/model/parameters.ts';
import { loadTokenizer } from '../src/platform/node/load-tokenizer.ts';
import { createTrainingDevice } from '../src/platform/node/training/device.ts';
import { initialWeights } from '../src/training/initialize.ts';
import { placeModel } from '../src/training/trainable-model.ts';
import { StepTrainer } from '../src/training/trainer.ts';

const { values } = parseArgs({
  options: {
    threads: { type: 'string', default: '1' },
    steps: { type: 'string', default: '16' },
    rank: { type: 'string', default: '16' },
    blas: { type: 'boolean', default: false },
  },
});
const steps = Number(values.steps);

const tokenizer = loadTokenizer(
  new URL('../test/golden/tokenizers/sp-bpe-1000/tokenizer.model', import.meta.url).pathname,
);
const config: LlamaConfig = {
  ...paperChoices,
  width: 384,
  ffnWidth: 1024,
  blockCount: 6,
  headCount: 6,
  kvHeadCount: 6,
  headSize: 64,
  vocabSize: tokenizer.vocabSize,
  contextLength: 256,
  normEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: { kind: 'none' },
  tiedEmbeddings: true,
  attentionBias: false,
  slidingWindow: null,
};
const numbers = initialWeights(config, 1);
const machine = { device: 'wasm', threads: Number(values.threads), blas: values.blas, revectorize: true } as const;
const { device } = await createTrainingDevice(machine, 'f32', console.log);
console.log(device.description);

const random = new Random(1);
const micro = {
  ids: Uint32Array.from({ length: 1024 }, () => random.below(config.vocabSize)),
  rows: 4,
  length: 256,
};
const schedule = () => 1e-4;
const whole = placeModel(device, config, numbers);
const full = new StepTrainer(device, whole.model, whole.parameters, { schedule });
const sources = listParameters(config).map(
  (parameter) => [parameter.name, floatSource(parameter.name, numbers(parameter), parameter.shape)] as const,
);
const frozen = loadModel(device, config, new Map(sources));
const settings = { kind: 'lora', rank: Number(values.rank), rsLora: false, ranks: {} } as unknown as AdapterSettings;
const adapter = placeTrainedAdapter(device, frozen, settings, 1, new Map(sources));
const lora = new StepTrainer(device, frozen, adapter.parameters, {
  schedule,
  decorate: (ops) => adapter.decorate(ops),
});

/** Milliseconds. */
function now(): number {
  if (machine.threads > 1) return performance.now();
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
async function seconds(work: () => Promise<unknown>): Promise<number> {
  const from = now();
  await work();
  return (now() - from) / 1000;
}
const median = (list: readonly number[]) => [...list].sort((a, b) => a - b)[list.length >> 1]!;
const times = { full: [] as number[], lora: [] as number[] };
for (let step = 0; step < steps + 1; step++) {
  const [a, b] = [await seconds(() => full.step([micro])), await seconds(() => lora.step([micro]))];
  if (step > 0) {
    times.full.push(a);
    times.lora.push(b);
  }
}
const rate = (list: readonly number[]) => (micro.ids.length / median(list)).toFixed(0);
const ratios = times.full.map((seconds, i) => seconds / times.lora[i]!);
const spread = `${Math.min(...ratios).toFixed(2)} … ${Math.max(...ratios).toFixed(2)}`;
const [fastFull, fastLora] = [Math.min(...times.full), Math.min(...times.lora)];
console.log(
  `adapter: whole model ${rate(times.full)} tokens/s, LoRA ${rate(times.lora)}, ratio of neighbouring steps ${median(ratios).toFixed(2)} (${spread}), of the fastest of either ${(fastFull / fastLora).toFixed(2)}`,
);

const sampler = new EngineSampler({
  device,
  model: whole.model,
  tokenizer,
  contextLength: config.contextLength,
  maxSequences: 16,
  clock: () => performance.now(),
});
const prompt = tokenizer.encode('The cat sat on the mat', { bos: true });
const requests = Array.from({ length: 16 }, (_, seed) => ({ ids: prompt, seed }));
const options = { maxTokens: 48, temperature: 1 };
const drawn = { together: [] as number[], alone: [] as number[] };
for (let round = 0; round < 3; round++) {
  let tokens = 0;
  const count = (answers: readonly { ids: Uint32Array }[]) => {
    tokens = answers.reduce((sum, { ids }) => sum + ids.length, 0);
  };
  const together = await seconds(async () => count(await sampler.draw(requests, options)));
  drawn.together.push(tokens / together);
  const alone = await seconds(async () => {
    for (const request of requests) await sampler.draw([request], options);
  });
  drawn.alone.push(tokens / alone);
}
console.log(
  `drawing: 16 at once ${median(drawn.together).toFixed(0)} tokens/s, one by one ${median(drawn.alone).toFixed(0)}, ratio ${(median(drawn.together) / median(drawn.alone)).toFixed(2)}`,
);
device.close();
