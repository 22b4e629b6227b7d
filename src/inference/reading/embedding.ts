/** A text as one vector, on its way through the engine: the states of its positions after the last norm, pooled. */

import { noAdapters, type Selection } from '../../model/adapter/select.ts';
import type { CachedSequence } from '../../model/kv-cache.ts';
import type { Floats } from '../../tensor/tensor.ts';
import type { EngineSequence } from '../running.ts';

/** mean: of all positions; last: what the next token would be made of; cls: the first position. */
export const poolings = ['mean', 'last', 'cls'] as const;
export type Pooling = (typeof poolings)[number];

interface EmbeddingListener {
  done(vector_D: Float32Array): void;
  failed(error: unknown): void;
}

export class Embedding implements EngineSequence {
  readonly ids: Uint32Array;
  readonly length: number;
  /** Every state is wanted, so that no known beginning can stand for any. */
  readonly reusable = new Uint32Array(0);
  cached: CachedSequence | null = null;
  aborted = false;
  selection: Selection = noAdapters;
  private readonly pooling: Pooling;
  private readonly listener: EmbeddingListener;
  /** Sums are f64. */
  private sum_D: Float64Array;

  constructor(ids: Uint32Array, width: number, pooling: Pooling, listener: EmbeddingListener) {
    this.ids = ids;
    this.length = ids.length;
    this.pooling = pooling;
    this.listener = listener;
    this.sum_D = new Float64Array(width);
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

  /** Begins again when there is room. */
  yieldRoom(): void {
    this.cached?.release();
    this.cached = null;
    this.sum_D.fill(0);
  }

  /** The states of the next `count` positions: rows `firstRow` … of states_ND. True when they were the last. */
  takeStates(states_ND: Floats, firstRow: number, count: number): boolean {
    const { sum_D, length, pooling } = this;
    const D = sum_D.length;
    const position = this.cached!.length;
    const from = pooling === 'last' ? Math.max(0, length - 1 - position) : 0;
    const to = pooling === 'cls' ? Math.max(0, 1 - position) : count;
    for (let n = from; n < Math.min(to, count); n++) {
      const row = (firstRow + n) * D;
      for (let d = 0; d < D; d++) sum_D[d]! += states_ND[row + d]!;
    }
    return position + count === length;
  }

  finish(): void {
    this.yieldOnce();
    const positions = this.pooling === 'mean' ? this.length : 1;
    this.listener.done(Float32Array.from(this.sum_D, (sum) => sum / positions));
  }

  abort(): void {
    this.yieldOnce();
    this.listener.failed(new DOMException('the embedding was aborted', 'AbortError'));
  }

  fail(error: unknown): void {
    this.yieldOnce();
    this.listener.failed(error);
  }

  private yieldOnce(): void {
    this.cached?.release();
    this.cached = null;
  }
}

/** The vector divided by its length; zeros stay zeros. */
export function unitLength(vector_D: Float32Array): Float32Array {
  const norm = Math.hypot(...vector_D) || 1;
  return vector_D.map((value) => value / norm);
}
