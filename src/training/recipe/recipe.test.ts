import { deepEqual, equal, match, ok, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { parse } from 'yaml';
import { ConfigError } from '../../base/errors.ts';
import { estimateMemory, flopsPerToken } from '../run/estimate.ts';
import { reportHtml, reportSvg } from '../run/report.ts';
import { microBatchesAfter } from './batch-ramp.ts';
import { checkRecipe, deriveRecipe, type Recipe, validationNames } from './recipe.ts';
import { setValue } from './schema.ts';

const smallest = {
  name: 'x',
  tokenizer: { path: 't' },
  data: { train: [{ path: 'a' }], valid: 'b' },
};

function problemsOf(recipe: unknown): readonly string[] {
  try {
    checkRecipe(recipe, 'r.yaml');
  } catch (error) {
    ok(error instanceof ConfigError);
    return error.problems;
  }
  return [];
}

test('a recipe names only what it wants to: the rest are defaults', () => {
  const recipe = checkRecipe(smallest, 'r.yaml');
  equal(recipe.training.beta2, 0.95);
  equal(recipe.data.train[0]!.share, 1);
});

test('every problem of a recipe is listed, and a typo gets a suggestion', () => {
  deepEqual(
    problemsOf({
      ...smallest,
      trainin: {},
      model: { depht: 3, width: 1.5 },
      training: { clip: 0, zLoss: -1e-4, schedule: 'liner', tokens: '40_000' },
      data: { train: [] },
    }),
    [
      'trainin is not a setting (did you mean training?)',
      'model.depht is not a setting (did you mean model.depth?)',
      'model.width must be a whole number of at least 1, got 1.5',
      'data.train must be a list with at least one entry, got []',
      'training.tokens must be a whole number of at least 1, got "40_000"',
      'training.schedule must be one of cosine, stable, linear, inverse-sqrt, got "liner"',
      'training.clip must be a number above 0, got 0',
      'training.zLoss must be a number above 0, got -0.0001',
    ],
  );
  deepEqual(problemsOf(7), ['the recipe must be settings by name, got 7']);
});

test('validation sets are one text or several by name, of which one chooses the best', () => {
  const sets = [{ path: 'b' }, { name: 'books', path: 'c', field: 'x' }];
  deepEqual(checkRecipe(smallest, 'r.yaml').data.valid, [{ name: undefined, path: 'b', field: undefined }]);
  const several = checkRecipe({ ...smallest, data: { ...smallest.data, valid: sets } }, 'r.yaml');
  deepEqual(validationNames(several.data), ['validation 1', 'books']);
  const wrong = (valid: unknown, output: object = {}) =>
    problemsOf({ ...smallest, data: { ...smallest.data, valid }, output });
  deepEqual(wrong([...sets, { name: 'books', path: 'd' }]), [
    'data.valid[2].name is books, and an earlier one is, too',
  ]);
  deepEqual(wrong(sets, { bestBy: 'book' }), [
    'output.bestBy is book, expected the name of a validation set: validation 1, books',
  ]);
  deepEqual(wrong(7), ['data.valid must be a text, or a list with at least one entry, got 7']);
  deepEqual(wrong(sets, { bestBy: 'books' }), []);
});

test('settings that contradict each other are refused', () => {
  const averaged = { ...smallest, output: { weights: 'averaged' } };
  match(problemsOf(averaged)[0]!, /output\.weights is averaged, and no average is kept; .*training\.ema=0\.999/);
  deepEqual(problemsOf({ ...averaged, training: { ema: 0.999 } }), []);
  match(
    problemsOf({ ...smallest, training: { headLearningRate: 0.1 } })[0]!,
    /headLearningRate is given, and the head is the embedding matrix; .*model\.tiedEmbeddings=false/,
  );
  deepEqual(problemsOf({ ...smallest, training: { ema: 1 } }), [
    'training.ema must be a number above 0 and at most 0.999999, got 1',
  ]);
});

test('the lab decides sizes too: fewer key and value heads, two matrices in place of three, no gate, a table of positions', () => {
  const derived = (model: object) => deriveRecipe(checkRecipe({ ...smallest, model }, 'r.yaml'), 1000);
  const paper = derived({ width: 96, heads: 4 });
  const lab = derived({
    width: 96,
    heads: 4,
    kvHeads: 1,
    norm: 'layer',
    normPlacement: 'after',
    activation: 'gelu',
    positions: 'learned',
  });
  equal(paper.config.ffnWidth, 256);
  equal(lab.config.ffnWidth, 384);
  ok(lab.notes.includes('ffnWidth 384 (4 · width)'));
  equal(derived({ width: 96, heads: 4, activation: 'geglu' }).config.ffnWidth, 256);
  const block = 2 * 96 * 96 + 2 * 24 * 96 + 2 * 384 * 96 + 4 * 96;
  equal(lab.parameters, (1000 + 256) * 96 + 6 * block + 2 * 96);
  equal(flopsPerToken(lab.config, 10), 6 * (6 * (block - 4 * 96) + 1000 * 96) + 6 * 6 * 10 * 96);
  deepEqual(problemsOf({ ...smallest, model: { norm: 'group', activation: 'swish' } }), [
    'model.norm must be one of rms, layer, batch, got "group"',
    'model.activation must be one of swiglu, geglu, relu, gelu, got "swish"',
  ]);
  throws(() => derived({ width: 90, heads: 6 }), /headSize 15 is odd/);
  equal(derived({ width: 90, heads: 6, positions: 'sinusoidal' }).config.headSize, 15);
});

test('--set reaches into groups and lists', () => {
  const value: Record<string, unknown> = structuredClone(smallest);
  equal(setValue(value, 'training.tokens=5', parse), null);
  equal(setValue(value, 'data.train.0.path=elsewhere', parse), null);
  match(setValue(value, 'name.x=1', parse)!, /name is a value/);
  equal(setValue(value, 'data.train.1.path=second', parse), null);
  match(
    setValue(value, 'data.train.5.path=x', parse)!,
    /data\.train is a list of 2 entries, expected data\.train\.N with N from 0 to 2/,
  );
  match(setValue(value, 'data.train.first.path=x', parse)!, /expected data\.train\.N/);
  match(setValue(value, 'no-value', parse)!, /expected KEY=VALUE/);
  match(setValue(value, '__proto__.x=1', parse)!, /no such setting/);
  const recipe = checkRecipe(value, 'r.yaml');
  equal(recipe.training.tokens, 5);
  equal(recipe.data.train[0]!.path, 'elsewhere');
});

const recipeOfDepth = (depth: number, contextLength = 256): Recipe =>
  checkRecipe({ ...smallest, model: { depth, contextLength } }, 'r.yaml');

test('the dial gives the shapes that it is pinned to: 7.2M at depth 6, LLaMA 7B at depth 32', () => {
  const small = deriveRecipe(recipeOfDepth(6), 4096);
  deepEqual([small.config.width, small.config.headCount, small.config.ffnWidth], [288, 6, 768]);
  equal(small.parameters, 7_155_360);
  const large = deriveRecipe(recipeOfDepth(32, 2048), 32000);
  deepEqual([large.config.width, large.config.headCount, large.learningRate], [4096, 32, 3e-4]);
  equal(large.batchTokens, 4_194_304);
  equal(large.warmupSteps, Math.ceil(large.totalSteps * 0.02));
  equal(large.totalSteps, Math.ceil((20 * large.parameters) / 4_194_304));
  ok(small.notes.some((note) => note.startsWith('learningRate')));
});

test('one rate of dropout is for all places; two have rates of their own', () => {
  const of = (training: object) => deriveRecipe(checkRecipe({ ...smallest, seed: 3, training }, 'r.yaml'), 100).dropout;
  equal(of({}), null);
  equal(of({ dropout: 0 }), null);
  deepEqual(of({ dropout: 0.1 }), { rates: { embedding: 0.1, attention: 0.1, residual: 0.1 }, seed: 3 });
  deepEqual(of({ dropout: 0.1, attentionDropout: 0, embeddingDropout: 0.2 }), {
    rates: { embedding: 0.2, attention: 0, residual: 0.1 },
    seed: 3,
  });
  deepEqual(problemsOf({ ...smallest, training: { dropout: 1 } }), [
    'training.dropout must be a number of at least 0 and at most 0.9, got 1',
  ]);
});

test('rates of their own are factors on the learning rate', () => {
  const training = { learningRate: 0.5, embeddingLearningRate: 1, headLearningRate: 0.05 };
  const recipe = checkRecipe({ ...smallest, model: { tiedEmbeddings: false }, training }, 'r.yaml');
  deepEqual(deriveRecipe(recipe, 100).rateScales, { embed_VD: 2, positions_CD: 2, head_VD: 0.1 });
  deepEqual(deriveRecipe(recipeOfDepth(6), 100).rateScales, {});
});

test('a batch that grows does so by whole micro-batches over the first tokens, and the steps are counted accordingly', () => {
  const training = {
    tokens: 40_000,
    batchTokens: 2048,
    microBatchTokens: 512,
    rampFromTokens: 600,
    rampTokens: 10_000,
  };
  const { ramp, totalSteps, totalTokens } = deriveRecipe(checkRecipe({ ...smallest, training }, 'r.yaml'), 100);
  deepEqual(ramp, { first: 1, full: 4, rampTokens: 10_000 });
  const batches: number[] = [];
  for (let seen = 0; seen < 40_000; seen += batches.at(-1)! * 512) {
    batches.push(seen >= 10_000 ? 4 : 1 + Math.floor((3 * seen) / 10_000));
    equal(microBatchesAfter(seen, ramp), batches.at(-1));
  }
  equal(totalSteps, batches.length);
  equal(
    totalTokens,
    batches.reduce((sum, count) => sum + count * 512, 0),
  );
  deepEqual([...new Set(batches)], [1, 2, 3, 4]);
  const plain = deriveRecipe(recipeOfDepth(6), 4096);
  equal(plain.totalTokens, plain.totalSteps * plain.batchTokens);
  deepEqual(problemsOf({ ...smallest, training: { rampTokens: 5 } }), [
    'training.rampTokens is given, and training.rampFromTokens is not: a batch that grows needs both',
  ]);
  deepEqual(problemsOf({ ...smallest, training: { rampFromTokens: 50, rampTokens: 5, batchTokens: 10 } }), [
    'training.rampFromTokens is 50, more than training.batchTokens, 10',
  ]);
});

test('what a recipe says is not derived; a shape that cannot be is refused', () => {
  const { config, batchTokens } = deriveRecipe(
    checkRecipe({ ...smallest, model: { depth: 2, width: 64, heads: 2 }, training: { batchTokens: 1000 } }, 'r.yaml'),
    100,
  );
  equal(config.headSize, 32);
  equal(batchTokens, 768);
  throws(
    () => deriveRecipe(checkRecipe({ ...smallest, model: { width: 64, heads: 5 } }, 'r.yaml'), 100),
    /headSize is 12.8/,
  );
});

test('estimates: 16 bytes a parameter, less activations the more is computed again', () => {
  const { config, parameters } = deriveRecipe(recipeOfDepth(6), 4096);
  const [none, cheap, block] = (['none', 'cheap', 'block'] as const).map((policy) =>
    estimateMemory(config, 4096, policy),
  );
  equal(none!.parameters, parameters * 16);
  ok(none!.activations > cheap!.activations && cheap!.activations > block!.activations);
  // Over two ranks half of the moments, and the sums of half of the gradients: 4 + 4 + 4 + 2 bytes.
  equal(estimateMemory(config, 4096, 'none', { size: 2, sharding: 'optimizer' }).parameters, parameters * 14);
  equal(estimateMemory(config, 4096, 'none', { isAveraged: true }).parameters, parameters * 20);
  const dropped = estimateMemory(config, 4096, 'none', { isDropped: true });
  equal(dropped.activations - none!.activations, 4 * 4096 * (6 + 2) * 2 * 288);
  const byHand = 6 * (6 * (4 * 288 * 288 + 3 * 288 * 768) + 4096 * 288) + 6 * 6 * 256 * 288;
  equal(flopsPerToken(config, 256), byHand);
});

const recipeFile = (name: string) => {
  const text = readFileSync(new URL(`../../../recipes/${name}`, import.meta.url), 'utf8');
  return deriveRecipe(checkRecipe(parse(text), name), name === 'stories.yaml' ? 4096 : 32000);
};

test('the recipes of this repository are sound: the bundled model, and LLaMA 7B with the parameters and steps of its paper', () => {
  const { parameters } = recipeFile('stories.yaml');
  ok(parameters >= 10e6 && parameters <= 12e6);
  const large = recipeFile('llama1-7b.yaml');
  equal(large.parameters, 6_738_415_616);
  deepEqual([large.learningRate, large.warmupSteps, large.batchTokens], [3e-4, 2000, 4_194_304]);
});

test('the report draws its curves, escapes what the model wrote, and stands without any step', () => {
  const metrics = [1, 2, 3].map((step) => ({
    step,
    tokens: step * 10,
    loss: 3 - step / 2,
    smoothedLoss: 3,
    learningRate: 0.1,
    gradientNorm: 1,
    tokensPerSecond: 5,
    utilization: 0.5,
    seconds: step,
    ...(step === 3 && { validation: { loss: 2, bitsPerByte: 1 }, sample: '<script>' }),
  }));
  const sources = {
    'a<b': { loss: 2, tokens: 75, share: 0.75, epochs: 1.5 },
    c: { tokens: 25, share: 0.25, epochs: 0.2 },
  };
  const sets = { books: { loss: 2, bitsPerByte: 1 }, web: { loss: 3, bitsPerByte: 2 } };
  const last = { ...metrics[2]!, sources, noiseScale: 244.936, validation: { loss: 2, bitsPerByte: 1, sets } };
  const several = reportHtml('x', [], [...metrics.slice(0, 2), last], false);
  match(several, /source a&#60;b<\/td><td>75\.00 % of all tokens: 75, 1\.50 epochs/);
  match(several, /gradient noise scale<\/td><td>245 tokens/);
  match(several, />a&#60;b<\/text>.*>books<\/text>.*>web<\/text>/s);
  const html = reportHtml('a & b', [['model', 'x']], metrics, true);
  ok(html.includes('&#60;script&#62;') && !html.includes('<script>') && html.includes('refresh'));
  match(reportSvg(metrics), /<polyline[^>]*points="[\d.]+,[\d.]+ [\d.]+,[\d.]+ [\d.]+,[\d.]+"/);
  ok(!reportHtml('x', [], [], false).includes('refresh'));
});
