/** Checks of a fine-tuning recipe: every problem at once, no setting accepted and ignored, stages that build on each other. */
import { ConfigError } from '../base/errors.ts';
import { check } from '../training/recipe/schema.ts';
import { type Method, type Recipe, recipeSchema } from './recipe-keys.ts';

/** Groups of settings that only some methods read. */
const ofMethods: Readonly<Record<string, readonly Method[]>> = {
  dpo: ['dpo'],
  reward: ['reward'],
  sampling: ['rejection', 'ppo', 'grpo'],
  judge: ['rejection', 'ppo', 'grpo'],
  rejection: ['rejection'],
  ppo: ['ppo'],
  grpo: ['grpo'],
};

const iterates = ({ method }: Recipe) => method === 'ppo' || method === 'grpo';
const hasAnswers = ({ method }: Recipe) => method === 'sft' || method === 'reward' || method === 'dpo';
const hasOwnSample = ({ method }: Recipe) => method === 'sft' || method === 'dpo';
const validates = ({ method, dpo }: Recipe) => method !== 'rejection' && !(method === 'dpo' && dpo.loss === 'kto');

/** Settings that are only read beside another: no setting is accepted and ignored. */
const ofChoices: readonly (readonly [path: string, isRead: (recipe: Recipe) => boolean, why: string])[] = [
  ['dpo.gamma', ({ dpo }) => dpo.loss === 'simpo', 'only dpo.loss simpo has it'],
  ['dpo.lambda', ({ dpo }) => dpo.loss === 'orpo', 'only dpo.loss orpo has it'],
  ['dpo.beta', ({ dpo }) => dpo.loss !== 'orpo', 'dpo.loss orpo has lambda instead'],
  ['dpo.desirableWeight', ({ dpo }) => dpo.loss === 'kto', 'only dpo.loss kto has it'],
  ['dpo.undesirableWeight', ({ dpo }) => dpo.loss === 'kto', 'only dpo.loss kto has it'],
  [
    'dpo.labelSmoothing',
    ({ dpo }) => ['sigmoid', 'robust', 'exo_pair', 'simpo'].includes(dpo.loss),
    'only dpo.loss sigmoid, robust, exo_pair and simpo have it',
  ],
  [
    'dpo.referenceFree',
    ({ dpo }) => !['kto', 'orpo', 'simpo'].includes(dpo.loss),
    'orpo and simpo have no reference, kto needs one',
  ],
  ['dpo.nllWeight', ({ dpo }) => !['kto', 'orpo'].includes(dpo.loss), 'dpo.loss kto and orpo have no place for it'],
  [
    'model.keepBlocks',
    ({ method, adapter }) => method === 'sft' && adapter.kind === 'none',
    'only method sft without an adapter trains a shallower model',
  ],
  ['training.finalFraction', ({ training }) => training.schedule !== 'constant', 'a constant schedule has no end'],
  [
    'adapter.dropout',
    ({ method }) => method === 'sft' || method === 'rejection',
    'only sft and rejection have it: the others compare probabilities of the same model',
  ],
  [
    'training.neftuneAlpha',
    ({ method }) => method === 'sft' || method === 'rejection',
    'only sft and rejection have it',
  ],
  ['training.epochs', (recipe) => !iterates(recipe), 'ppo.iterations or grpo.iterations is how long a run is'],
  ['training.steps', (recipe) => !iterates(recipe), 'ppo.iterations or grpo.iterations is how long a run is'],
  ['training.batch', (recipe) => !iterates(recipe), 'ppo.prompts and ppo.minibatch, or grpo.prompts, are its sizes'],
  ['data.trainOn', hasAnswers, 'the drawn answers are what is trained on'],
  ['data.tooLong', hasAnswers, 'a prompt that leaves no room for an answer is refused'],
  ['data.valid', validates, 'rejection sampling and dpo.loss kto measure nothing on held-back rows'],
  ['data.validShare', validates, 'rejection sampling and dpo.loss kto measure nothing on held-back rows'],
  ['data.packing', ({ method }) => method === 'sft', 'only sft packs'],
  ['data.validShare', ({ data }) => data.valid === undefined, 'data.valid says what is held back'],
  ['output.samplePrompt', hasOwnSample, 'its answers to the prompts of the data are shown'],
  ['output.sampleTokens', hasOwnSample, 'its answers to the prompts of the data are shown'],
  ['output.sampleEvery', ({ method }) => method !== 'reward', 'a reward model writes nothing'],
  ['sampling.answers', ({ method }) => method !== 'ppo', 'ppo draws one answer to each prompt'],
  [
    'judge.words',
    ({ judge }) => judge.rule === 'contains' || judge.rule === 'avoids',
    'only the rules contains and avoids have it',
  ],
];

/** Checks a parsed recipe file. Throws ConfigError `recipe.invalid` with every problem. */
export function checkRecipe(value: unknown, file: string): Recipe {
  const problems: string[] = [];
  const recipe = check(recipeSchema, value, '', problems) as Recipe;
  if (problems.length === 0) problems.push(...contradictions(value, recipe));
  if (problems.length > 0) throw new ConfigError(file, problems, 'recipe.invalid');
  return recipe;
}

function contradictions(value: unknown, recipe: Recipe): string[] {
  const { method, adapter, judge, sampling, grpo } = recipe;
  const problems = Object.entries(ofMethods)
    .filter(([group, users]) => isGiven(value, group) && !users.includes(method))
    .map(([group, users]) => `${group} is given, and method ${method} does not read it (${users.join(', ')} do)`);
  for (const [path, isRead, why] of ofChoices) {
    if (isGiven(value, path) && !isRead(recipe)) problems.push(`${path} is given, and not read: ${why}`);
  }
  if (adapter.kind === 'none') {
    for (const key of Object.keys(recipeSchema.keys.adapter.keys)) {
      if (key !== 'kind' && isGiven(value, `adapter.${key}`)) {
        problems.push(`adapter.${key} is given, and adapter.kind is none: choose lora or dora`);
      }
    }
  }
  if (ofMethods.judge!.includes(method)) {
    const judges = [judge.helpfulness, judge.rule].filter((each) => each !== undefined).length;
    if (judges !== 1) problems.push('judge must name a reward model (helpfulness, and safety beside it) or a rule');
    if (judge.safety !== undefined && judge.helpfulness === undefined)
      problems.push('judge.safety is given without judge.helpfulness: Llama 2 combines both');
    if ((judge.rule === 'contains' || judge.rule === 'avoids') && judge.words === undefined)
      problems.push(`judge.words is missing: the rule ${judge.rule} looks for them`);
  }
  if (method === 'grpo' && sampling.answers === 1)
    problems.push('sampling.answers must be at least 2 for grpo: answers are compared');
  if (method === 'grpo' && grpo.prompts < 1) problems.push('grpo.prompts must be at least 1');
  return problems;
}

function isGiven(value: unknown, path: string): boolean {
  let at = value;
  for (const key of path.split('.')) {
    if (typeof at !== 'object' || at === null) return false;
    at = (at as Record<string, unknown>)[key];
  }
  return at !== undefined && at !== null;
}

/** A recipe of several stages: each a recipe of its own, with the common settings beside `stages` where it names no others. */
export function checkStages(value: unknown, file: string): readonly Recipe[] | null {
  if (typeof value !== 'object' || value === null || !('stages' in value)) return null;
  const { stages, ...common } = value as { stages: unknown } & Record<string, unknown>;
  if (!Array.isArray(stages) || stages.length === 0) {
    throw new ConfigError(file, ['stages must be a list with at least one recipe'], 'recipe.invalid');
  }
  const recipes: Recipe[] = [];
  const problems: string[] = [];
  for (const [i, stage] of stages.entries()) {
    const at = `stages[${i}]`;
    try {
      const recipe = checkRecipe(withCommon(common, stage), file);
      for (const [where, from] of Object.entries(stagesOf(recipe))) {
        if (recipes.some(({ name }) => name === from)) continue;
        problems.push(`${at}.${where} is stage:${from}, and no stage before it has this name`);
      }
      if (recipes.some(({ name }) => name === recipe.name)) problems.push(`${at}.name ${recipe.name} is taken`);
      recipes.push(recipe);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(...error.problems.map((problem) => `${at}: ${problem}`));
    }
  }
  if (problems.length > 0) throw new ConfigError(file, problems, 'recipe.invalid');
  return recipes;
}

/** A stage's settings over the common ones, group by group; `name` is the stage's own. */
function withCommon(common: Record<string, unknown>, stage: unknown): unknown {
  if (typeof stage !== 'object' || stage === null || Array.isArray(stage)) return stage;
  const { name: _, ...shared } = common;
  const merged: Record<string, unknown> = { ...shared, ...stage };
  for (const [key, value] of Object.entries(shared)) {
    const own = (stage as Record<string, unknown>)[key];
    if (isGroup(value) && isGroup(own)) merged[key] = { ...value, ...own };
  }
  return merged;
}

function isGroup(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const STAGE = /^stage:(.+)$/;

/** The name of the stage that a path means; null: it is a path. */
export function stageName(path: string): string | null {
  return STAGE.exec(path)?.[1] ?? null;
}

function stagesOf({ model, judge }: Recipe): Record<string, string> {
  const paths = { 'model.from': model.from, 'judge.helpfulness': judge.helpfulness, 'judge.safety': judge.safety };
  return Object.fromEntries(
    Object.entries(paths).flatMap(([where, path]) => {
      const name = path === undefined ? null : stageName(path);
      return name === null ? [] : [[where, name]];
    }),
  );
}
