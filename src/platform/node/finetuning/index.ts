/** The library's fine-tuning: `import { finetune } from 'cria/training'`. */
import { parse } from 'yaml';
import type { TuningMetrics } from '../../../finetuning/run/loop.ts';
import { describeMachine } from '../machine.ts';
import { readRecipeText } from '../training/recipe-files.ts';
import type { TuningResult } from './finetune.ts';
import { checkRun, runRecipe } from './run-recipe.ts';

export type { TuningMetrics } from '../../../finetuning/run/loop.ts';
export type { TuningResult } from './finetune.ts';

export interface FinetuneCallOptions {
  /** Folder for checkpoints, metrics and the report; absent: runs/ and the recipe's name. */
  readonly out?: string;
  /** Go on after the newest sound checkpoint, to the same bits. */
  readonly resume?: boolean;
  /** Settings of the recipe, or groups of them, that may be others than when the run began. */
  readonly allowChange?: readonly string[];
  /** What computes; absent or 'auto': the faster of wasm and webgpu, which is measured once and remembered. */
  readonly device?: 'auto' | 'wasm' | 'webgpu' | 'reference';
  readonly threads?: number;
  /** Matrix products by the system's BLAS where one is installed. Default true. */
  readonly blas?: boolean;
  /** Use what is in the hub's cache, and no network. */
  readonly offline?: boolean;
  /** Saves a checkpoint and ends. */
  readonly signal?: AbortSignal;
  /** What the command line prints before the first step. */
  readonly onMessage?: (message: string) => void;
  readonly onStep?: (metrics: TuningMetrics, etaSeconds: number, totalSteps: number) => void;
}

/**
 * Tunes a model by a recipe: an object with the settings of a recipe file (recipes/alpaca.yaml is one), or such a file's path.
 * One result for each of its stages. A result's `checkpoint` is what `Llama.load` opens, of an adapter among its `adapters`.
 * Throws ConfigError `recipe.…`, `finetune.…`; ArgumentError; CriaError.
 */
export async function finetune(recipe: string | object, options: FinetuneCallOptions = {}): Promise<TuningResult[]> {
  const { signal = new AbortController().signal, onMessage = () => {}, onStep = () => {} } = options;
  const value = typeof recipe === 'string' ? ((parse(readRecipeText(recipe)) ?? {}) as object) : recipe;
  return runRecipe(checkRun(value, typeof recipe === 'string' ? recipe : 'recipe'), {
    out: options.out,
    resume: options.resume ?? false,
    allowChange: options.allowChange ?? [],
    device: options.device ?? 'auto',
    threads: options.threads ?? describeMachine().physicalCores,
    blas: options.blas ?? true,
    revectorize: true,
    hub: { offline: options.offline ?? false, env: process.env, signal, onProgress: () => {} },
    isStopped: () => signal.aborted,
    tell: onMessage,
    onStep,
  });
}
