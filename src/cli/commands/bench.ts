import { readFileSync } from 'node:fs';
import { UsageError } from '../../base/errors.ts';
import { createWebGpuDevice } from '../../devices/webgpu/device.ts';
import { kvTypeOf } from '../../inference/remote/load-defaults.ts';
import type { ModelFacts } from '../../inference/remote/protocol.ts';
import { KV_BLOCK_TOKENS } from '../../kernels/ops.ts';
import type { OpenOptions } from '../../model/checkpoint/checkpoint.ts';
import { loadModel as placeModel, prepareModel } from '../../model/model.ts';
import { openCheckpointAt } from '../../platform/node/files.ts';
import { createGpu } from '../../platform/node/gpu.ts';
import { describeMachine } from '../../platform/node/machine.ts';
import { packagePath } from '../../platform/node/package-folder.ts';
import { packageVersion } from '../../platform/node/serve/version.ts';
import { countTests, describeCounts, type GpuCounts } from '../bench/gpu-counts.ts';
import { type Limits, measureLimits } from '../bench/limits/limits.ts';
import { contextOf, measure, planTests, type Test, testName } from '../bench/measure.ts';
import { comparedTypes, describeQuality, measureQuality, type Quality, windowsOf } from '../bench/quality.ts';
import { shortestSeconds, type Work, workOf } from '../bench/roofline.ts';
import { benchRow, type Row, toCsv, toMarkdown, withLimit } from '../bench/rows.ts';
import { defineCommand } from '../command.ts';
import { type Io, writeJson, writeLine } from '../io.ts';
import { loadModel } from '../load-model.ts';
import { resolveModel } from '../model-name.ts';
import { draftOption, modelOptions, openOptions, openOptionsOf } from '../model-options.ts';
import type { Options, OptionTable } from '../option-table.ts';
import { startProgress } from '../terminal/progress.ts';

const { model, adapter, device, kvType, blas, revectorize, native } = modelOptions;
const counts = { kind: 'integers', min: 0 } as const;

const options = {
  model,
  adapter,
  draft: draftOption,
  nPrompt: { ...counts, short: 'p', default: [512], help: 'lengths of prompts to read; 0: none' },
  nGen: { ...counts, short: 'n', default: [128], help: 'how many tokens to generate; 0: none' },
  pair: {
    kind: 'texts',
    short: 'pg',
    value: 'P,G',
    check: (text) => (/^\d+,\d+$/.test(text) ? null : 'expected a prompt length and a count of tokens, as in 512,128'),
    help: 'read a prompt of P tokens, then generate G, timed together',
  },
  nDepth: { ...counts, short: 'd', default: [0], help: 'tokens of context before the test begins' },
  sequences: {
    kind: 'integers',
    short: 'np',
    min: 1,
    default: [1],
    help: 'how many sequences generate at the same time in the tests of -n: 1,2,4,8 gives tg128, tg128@2 …',
  },
  threads: { kind: 'integers', short: 't', min: 1, otherwise: 'one per physical core', help: 'threads that compute' },
  repetitions: { kind: 'integer', short: 'r', min: 1, default: 5, help: 'repeats of each test, after one to warm up' },
  output: {
    kind: 'choice',
    short: 'o',
    values: ['md', 'csv', 'json', 'jsonl'],
    default: 'md',
    help: 'how to print the rows',
  },
  batchTokens: { kind: 'integer', short: 'b', min: 1, default: 512, help: 'tokens of a prompt that are read at once' },
  kvType,
  device,
  blas,
  revectorize,
  native,
  ...openOptions,
  roofline: {
    kind: 'flag',
    help: "measure the machine's limits too (memory read, int8 and f32 multiply-adds), and print each row as a share of them",
  },
  quality: {
    kind: 'flag',
    help: 'also the perplexity of a text with keys and values in f16, q8_0 and q4_0: up to 16 windows of 512 tokens',
  },
  file: { kind: 'text', short: 'f', value: 'PATH', otherwise: "Cria's README", help: 'the text of --quality' },
} as const satisfies OptionTable;

export const command = defineCommand({
  options,
  positionals: ['model'],
  details:
    'The rows and field names of llama-bench. Lists with commas give all combinations. With --device webgpu, also what a token costs: ' +
    'dispatches, bytes and arithmetic by kernel, and the time of each where the adapter has a clock.',
  examples: [
    ['bench -m model.gguf -p 128,512 -n 32 -t 1,2', 'six rows'],
    [
      'bench -m model.gguf -p 0 -n 32 -d 0,2048 -o jsonl',
      'decoding without and with a long context, one JSON object a line',
    ],
    ['bench -m model.gguf -p 0 -n 0 --quality -f wiki.test.raw', 'what a quantized cache costs'],
  ],
  async run(options, io) {
    if (options.roofline && options.adapter.length > 0)
      throw new UsageError(["--roofline counts the model's own weights, expected no --adapter with it"]);
    if (options.roofline && options.device === 'webgpu')
      throw new UsageError(["--roofline measures the processor's limits, expected no --device webgpu with it"]);
    if (options.file !== undefined && !options.quality)
      throw new UsageError(['--file is the text of --quality, expected --quality with it']);
    if (options.quality && options.output === 'csv')
      throw new UsageError(['--quality has columns of its own, expected -o md, json or jsonl with it']);
    if (options.quality && options.kvType !== undefined)
      throw new UsageError(['--quality compares all types of the cache, expected no --kv-type with it']);
    const path = resolveModel(options.model);
    const machine = describeMachine();
    const pairs = options.pair.map((text) => text.split(',').map(Number) as [number, number]);
    const tests = planTests(options.nPrompt, options.nGen, pairs, options.nDepth, options.sequences);
    const context = Math.max(...tests.map(contextOf));
    const version = packageVersion();
    const rows: Row[] = [];
    const counts = options.device === 'webgpu' ? await countOnGpu(path, tests, options, io) : [];
    const work = options.roofline ? readWork(path, openOptionsOf(options)) : null;
    let facts: ModelFacts | null = null;
    const threadCounts = options.threads ?? [machine.physicalCores];
    for (const threads of tests.length > 0 ? threadCounts : []) {
      const most = Math.max(...options.sequences);
      const sizes = { maxSequences: most, cacheTokens: most * (context + KV_BLOCK_TOKENS) };
      const model = await loadModel({ ...options, ...sizes, threads, context }, io);
      facts = model.facts;
      try {
        const limits = work ? await measureLimits(threads, limitsOf(facts.device)) : null;
        if (limits) writeLine(io.stderr, describeLimits(threads, limits));
        for (const [i, test] of tests.entries()) {
          const time = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
          const progress = startProgress(io, { what: testName(test), total: options.repetitions, json: false });
          const measured = await measure(model, test, options.repetitions, io.signal, {
            onRepeat: (done) => progress.update(done),
          });
          progress.end();
          const setting = { version, machine, facts, path, threads, batch: options.batchTokens };
          let row: Row = benchRow(setting, measured, time);
          if (counts[i] && test.sequences === 1) row = { ...row, ...counts[i] };
          if (work && limits && test.sequences === 1) {
            const seconds = shortestSeconds(work(facts.kvType), test, options.batchTokens, limits);
            row = withLimit(row, seconds);
          }
          rows.push(row);
          if (options.output === 'jsonl') writeJson(io.stdout, row);
        }
      } finally {
        await model.close();
      }
    }
    const qualities = options.quality
      ? await compareCaches({ ...options, threads: Math.max(...threadCounts) }, io)
      : [];
    print(rows, qualities, options, io);
    if (options.output === 'md') {
      for (const [i, test] of tests.entries())
        if (counts[i] && test.sequences === 1) writeLine(io.stdout, `\n${describeCounts(test, counts[i])}`);
    }
    if (facts && io.stderr.isTTY) writeLine(io.stderr, facts.device);
  },
});

/** Perplexities by type of the cache, the model loaded anew for each. */
async function compareCaches(
  given: Omit<Options<typeof options>, 'threads'> & { readonly threads: number },
  io: Io,
): Promise<Quality[]> {
  const text = readFileSync(given.file ?? packagePath('README.md'), 'utf8');
  const rows: Quality[] = [];
  for (const kvType of comparedTypes) {
    const model = await loadModel({ ...given, kvType, context: undefined }, io);
    try {
      const windows = windowsOf(model, text);
      const progress = startProgress(io, { what: `quality, ${kvType}`, total: windows.length, json: false });
      const row = await measureQuality(model, windows, rows[0] ?? null, io.signal, (done) => progress.update(done));
      progress.end();
      rows.push(row);
      if (given.output === 'jsonl') writeJson(io.stdout, row);
    } finally {
      await model.close();
    }
  }
  return rows;
}

function print(
  rows: readonly Row[],
  qualities: readonly Quality[],
  { output }: Pick<Options<typeof options>, 'output'>,
  io: Io,
): void {
  if (output === 'json') writeJson(io.stdout, [...rows, ...qualities], 2);
  else if (output === 'csv') writeLine(io.stdout, toCsv(rows));
  else if (output === 'md') {
    if (rows.length > 0) writeLine(io.stdout, toMarkdown(rows));
    if (qualities.length > 0) writeLine(io.stdout, `${rows.length > 0 ? '\n' : ''}${describeQuality(qualities)}`);
  }
}

/** The counts of each test, on a device of this process; the model is loaded for it and closed again. */
async function countOnGpu(
  path: string,
  tests: readonly Test[],
  { kvType, batchTokens, ...others }: Options<typeof options>,
  io: Io,
): Promise<GpuCounts[]> {
  if (others.adapter.length > 0)
    writeLine(io.stderr, 'counts per token are of the model without its adapters; speeds are with them');
  const checkpoint = openCheckpointAt(path, openOptionsOf(others));
  const device = await createWebGpuDevice({ gpu: await createGpu(), clock: () => performance.now() });
  try {
    const { config, tensors } = checkpoint;
    await prepareModel(device, config, tensors);
    const runLength = Math.max(...tests.map(contextOf));
    const model = placeModel(device, config, tensors, () => {}, { runLength });
    return await countTests(device, model, tests, { kvType: kvType ?? kvTypeOf(checkpoint), batchTokens });
  } finally {
    device.close();
    checkpoint.close();
  }
}

function readWork(path: string, options: OpenOptions): (kvType: ModelFacts['kvType']) => Work {
  const checkpoint = openCheckpointAt(path, options);
  checkpoint.close();
  return (kvType) => workOf(checkpoint, kvType);
}

function describeLimits(threads: number, { readBytesPerSecond, int8PerSecond, f32PerSecond }: Limits): string {
  const giga = (value: number) => (value / 1e9).toFixed(1);
  const multiplies = `${giga(int8PerSecond)} G int8 and ${giga(f32PerSecond)} G f32 multiply-adds a second`;
  return `limits of ${threads} ${threads === 1 ? 'thread' : 'threads'}: ${giga(readBytesPerSecond)} GB/s read, ${multiplies}`;
}

/** Which kernels multiply, by the device's description. */
const limitsOf = (device: string) => ({ wide: device.includes('256-bit'), native: device.includes('(AVX-512)') });
