/**
 * A batch that grows: from `first` micro-batches to `full`, in a straight line over the first `rampTokens` tokens.
 *
 *   b(t) = first + ⌊(full − first) · t / rampTokens⌋      t: the tokens before the step; from rampTokens on b = full
 *
 * Source   Brown et al. 2020, arXiv:2005.14165 appendix B.
 */
export interface BatchRamp {
  readonly first: number;
  readonly full: number;
  /** 0: no growth. */
  readonly rampTokens: number;
}

/** Micro-batches of the step that comes after so many tokens. */
export function microBatchesAfter(tokens: number, { first, full, rampTokens }: BatchRamp): number {
  return tokens >= rampTokens ? full : first + Math.floor(((full - first) * tokens) / rampTokens);
}

/** The steps until at least `tokens` tokens are seen, and how many these then are. */
export function stepsOf(
  tokens: number,
  microTokens: number,
  ramp: BatchRamp,
): { readonly steps: number; readonly tokens: number } {
  let seen = 0;
  let steps = 0;
  for (; seen < Math.min(tokens, ramp.rampTokens); steps++) seen += microBatchesAfter(seen, ramp) * microTokens;
  const left = Math.max(steps === 0 ? 1 : 0, Math.ceil((tokens - seen) / (ramp.full * microTokens)));
  return { steps: steps + left, tokens: seen + left * ramp.full * microTokens };
}
