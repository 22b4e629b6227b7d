import type { Floats } from '../../src/tensor/tensor.ts';

export class MismatchError extends Error {}

/**
 * Fails unless |actual − expected| ≤ atol + rtol·|expected| everywhere. An infinity must be matched exactly.
 * NaN never passes: the test is `!(error <= limit)`, as NaN compares false with everything.
 */
export function assertClose(
  what: string,
  actual: Floats | readonly number[],
  expected: Floats | readonly number[],
  { rtol = 0, atol = 0 }: { rtol?: number; atol?: number },
): void {
  if (actual.length !== expected.length) {
    throw new MismatchError(`${what}: ${actual.length} values, expected ${expected.length}`);
  }
  let worst = -1;
  let worstRatio = -1;
  let failures = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = actual[i] === expected[i] ? 0 : Math.abs(actual[i]! - expected[i]!);
    const limit = Number.isFinite(expected[i]) ? atol + rtol * Math.abs(expected[i]!) : 0;
    if (!(error <= limit)) {
      failures++;
      const ratio = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error / limit;
      if (ratio > worstRatio) {
        worstRatio = ratio;
        worst = i;
      }
    }
  }
  if (failures === 0) return;
  throw new MismatchError(
    `${what}: ${failures} of ${expected.length} values differ; worst at [${worst}]: got ${actual[worst]}, expected ` +
      `${expected[worst]} (${worstRatio.toPrecision(3)}× the tolerance, rtol ${rtol}, atol ${atol})`,
  );
}

/** ‖actual − expected‖₂ / ‖expected‖₂; NaN when anything is NaN. */
export function relativeL2(actual: Floats, expected: Floats): number {
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i]! - expected[i]!) ** 2;
    norm += expected[i]! ** 2;
  }
  return norm === 0 ? Math.sqrt(difference) : Math.sqrt(difference / norm);
}
