/** What a program says of its training: checked at once, the same in Node and in a page. */
import { recomputePolicies } from '../../autograd/tape.ts';
import { ArgumentError } from '../../base/errors.ts';
import { check } from '../../training/recipe/schema.ts';
import type { TrainerOptions as StepOptions, Weights } from '../../training/trainer.ts';
import { type Recipe, recipeSchema } from '../recipe-keys.ts';

/** What a run of `cria train` asks of its steps, and a program does not. */
type OfRuns = 'collective' | 'parallel' | 'decorate' | 'afterUpdate' | 'sourceCount' | 'measuresNoise';

export interface SessionOptions extends Omit<StepOptions, OfRuns> {
  /** Which weights the model computes with and saves: those of the last step, or their average, of which `ema` is the decay. Default 'trained'. */
  readonly weights?: Weights;
  /** A low-rank correction is trained, over the weights as they are stored; absent: all weights are, as f32. */
  readonly adapter?: AdapterOptions;
}

/** As in a recipe of `cria finetune`; `seed` is that of A. The defaults are LoRA of rank 8 on the linear layers of the blocks. */
export type AdapterOptions = Partial<Omit<Recipe['adapter'], 'kind' | 'ranks'>> & {
  readonly kind?: 'lora' | 'dora';
  readonly ranks?: Partial<Recipe['adapter']['ranks']>;
  readonly seed?: number;
};

export const sessionOptions: readonly (keyof SessionOptions)[] = [
  'optimizer',
  'schedule',
  'clip',
  'zLoss',
  'ema',
  'weights',
  'dropout',
  'recompute',
  'guard',
  'adapter',
];

/** The recipe's settings of an adapter, with their defaults; what is wrong is added to `problems`. */
export function adapterSettings(
  { seed = 1, ...adapter }: AdapterOptions,
  problems: string[],
): Pick<Recipe, 'adapter' | 'seed'> {
  const { kind = 'lora' } = adapter;
  if (kind !== 'lora' && kind !== 'dora') problems.push(`adapter.kind is ${String(kind)}, expected lora or dora`);
  if (!(Number.isSafeInteger(seed) && seed >= 0))
    problems.push(`adapter.seed is ${String(seed)}, expected a whole number of at least 0`);
  const { keys } = recipeSchema;
  return { seed, adapter: check(keys.adapter, { ...adapter, kind }, 'adapter', problems) as Recipe['adapter'] };
}

/** Throws ArgumentError `trainer.options`, with all problems. `more`: what else the caller knows. */
export function checkSessionOptions(options: SessionOptions, more: readonly string[] = []): void {
  const known: readonly string[] = [...sessionOptions, ...more];
  const problems = Object.keys(options).flatMap((name) => (known.includes(name) ? [] : [`${name} is not an option`]));
  const { schedule, recompute, clip, zLoss, dropout, ema = null, weights = 'trained', adapter } = options;
  if (typeof schedule !== 'function' && !(schedule && Number.isFinite(schedule.learningRate))) {
    problems.push(
      'schedule must be { learningRate, warmupSteps, totalSteps, finalFraction } or a function of the step',
    );
  }
  if (recompute !== undefined && !recomputePolicies.includes(recompute)) {
    problems.push(`recompute is ${String(recompute)}, expected ${recomputePolicies.join(', ')}`);
  }
  if (clip !== undefined && clip !== null && !(clip > 0))
    problems.push(`clip is ${clip}, expected a number above 0 or null`);
  if (zLoss !== undefined && !(zLoss >= 0 && zLoss < Number.POSITIVE_INFINITY))
    problems.push(`zLoss is ${zLoss}, expected a number of at least 0`);
  if (ema !== null && !(ema > 0 && ema < 1)) problems.push(`ema is ${ema}, expected a decay between 0 and 1, or null`);
  if (weights !== 'trained' && weights !== 'averaged')
    problems.push(`weights is ${String(weights)}, expected trained or averaged`);
  else if (weights === 'averaged' && ema === null)
    problems.push('weights is averaged, and no average is kept; give its decay, as in ema: 0.999');
  if (dropout !== undefined) {
    const { rates, seed } = dropout;
    const isRate = (rate: unknown) => typeof rate === 'number' && rate >= 0 && rate < 1;
    if (![rates?.embedding, rates?.attention, rates?.residual].every(isRate) || !Number.isSafeInteger(seed)) {
      problems.push(
        'dropout must be { rates: { embedding, attention, residual }, seed }, with rates of at least 0 and below 1',
      );
    }
  }
  if (adapter !== undefined) {
    if (typeof adapter !== 'object' || adapter === null) problems.push('adapter must be an object: { rank: 8 }');
    else adapterSettings(adapter, problems);
    if (ema !== null) problems.push('ema is an average of all weights; leave it out with an adapter');
    if (dropout !== undefined) problems.push('dropout is of all weights; with an adapter it is adapter.dropout');
  }
  if (problems.length === 0) return;
  const all = `${problems.join('; ')}. The options are ${known.join(', ')}.`;
  throw new ArgumentError('trainer.options', `Trainer.create: ${all}`);
}
