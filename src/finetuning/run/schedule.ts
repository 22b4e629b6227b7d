/** What follows from a recipe and the number of its rows: steps, learning rate, warm-up. */
import { cosineSchedule, linearSchedule, type Schedule } from '../../training/schedule.ts';
import type { Recipe } from '../recipe-keys.ts';

export interface DerivedRun {
  readonly totalSteps: number;
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly schedule: Schedule;
  /** How each derived value came about, for people. */
  readonly notes: readonly string[];
}

/** Learning rates where the recipe names none, of whole models and of adapters: ten times as much, as in QLoRA's table 9. */
const usualRates: Readonly<Record<Recipe['method'], readonly [whole: number, adapter: number, source: string]>> = {
  sft: [2e-5, 2e-4, 'Llama 2 §3.1'],
  rejection: [2e-5, 2e-4, 'sft'],
  reward: [1e-5, 1e-4, 'Llama 2 §3.2.2'],
  dpo: [1e-6, 1e-5, 'DPO, appendix B'],
  ppo: [1e-6, 1e-5, 'Llama 2 §3.2.3'],
  grpo: [1e-6, 1e-5, 'DeepSeekMath §4.2'],
};

const USUAL_EPOCHS = 3;

/** Fewest steps of warm-up of a reward model: Llama 2 §3.2.2. */
const REWARD_WARMUP = 5;

/** `rows`: samples, pairs or packed rows of one epoch; of ppo and grpo, nothing. */
export function deriveRun(recipe: Recipe, rows: number): DerivedRun {
  const { method, training, adapter } = recipe;
  const notes: string[] = [];
  const iterations = { ppo: recipe.ppo.iterations, grpo: recipe.grpo.iterations }[method as string];
  const totalSteps = iterations ?? stepsOf(training, rows);
  const [whole, ofAdapter, source] = usualRates[method];
  const isWhole = adapter.kind === 'none';
  const usual = isWhole ? whole : ofAdapter;
  const why = isWhole ? `as in ${source}` : `an adapter: ten times that of ${source}, as QLoRA's is`;
  if (training.learningRate === undefined) notes.push(`learningRate ${usual} (${why})`);
  const learningRate = training.learningRate ?? usual;
  const least = method === 'reward' ? REWARD_WARMUP : 0;
  const warmupSteps = Math.min(totalSteps, Math.max(least, Math.ceil(training.warmup * totalSteps)));
  return {
    totalSteps,
    learningRate,
    warmupSteps,
    schedule: scheduleOf(recipe, { learningRate, warmupSteps, totalSteps }),
    notes,
  };
}

/** Epochs, at most `steps`; without either 3 epochs. */
function stepsOf({ epochs, steps, batch }: Recipe['training'], rows: number): number {
  const wanted = epochs ?? (steps === undefined ? USUAL_EPOCHS : Number.POSITIVE_INFINITY);
  return Math.min(steps ?? Number.POSITIVE_INFINITY, Math.max(1, Math.ceil((rows * wanted) / batch)));
}

function scheduleOf(
  { training }: Recipe,
  { learningRate, warmupSteps, totalSteps }: Pick<DerivedRun, 'learningRate' | 'warmupSteps' | 'totalSteps'>,
): Schedule {
  const { schedule, finalFraction } = training;
  if (schedule === 'cosine') return cosineSchedule({ learningRate, warmupSteps, totalSteps, finalFraction });
  const warm = (step: number) => (warmupSteps === 0 ? 1 : Math.min(1, (step + 1) / warmupSteps));
  if (schedule === 'constant') return (step) => learningRate * warm(step);
  return linearSchedule({ learningRate, warmupSteps, totalSteps, finalFraction });
}
