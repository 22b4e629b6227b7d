import { resolveOptions } from '../../option-table.ts';
import { Candidates } from '../candidates.ts';
import { type SamplingOptions, samplingOptions } from '../options.ts';
import { Sampler } from '../sampler.ts';

export const settingsOf = (options: SamplingOptions) => resolveOptions('test', samplingOptions, options);

export const keptIds = (candidates: Candidates) =>
  [...candidates.ids.subarray(0, candidates.count)].sort((a, b) => a - b);

export function probabilitiesById(candidates: Candidates): Float64Array {
  const p = new Float64Array(candidates.vocabSize);
  candidates.softmax();
  for (let i = 0; i < candidates.count; i++) p[candidates.ids[i]!] = candidates.probabilities[i]!;
  return p;
}

export function samplerOf(
  vocabSize: number,
  options: SamplingOptions,
  biases = new Map<number, number>(),
): [Sampler, Candidates] {
  const candidates = new Candidates(vocabSize);
  const settings = settingsOf(options);
  return [new Sampler(settings, { candidates, seed: settings.seed, biases, breakers: new Map() }), candidates];
}

/** The samplers that are on by default, off. */
export const off = { topK: 0, topP: 1, minP: 0 } as const;
