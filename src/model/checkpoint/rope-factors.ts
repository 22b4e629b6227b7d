/**
 * Llama 3.1's scaling of rotary positions as divisors per pair, the form in which GGUF stores it (rope_freqs.weight).
 * The constants of the published models are known, so the divisors are recognised on the way back.
 */
import type { LlamaConfig, RopeScaling } from '../config.ts';
import { ropeFrequencies } from '../rope-frequencies.ts';

type Llama3Scaling = Extract<RopeScaling, { kind: 'llama3' }>;

/** What all of Meta's checkpoints have in common. */
const published = { lowFreqFactor: 1, highFreqFactor: 4, originalContextLength: 8192 } as const;

/** ω / scaled ω of each pair. */
export function ropeDivisors(config: Pick<LlamaConfig, 'headSize' | 'ropeTheta' | 'ropeScaling'>): number[] {
  const plain = ropeFrequencies({ ...config, ropeScaling: { kind: 'none' } } as LlamaConfig).inverse;
  const scaled = ropeFrequencies(config as LlamaConfig).inverse;
  return Array.from(plain, (omega, e) => omega / scaled[e]!);
}

/** The published scaling that has these divisors (to f32 precision), or null. */
export function recogniseLlama3(factors: readonly number[], ropeTheta: number, headSize: number): Llama3Scaling | null {
  const scaling: Llama3Scaling = { kind: 'llama3', factor: Math.max(...factors), ...published };
  const expected = ropeDivisors({ headSize, ropeTheta, ropeScaling: scaling });
  const agree = factors.every((factor, e) => Math.abs(factor - expected[e]!) <= 1e-6 * expected[e]!);
  return agree && scaling.factor > 1 ? scaling : null;
}
