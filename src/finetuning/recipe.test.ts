/** Recipes: every problem at once, no setting accepted and ignored, stages; those that ship are sound. */
import { deepEqual, equal, match, ok, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { parse } from 'yaml';
import { ConfigError } from '../base/errors.ts';
import { checkRecipe, checkStages } from './recipe.ts';
import type { Recipe } from './recipe-keys.ts';
import { createRule } from './rules.ts';
import { rowsOfStep } from './run/order.ts';
import { deriveRun } from './run/schedule.ts';

const smallest = { name: 'x', model: { from: 'm' }, data: { train: [{ path: 'a' }] } };

function problemsOf(recipe: unknown): readonly string[] {
  try {
    checkRecipe(recipe, 'r.yaml');
  } catch (error) {
    ok(error instanceof ConfigError);
    return error.problems;
  }
  return [];
}

test('a recipe names only what it wants to; unknown keys get a suggestion', () => {
  const recipe = checkRecipe(smallest, 'r.yaml');
  deepEqual([recipe.method, recipe.adapter.kind, recipe.data.packing], ['sft', 'none', 'none']);
  deepEqual(
    problemsOf({ ...smallest, metod: 'sft', data: { train: [{ path: 'a', formt: 'x' }] }, training: { epochs: 0 } }),
    [
      'metod is not a setting (did you mean method?)',
      'data.train[0].formt is not a setting (did you mean data.train[0].format?)',
      'training.epochs must be a number above 0, got 0',
    ],
  );
});

test('no setting is accepted and ignored', () => {
  const problems = problemsOf({
    ...smallest,
    ppo: { beta: 1 },
    adapter: { rank: 4 },
  });
  deepEqual(problems, [
    'ppo is given, and method sft does not read it (ppo do)',
    'adapter.rank is given, and adapter.kind is none: choose lora or dora',
  ]);
  match(problemsOf({ ...smallest, method: 'dpo', dpo: { gamma: 1 } })[0]!, /only dpo.loss simpo has it/);
  const drawn = {
    ...smallest,
    data: { ...smallest.data, validShare: 0.1, tooLong: 'right', trainOn: 'last' },
    training: { steps: 1, epochs: 1, batch: 4 },
    judge: { rule: 'avoids', words: ['fox'] },
  };
  const unread = (recipe: object) => problemsOf(recipe).map((problem) => problem.split(' ')[0]);
  const ofAnswers = ['data.trainOn', 'data.tooLong'];
  deepEqual(unread({ ...drawn, method: 'ppo' }), ['training.epochs', 'training.steps', 'training.batch', ...ofAnswers]);
  const output = { samplePrompt: 'x', sampleTokens: 3, sampleEvery: 2 };
  const reward = { ...smallest, method: 'reward', adapter: { kind: 'lora', dropout: 0.1 }, output };
  deepEqual(unread(reward), ['adapter.dropout', 'output.samplePrompt', 'output.sampleTokens', 'output.sampleEvery']);
  deepEqual(unread({ ...drawn, method: 'grpo', data: smallest.data, training: {}, output }), [
    'output.samplePrompt',
    'output.sampleTokens',
  ]);
  deepEqual(unread({ ...drawn, method: 'rejection' }), [...ofAnswers, 'data.validShare']);
  match(problemsOf({ ...smallest, method: 'ppo' })[0]!, /judge must name a reward model .* or a rule/);
  match(problemsOf({ ...smallest, method: 'grpo', judge: { rule: 'avoids' } })[0]!, /judge.words is missing/);
});

test('stages: common settings, and models of earlier stages by name', () => {
  const stages = checkStages(
    {
      name: 'all',
      model: { template: 'llama2', from: 'm' },
      stages: [
        { name: 'a', data: smallest.data },
        { name: 'b', method: 'reward', model: { from: 'stage:a' }, data: smallest.data },
      ],
    },
    'r.yaml',
  )!;
  deepEqual(
    stages.map(({ name, model }) => [name, model.from, model.template]),
    [
      ['a', 'm', 'llama2'],
      ['b', 'stage:a', 'llama2'],
    ],
  );
  throws(
    () => checkStages({ stages: [{ name: 'b', model: { from: 'stage:a' }, data: smallest.data }] }, 'r.yaml'),
    /stages\[0\].model.from is stage:a, and no stage before it has this name/,
  );
  equal(checkStages(smallest, 'r.yaml'), null);
});

const shipped = (name: string) =>
  parse(readFileSync(new URL(`../../recipes/${name}`, import.meta.url), 'utf8')) as unknown;

test('the papers’ recipes are sound, and have their numbers', () => {
  const alpaca = checkRecipe(shipped('alpaca.yaml'), 'alpaca.yaml');
  const derived = deriveRun(alpaca, 52_002);
  deepEqual([derived.totalSteps, derived.warmupSteps, derived.learningRate], [1219, 37, 2e-5]);
  equal(derived.schedule(36), 2e-5);
  ok(derived.schedule(1218) < 1e-10);
  const vicuna = checkRecipe(shipped('vicuna.yaml'), 'vicuna.yaml');
  deepEqual([vicuna.training.batch, vicuna.model.contextLength], [128, 2048]);
  const stages = checkStages(shipped('llama2-chat.yaml'), 'llama2-chat.yaml')!;
  deepEqual(
    stages.map(({ method }) => method),
    ['sft', 'reward', 'reward', 'rejection', 'ppo'],
  );
  const { ppo, training } = stages[4] as Recipe;
  deepEqual([ppo.prompts, ppo.minibatch, ppo.clip, ppo.beta, training.learningRate], [512, 64, 0.2, 0.01, 1e-6]);
});

test('what is not said is derived: rates by method and adapter, warm-up of a reward model of at least 5 steps', () => {
  const rate = (recipe: object) => deriveRun(checkRecipe({ ...smallest, ...recipe }, 'r.yaml'), 100).learningRate;
  deepEqual([rate({}), rate({ adapter: { kind: 'lora' } }), rate({ method: 'reward' })], [2e-5, 2e-4, 1e-5]);
  const steps = (training: object) => deriveRun(checkRecipe({ ...smallest, training }, 'r.yaml'), 100).totalSteps;
  deepEqual(
    [
      steps({ batch: 10 }),
      steps({ batch: 10, epochs: 1 }),
      steps({ steps: 500 }),
      steps({ batch: 10, epochs: 2, steps: 7 }),
    ],
    [30, 10, 500, 7],
  );
  equal(deriveRun(checkRecipe({ ...smallest, method: 'reward' }, 'r.yaml'), 100).warmupSteps, 5);
  const linear = deriveRun(
    checkRecipe({ ...smallest, training: { schedule: 'linear', steps: 10, warmup: 0 } }, 'r.yaml'),
    1,
  );
  deepEqual([linear.schedule(0), linear.schedule(5)], [2e-5, 1e-5]);
});

test('each epoch sees every row once, in an order that depends on the seed alone', () => {
  const epoch = [0, 1, 2].flatMap((step) => rowsOfStep(9, 3, step, 7));
  deepEqual(
    [...epoch].sort((a, b) => a - b),
    [0, 1, 2, 3, 4, 5, 6, 7, 8],
  );
  deepEqual(
    [0, 1, 2].flatMap((step) => rowsOfStep(9, 3, step, 7)),
    epoch,
  );
  ok([3, 4, 5].flatMap((step) => rowsOfStep(9, 3, step, 7)).join() !== epoch.join());
  equal(new Set(rowsOfStep(4, 6, 0, 1).slice(0, 4)).size, 4);
});

test('rules', () => {
  equal(createRule('contains', ['fox', 'well']).score('The fox.', null), 0.5);
  equal(createRule('avoids', ['fox']).score('Foxes run.', null), 1);
  equal(createRule('avoids', ['fox']).score('A Fox runs.', null), 0);
  const answer = createRule('answer', []);
  deepEqual(
    [answer.score('So it is 1,234.', '#### 1234'), answer.score('7 of 8', '7'), answer.score('It is Paris', 'paris')],
    [1, 0, 1],
  );
});
