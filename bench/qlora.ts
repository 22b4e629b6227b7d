/**
 * QLoRA of the 1.1B shape: `node bench/qlora.ts [--base nf4|q4_k|q8_0] [--blocks 22] [--tokens 64] [--threads 1] [--blas]`
 *
 * Random weights of TinyLlama's shape, the blocks' matrices frozen as `base`, a LoRA of rank 16 on all linear layers, recomputation by
 * blocks. Prints what is held and the process's peak, in GiB, and the tokens a second of one step after one to warm up. With fewer
 * blocks it is quick, and both numbers are also given for the whole.
 */
import { parseArgs } from 'node:util';
import { placeTrainedAdapter } from '../src/finetuning/trained-adapter.ts';
import { type LlamaConfig, paperChoices } from '../src/model/config.ts';
import { loadModel } from '../src/model/model.ts';
import { listParameters } from '../src/model/parameters.ts';
import { randomWeights } from '../src/model/random-weights.ts';
import { createTrainingDevice } from '../src/platform/node/training/device.ts';
import { StepTrainer } from '../src/training/trainer.ts';

const { values } = parseArgs({
  options: {
    base: { type: 'string', default: 'nf4' },
    blocks: { type: 'string', default: '22' },
    tokens: { type: 'string', default: '64' },
    threads: { type: 'string', default: '1' },
    blas: { type: 'boolean', default: false },
  },
});
const WHOLE_BLOCKS = 22;
const config: LlamaConfig = {
  ...paperChoices,
  width: 2048,
  ffnWidth: 5632,
  blockCount: Number(values.blocks),
  headCount: 32,
  kvHeadCount: 4,
  headSize: 64,
  vocabSize: 32000,
  contextLength: 2048,
  normEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: { kind: 'none' },
  tiedEmbeddings: false,
  attentionBias: false,
  slidingWindow: null,
};
const types = { nf4: 'f16', q4_k: 'Q4_K', q8_0: 'Q8_0' } as const;
const base = values.base as keyof typeof types;
const machine = { device: 'wasm', threads: Number(values.threads), blas: values.blas, revectorize: true } as const;
const { device } = await createTrainingDevice(machine, 'f32', console.log);
console.log(device.description);
const sources = randomWeights(config, 1, ({ shape, block }) =>
  shape.length === 1 ? 'f32' : block === null ? 'f16' : types[base],
);
const matrices = new Set(
  listParameters(config).flatMap(({ name, block, shape }) =>
    block !== null && shape.length === 2 ? [sources.get(name)!] : [],
  ),
);
const place: typeof device.placeWeight = (source, layer) =>
  base === 'nf4' && matrices.has(source) ? device.placeNf4(source) : device.placeWeight(source, layer);
const placing = performance.now();
const model = loadModel(Object.create(device, { placeWeight: { value: place } }), config, sources);
console.log(`placed in ${((performance.now() - placing) / 1000).toFixed(1)} s`);
const settings = { kind: 'lora', base, rank: 16, alpha: 16, rsLora: false, targets: ['all'], ranks: {} } as const;
const adapter = placeTrainedAdapter(device, model, settings as never, 1, sources);
const trainer = new StepTrainer(device, model, adapter.parameters, {
  schedule: () => 1e-4,
  recompute: 'block',
  decorate: (ops) => adapter.decorate(ops),
});
const tokens = Number(values.tokens);
const micro = { ids: Uint32Array.from({ length: tokens }, (_, i) => (i * 7919) % 32000), rows: 1, length: tokens };
await trainer.step([micro]);
const from = performance.now();
await trainer.step([micro]);
const seconds = (performance.now() - from) / 1000;
const { weights, allocated, arena } = device.memory();
const gib = (bytes: number) => (bytes / 2 ** 30).toFixed(2);
const outside = 2 * config.vocabSize * config.width * 2;
const whole = ((weights - outside + allocated) / config.blockCount) * WHOLE_BLOCKS + outside + arena;
console.log(
  `${base}, ${config.blockCount} blocks, ${adapter.description}: weights ${gib(weights)}, adapter with gradients and moments ${gib(allocated)}, ` +
    `activations ${gib(arena)} GiB; peak of the process ${gib(process.resourceUsage().maxRSS * 1024)} GiB; ${(tokens / seconds).toFixed(2)} tokens/s`,
);
if (config.blockCount !== WHOLE_BLOCKS) console.log(`of ${WHOLE_BLOCKS} blocks: ${gib(whole)} GiB held`);
device.close();
