import type { IdBuffer } from './id-buffer.ts';

/** How a tokenizer turns text that holds no special tokens into ids. Two make it: metaspace-model and byte-level-model. */
export interface TextModel {
  /** The text as the model sees it. `atStart`: nothing stands before it, no token either. */
  normalize(text: string, atStart: boolean): string;
  /** Appends the ids of a normalised text. */
  encode(normalized: string, out: IdBuffer): void;
}
