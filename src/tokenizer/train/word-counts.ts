/**
 * Counts of distinct words in bounded memory. When there are too many, the rarest go, and how many went is kept to be said:
 * a word seen a few times in a large corpus does not decide a merge, but it must not be dropped in silence.
 */
import { ArgumentError } from '../../base/errors.ts';

export class WordCounts {
  readonly counts = new Map<string, number>();
  /** Occurrences that pruning dropped, and words with them. */
  prunedOccurrences = 0;
  prunedWords = 0;
  private total = 0;
  private readonly maxWords: number;
  private floor = 0;

  constructor(maxWords: number) {
    this.maxWords = maxWords;
  }

  add(word: string): void {
    this.total++;
    if (!(this.total < Number.MAX_SAFE_INTEGER)) {
      throw new ArgumentError(
        'tokenizer.too-many-words',
        'tokenizer training: expected fewer than 2^53 words, found more. Take a sample.',
      );
    }
    const count = this.counts.get(word);
    if (count !== undefined) {
      this.counts.set(word, count + 1);
      return;
    }
    if (this.counts.size >= this.maxWords) this.prune();
    this.counts.set(flat(word), 1);
  }

  /** Drops words seen at most `floor` times, with a floor that rises until a quarter of the room is free. */
  private prune(): void {
    while (this.counts.size > this.maxWords * 0.75) {
      this.floor++;
      for (const [word, count] of this.counts) {
        if (count > this.floor) continue;
        this.counts.delete(word);
        this.prunedWords++;
        this.prunedOccurrences += count;
      }
    }
  }
}

/** A copy that does not keep the text alive that it was cut from. */
function flat(word: string): string {
  return word.length < 13 ? word : Array.from(word).join('');
}
