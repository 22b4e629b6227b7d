/**
 * Keeps what people write from becoming special tokens. A rendered chat is one string, in which the template's `<|eot_id|>` and
 * a user's look the same. So the chat is rendered a second time with a barrier (a private-use character that occurs nowhere
 * else) inside every special token's text in the messages, and where a message begins or ends with part of one. Where the
 * second rendering has a barrier inside a special token's text, the first is cut into segments there, and tokens are only found
 * inside a segment (Tokenizer.encodeSegments). A conversation without such texts is rendered once.
 */
import { ArgumentError } from '../../base/errors.ts';
import type { Segment } from '../tokenizer.ts';

const FIRST_PRIVATE = 0xe000;
const LAST_PRIVATE = 0xf8ff;

export class Guard {
  readonly barrier: string;
  private readonly specials: readonly string[];
  /** Proper beginnings and ends of special tokens' texts. */
  private readonly beginnings = new Set<string>();
  private readonly ends = new Set<string>();
  private readonly longest: number;
  /** Set once some text needed a barrier. */
  isNeeded = false;

  /** `everything`: all texts that will take part, so that the barrier occurs in none. */
  constructor(specials: readonly string[], everything: string) {
    this.specials = specials.filter((text) => text.length > 1);
    this.longest = this.specials.reduce((most, { length }) => Math.max(most, length), 0);
    for (const special of this.specials) {
      for (let at = 1; at < special.length; at++) {
        this.beginnings.add(special.slice(0, at));
        this.ends.add(special.slice(at));
      }
    }
    let code = FIRST_PRIVATE;
    while (code <= LAST_PRIVATE && everything.includes(String.fromCharCode(code))) code++;
    if (code > LAST_PRIVATE) {
      throw new ArgumentError(
        'chat.no-barrier',
        'chat: expected a text that leaves one of 6,400 private-use characters free, found all of them used.',
      );
    }
    this.barrier = String.fromCharCode(code);
  }

  /** A value of the conversation with every string in it protected, keys of objects too. Roles stay: templates compare them. */
  protect(value: unknown): unknown {
    if (typeof value === 'string') return this.protectText(value);
    if (Array.isArray(value)) return value.map((inner) => this.protect(inner));
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [this.protectText(key), this.protect(inner)]),
    );
  }

  protectText(text: string): string {
    const cuts = new Set<number>();
    for (const special of this.specials) {
      for (let at = text.indexOf(special); at !== -1; at = text.indexOf(special, at + 1)) cuts.add(at + 1);
    }
    // The template may trim the text and put the missing half of a token beside it.
    const begin = text.length - text.trimStart().length;
    const end = text.trimEnd().length;
    const trimmed = text.slice(begin, end);
    if (this.mayFollow(trimmed)) cuts.add(begin);
    if (this.mayPrecede(trimmed)) cuts.add(end);
    if (cuts.size === 0) return text;
    this.isNeeded = true;
    let guarded = '';
    let done = 0;
    for (const cut of Array.from(cuts).sort((a, b) => a - b)) {
      guarded += text.slice(done, cut) + this.barrier;
      done = cut;
    }
    return guarded + text.slice(done);
  }

  /** Whether what comes before could complete a special token: `text` begins with the end of one, or is part of one. */
  private mayFollow(text: string): boolean {
    for (let length = 1; length <= Math.min(text.length, this.longest); length++) {
      if (this.ends.has(text.slice(0, length))) return true;
    }
    return this.isInside(text);
  }

  private mayPrecede(text: string): boolean {
    for (let length = 1; length <= Math.min(text.length, this.longest); length++) {
      if (this.beginnings.has(text.slice(text.length - length))) return true;
    }
    return this.isInside(text);
  }

  private isInside(text: string): boolean {
    return text !== '' && text.length < this.longest && this.specials.some((special) => special.includes(text));
  }

  /**
   * `plain` (rendered without barriers) cut where `guarded` (with them) has a barrier inside a special token's text.
   * Both hold the same such texts in the same order unless the template decides by a text's exact characters; then
   * the guarded text itself is used, which is always safe.
   */
  segments(plain: string, guarded: string): Segment[] {
    const borders = new Set<number>();
    let stripped = '';
    for (const part of guarded.split(this.barrier)) {
      stripped += part;
      borders.add(stripped.length);
    }
    const texts = this.occurrences(plain);
    const marks = this.occurrences(stripped);
    const isSame = texts.length === marks.length && texts.every(({ text }, i) => text === marks[i]!.text);
    if (!isSame) return toSegments(guarded.split(this.barrier));
    const cuts = texts.filter((_, i) => isCut(marks[i]!, borders)).map(({ at }) => at + 1);
    return toSegments([0, ...cuts].map((at, i) => plain.slice(at, cuts[i] ?? plain.length)));
  }

  /** Every place where a special token's text stands in `text`, overlapping ones too, in order. */
  private occurrences(text: string): Occurrence[] {
    const found: Occurrence[] = [];
    for (const special of this.specials) {
      for (let at = text.indexOf(special); at !== -1; at = text.indexOf(special, at + 1))
        found.push({ text: special, at });
    }
    return found.sort((a, b) => a.at - b.at || a.text.length - b.text.length);
  }
}

interface Occurrence {
  readonly text: string;
  readonly at: number;
}

function isCut({ text, at }: Occurrence, borders: ReadonlySet<number>): boolean {
  for (let i = 1; i < text.length; i++) if (borders.has(at + i)) return true;
  return false;
}

function toSegments(texts: readonly string[]): Segment[] {
  return texts.filter((text) => text !== '').map((text) => ({ text, trusted: true }));
}
