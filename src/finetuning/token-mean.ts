/** Part of a batch: the sum of its tokens' losses, and how many carry loss. */
export interface LossPart {
  readonly sum: number;
  readonly tokens: number;
}

/**
 * Σ loss over loss tokens / Σ loss tokens: every token that carries loss weighs the same, however samples are spread over micro-batches
 * and ranks. The mean of the parts' means would weigh the tokens of short answers more.
 */
export function tokenMean(parts: readonly LossPart[]): number {
  let [sum, tokens] = [0, 0];
  for (const part of parts) {
    sum += part.sum;
    tokens += part.tokens;
  }
  return sum / tokens;
}
