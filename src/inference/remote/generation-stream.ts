import type { GenerationResult, Piece } from '../generation.ts';

/**
 * A generation under way: its pieces as they come, and its result. It runs whether or not anybody reads; leaving the loop ends it.
 *
 *   for await (const piece of generation) …        const { text, finishReason } = await generation.result
 */
export class GenerationStream implements AsyncIterableIterator<Piece, undefined> {
  /** Resolves at the end, also of an aborted generation (finishReason 'abort'); rejects when it failed. */
  readonly result: Promise<GenerationResult>;
  private readonly pieces: Piece[] = [];
  private read = 0;
  private ended: { readonly error: unknown } | 'well' | null = null;
  private waiting: (() => void)[] = [];
  private readonly abort: () => void;

  /** `start` begins the generation and tells its pieces; `abort` ends it early. */
  constructor(start: (onPiece: (piece: Piece) => void) => Promise<GenerationResult>, abort: () => void) {
    this.abort = abort;
    this.result = start((piece) => {
      this.pieces.push(piece);
      this.notify();
    });
    this.result.then(
      () => this.end('well'),
      (error: unknown) => this.end({ error }),
    );
  }

  /** The whole text, when the generation has ended. */
  async text(): Promise<string> {
    return (await this.result).text;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Piece, undefined>> {
    while (this.read === this.pieces.length) {
      if (this.ended === 'well') return { done: true, value: undefined };
      if (this.ended) throw this.ended.error;
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
    const value = this.pieces[this.read++]!;
    if (this.read === this.pieces.length) this.read = this.pieces.length = 0;
    return { done: false, value };
  }

  /** Called when a `for await` loop is left. */
  async return(): Promise<IteratorResult<Piece, undefined>> {
    this.abort();
    await this.result.catch(() => {});
    this.pieces.length = this.read = 0;
    return { done: true, value: undefined };
  }

  private end(how: { readonly error: unknown } | 'well'): void {
    this.ended = how;
    this.notify();
  }

  private notify(): void {
    for (const wake of this.waiting.splice(0)) wake();
  }
}
