import { deepStrictEqual, strictEqual, throws } from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { ConfigError } from '../../base/errors.ts';
import { ccnetCutoffs } from '../stages/perplexity.ts';
import { parseRecipe, setRecipeValue } from './recipe.ts';

const recipes = new URL('../../../recipes/', import.meta.url);

function problemsOf(value: unknown): readonly string[] {
  try {
    parseRecipe(value, 'r.yaml');
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

test('every problem of a recipe is said at once, with the nearest name', () => {
  deepStrictEqual(
    problemsOf({
      name: 'x',
      input: 'i',
      output: 'o',
      sed: 3,
      unitBytes: 'many',
      sources: {
        web: {
          reader: 'weet',
          files: [],
          stages: ['dedup-line', { 'minimum-length': { character: 3 } }, { language: { model: 'lid' } }],
        },
        'a b': { reader: { warc: { records: 'respons' } }, files: ['x'], select: [{ attribute: 'a' }] },
      },
    }),
    [
      'sed is not known (did you mean seed?)',
      'unitBytes must be a whole number of at least 1, got "many"',
      'sources.web.reader: weet is not a reader (did you mean wet?)',
      'sources.web.stages[0]: dedup-line is not a stage (did you mean dedup-lines?)',
      'sources.web.stages[1].minimum-length.character is not known (did you mean characters?)',
      'sources.a b.reader.warc.records must be one of conversion, response, both; got "respons" (did you mean response?)',
    ],
  );
});

test('names that point nowhere, and models of the wrong kind, are found before anything runs', () => {
  deepStrictEqual(
    problemsOf({
      name: 'x',
      input: 'i',
      output: 'o',
      models: {
        lid: { fasttext: { file: 'a' } },
        lm: { ngram: { file: 'a', pieces: 'b' } },
        one: { 'train-classifier': { labels: { a: { reader: 'text', files: ['x'], stages: ['dedup-lines'] } } } },
      },
      sources: {
        web: {
          reader: 'wet',
          files: [],
          stages: [
            { language: { model: 'lm' } },
            { perplexity: { models: { en: 'lid' } } },
            { language: { model: 'no' } },
          ],
        },
        'a b': { reader: 'wet', files: ['x'], select: [{ attribute: 'a' }] },
      },
    }),
    [
      'sources.web.files is empty',
      'sources.web.stages[0]: model lm is a ngram, which language cannot use',
      'sources.web.stages[1]: model lid is a fasttext, which perplexity cannot use',
      'sources.web.stages[2]: there is no model no; models: lid, lm, one',
      'sources.a b: names are letters, digits, - and _',
      'sources.a b.select[0] needs minimum, maximum or in',
      'models.one: training texts are cleaned only by stages without models and without dedup',
      'models.one.labels needs two labels',
    ],
  );
});

test('defaults are the papers’', () => {
  const recipe = parseRecipe(
    {
      name: 'x',
      input: 'i',
      output: 'o',
      sources: { a: { reader: 'wet', files: ['x'], stages: ['minimum-length', 'dedup-lines', 'c4', 'github'] } },
    },
    'r',
  );
  const [length, dedup, c4] = recipe.sources.a!.stages as { options: Record<string, unknown> }[];
  strictEqual(length!.options.characters, 300);
  deepStrictEqual([dedup!.options.keep, dedup!.options.normalise, dedup!.options.group], ['none', 'ccnet', 50]);
  strictEqual(c4!.options.variant, 'paper');
  deepStrictEqual(ccnetCutoffs.en, [340, 520]);
});

test('a setting on the command line reaches any depth', () => {
  const value = { sources: { a: { stages: [{ c4: {} }] } } };
  setRecipeValue(value, 'sources.a.weight', 3);
  setRecipeValue(value, 'sources.a.stages.0', 'latex');
  setRecipeValue(value, 'tokens.bos', false);
  deepStrictEqual(value, { sources: { a: { stages: ['latex'], weight: 3 } }, tokens: { bos: false } });
});

for (const file of readdirSync(recipes).filter((name) => name.startsWith('corpus'))) {
  test(`recipes/${file} is right`, () => {
    parseRecipe(parse(readFileSync(new URL(file, recipes), 'utf8')), file);
  });
}

test('LLaMA 1 Table 1: the shares sum to one, and the epochs say 1.4 T tokens', () => {
  const recipe = parseRecipe(parse(readFileSync(new URL('corpus-llama1.yaml', recipes), 'utf8')), 'llama1');
  const weights = Object.values(recipe.sources).map(({ weight }) => weight);
  strictEqual(
    weights.reduce((sum, weight) => sum + weight, 0),
    100,
  );
  deepStrictEqual(
    Object.entries(recipe.sources).map(([name, { weight, epochs }]) => [name, weight, epochs]),
    [
      ['commoncrawl', 67, 1.1],
      ['c4', 15, 1.06],
      ['github', 4.5, 0.64],
      ['wikipedia', 4.5, 2.45],
      ['books', 4.5, 2.23],
      ['arxiv', 2.5, 1.06],
      ['stackexchange', 2, 1.03],
    ],
  );
  throws(() => parseRecipe({}, 'empty'), /name is required[\s\S]*input is required[\s\S]*sources is required/);
});

test('a total length with a natural mixture is refused: it would have no effect', () => {
  const value = {
    name: 'x',
    input: 'i',
    output: 'o',
    sources: { a: { reader: 'text', files: ['x'] } },
    tokens: { tokenizer: 't', mixture: 'natural', total: 5 },
  };
  deepStrictEqual(problemsOf(value), [
    'tokens.total has no meaning with mixture: natural, which takes everything `epochs` times; leave it out, or set mixture: weights',
  ]);
});
