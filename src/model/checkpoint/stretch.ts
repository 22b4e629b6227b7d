/** Texts longer than a model was trained on, by the name of a method, where its files say nothing of it. */
import { ArgumentError } from '../../base/errors.ts';
import type { LlamaConfig, RopeScaling } from '../config.ts';
import type { Checkpoint } from './checkpoint.ts';

/**
 * `dynamic` (theta grows with the engine's context, beyond the model's own), `linear:FACTOR` or `yarn:FACTOR`; the formulas are in
 * rope-frequencies.ts. What the files say of it is replaced, from their original context on. Throws ArgumentError `checkpoint.rope-scaling`.
 */
export function stretched(checkpoint: Checkpoint, method: string): Checkpoint {
  const { config, name, notes } = checkpoint;
  const refuse = (problem: string) => {
    throw new ArgumentError(
      'checkpoint.rope-scaling',
      `${name}: --rope-scaling ${method} (ropeScaling): ${problem}. Say dynamic, linear:2 or yarn:4, or leave it out.`,
    );
  };
  const [, kind, factorText] = /^(dynamic|linear(?=:)|yarn(?=:))(?::(\d+(?:\.\d+)?))?$/.exec(method) ?? [];
  const factor = Number(factorText ?? 1);
  if (kind === undefined || !(factor >= 1) || factor > 1024) {
    return refuse('expected dynamic, or linear or yarn with a factor of 1 to 1024');
  }
  if (kind === 'dynamic' && factorText !== undefined) return refuse('dynamic has no factor: it follows the context');
  if (config.positions !== 'rope') return refuse('this model does not rotate by position');
  const original = originalContext(config);
  const ropeScaling = scalingOf(kind as 'dynamic' | 'linear' | 'yarn', factor, original);
  const contextLength = kind === 'dynamic' ? original : Math.floor(original * factor);
  return { ...checkpoint, config: { ...config, ropeScaling, contextLength }, notes: [...notes, stretchNote(method)] };
}

export function stretchNote(method: string): string {
  return `its positions are stretched (${method}), as asked for: long texts become possible, short ones may become worse`;
}

function originalContext({ ropeScaling, contextLength }: LlamaConfig): number {
  return 'originalContextLength' in ropeScaling ? ropeScaling.originalContextLength : contextLength;
}

function scalingOf(kind: 'dynamic' | 'linear' | 'yarn', factor: number, originalContextLength: number): RopeScaling {
  if (kind === 'linear') return { kind, factor };
  if (kind === 'dynamic') return { kind, factor: 1, originalContextLength };
  // Peng et al. 2023, §3.2: LLaMA's bounds.
  return { kind, factor, originalContextLength, betaFast: 32, betaSlow: 1, wholePairs: true, attentionFactor: null };
}
