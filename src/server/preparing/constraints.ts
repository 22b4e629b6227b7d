/** Compiled grammars by content, for all requests: who asks for the same again, or meanwhile, waits for no second one. */
import type { CompiledConstraint } from '../../inference/grammar/compile-constraint.ts';
import type { PreparationWorkers } from './workers.ts';

/** Bytes of grammars that are kept. */
const MAX_KEPT_BYTES = 64 << 20;

interface Entry {
  readonly compiled: Promise<CompiledConstraint>;
  bytes: number;
  waiting: number;
  readonly abandoned: AbortController;
}

export class CompiledConstraints {
  private readonly workers: PreparationWorkers;
  /** By the specification's JSON, least recently used first. */
  private readonly kept = new Map<string, Entry>();
  private nextId = 1;

  constructor(workers: PreparationWorkers) {
    this.workers = workers;
  }

  /** Throws ApiError. The work ends when everybody who waits for it has gone. */
  async get(spec: string, signal: AbortSignal): Promise<CompiledConstraint> {
    const entry = this.kept.get(spec) ?? this.begin(spec);
    this.kept.delete(spec);
    this.kept.set(spec, entry);
    entry.waiting++;
    const leave = () => {
      if (--entry.waiting > 0) return;
      entry.abandoned.abort();
      if (entry.bytes === 2 * spec.length) this.kept.delete(spec); // nothing came of it
    };
    signal.addEventListener('abort', leave, { once: true });
    try {
      const compiled = await entry.compiled;
      signal.throwIfAborted();
      return compiled;
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  get held(): { readonly count: number; readonly bytes: number } {
    return { count: this.kept.size, bytes: [...this.kept.values()].reduce((sum, { bytes }) => sum + bytes, 0) };
  }

  private begin(spec: string): Entry {
    const abandoned = new AbortController();
    const id = this.nextId++;
    const compiled = this.workers
      .run({ kind: 'constraint', spec }, abandoned.signal)
      .then((found) => ({ ...found, id }));
    const entry: Entry = { compiled, bytes: 2 * spec.length, waiting: 0, abandoned };
    compiled.then(
      ({ bytes }) => {
        entry.bytes += bytes;
        this.forgetOldest();
      },
      () => this.kept.delete(spec),
    );
    return entry;
  }

  private forgetOldest(): void {
    let total = [...this.kept.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    for (const [spec, { bytes }] of this.kept) {
      if (total <= MAX_KEPT_BYTES || this.kept.size === 1) return;
      total -= bytes;
      this.kept.delete(spec);
    }
  }
}
