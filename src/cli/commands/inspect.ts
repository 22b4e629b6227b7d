import { formatBytes, formatCount } from '../../base/units.ts';
import { contextOf, kvTypeOf } from '../../inference/remote/load-defaults.ts';
import type { KvType } from '../../kernels/ops.ts';
import type { Checkpoint } from '../../model/checkpoint/checkpoint.ts';
import { unusualChoices } from '../../model/choices/describe.ts';
import type { LlamaConfig } from '../../model/config.ts';
import { parameterCount } from '../../model/parameters.ts';
import { openCheckpointAt } from '../../platform/node/files.ts';
import { describeMachine } from '../../platform/node/machine.ts';
import { rowBytes } from '../../tensor/dtype.ts';
import { columnCount, formatShape, rowCount } from '../../tensor/tensor.ts';
import { fitOf, speedOf } from '../bench/fit.ts';
import { measureLimits } from '../bench/limits/limits.ts';
import { unusualOf } from '../bench/unusual.ts';
import { defineCommand } from '../command.ts';
import { type Io, writeJson, writeLine } from '../io.ts';
import { resolveModel } from '../model-name.ts';
import { modelOption, modelOptions, openOptions, openOptionsOf } from '../model-options.ts';
import { alignColumns } from '../terminal/columns.ts';

export const command = defineCommand({
  options: {
    model: modelOption,
    ...openOptions,
    context: modelOptions.context,
    kvType: modelOptions.kvType,
    threads: modelOptions.threads,
    speed: { kind: 'flag', default: true, help: 'do not measure this machine: no expected speed' },
    tensors: { kind: 'flag', default: true, help: 'leave the list of tensors out' },
    json: { kind: 'flag', help: 'one JSON object, with every value in full' },
  },
  positionals: ['model'],
  examples: [
    ['inspect model.gguf', 'configuration, whether it fits here and how fast, what is unusual, metadata and tensors'],
    ['inspect model.gguf -c 32768 --kv-type q8_0 --no-tensors', 'the same for a long context'],
    ['inspect model.gguf --json', 'the same for programs'],
  ],
  async run(options, io) {
    const checkpoint = openCheckpointAt(resolveModel(options.model), openOptionsOf(options));
    try {
      const summary = { ...summarize(checkpoint), ...(await judge(checkpoint, options)) };
      if (options.json) writeJson(io.stdout, options.tensors ? summary : { ...summary, tensors: undefined });
      else print(summary, options.tensors, io);
    } finally {
      checkpoint.close();
    }
  },
});

/** All that can be said without reading a weight. */
export function summarize(checkpoint: Checkpoint) {
  const { name, format, config, tokenizer, chatTemplate, generation } = checkpoint;
  const tensors = [...checkpoint.tensors].map(([parameter, { name, dtype, shape }]) => ({
    name,
    parameter,
    dtype,
    shape,
    bytes: rowBytes(dtype, columnCount(shape)) * rowCount(shape),
  }));
  return {
    name,
    format,
    parameters: parameterCount(config),
    bytes: tensors.reduce((sum, { bytes }) => sum + bytes, 0),
    config,
    tokenizer: tokenizer && { kind: tokenizer.kind, file: tokenizer.file },
    chatTemplate,
    generation: { ...generation, suggestions: Object.fromEntries(generation.suggestions) },
    metadata: Object.fromEntries(checkpoint.metadata),
    tensors,
  };
}

/** What it takes on this machine, and what is unusual about it. */
async function judge(
  checkpoint: Checkpoint,
  options: {
    readonly context: number | undefined;
    readonly kvType: KvType | undefined;
    readonly threads: number | undefined;
    readonly speed: boolean;
  },
) {
  const machine = describeMachine();
  const threads = options.threads ?? machine.physicalCores;
  const contextLength = contextOf(checkpoint.config, options.context ?? null);
  const kvType = options.kvType ?? kvTypeOf(checkpoint);
  const fit = fitOf(checkpoint, { contextLength, kvType, freeBytes: machine.freeMemoryBytes });
  const limits = options.speed
    ? await measureLimits(threads, { wide: machine.revectorizer, native: false, what: 'memory' })
    : null;
  return {
    fit,
    speed: limits && speedOf(checkpoint, fit, limits, threads),
    unusual: unusualOf(checkpoint),
  };
}

type Summary = ReturnType<typeof summarize> & Awaited<ReturnType<typeof judge>>;

function fitRows({ fit, speed, config }: Summary): string[][] {
  const { contextLength, kvType, weightBytes, cacheBytes, scratchBytes, totalBytes, freeBytes, longestContext } = fit;
  const parts = `${formatBytes(weightBytes)} weights + ${formatBytes(cacheBytes)} cache + about ${formatBytes(scratchBytes)}`;
  const contexts = Object.entries(longestContext).map(([type, length]) => `${length} in ${type}`);
  const rows = [
    ['memory', `${formatBytes(totalBytes)} for ${contextLength} tokens of context in ${kvType}: ${parts}`],
    [
      'fits here',
      `${fit.fits ? 'yes' : 'NO'}, ${formatBytes(freeBytes)} are free; contexts up to ${contexts.join(', ')}`,
    ],
  ];
  const trained = config.contextLength;
  if (contextLength > trained) {
    rows.push(['too long', `the model was made for ${trained} tokens; beyond, it needs --rope-scaling to make sense`]);
  }
  if (speed) {
    const rate = (value: number) => (value < 10 ? value.toFixed(1) : String(Math.round(value)));
    const [first, last] = [rate(speed.tokensPerSecond), rate(speed.tokensPerSecondAtEnd)];
    const range = first === last ? first : `${first}, ${last} at the end of the context,`;
    const read = `${formatBytes(speed.bytesPerToken)} a token at ${(speed.readBytesPerSecond / 1e9).toFixed(1)} GB/s`;
    rows.push([
      'speed here',
      `at most about ${range} tokens/s with ${speed.threads} threads (memory: ${read}, measured now)`,
    ]);
  }
  return rows;
}

function print(summary: Summary, withTensors: boolean, io: Io): void {
  const width = io.stdout.columns ?? 100;
  const { config, tensors, metadata } = summary;
  const bits = (summary.bytes * 8) / summary.parameters;
  writeLine(io.stdout, summary.name.replaceAll(/\s+/g, ' '));
  const facts = [
    ['format', summary.format],
    [
      'size',
      `${formatCount(summary.parameters)} parameters, ${formatBytes(summary.bytes)}, ${bits.toFixed(2)} bits each`,
    ],
    ...configRows(config),
    ['tokenizer', summary.tokenizer ? `${summary.tokenizer.kind} (${summary.tokenizer.file})` : 'none'],
    ['chat template', summary.chatTemplate === null ? 'none' : shorten(summary.chatTemplate, width - 20)],
  ];
  facts.push(...fitRows(summary));
  writeLine(io.stdout, alignColumns(facts.map(([key, value]) => [`  ${key}`, value!])));
  if (summary.unusual.length > 0) {
    writeLine(io.stdout, '\nunusual');
    for (const text of summary.unusual) writeLine(io.stdout, `  ${text}`);
  }
  if (Object.keys(metadata).length > 0) {
    writeLine(io.stdout, '\nmetadata');
    const rows = Object.entries(metadata).map(([key, value]) => [`  ${key}`, value] as const);
    const column = Math.max(...rows.map(([key]) => key.length)) + 2;
    writeLine(io.stdout, alignColumns(rows.map(([key, value]) => [key, shorten(value, width - column)])));
  }
  if (withTensors) {
    writeLine(io.stdout, '\ntensors');
    const rows = tensors.map(({ name, dtype, shape, bytes }) => [
      `  ${name}`,
      dtype,
      formatShape(shape),
      formatBytes(bytes),
    ]);
    writeLine(io.stdout, alignColumns(rows, [3]));
  }
}

function configRows(config: LlamaConfig): string[][] {
  const { width, blockCount, headCount, kvHeadCount, headSize, ffnWidth, vocabSize, contextLength } = config;
  const { ropeTheta, ropeScaling, norm, normPlacement, normEps, activation, positions } = config;
  const scaling = ropeScaling.kind === 'none' ? '' : `, scaling ${ropeScaling.kind}`;
  const extras = unusualChoices(config);
  return [
    ['relative', config.family],
    ['shape', `${blockCount} blocks of width ${width}, feed-forward ${ffnWidth} (${activation})`],
    ['attention', `${headCount} heads of ${headSize}, ${kvHeadCount} for keys and values`],
    ['vocabulary', String(vocabSize)],
    [
      'context',
      `${contextLength} tokens, ${positions === 'rope' ? `rope theta ${ropeTheta}${scaling}` : `positions ${positions}`}`,
    ],
    ['norm', `${norm}${/before|after/.test(normPlacement) ? `, ${normPlacement} each layer` : ''}, eps ${normEps}`],
    ...(extras.length > 0 ? [['also', extras.join(', ')]] : []),
  ];
}

/** A value on one line. Arrays are described; strings are cut. */
function shorten(value: unknown, width: number): string {
  const isArray = Array.isArray(value) || ArrayBuffer.isView(value);
  const list = isArray ? (value as ArrayLike<unknown>) : null;
  const text =
    list && list.length > 8
      ? `${list.length} values: ${JSON.stringify(Array.from({ length: 6 }, (_, i) => list[i])).slice(1, -1)}, …`
      : typeof value === 'bigint'
        ? value.toString()
        : (JSON.stringify(list ? Array.from(list) : value) ?? 'undefined');
  return text.length > Math.max(20, width) ? `${text.slice(0, Math.max(20, width) - 1)}…` : text;
}
