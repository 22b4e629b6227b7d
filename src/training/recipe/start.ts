/**
 * Continued pre-training: a recipe whose `model.from` names a model takes its shape, its weights and its tokenizer from there. What the
 * recipe says of them besides must be the same.
 */
import { ConfigError } from '../../base/errors.ts';
import { type LlamaConfig, labChoices } from '../../model/config.ts';

/** The model that a run begins with. */
export interface Start {
  /** What the recipe calls it. */
  readonly name: string;
  readonly config: LlamaConfig;
  /** Where its tokenizer is; null: it has none. */
  readonly tokenizerPath: string | null;
}

/** Settings of `model` by the field of the configuration that they set. The context may be another than the model's. */
const settings = {
  depth: 'blockCount',
  width: 'width',
  heads: 'headCount',
  kvHeads: 'kvHeadCount',
  ffnWidth: 'ffnWidth',
  tiedEmbeddings: 'tiedEmbeddings',
  normEps: 'normEps',
  ropeTheta: 'ropeTheta',
  norm: 'norm',
  normPlacement: 'normPlacement',
  qkNorm: 'qkNorm',
  activation: 'activation',
  positions: 'positions',
} as const satisfies Record<string, keyof LlamaConfig>;

/** The name in `model.from` of a recipe that was not checked yet; null: it has none. */
export function startNameOf(value: object): string | null {
  const { model } = value as { model?: unknown };
  const { from } = (typeof model === 'object' && model !== null ? model : {}) as { from?: unknown };
  return typeof from === 'string' && from !== '' ? from : null;
}

/**
 * The recipe with what its start decides filled in. Throws ConfigError `recipe.from` with every setting that says otherwise, and where
 * there is no tokenizer.
 */
export function withStart(value: object, { name, config, tokenizerPath }: Start, file: string): object {
  const { model, tokenizer, ...rest } = value as { model: Readonly<Record<string, unknown>>; tokenizer?: unknown };
  const problems: string[] = [];
  const filled: Record<string, unknown> = { ...model, contextLength: model.contextLength ?? config.contextLength };
  for (const [setting, field] of Object.entries(settings)) {
    const [given, found] = [model[setting], config[field]];
    if (given !== undefined && given !== null && !isSame(given, found)) {
      problems.push(
        `model.${setting} is ${JSON.stringify(given)}, and ${JSON.stringify(found)} in ${name}. Leave it out (--set model.${setting}=)`,
      );
    }
    const choices = (labChoices as Readonly<Record<string, readonly unknown[]>>)[setting];
    // What a recipe has no word for is known from the model alone.
    if (choices === undefined || choices.includes(found)) filled[setting] = found;
  }
  if (!tokenizer && tokenizerPath === null) {
    problems.push(`${name} brings no tokenizer. Name the one that it was trained with in tokenizer.path`);
  }
  if (problems.length > 0) throw new ConfigError(`${file}: model.from ${name}`, problems, 'recipe.from');
  return { ...rest, model: filled, tokenizer: tokenizer ?? { path: tokenizerPath } };
}

/** Files keep numbers in f32: 1e-5 is 0.000009999999747378752 there. */
function isSame(given: unknown, found: unknown): boolean {
  if (typeof given !== 'number' || typeof found !== 'number') return given === found;
  return Math.fround(given) === Math.fround(found);
}
