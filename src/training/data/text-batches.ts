/** Micro-batches of a text that is in memory: what a program trains on without files. */
import { ArgumentError } from '../../base/errors.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import type { MicroBatch } from '../micro-batch.ts';
import { cutDocuments, type Documents } from './documents.ts';
import { Packer } from './packer.ts';

/** A line between the documents of a text. */
export const DOCUMENT_SEPARATOR = /\r?\n<\|endoftext\|>\r?\n?/;

export interface TextBatchOptions {
  /** Rows of a batch. Default 8. */
  readonly rows?: number;
  /** Tokens of a row, at most the model's context. Default 128. */
  readonly length?: number;
  /** Of the order of documents. Default 1. */
  readonly seed?: number;
}

/**
 * Batches without an end: the text's documents, which lines of <|endoftext|> divide, in random order, again in every epoch; longer ones in
 * pieces of a row. Attention never crosses from one to the next. Throws ArgumentError `text-batches`.
 */
export function* textBatches(
  tokenizer: Tokenizer,
  text: string,
  { rows = 8, length = 128, seed = 1 }: TextBatchOptions = {},
): Generator<MicroBatch, never> {
  const isCount = (value: number) => Number.isSafeInteger(value) && value >= 1;
  if (!isCount(rows) || !isCount(length) || !isCount(seed + 1)) {
    const found = `rows ${rows}, length ${length}, seed ${seed}`;
    throw new ArgumentError(
      'text-batches',
      `textBatches: expected whole numbers of at least 1 (seed: 0), got ${found}.`,
    );
  }
  const texts = text.split(DOCUMENT_SEPARATOR).filter((document) => document.trim() !== '');
  if (texts.length === 0)
    throw new ArgumentError('text-batches', 'textBatches: the text is empty, expected at least one document.');
  const ends = { bos: tokenizer.bosId !== null, eos: tokenizer.eosId !== null };
  const packer = new Packer(
    [
      {
        documents: documentsOf(
          texts.map((one) => tokenizer.encode(one, ends)),
          length,
        ),
        share: 1,
      },
    ],
    seed,
  );
  for (;;) yield packer.next(rows, length);
}

function documentsOf(all: readonly Uint32Array[], length: number): Documents {
  return cutDocuments(
    {
      name: 'text',
      count: all.length,
      tokenCount: all.reduce((sum, { length }) => sum + length, 0),
      weightOf: null,
      lengthOf: (document) => all[document]!.length,
      tokens: (document, from, to) => all[document]!.subarray(from, to),
    },
    length,
  );
}
