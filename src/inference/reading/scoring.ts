/**
 * How likely a model finds given continuations of a text, on their way through the engine. The shared text is computed once: a
 * Prefix reads it, and its continuations go on as forks of its place in the cache, in one batch.
 */
import { logSoftmaxAt } from '../../kernels/softmax/reference.ts';
import { noAdapters, type Selection } from '../../model/adapter/select.ts';
import type { CachedSequence } from '../../model/kv-cache.ts';
import type { Floats } from '../../tensor/tensor.ts';
import type { EngineSequence } from '../running.ts';
import { argmax } from '../sampler/candidates.ts';

export interface Score {
  /** Σ log p of the continuation's tokens, each given all before it, in nats. */
  readonly logLikelihood: number;
  /** Every token was the likeliest: greedy generation would have written it. */
  readonly isGreedy: boolean;
  readonly tokens: number;
}

export interface TokenScores extends Score {
  /** log p of each token, which logLikelihood sums up. */
  readonly logProbabilities: Float64Array;
}

export interface ScoreListener {
  done(scores: readonly TokenScores[]): void;
  failed(error: unknown): void;
}

/** One continuation. The last of its tokens is predicted but never read. */
export class Scoring implements EngineSequence {
  readonly ids: Uint32Array;
  readonly length: number;
  readonly reusable: Uint32Array;
  cached: CachedSequence | null = null;
  aborted = false;
  selection: Selection = noAdapters;
  private readonly targets: Uint32Array;
  /** The position whose logits predict the first target. */
  private readonly firstPlace: number;
  private readonly vocabSize: number;
  private readonly settle: (result: TokenScores | { readonly error: unknown }) => void;
  private logLikelihood = 0;
  private isGreedy = true;
  private scored = 0;
  private readonly logProbabilities: Float64Array;

  constructor(
    context: Uint32Array,
    continuation: Uint32Array,
    vocabSize: number,
    settle: (result: TokenScores | { readonly error: unknown }) => void,
  ) {
    this.length = context.length + continuation.length - 1;
    this.ids = new Uint32Array(this.length);
    this.ids.set(context);
    this.ids.set(continuation.subarray(0, -1), context.length);
    this.reusable = this.ids.subarray(0, context.length);
    this.targets = continuation;
    this.logProbabilities = new Float64Array(continuation.length);
    this.firstPlace = context.length - 1;
    this.vocabSize = vocabSize;
    this.settle = settle;
  }

  get pending(): number {
    return this.length - (this.cached?.length ?? 0);
  }

  wantedLogits(count: number): number {
    return Math.max(0, Math.min(count, this.cached!.length + count - this.firstPlace));
  }

  admit(cached: CachedSequence): void {
    this.cached = cached;
  }

  /** Begins again when there is room. */
  yieldRoom(): void {
    this.cached?.release();
    this.cached = null;
    this.logLikelihood = 0;
    this.isGreedy = true;
    this.scored = 0;
  }

  accept(logits_RV: Floats, firstRow: number, count: number): boolean {
    const V = this.vocabSize;
    for (let row = firstRow; row < firstRow + count; row++) {
      const target = this.targets[this.scored]!;
      const logProbability = logSoftmaxAt(logits_RV.subarray(row * V, (row + 1) * V), target);
      this.logProbabilities[this.scored++] = logProbability;
      this.logLikelihood += logProbability;
      if (this.isGreedy) this.isGreedy = argmax(logits_RV, row * V, V) === target;
    }
    if (this.scored < this.targets.length) return false;
    const { logLikelihood, isGreedy, scored: tokens, logProbabilities } = this;
    this.yieldRoom();
    this.settle({ logLikelihood, isGreedy, tokens, logProbabilities });
    return true;
  }

  abort(): void {
    this.fail(new DOMException('the scoring was aborted', 'AbortError'));
  }

  fail(error: unknown): void {
    this.yieldRoom();
    this.settle({ error });
  }
}

/** What several continuations share: all of the context but its last token, whose logits each of them wants. */
export class Prefix implements EngineSequence {
  readonly ids: Uint32Array;
  readonly length: number;
  readonly reusable: Uint32Array;
  readonly continuations: readonly Scoring[];
  cached: CachedSequence | null = null;
  selection: Selection = noAdapters;

  constructor(context: Uint32Array, continuations: readonly Scoring[]) {
    this.ids = context.subarray(0, -1);
    this.reusable = this.ids;
    this.length = this.ids.length;
    this.continuations = continuations;
  }

  get aborted(): boolean {
    return this.continuations[0]!.aborted;
  }

  get pending(): number {
    return this.length - (this.cached?.length ?? 0);
  }

  wantedLogits(): number {
    return 0;
  }

  admit(cached: CachedSequence): void {
    this.cached = cached;
  }

  yieldRoom(): void {
    this.cached?.release();
    this.cached = null;
  }

  accept(): boolean {
    return this.pending === 0;
  }

  abort(): void {
    this.yieldRoom();
    for (const continuation of this.continuations) continuation.abort();
  }

  fail(error: unknown): void {
    this.yieldRoom();
    for (const continuation of this.continuations) continuation.fail(error);
  }
}

/** Tells the listener once, when all continuations are done or one has failed. Returns what each of them settles with. */
export function collectScores(
  count: number,
  listener: ScoreListener,
): (i: number) => (result: TokenScores | { readonly error: unknown }) => void {
  const scores: TokenScores[] = new Array(count);
  let left = count;
  return (i) => (result) => {
    if (left <= 0) return;
    if ('error' in result) {
      left = 0;
      listener.failed(result.error);
      return;
    }
    scores[i] = result;
    if (--left === 0) listener.done(scores);
  };
}
