import type { IdBuffer } from './id-buffer.ts';
import type { Merge } from './merge.ts';

/** How a tokenizer turns text that holds no special tokens into ids. Three make it: metaspace-model, byte-level-model and unigram-model. */
export interface TextModel {
  /** The text as the model sees it. `atStart`: nothing stands before it, no token either. */
  normalize(text: string, atStart: boolean): string;
  /** Appends the ids of a normalised text. */
  encode(normalized: string, out: IdBuffer): void;
  /** The same, word by word and merge by merge. */
  merges(normalized: string): readonly WordMerges[];
}

/** How one word became pieces. */
export interface WordMerges {
  /** The word's first symbols, and its symbols after each merge, as the vocabulary spells them; a character that is no piece is itself. */
  readonly states: readonly (readonly string[])[];
  /** One for each state but the first: which pair was merged (its place in the state before), and its rank: the lowest goes first. */
  readonly merges: readonly Merge[];
  /** The word as a whole is a piece, and was taken without merging. */
  readonly whole: boolean;
}
