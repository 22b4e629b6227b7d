/** The answers of one request under way together: what each says, as it says it. */
import type { FinishReason, GenerationResult, Piece } from '../../inference/generation.ts';

export interface Answer {
  readonly pieces: AsyncIterable<Piece>;
  readonly result: Promise<GenerationResult>;
}

export type ChoiceEvent =
  | { readonly index: number; readonly piece: Piece }
  | { readonly index: number; readonly result: GenerationResult };

/** Events of all answers in the order they come. Fails with the first that fails. */
export async function* mergeAnswers(answers: readonly Answer[]): AsyncGenerator<ChoiceEvent, void> {
  const iterators = answers.map(({ pieces }) => pieces[Symbol.asyncIterator]());
  const next = (index: number) => iterators[index]!.next().then((step) => ({ index, step }));
  const pending = new Map(answers.map((_, index) => [index, next(index)]));
  try {
    while (pending.size > 0) {
      const { index, step } = await Promise.race(pending.values());
      if (step.done) {
        pending.delete(index);
        yield { index, result: await answers[index]!.result };
      } else {
        pending.set(index, next(index));
        yield { index, piece: step.value };
      }
    }
  } finally {
    for (const promise of pending.values()) promise.catch(() => {});
    for (const iterator of iterators) void iterator.return?.();
  }
}

/** An answer that the server's time limit ended stopped for its length, like one that max_tokens ended. */
export function finishReasonOf(reason: FinishReason): 'stop' | 'length' {
  return reason === 'stop' ? 'stop' : 'length';
}

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
}

/**
 * Exact counts: a prompt counts once however many answers it has; an answer counts every token that was generated, an end token
 * too.
 */
export function usageOf(promptTokens: number, results: readonly GenerationResult[], cachedTokens: number): Usage {
  const completion = results.reduce((sum, { timings }) => sum + timings.predicted_n, 0);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completion,
    total_tokens: promptTokens + completion,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}

/** The end of a conversation's turn that has one answer. */
export interface TurnEnd {
  readonly kind: 'end';
  readonly result: GenerationResult;
  readonly usage: Usage;
  /** Tokens of the thoughts, of those that the usage counts. */
  readonly thoughtTokens: number;
}
