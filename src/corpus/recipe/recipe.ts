/**
 * A recipe: the whole of a corpus in one file, checked before anything runs. `parseRecipe` reports every problem at once.
 * Paths are below the input folder, which may be an address (`s3://…`, `https://…`, `hf://datasets/…`), as may each path. See recipes/ for complete ones.
 */
import { ConfigError } from '../../base/errors.ts';
import { supervisedDefaults } from '../language/fasttext-train.ts';
import { type ReaderChoice, readerRule } from '../readers/table.ts';
import { modelsOf, type StageChoice, stageRule } from '../stages/table.ts';
import {
  type Checked,
  choice,
  flag,
  integer,
  isPlainObject,
  list,
  number,
  object,
  optional,
  type Rule,
  record,
  tagged,
  text,
} from './schema.ts';

const material = object({
  reader: readerRule as Rule<ReaderChoice>,
  files: list(text),
  stages: optional(list(stageRule), []),
});

const modelTable = {
  /** A fastText file to read. */
  fasttext: { options: object({ file: text }) },
  /** An ARPA file or a binary file of KenLM to read, with the SentencePiece model that cuts its words. */
  ngram: { options: object({ file: text, pieces: text }) },
  /** A modified Kneser–Ney model to train, on the pieces of these texts. */
  'train-ngram': {
    options: object({
      from: material,
      pieces: text,
      order: optional(integer({ min: 1, max: 8 }), 5),
      maximumLines: optional(integer({ min: 1 }), 1_000_000),
      /** Training ends at the line that would exceed it, and the report says so. 80 bytes each: 1.2 GB. */
      maximumNgrams: optional(integer({ min: 1 }), 15_000_000),
    }),
  },
  /** Runs of words of evaluation sets, for `decontaminate`: tasks of `cria eval` by name, and texts of one's own. */
  'evaluation-sets': {
    options: object({
      tasks: optional(list(text), []),
      /** Where their data lies: folders below the input folder, or TASK=FILE, as `cria eval --data`. */
      data: optional(list(text), []),
      texts: optional(record(material), {}),
      words: optional(integer({ min: 3, max: 100 }), 13),
    }),
  },
  /** A fastText classifier to train; one label per kind of text. */
  'train-classifier': {
    options: object({
      labels: record(material),
      dim: optional(integer({ min: 1, max: 4096 }), supervisedDefaults.dim),
      epochs: optional(integer({ min: 1 }), supervisedDefaults.epochs),
      learningRate: optional(number({ min: 0 }), supervisedDefaults.learningRate),
      wordNgrams: optional(integer({ min: 1, max: 5 }), supervisedDefaults.wordNgrams),
      minCount: optional(integer({ min: 1 }), supervisedDefaults.minCount),
      maximumDocuments: optional(integer({ min: 1 }), 300_000),
    }),
  },
};

const selection = object({
  attribute: text,
  minimum: optional(number()),
  maximum: optional(number()),
  in: optional(list(text)),
  /** What becomes of documents without the attribute. */
  missing: optional(choice(['keep', 'drop']), 'drop'),
});

const source = object({
  reader: readerRule as Rule<ReaderChoice>,
  files: list(text),
  /** Only the largest files, as LLaMA takes the 28 largest StackExchange sites. */
  largest: optional(integer({ min: 1 })),
  stages: optional(list(stageRule), []),
  /** Thresholds over attributes, applied when tokens are made: changing one repeats nothing before it. */
  select: optional(list(selection), []),
  /** Share of the mixture; shares are relative to their sum. */
  weight: optional(number({ min: 0 }), 1),
  /** Passes over the source's own tokens; with automatic length, the most that is allowed. */
  epochs: optional(number({ min: 0 }), 1),
});

const recipeRule = object({
  name: text,
  input: text,
  output: text,
  seed: optional(integer({ max: 2 ** 32 - 1 }), 1),
  /** Small files share a unit of work up to this size; a larger file is a unit by itself. */
  unitBytes: optional(integer({ min: 1 }), 64 * 2 ** 20),
  maximumRecordBytes: optional(integer({ min: 1024, max: 2 ** 29 }), 32 * 2 ** 20),
  /** Slices of the hash space when duplicates are merged; more use more cores. */
  dedupSlices: optional(integer({ min: 1, max: 256 }), 4),
  /** Runs of hashes that one merge opens; more are merged as a tree, with the same outcome. */
  mergeWidth: optional(integer({ min: 2, max: 1000 }), 500),
  models: optional(record(tagged(modelTable, 'model')), {}),
  sources: record(source),
  tokens: optional(
    object({
      tokenizer: text,
      bos: optional(flag, true),
      eos: optional(flag, true),
      shardTokens: optional(integer({ min: 1, max: 2 ** 31 }), 2 ** 27),
      /** weights: the sources' shares · natural: everything, `epochs` times */
      mixture: optional(choice(['weights', 'natural']), 'weights'),
      /** Length of the mixture; without it, the longest that no source's `epochs` forbids. */
      total: optional(integer({ min: 1 })),
    }),
  ),
});

export type Recipe = Checked<typeof recipeRule>;
export type SourceRecipe = Recipe['sources'][string];
export type ModelRecipe = Recipe['models'][string];
export type Material = Checked<typeof material>;
export type Selection = Checked<typeof selection>;

/** Checks a parsed YAML or JSON value. Throws ConfigError with all problems. */
export function parseRecipe(value: unknown, where: string): Recipe {
  const problems: string[] = [];
  const recipe = recipeRule.check(value, '', problems);
  if (recipe && problems.length === 0) checkReferences(recipe, problems);
  if (!recipe || problems.length > 0) throw new ConfigError(where, problems, 'recipe.invalid');
  return recipe;
}

/** Names that point nowhere, and models of the wrong kind. */
function checkReferences(recipe: Recipe, problems: string[]): void {
  if (Object.keys(recipe.sources).length === 0) problems.push('sources: there are none');
  if (recipe.tokens?.mixture === 'natural' && recipe.tokens.total !== undefined)
    problems.push(
      'tokens.total has no meaning with mixture: natural, which takes everything `epochs` times; leave it out, or set mixture: weights',
    );
  for (const [name, each] of Object.entries(recipe.sources)) {
    if (!/^[a-z0-9][a-z0-9_-]{0,63}$/i.test(name)) problems.push(`sources.${name}: names are letters, digits, - and _`);
    if (each.files.length === 0) problems.push(`sources.${name}.files is empty`);
    checkStages(each.stages, `sources.${name}`, recipe, problems);
    for (const [i, rule] of each.select.entries()) {
      if (rule.minimum !== undefined || rule.maximum !== undefined || rule.in) continue;
      problems.push(`sources.${name}.select[${i}] needs minimum, maximum or in`);
    }
  }
  for (const [name, model] of Object.entries(recipe.models)) {
    const materials =
      model.name === 'train-ngram'
        ? [model.options.from]
        : model.name === 'train-classifier'
          ? Object.values(model.options.labels)
          : model.name === 'evaluation-sets'
            ? Object.values(model.options.texts)
            : [];
    for (const each of materials) {
      if (each.stages.some((stage) => stage.name.startsWith('dedup-') || modelsOf(stage).length > 0)) {
        problems.push(`models.${name}: training texts are cleaned only by stages without models and without dedup`);
      }
    }
    if (model.name === 'evaluation-sets' && model.options.tasks.length + Object.keys(model.options.texts).length === 0)
      problems.push(`models.${name} needs tasks or texts`);
    if (model.name === 'evaluation-sets' && model.options.tasks.length > 0 && model.options.data.length === 0)
      problems.push(`models.${name}.data must say where the data of its tasks lies`);
    if (model.name === 'train-classifier' && Object.keys(model.options.labels).length < 2)
      problems.push(`models.${name}.labels needs two labels`);
  }
}

function checkStages(stages: readonly StageChoice[], path: string, recipe: Recipe, problems: string[]): void {
  for (const [i, stage] of stages.entries()) {
    for (const name of modelsOf(stage)) {
      const model = Object.hasOwn(recipe.models, name) ? recipe.models[name] : undefined;
      const kind = model && kindOf(model.name);
      if (!model)
        problems.push(
          `${path}.stages[${i}]: there is no model ${name}; models: ${Object.keys(recipe.models).join(', ') || 'none'}`,
        );
      else if (kind !== neededKind(stage.name))
        problems.push(`${path}.stages[${i}]: model ${name} is a ${model.name}, which ${stage.name} cannot use`);
    }
  }
}

function kindOf(model: ModelRecipe['name']): 'ngram' | 'classifier' | 'sets' {
  if (model === 'ngram' || model === 'train-ngram') return 'ngram';
  return model === 'evaluation-sets' ? 'sets' : 'classifier';
}

function neededKind(stage: StageChoice['name']): ReturnType<typeof kindOf> {
  if (stage === 'perplexity') return 'ngram';
  return stage === 'decontaminate' ? 'sets' : 'classifier';
}

/** Sets `a.b.c` in a plain recipe value before it is checked; the value is read as YAML by the caller. */
export function setRecipeValue(recipe: unknown, path: string, value: unknown): void {
  let at = recipe;
  const keys = path.split('.');
  for (const key of keys.slice(0, -1)) {
    if (!isPlainObject(at)) return;
    if (!isPlainObject(at[key]) && !Array.isArray(at[key])) at[key] = {};
    at = at[key];
  }
  const last = keys.at(-1)!;
  if (Array.isArray(at)) at[Number(last)] = value;
  else if (isPlainObject(at)) at[last] = value;
}
