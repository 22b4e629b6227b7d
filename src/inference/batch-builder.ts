import { assert } from '../base/assert.ts';
import type { Batch, Span } from '../kernels/batch.ts';

type Mutable<T> = { -readonly [key in keyof T]: T[key] };

/** Fills one Batch after another in the same buffers, so that decoding allocates next to nothing. */
export class BatchBuilder {
  private readonly ids: Uint32Array;
  private readonly positions: Uint32Array;
  private readonly rows: Uint32Array;
  private readonly spanPool: Mutable<Span>[] = [];
  private current: Mutable<Batch>;
  private rowCount = 0;
  private spanCount = 0;
  private wanted = 0;
  private rowsView: Uint32Array;

  /** `capacity`: rows of one batch at most. */
  constructor(capacity: number) {
    this.ids = new Uint32Array(capacity);
    this.positions = new Uint32Array(capacity);
    this.rows = new Uint32Array(capacity);
    this.rowsView = this.rows;
    this.current = { ids: this.ids, positions: this.positions, spans: [] };
  }

  clear(): void {
    this.rowCount = 0;
    this.spanCount = 0;
    this.wanted = 0;
  }

  /** Rows that still fit. */
  get room(): number {
    return this.ids.length - this.rowCount;
  }

  /** Adds ids[from … from + count) of one sequence; the logits of its last `wanted` rows are wanted. */
  add(ids: Uint32Array, from: number, count: number, blocks: Uint32Array, wanted: number): void {
    assert(count > 0 && count <= this.room, `batch: ${count} rows for ${this.room} places`);
    for (let i = 0; i < count; i++) {
      this.ids[this.rowCount + i] = ids[from + i]!;
      this.positions[this.rowCount + i] = from + i;
    }
    const span = (this.spanPool[this.spanCount++] ??= { firstRow: 0, rowCount: 0, firstPosition: 0, blocks });
    span.firstRow = this.rowCount;
    span.rowCount = count;
    span.firstPosition = from;
    span.blocks = blocks;
    this.rowCount += count;
    for (let row = this.rowCount - wanted; row < this.rowCount; row++) this.rows[this.wanted++] = row;
  }

  /** What was added since clear(); valid until the next clear(). */
  get batch(): Batch {
    if (this.current.ids.length !== this.rowCount) {
      this.current.ids = this.ids.subarray(0, this.rowCount);
      this.current.positions = this.positions.subarray(0, this.rowCount);
    }
    if (this.current.spans.length !== this.spanCount) this.current.spans = this.spanPool.slice(0, this.spanCount);
    return this.current;
  }

  /** The rows whose logits are wanted, in the order of the sequences. */
  get rows_R(): Uint32Array {
    if (this.rowsView.length !== this.wanted) this.rowsView = this.rows.subarray(0, this.wanted);
    return this.rowsView;
  }
}
