/** One choice of a token, taken apart: what each link of the chain leaves, and the random number that decides. */
import { softmax } from '../../kernels/softmax/reference.ts';
import type { Floats } from '../../tensor/tensor.ts';
import { resolveOptions } from '../option-table.ts';
import { Candidates } from './candidates.ts';
import { type SamplingOptions, samplingOptions } from './options.ts';
import { Sampler, type SamplerStageName } from './sampler.ts';

export interface StageCandidate {
  readonly id: number;
  readonly logit: number;
  /** Among what is left at this stage. */
  readonly probability: number;
  /** The probability of what stands before it in the sampler's own order: the number drawn falls between this and this + probability. */
  readonly before: number;
}

export interface SamplerStage {
  readonly name: SamplerStageName;
  /** How many are left. */
  readonly count: number;
  /** The likeliest of them, best first. */
  readonly best: readonly StageCandidate[];
}

export interface Choice {
  readonly id: number;
  readonly stages: readonly SamplerStage[];
  /** Uniform in [0, 1); null: one candidate was left, so nothing was drawn. */
  readonly draw: number | null;
}

export interface ChoiceOptions {
  /** Of each stage so many candidates are listed. */
  readonly most: number;
  /** With a seed; logit biases and the breakers of DRY, which need a tokenizer, are left out. */
  readonly sampling: Omit<SamplingOptions, 'logitBias' | 'drySequenceBreakers'>;
}

/**
 * The choice after the last of the rows of logits_RV, which follow ids 0 … firstLength − 1, 0 … firstLength, and so on. The rows before
 * it are sampled too, so that the random numbers are those of a generation that began at the first row.
 */
export function samplerStages(
  logits_RV: Floats,
  vocabSize: number,
  ids: Uint32Array,
  firstLength: number,
  { most, sampling }: ChoiceOptions,
): Choice {
  const settings = resolveOptions('samplerStages', samplingOptions, sampling);
  const stages: SamplerStage[] = [];
  let draw: number | null = null;
  let isLast = false;
  const sampler = new Sampler(settings, {
    candidates: new Candidates(vocabSize),
    seed: Math.max(0, settings.seed),
    biases: new Map(),
    breakers: new Map(),
    observe: (name, candidates, drawn) => {
      if (!isLast) return;
      if (name === 'pick') draw = drawn;
      stages.push({ name, count: candidates.count, best: bestOf(candidates, most) });
    },
  });
  const rows = logits_RV.length / vocabSize;
  let id = -1;
  for (let row = 0; row < rows; row++) {
    isLast = row === rows - 1;
    id = sampler.sample(logits_RV, row, ids, firstLength + row);
  }
  return { id, stages, draw };
}

function bestOf({ ids, logits, count }: Candidates, most: number): StageCandidate[] {
  const p = new Float64Array(count);
  softmax(p, logits, count);
  const before = new Float64Array(count);
  for (let i = 1; i < count; i++) before[i] = before[i - 1]! + p[i - 1]!;
  const order = Array.from({ length: count }, (_, i) => i);
  order.sort((a, b) => logits[b]! - logits[a]! || ids[a]! - ids[b]!);
  return order.slice(0, most).map((i) => ({ id: ids[i]!, logit: logits[i]!, probability: p[i]!, before: before[i]! }));
}
