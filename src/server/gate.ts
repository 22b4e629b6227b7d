import { ApiError } from './api-error.ts';

/**
 * How many answers may run and wait. Which of them run is the engine's to say: it admits by the blocks of its cache, oldest first.
 * One more than fits is refused at once, so that a queue that nobody would live to see the end of never forms.
 */
export class Gate {
  /** Answers that run or wait. */
  inside = 0;
  private readonly capacity: number;
  private closed = false;
  private readonly leavers = new Set<() => void>();

  /** `capacity`: answers that may run or wait. */
  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** Lets in `count` answers; the function returned lets one out. Throws ApiError 503, or 400 where they never fit. */
  enter(count: number): () => void {
    if (this.closed) throw new ApiError(503, 'shutting_down', 'the server is shutting down.', { retryAfterSeconds: 5 });
    if (count > this.capacity) {
      throw new ApiError(400, 'invalid_value', `n: ${count} answers asked for, expected at most ${this.capacity}.`, {
        param: 'n',
      });
    }
    if (this.inside + count > this.capacity) {
      throw new ApiError(
        503,
        'overloaded',
        `the server is busy: ${this.inside} answers run or wait. Try again later.`,
        {
          retryAfterSeconds: 1 + Math.ceil(this.inside / 8),
        },
      );
    }
    this.inside += count;
    return () => {
      this.inside--;
      if (this.inside === 0) for (const leave of this.leavers) leave();
    };
  }

  /** Throws what enter() would throw now: before a request is read, which costs something. */
  check(): void {
    this.enter(1)();
  }

  get isClosed(): boolean {
    return this.closed;
  }

  /** Nobody else comes in. Resolves when the last one has left. */
  close(): Promise<void> {
    this.closed = true;
    if (this.inside === 0) return Promise.resolve();
    return new Promise((resolve) => this.leavers.add(resolve));
  }
}
