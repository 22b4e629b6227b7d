/**
 * Training speed and memory: `node bench/training.ts [--shape 7M|stories|110M] [--threads 1] [--length 256] [--batch 16]
 * [--recompute none] [--matrices adamw|muon] [--steps 5] [--ways wasm128,wasm,native,blas,bf16] [--tasks]
 * [--peer "python3 bench/adapters/pytorch_train.py"] [--write]`    CRIA_BENCH_PEER is --peer for those who have it elsewhere
 *
 * Each way is a process of its own; rounds are interleaved, the median of the steps after two of warm-up counts. The peer is a
 * command that takes THREADS vocab width ffn layers heads T batch steps f32|bf16 and whose last line in braces has median_tokens_per_second; each way
 * is compared with the peer's run of the same round and numbers: bf16 with bf16, all others with f32. --write puts the comparison into bench/RESULTS.md.
 * On a busy machine --processor compares tokens per second of processor time instead, for which --threads must be 1: threads that wait
 * for each other count as busy.
 * --tasks adds the milliseconds of a step that each kernel takes, and those outside of all ('other').
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { type Recompute, recomputePolicies } from '../src/autograd/tape.ts';
import { Random } from '../src/base/random.ts';
import { createWasmDevice } from '../src/devices/wasm/device.ts';
import { parameterCount } from '../src/model/parameters.ts';
import { describeMachine } from '../src/platform/node/machine.ts';
import { loadBlas } from '../src/platform/node/native/blas.ts';
import { needBf16 } from '../src/platform/node/native/products.ts';
import { nativeForThisMachine } from '../src/platform/node/native-kernels.ts';
import { nodeThreads } from '../src/platform/node/threads.ts';
import { kernelsForThisMachine } from '../src/platform/node/wide-kernels.ts';
import { initialWeights } from '../src/training/initialize.ts';
import { PASS_TOKENS } from '../src/training/micro-batch.ts';
import type { OptimizerOptions } from '../src/training/optimizer.ts';
import { estimateMemory, flopsPerToken } from '../src/training/run/estimate.ts';
import { placeModel } from '../src/training/trainable-model.ts';
import { StepTrainer } from '../src/training/trainer.ts';
import { median, toSection } from './report.ts';
import { updateResults } from './results-file.ts';
import { shapeConfig } from './shapes.ts';

const { values } = parseArgs({
  options: {
    shape: { type: 'string', default: '7M' },
    threads: { type: 'string', default: '1' },
    length: { type: 'string', default: '256' },
    batch: { type: 'string', default: '16' },
    recompute: { type: 'string', default: 'none' },
    matrices: { type: 'string', default: 'adamw' },
    tasks: { type: 'boolean', default: false },
    processor: { type: 'boolean', default: false },
    steps: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '2' },
    ways: { type: 'string', default: 'wasm,blas' },
    peer: { type: 'string', default: process.env.CRIA_BENCH_PEER },
    write: { type: 'boolean', default: false },
    /** One measurement in this process: for the bench itself. */
    only: { type: 'string' },
  },
});

if (!recomputePolicies.includes(values.recompute as Recompute)) {
  console.error(`bench: --recompute is one of ${recomputePolicies.join(', ')}`);
  process.exit(2);
}
const [threads, length, batch, steps, rounds] = [
  values.threads,
  values.length,
  values.batch,
  values.steps,
  values.rounds,
].map(Number) as [number, number, number, number, number];
if (values.processor && threads !== 1) {
  console.error('bench: --processor goes with --threads 1');
  process.exit(2);
}
const config = shapeConfig(values.shape, length);

if (values.only) {
  console.log(JSON.stringify(await measure(values.only)));
  process.exit(0);
}

const ways = values.ways.split(',');
const results = new Map<string, number[]>();
/** By its numbers. */
const peerRates = new Map<string, number[]>();
const numbersOf = (way: string) => (way === 'bf16' ? 'bf16' : 'f32');
const names: Record<string, string> = { node: process.versions.node };
for (let round = 0; round < rounds; round++) {
  for (const way of ways) {
    const words = [...process.execArgv, process.argv[1]!, ...process.argv.slice(2), '--only', way];
    const { stdout, stderr, status } = spawnSync(process.execPath, words, { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    const result = JSON.parse(stdout) as {
      way: string;
      device: string;
      tokensPerSecond: number;
      tokensPerProcessorSecond: number;
    };
    console.log(stdout.trim());
    names[way] = result.device;
    const rate = values.processor ? result.tokensPerProcessorSecond : result.tokensPerSecond;
    results.set(way, [...(results.get(way) ?? []), rate]);
  }
  for (const numbers of values.peer ? new Set(ways.map(numbersOf)) : []) {
    const { vocabSize, width, ffnWidth, blockCount, headCount } = config;
    const sizes = [threads, vocabSize, width, ffnWidth, blockCount, headCount, length, batch, steps, numbers];
    const { stdout, stderr, status } = spawnSync(`${values.peer} ${sizes.join(' ')}`, {
      shell: true,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(stderr);
    const line = stdout.split('\n').findLast((each) => each.startsWith('{'));
    if (!line) throw new Error(`--peer: expected a line of JSON, found ${JSON.stringify(stdout)}`);
    console.log(line);
    const peer = JSON.parse(line) as {
      peer: string;
      median_tokens_per_second: number;
      tokens_per_processor_second: number;
    };
    names.peer = peer.peer;
    const rate = values.processor ? peer.tokens_per_processor_second : peer.median_tokens_per_second;
    peerRates.set(numbers, [...(peerRates.get(numbers) ?? []), rate]);
  }
}
if (values.peer) {
  const section = toSection({
    title: `Training beside ${names.peer!.split(' ')[0]}, shape ${values.shape}, threads: ${threads}${values.processor ? ', by processor time' : ''}`,
    command: [
      'node bench/training.ts',
      ...process.argv.slice(2).map((word) => (word.includes(' ') ? `"${word}"` : word)),
    ].join(' '),
    machine: describeMachine(),
    versions: names,
    comparisons: [...results].map(([way, ours]) => {
      const numbers = numbersOf(way);
      return { test: `${way}, ${numbers}`, threads, ours, theirs: peerRates.get(numbers)! };
    }),
  });
  console.log(section);
  if (values.write) updateResults(section);
} else for (const [way, rates] of results) console.log(`${way}: ${median(rates)} tokens/s (${rates.join(', ')})`);

async function measure(way: string) {
  const spent = new Map<string, number>();
  const watch = (task: string, work: () => void) => {
    const from = performance.now();
    work();
    spent.set(task, (spent.get(task) ?? 0) + performance.now() - from);
  };
  const compiled = kernelsForThisMachine({ threads, revectorize: way !== 'wasm128', blas: null, training: true });
  const native = nativeForThisMachine(compiled.kernels, !way.startsWith('wasm'));
  const device = await createWasmDevice({
    threads,
    host: nodeThreads,
    ...compiled,
    native: native.kernels,
    blas: way === 'blas' ? loadBlas() : way === 'bf16' ? needBf16() : null,
    watch: values.tasks ? watch : null,
  });
  const { model, parameters } = placeModel(device, config, initialWeights(config, 1));
  const recompute = values.recompute as Recompute;
  const optimizer = { matrices: values.matrices as OptimizerOptions['matrices'] };
  const trainer = new StepTrainer(device, model, parameters, { schedule: () => 5e-4, recompute, optimizer });
  const random = new Random(1);
  const ids = Uint32Array.from({ length: batch * length }, () => random.below(config.vocabSize));
  const seconds: number[] = [];
  const processor: number[] = [];
  for (let step = 0; step < steps + 2; step++) {
    if (step === 2) spent.clear();
    const from = performance.now();
    const before = process.cpuUsage();
    await trainer.step([{ ids, rows: batch, length }]);
    if (step < 2) continue;
    seconds.push((performance.now() - from) / 1000);
    const { user, system } = process.cpuUsage(before);
    processor.push((user + system) / 1e6);
  }
  const tasks = values.tasks && breakdown(spent, seconds);
  seconds.sort((a, b) => a - b);
  const tokensPerSecond = ids.length / seconds[seconds.length >> 1]!;
  const memory = device.memory();
  const mib = (bytes: number) => Math.round(bytes / 2 ** 20);
  const limit = parameterCount(config) * 16 + config.blockCount * length * config.width * 4 * batch + 300e6;
  const estimate = estimateMemory(config, Math.min(ids.length, Math.max(PASS_TOKENS, length)), recompute);
  return {
    way,
    device: device.description,
    parameters: parameterCount(config),
    threads,
    length,
    batch,
    recompute,
    tokensPerSecond: Math.round(tokensPerSecond),
    fastest: Math.round(ids.length / seconds[0]!),
    tokensPerProcessorSecond: Math.round(ids.length / median(processor)),
    gflops: Math.round((tokensPerSecond * flopsPerToken(config, length)) / 1e9),
    memoryMib: mib(memory.allocated + memory.arena),
    estimateMib: mib(estimate.parameters + estimate.activations),
    checkpointingLimitMib: mib(limit),
    processMib: mib(process.memoryUsage.rss()),
    ...(tasks && { tasks }),
  };
}

/** Milliseconds a step by task, the largest first. */
function breakdown(spent: ReadonlyMap<string, number>, seconds: readonly number[]): Record<string, number> {
  const all = seconds.reduce((sum, s) => sum + s * 1000, 0);
  const other = all - [...spent.values()].reduce((sum, ms) => sum + ms, 0);
  const sorted = [...spent, ['other', other] as const].sort((a, b) => b[1] - a[1]);
  return Object.fromEntries(sorted.map(([name, ms]) => [name, Number((ms / seconds.length).toFixed(1))]));
}
