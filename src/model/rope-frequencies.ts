import type { RopeFrequencies } from '../kernels/ops.ts';
import type { LlamaConfig } from './config.ts';

/**
 * The angle per position of each rotated pair: ω_e = theta^(−2e/E), then the checkpoint's scaling for longer contexts.
 *
 *   linear   ω / factor
 *   llama3   wavelength λ = 2π/ω: λ > original/low → ω/factor; λ < original/high → ω; between, a linear blend
 *   yarn     ramp r from 1 (pairs that turn more than betaFast times in the original context: kept) to 0 (fewer than betaSlow:
 *            divided): ω·r + ω/factor·(1 − r); cos and sin scaled by 0.1·ln(factor) + 1 unless the checkpoint says otherwise
 *   factors  ω / factors[e], as GGUF stores them
 *   longrope ω / factors[e] of the short list, or of the long one for runs beyond the original context; cos and sin scaled as the
 *            checkpoint says
 *   dynamic  theta · (factor · length / original − (factor − 1))^(E / (E − 2)) for runs beyond the original context
 *
 * A pair that is not rotated has frequency 0. `runLength`: the longest sequence that will be run.
 *
 * Source   Su et al. 2021 §3.2.2; Chen et al. 2023; meta-llama/llama-models (apply_scaling); Peng et al. 2023, arXiv:2309.00071 §3.
 */
export function ropeFrequencies(config: RopeFacts, runLength = 0): RopeFrequencies {
  const rotatedSize = config.rotatedSize ?? config.headSize;
  const { inverse, magnitude } = rotatedFrequencies({ ...config, headSize: rotatedSize }, runLength);
  const pairs = Math.floor(config.headSize / 2);
  return { inverse: Float64Array.from({ length: pairs }, (_, e) => inverse[e] ?? 0), magnitude };
}

export type RopeFacts = Pick<LlamaConfig, 'headSize' | 'rotatedSize' | 'ropeTheta' | 'ropeScaling'>;

/** Of the rotated pairs alone: `headSize` is the size of the rotated part. */
function rotatedFrequencies({ headSize, ropeTheta, ropeScaling }: RopeFacts, runLength: number): RopeFrequencies {
  const pairs = Math.floor(headSize / 2);
  const inverse = Float64Array.from({ length: pairs }, (_, e) => ropeTheta ** ((-2 * e) / headSize));
  switch (ropeScaling.kind) {
    case 'none':
      return { inverse, magnitude: 1 };
    case 'linear':
      return { inverse: inverse.map((omega) => omega / ropeScaling.factor), magnitude: 1 };
    case 'factors':
      return { inverse: inverse.map((omega, e) => omega / ropeScaling.factors[e]!), magnitude: 1 };
    case 'longrope': {
      const { shortFactors, longFactors, originalContextLength, attentionFactor } = ropeScaling;
      const factors = runLength > originalContextLength ? longFactors : shortFactors;
      return { inverse: inverse.map((omega, e) => omega / factors[e]!), magnitude: attentionFactor };
    }
    case 'dynamic': {
      const { factor, originalContextLength: original } = ropeScaling;
      const stretch = (factor * Math.max(runLength, original)) / original - (factor - 1);
      const theta = ropeTheta * stretch ** (headSize / (headSize - 2));
      return { inverse: inverse.map((_, e) => theta ** ((-2 * e) / headSize)), magnitude: 1 };
    }
    case 'llama3': {
      const { factor, lowFreqFactor: low, highFreqFactor: high, originalContextLength: original } = ropeScaling;
      const scaled = inverse.map((omega) => {
        const turns = (original * omega) / (2 * Math.PI);
        if (turns < low) return omega / factor;
        if (turns >= high) return omega;
        const keep = (turns - low) / (high - low);
        return (1 - keep) * (omega / factor) + keep * omega;
      });
      return { inverse: scaled, magnitude: 1 };
    }
    case 'yarn': {
      const { factor, originalContextLength: original, betaFast, betaSlow, wholePairs, attentionFactor } = ropeScaling;
      const pairThatTurns = (count: number) =>
        (headSize * Math.log(original / (count * 2 * Math.PI))) / (2 * Math.log(ropeTheta));
      const [fast, slow] = [pairThatTurns(betaFast), pairThatTurns(betaSlow)];
      const first = Math.max(0, wholePairs ? Math.floor(fast) : fast);
      const last = Math.min(headSize - 1, wholePairs ? Math.ceil(slow) : slow);
      const span = last === first ? 1e-3 : last - first; // negative where the original context is shorter than one turn
      const scaled = inverse.map((omega, e) => {
        const divided = Math.min(1, Math.max(0, (e - first) / span));
        return (omega / factor) * divided + omega * (1 - divided);
      });
      return { inverse: scaled, magnitude: attentionFactor ?? 0.1 * Math.log(Math.max(1, factor)) + 1 };
    }
    default:
      return ropeScaling satisfies never;
  }
}
