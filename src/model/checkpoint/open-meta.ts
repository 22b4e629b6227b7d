/**
 * Meta's own checkpoints: params.json and consolidated.NN.pth, one file per model-parallel rank. Each rank holds a slice of
 * every projection (parameters.ts says along which axis) and a copy of every norm.
 */
import { ConfigError, FormatError } from '../../base/errors.ts';
import { type MetaParams, parseMetaParams } from '../../formats/config/meta-params.ts';
import { readTorch } from '../../formats/torch/torch.ts';
import type { ByteSource, FileFolder, TensorSource } from '../../tensor/source.ts';
import { formatShape } from '../../tensor/tensor.ts';
import { type LlamaConfig, paperChoices, type RopeScaling } from '../config.ts';
import { foreignName, listParameters } from '../parameters.ts';
import { type Checkpoint, checkConfig, noGeneration, type OpenFiles } from './checkpoint.ts';
import { findChatTemplate, findTokenizer, textOf } from './find-tokenizer.ts';
import { JoinedColumns, StackedRows } from './layout/row-sources.ts';
import { matchTensors } from './match.ts';

type Tensors = ReadonlyMap<string, TensorSource>;
export const shardName = /^consolidated\.(\d{2,3})\.pth$/;

/** `single`: the one file that was named, or null to open all consolidated.NN.pth of the folder. */
export function openMeta(folder: FileFolder, single: ByteSource | null, files: OpenFiles): Checkpoint {
  const text = textOf(folder, 'params.json');
  if (text === null) {
    throw new FormatError(
      { code: 'checkpoint.no-config', file: folder.name, where: 'params.json' },
      'expected params.json beside the weights, found none',
      'Weights alone do not say how many heads they have; put params.json into the same folder.',
    );
  }
  const params = parseMetaParams('params.json', text);
  const shards = (single === null ? openShards(folder, files) : [single]).map((source) => readTorch(source).tensors);
  const config = checkConfig('params.json', configOf(params, shards));
  return {
    format: 'meta',
    name: folder.name,
    config,
    tensors: matchTensors({
      file: single?.name ?? 'consolidated.*.pth',
      config,
      names: 'meta',
      rotary: 'pairs',
      found: joinShards(config, shards),
      ignore: isBuffer,
    }),
    tokenizer: findTokenizer(folder),
    chatTemplate: findChatTemplate(folder),
    generation: noGeneration,
    metadata: new Map<string, unknown>([...Object.entries(params), ['shards', shards.length]]),
    notes: [],
    close: () => files.close(),
  };
}

/** Tables that follow from the configuration: the rotary frequencies, and a causal mask. */
function isBuffer(name: string): boolean {
  return (
    name === 'rope.freqs' || name === 'freqs_cos' || name === 'freqs_sin' || /^layers\.\d+\.attention\.mask$/.test(name)
  );
}

function openShards(folder: FileFolder, files: OpenFiles): ByteSource[] {
  const names = folder
    .list()
    .filter((file) => shardName.test(file))
    .sort();
  const expected = names.map((_, i) => `consolidated.${String(i).padStart(2, '0')}.pth`);
  const absent = expected.filter((file) => !names.includes(file));
  if (names.length === 0 || absent.length > 0) {
    throw new FormatError(
      { code: 'checkpoint.no-weights', file: folder.name, where: 'folder' },
      `expected consolidated.00.pth and those that follow it, found ${names.join(', ') || 'none'}`,
      absent.length > 0
        ? `Download ${absent.join(', ')} into the same folder.`
        : 'Download the weights into the same folder.',
    );
  }
  return names.map((file) => files.open(folder, file));
}

/** Sizes that params.json leaves to the tensors: feed-forward width and vocabulary. */
function configOf(params: MetaParams, shards: readonly Tensors[]): LlamaConfig {
  const lengthOf = (name: string, axis: 0 | 1) =>
    shards.reduce((sum, tensors) => sum + (tensors.get(name)?.shape[axis] ?? 0), 0);
  const { width, headCount } = params;
  const embedding = shards[0]!.get('tok_embeddings.weight')?.shape;
  const problems: string[] = [];
  if (embedding?.length !== 2) problems.push('tok_embeddings.weight is missing or no matrix');
  const vocabSize = embedding?.[1] === width ? lengthOf('tok_embeddings.weight', 0) : (embedding?.[0] ?? 1);
  if (params.vocabSize !== null && params.vocabSize !== vocabSize) {
    problems.push(`vocab_size is ${params.vocabSize}, but tok_embeddings.weight has ${vocabSize} rows`);
  }
  const ffnWidth = lengthOf('layers.0.feed_forward.w1.weight', 0);
  if (ffnWidth === 0) problems.push('layers.0.feed_forward.w1.weight is missing');
  if (problems.length > 0) throw new ConfigError('params.json', problems);
  return {
    width,
    blockCount: params.blockCount,
    headCount,
    kvHeadCount: params.kvHeadCount,
    headSize: width / headCount,
    ffnWidth,
    vocabSize,
    contextLength: params.contextLength ?? contextOf(params),
    normEps: params.normEps,
    ropeTheta: params.ropeTheta,
    ropeScaling: scalingOf(params),
    // Meta's Llama 3.2 files, tied as they are, hold the output layer too; others leave it out.
    tiedEmbeddings: !shards[0]!.has('output.weight'),
    attentionBias: false,
    slidingWindow: null,
    ...paperChoices,
  };
}

/** params.json does not say the context; each generation is known by its constants. Source: the model cards. */
function contextOf({ useScaledRope, ropeTheta, normEps }: MetaParams): number {
  if (useScaledRope) return 131_072;
  if (ropeTheta >= 1_000_000) return 16_384; // Code Llama
  if (ropeTheta >= 500_000) return 8192; // Llama 3
  return normEps === 1e-6 ? 2048 : 4096; // LLaMA 1, Llama 2
}

function scalingOf({ useScaledRope, ropeScalingFactor: factor }: MetaParams): RopeScaling {
  if (!useScaledRope) return { kind: 'none' };
  return { kind: 'llama3', factor, lowFreqFactor: 1, highFreqFactor: 4, originalContextLength: 8192 };
}

/** Every parameter's slices under one name; what does not fit is left as it is, for matchTensors to name. */
function joinShards(config: LlamaConfig, shards: readonly Tensors[]): Tensors {
  const [first] = shards as readonly [Tensors, ...Tensors[]];
  if (shards.length === 1) return first;
  const joined = new Map<string, TensorSource>(first);
  const problems: string[] = [];
  for (const { spec, shape, ...parameter } of listParameters(config)) {
    const name = foreignName({ spec, shape, ...parameter }, 'meta');
    if (name === null || spec.shardAxis === undefined || !first.has(name)) continue;
    const parts = shards.flatMap((tensors) => tensors.get(name) ?? []);
    const [part] = parts as [TensorSource];
    // Llama 3 splits the embedding table by rows, LLaMA 1 and 2 by columns: the shapes tell.
    const axis = spec.shardAxis === 1 && part.shape[1] === shape[1] ? 0 : spec.shardAxis;
    const kept = axis === 0 ? 1 : 0;
    if (parts.length !== shards.length) problems.push(`${name} is in ${parts.length} of ${shards.length} files`);
    else if (
      !parts.every((p) => p.shape.length === 2 && p.shape[kept] === part.shape[kept] && p.dtype === part.dtype)
    ) {
      const found = parts.map((p) => `${p.dtype} ${formatShape(p.shape)}`).join(', ');
      problems.push(`${name}: its slices are ${found}, which do not join`);
    } else joined.set(name, axis === 0 ? new StackedRows(parts) : new JoinedColumns(parts));
  }
  if (problems.length > 0) throw new ConfigError('consolidated.*.pth', problems.slice(0, 20), 'checkpoint.tensors');
  return joined;
}
