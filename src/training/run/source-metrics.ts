import type { SourceProgress } from '../data/packer.ts';
import type { StepResult } from '../trainer.ts';

/** What a run has had of one of its sources. */
export interface SourceMetrics {
  /** Mean loss of the source's tokens in this step; absent where it had none. */
  readonly loss?: number;
  /** Tokens of it that were trained on so far, and the part of all that they are. */
  readonly tokens: number;
  readonly share: number;
  readonly epochs: number;
}

/** By the sources' names. */
export function sourceMetrics(
  progress: readonly SourceProgress[],
  losses: NonNullable<StepResult['sources']>,
): Record<string, SourceMetrics> {
  const all = progress.reduce((sum, { tokens }) => sum + tokens, 0);
  return Object.fromEntries(
    progress.map(({ name, tokens, epochs }, i) => {
      const { loss, labelCount } = losses[i]!;
      return [name, { ...(labelCount > 0 && { loss }), tokens, share: tokens / all, epochs }];
    }),
  );
}
