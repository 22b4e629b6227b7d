/** A model with fresh weights, of a shape as recipes give it: where a program's training begins. */
import { ArgumentError, ConfigError } from '../../base/errors.ts';
import { assertRows } from '../../formats/file-tensor.ts';
import type { TokenizerFiles } from '../../formats/tokenizer-files.ts';
import type { Checkpoint } from '../../model/checkpoint/checkpoint.ts';
import { configProblems } from '../../model/config.ts';
import { listParameters, type Parameter } from '../../model/parameters.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { columnCount } from '../../tensor/tensor.ts';
import { byteVocabulary, LEAST_BYTE_VOCABULARY } from '../../tokenizer/byte-vocabulary.ts';
import { initialWeights } from '../initialize.ts';
import { freshConfig, type Recipe, recipeSchema } from './recipe.ts';
import { check } from './schema.ts';

/** `model` of a recipe of `cria train`: `depth` is the dial, the rest follows from it. */
export type ModelShape = Partial<Omit<Recipe['model'], 'from'>>;

/** A vocabulary that texts are encoded with; null: that of the 256 bytes, which needs no file. */
export interface GivenVocabulary {
  readonly files: TokenizerFiles;
  readonly size: number;
}

/** The weights are functions of the seed, made when they are read. Throws ConfigError `initial-model.shape`, ArgumentError `initial-model.seed`. */
export function initialModel(
  shape: ModelShape,
  seed: number,
  vocabulary: GivenVocabulary | null,
): Pick<Checkpoint, 'name' | 'config' | 'tensors' | 'chatTemplate' | 'tokenizer'> {
  if (!(Number.isSafeInteger(seed) && seed >= 0))
    throw new ArgumentError(
      'initial-model.seed',
      `initialModel: seed is ${seed}, expected a whole number of at least 0.`,
    );
  const problems: string[] = [];
  if ('from' in shape) problems.push('from is of recipes; Trainer.create goes on from a model that is loaded');
  const checked = check(recipeSchema.keys.model, shape, '', problems) as Recipe['model'];
  const { files, size } = vocabulary ?? { files: byteVocabulary(LEAST_BYTE_VOCABULARY), size: LEAST_BYTE_VOCABULARY };
  const config = freshConfig(checked, size, (_name, given, value) => given ?? value);
  if (problems.length === 0) problems.push(...configProblems(config));
  if (problems.length > 0) throw new ConfigError('initialModel', problems, 'initial-model.shape');
  const weightsOf = initialWeights(config, seed);
  const tensors = new Map(listParameters(config).map((one) => [one.name, madeWhenRead(one, weightsOf)]));
  return { name: 'initial', config, tensors, chatTemplate: null, tokenizer: files };
}

function madeWhenRead(parameter: Parameter, weightsOf: (parameter: Parameter) => Float32Array): TensorSource {
  const { name, shape } = parameter;
  const columns = columnCount(shape);
  let made: Float32Array | null = null;
  return {
    name,
    dtype: 'f32',
    shape,
    readRows(target, firstRow, rows) {
      assertRows(this, target, firstRow, rows);
      made ??= weightsOf(parameter);
      const part = made.subarray(firstRow * columns, (firstRow + rows) * columns);
      target.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
    },
  };
}
