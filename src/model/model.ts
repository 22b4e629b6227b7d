import { ConfigError } from '../base/errors.ts';
import type { Device } from '../devices/device.ts';
import type { AttentionOptions, KvStore } from '../kernels/ops.ts';
import type { TensorSource } from '../tensor/source.ts';
import { formatShape, type Tensor } from '../tensor/tensor.ts';
import { attentionOptionsOf, type Reach, reachOf } from './choices/attention.ts';
import { blockSites, type Dropping, dropAt, EMBEDDING_SITE } from './choices/dropout.ts';
import { type FeedForward, feedForwardOf } from './choices/feed-forward.ts';
import { headInputOf, logitsOf } from './choices/head.ts';
import { normOf, type Step, type Surroundings, surroundingsOf } from './choices/norm.ts';
import { type Embed, embedOf, type RotationsOf, rotationsOf, type Turn, turnOf } from './choices/positions.ts';
import type { LlamaConfig } from './config.ts';
import { type blockTensors, listParameters, type modelTensors } from './parameters.ts';

/** A row of the parameter table is optional in the model exactly when the table says when it is present. */
type Weights<Table> = {
  readonly [key in keyof Table as Table[key] extends { when: unknown } ? never : key]: Tensor;
} & {
  readonly [key in keyof Table as Table[key] extends { when: unknown } ? key : never]?: Tensor;
};

export type BlockWeights = Weights<typeof blockTensors>;
type OuterWeights = Weights<typeof modelTensors>;

/** A block: its weights, and its choices as functions and facts. */
export type Block = BlockWeights & {
  readonly index: number;
  readonly attention: Surroundings & {
    readonly turnQueries: Turn;
    readonly turnKeys: Turn;
    readonly reach: Reach;
    readonly options: AttentionOptions;
  };
  readonly feedForward: Surroundings & { readonly compute: FeedForward };
};

/** A model on a device: its config, its weights under the names of the parameter table, and its choices as functions. */
export type Model = OuterWeights & {
  readonly config: LlamaConfig;
  readonly blocks: readonly Block[];
  readonly embed: Embed;
  readonly rotations: RotationsOf;
  /** The norm behind the last block. */
  readonly norm: Step;
  /** What the output matrix is multiplied with, made from the normalised state; `logits` includes it. */
  readonly headInput: Step;
  /** x_RD → logits_RV */
  readonly logits: Step;
  readonly build: BuildOptions;
};

export interface BuildOptions {
  /** The lab's batch norms take their statistics from the batch and move the running ones: while training. */
  readonly usesBatch?: boolean;
  /** Random zeros in training; absent: none. */
  readonly dropping?: Dropping | undefined;
  /** The longest sequence that will be run, for positions that are stretched by it; absent: none beyond the original context. */
  readonly runLength?: number;
}

/** Assembles a model from tensors by parameter name (`embed_VD`, `blocks.3.wq_QD`). Throws ConfigError listing what is missing or misshapen. */
export function assembleModel(
  config: LlamaConfig,
  tensors: ReadonlyMap<string, Tensor>,
  build: BuildOptions = {},
): Model {
  const problems: string[] = [];
  const blocks: Record<string, Tensor>[] = Array.from({ length: config.blockCount }, () => ({}));
  const outside: Record<string, Tensor> = {};
  for (const { name, key, block, shape } of listParameters(config)) {
    const tensor = tensors.get(name);
    if (!tensor) problems.push(`${name} ${formatShape(shape)} is missing`);
    else if (formatShape(tensor.shape) !== formatShape(shape)) {
      problems.push(`${name} is ${formatShape(tensor.shape)}, expected ${formatShape(shape)}`);
    } else if (block === null) outside[key] = tensor;
    else blocks[block]![key] = tensor;
  }
  if (problems.length > 0) throw new ConfigError('the tensors do not fit the config', problems, 'model.tensors');
  return resolve(config, outside as OuterWeights, blocks as unknown as BlockWeights[], build);
}

/** The same weights, built otherwise. */
export function rebuild(model: Model, build: BuildOptions): Model {
  return resolve(model.config, model, model.blocks, build);
}

/** The same model with other tensors in the place of some. */
export function replaceWeights(model: Model, others: ReadonlyMap<Tensor, Tensor>): Model {
  const replaced = <Some extends object>(weights: Some): Some =>
    Object.fromEntries(
      Object.entries(weights).map(([key, value]) => [key, others.get(value as Tensor) ?? value]),
    ) as Some;
  return resolve(model.config, replaced<OuterWeights>(model), model.blocks.map(replaced<BlockWeights>), model.build);
}

/** Turns the choices of a configuration into functions and facts. */
function resolve(
  config: LlamaConfig,
  weights: OuterWeights,
  blocks: readonly BlockWeights[],
  build: BuildOptions,
): Model {
  const { usesBatch = false, dropping } = build;
  const embed = embedOf(config, weights.embed_VD, weights.positions_CD);
  const dropEmbedding = dropAt(dropping, 'embedding', EMBEDDING_SITE);
  const norm = (gain_D?: Tensor, shift_D?: Tensor, mean_D?: Tensor, variance_D?: Tensor) =>
    normOf(config, { gain_D, shift_D, mean_D, variance_D }, usesBatch);
  return {
    ...weights,
    config,
    build,
    embed: (ops, batch) => dropEmbedding(ops, embed(ops, batch)),
    rotations: rotationsOf(config, build.runLength ?? 0),
    norm: norm(weights.norm_D, weights.normShift_D, weights.normMean_D, weights.normVariance_D),
    headInput: headInputOf(config),
    logits: logitsOf(config, weights.head_VD ?? weights.embed_VD),
    blocks: blocks.map((w, index) => ({
      ...w,
      index,
      attention: {
        ...surroundingsOf(config, {
          branch: dropAt(dropping, 'residual', blockSites(index).attention),
          own: norm(w.attnNorm_D, w.attnNormShift_D, w.attnNormMean_D, w.attnNormVariance_D),
          output: norm(w.attnOutNorm_D),
        }),
        turnQueries: turnOf(config, index, 'queries', w.qNorm_E ?? w.qNorm_Q),
        turnKeys: turnOf(config, index, 'keys', w.kNorm_E ?? w.kNorm_P),
        reach: reachOf(config, index),
        options: attentionOptionsOf(config, index, w.sinks_H, dropping),
      },
      feedForward: {
        ...surroundingsOf(config, {
          branch: dropAt(dropping, 'residual', blockSites(index).feedForward),
          own: norm(w.ffnNorm_D, w.ffnNormShift_D, w.ffnNormMean_D, w.ffnNormVariance_D),
          output: norm(w.ffnOutNorm_D),
        }),
        compute: feedForwardOf(config, w),
      },
    })),
  };
}

/**
 * Lets the device make room for the weights, before loadModel; for `more`, which will be placed after them, and for the cache.
 * `onProgress` hears of kernels that are compiled.
 */
export async function prepareModel(
  device: Device,
  config: LlamaConfig,
  sources: ReadonlyMap<string, TensorSource>,
  more: readonly (readonly [source: TensorSource, layer: number | null])[] = [],
  cache?: Omit<KvStore, 'blockTokens'>,
  onProgress?: (done: number, total: number) => void,
): Promise<void> {
  await device.prepare?.([...weightsOf(config, sources), ...more], cache, onProgress);
}

/** A model's weights in the order in which they are placed, each with its block. */
export function weightsOf(
  config: LlamaConfig,
  sources: ReadonlyMap<string, TensorSource>,
): (readonly [source: TensorSource, layer: number | null])[] {
  return listParameters(config).flatMap(({ name, block }) => {
    const source = sources.get(name);
    return source ? [[source, block] as const] : [];
  });
}

/** Streams every weight onto the device. `onProgress` hears of how many are placed. */
export function loadModel(
  device: Device,
  config: LlamaConfig,
  sources: ReadonlyMap<string, TensorSource>,
  onProgress: (done: number, total: number) => void = () => {},
  build: BuildOptions = {},
): Model {
  const tensors = new Map<string, Tensor>();
  const parameters = listParameters(config);
  for (const [i, { name, block }] of parameters.entries()) {
    const source = sources.get(name);
    if (source) tensors.set(name, device.placeWeight(source, block));
    onProgress(i + 1, parameters.length);
  }
  return assembleModel(config, tensors, build);
}

/** The running statistics of a model's batch norms. */
export function statisticsOf(model: Model): Tensor[] {
  return listParameters(model.config)
    .filter(({ spec }) => spec.statistic !== undefined)
    .map(({ key, block }) => {
      const place: Readonly<Partial<Record<string, unknown>>> = block === null ? model : model.blocks[block]!;
      return place[key] as Tensor;
    });
}
