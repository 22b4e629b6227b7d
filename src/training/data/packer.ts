/**
 * Rows of tokens for training: documents drawn from several sources by share, one behind the other, cut where a row ends.
 * All of it follows from seed and cursor, so a resumed run sees exactly what an uninterrupted one would have.
 */
import { assert } from '../../base/assert.ts';
import { ArgumentError } from '../../base/errors.ts';
import type { MicroBatch } from '../micro-batch.ts';
import type { Documents } from './documents.ts';
import { epochOrder, type Order } from './epoch-order.ts';

export interface Source {
  readonly documents: Documents;
  /** Part of all tokens that come from here; shares are relative to their sum. */
  readonly share: number;
}

/** Where a source stands: the next document of which epoch, and the tokens drawn so far. */
export interface SourceCursor {
  readonly epoch: number;
  readonly next: number;
  readonly drawn: number;
}

/** Where the packer stands: every source, and the document that a row's end has cut. */
export interface PackerCursor {
  readonly sources: readonly SourceCursor[];
  readonly open: { readonly source: number; readonly document: number; readonly offset: number } | null;
}

export interface SourceProgress {
  readonly name: string;
  /** In the rows so far: without what is left of a document that the last row's end has cut. */
  readonly tokens: number;
  /** Passes over it. */
  readonly epochs: number;
}

interface Running {
  readonly documents: Documents;
  readonly share: number;
  epoch: number;
  next: number;
  drawn: number;
  order: Order;
}

export class Packer {
  private readonly sources: Running[];
  private readonly seed: number;
  private open: { source: number; document: number; offset: number; tokens: Uint32Array } | null = null;

  constructor(sources: readonly Source[], seed: number) {
    const total = sources.reduce((sum, { share }) => sum + share, 0);
    const isSound =
      sources.length > 0 && sources.every(({ share }) => share >= 0) && total > 0 && Number.isFinite(total);
    if (!isSound) {
      const found = sources.map(({ share }) => share).join(', ') || 'none';
      throw new ArgumentError(
        'training.shares',
        `training data: expected positive shares, found ${found}. Check data.train.`,
      );
    }
    this.seed = seed;
    this.sources = sources.map(({ documents, share }, i) => {
      const order: Order = new Uint32Array(0);
      const source = { documents, share: share / total, epoch: 0, next: 0, drawn: 0, order };
      source.order = this.orderOf(source, i);
      return source;
    });
  }

  /** What was taken of each source so far. */
  progress(): SourceProgress[] {
    const { open } = this;
    return this.sources.map(({ documents, drawn, epoch, next, order }, i) => ({
      name: documents.name,
      tokens: open?.source === i ? drawn - (open.tokens.length - open.offset) : drawn,
      epochs: epoch + next / Math.max(1, order.length),
    }));
  }

  cursor(): PackerCursor {
    const sources = this.sources.map(({ epoch, next, drawn }) => ({ epoch, next, drawn }));
    if (!this.open) return { sources, open: null };
    const { source, document, offset } = this.open;
    return { sources, open: { source, document, offset } };
  }

  restore({ sources, open }: PackerCursor): void {
    assert(
      sources.length === this.sources.length,
      `packer: cursor of ${sources.length} sources for ${this.sources.length}`,
    );
    this.sources.forEach((source, i) => {
      Object.assign(source, sources[i]);
      source.order = this.orderOf(source, i);
    });
    this.open = open && {
      ...open,
      tokens: this.sources[open.source]!.documents.tokens(open.document),
    };
  }

  /** The next `rows` rows of `length` tokens. */
  next(rows: number, length: number): MicroBatch {
    const ids = new Uint32Array(rows * length);
    const documents: number[] = [];
    const sources: number[] = [];
    for (let row = 0; row < rows; row++) {
      let filled = 0;
      while (filled < length) {
        this.open ??= this.draw();
        const { tokens, offset } = this.open;
        const count = Math.min(length - filled, tokens.length - offset);
        ids.set(tokens.subarray(offset, offset + count), row * length + filled);
        documents.push(count);
        sources.push(this.open.source);
        filled += count;
        this.open.offset += count;
        if (this.open.offset >= tokens.length) this.open = null;
      }
    }
    return { ids, rows, length, documents, sources };
  }

  /** The next document of the source that lies furthest behind its share. */
  private draw(): NonNullable<Packer['open']> {
    const total = this.sources.reduce((sum, { drawn }) => sum + drawn, 0);
    let chosen = 0;
    let worst = Number.NEGATIVE_INFINITY;
    this.sources.forEach(({ share, drawn }, i) => {
      const behind = share * (total + 1) - drawn;
      if (share > 0 && behind > worst) {
        worst = behind;
        chosen = i;
      }
    });
    const source = this.sources[chosen]!;
    for (let empty = 0; ; empty++) {
      while (source.next >= source.order.length) {
        source.epoch++;
        source.next = 0;
        source.order = this.orderOf(source, chosen);
        empty += source.order.length === 0 ? source.documents.count : 0;
        if (empty > source.documents.count) throw this.nothingIn(source);
      }
      const document = source.order.at(source.next++)!;
      const tokens = source.documents.tokens(document);
      source.drawn += tokens.length;
      if (tokens.length > 0) return { source: chosen, document, offset: 0, tokens };
      if (empty > source.documents.count) throw this.nothingIn(source);
    }
  }

  private nothingIn({ documents }: Running): ArgumentError {
    const message = `training data: expected tokens in ${documents.name}, found only empty or unweighted documents. Leave it out.`;
    return new ArgumentError('training.empty-source', message);
  }

  private orderOf({ documents, epoch }: { documents: Documents; epoch: number }, source: number): Order {
    return epochOrder(documents.count, documents.weightOf, this.seed * 1009 + source, epoch);
  }
}
