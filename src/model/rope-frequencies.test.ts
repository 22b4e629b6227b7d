/** The scalings against transformers' modeling_rope_utils.py, written down again from its text, over the space of their parameters. */
import { ok } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assertClose } from '../../test/support/close.ts';
import type { LlamaConfig, RopeScaling } from './config.ts';
import { ropeFrequencies } from './rope-frequencies.ts';

const frequencies = (headSize: number, ropeTheta: number, ropeScaling: RopeScaling) =>
  ropeFrequencies({ headSize, ropeTheta, ropeScaling } as LlamaConfig);
const base = (dim: number, theta: number) => Array.from({ length: dim / 2 }, (_, i) => 1 / theta ** ((2 * i) / dim));

const headSizes = fc.constantFrom(2, 6, 16, 24, 64, 128);
const thetas = fc.constantFrom(10_000, 500_000, 1_000_000, 100.5);
const factors = fc.constantFrom(1, 1.5, 2, 4, 8, 32, 40);
const originals = fc.constantFrom(4, 32, 128, 2048, 8192, 32_768);

/** _compute_yarn_parameters. */
function yarn(dim: number, theta: number, factor: number, original: number, fast: number, slow: number) {
  const correctionDim = (rotations: number) =>
    (dim * Math.log(original / (rotations * 2 * Math.PI))) / (2 * Math.log(theta));
  const low = Math.max(Math.floor(correctionDim(fast)), 0);
  let high = Math.min(Math.ceil(correctionDim(slow)), dim - 1);
  if (low === high) high += 0.001;
  return base(dim, theta).map((extrapolation, i) => {
    const ramp = Math.min(1, Math.max(0, (i - low) / (high - low)));
    const keep = 1 - ramp;
    return (extrapolation / factor) * (1 - keep) + extrapolation * keep;
  });
}

test('yarn, for any factor, context and ramp', () => {
  fc.assert(
    fc.property(
      fc.tuple(headSizes, thetas, factors, originals, fc.constantFrom(32, 16, 4), fc.constantFrom(1, 2, 0.5)),
      ([dim, theta, factor, originalContextLength, betaFast, betaSlow]) => {
        const scaling = {
          kind: 'yarn',
          factor,
          originalContextLength,
          betaFast,
          betaSlow,
          wholePairs: true,
          attentionFactor: null,
        } as const;
        const { inverse, magnitude } = frequencies(dim, theta, scaling);
        assertClose('ω', inverse, yarn(dim, theta, factor, originalContextLength, betaFast, betaSlow), { rtol: 1e-12 });
        const mscale = factor <= 1 ? 1 : 0.1 * Math.log(factor) + 1;
        ok(Math.abs(magnitude - mscale) < 1e-15);
        ok(frequencies(dim, theta, { ...scaling, attentionFactor: 0.7 }).magnitude === 0.7);
      },
    ),
  );
});

/** _compute_llama3_parameters, in wavelengths as there. */
function llama3(dim: number, theta: number, factor: number, low: number, high: number, original: number) {
  return base(dim, theta).map((omega) => {
    const wavelength = (2 * Math.PI) / omega;
    if (wavelength < original / high) return omega;
    if (wavelength > original / low) return omega / factor;
    const smooth = (original / wavelength - low) / (high - low);
    return (1 - smooth) * (omega / factor) + smooth * omega;
  });
}

test('llama3 and linear, for any factor and context', () => {
  fc.assert(
    fc.property(
      fc.tuple(headSizes, thetas, factors, originals, fc.constantFrom(1, 0.5, 2), fc.constantFrom(4, 8, 3)),
      ([dim, theta, factor, originalContextLength, lowFreqFactor, highFreqFactor]) => {
        const scaling = { kind: 'llama3', factor, lowFreqFactor, highFreqFactor, originalContextLength } as const;
        const want = llama3(dim, theta, factor, lowFreqFactor, highFreqFactor, originalContextLength);
        assertClose('ω', frequencies(dim, theta, scaling).inverse, want, { rtol: 1e-12 });
        const linear = frequencies(dim, theta, { kind: 'linear', factor });
        assertClose(
          'linear',
          linear.inverse,
          base(dim, theta).map((omega) => omega / factor),
          { rtol: 1e-12 },
        );
      },
    ),
  );
});
