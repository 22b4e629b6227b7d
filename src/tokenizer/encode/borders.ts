/** Finds the tokens at given places of a text while it is encoded: what a loss mask is made from. */
import { SPACE } from './merges.ts';

/** Where a place of the text is among its tokens. */
export interface TokenBorder {
  /** The first token that reaches beyond the place; the number of tokens where none does. */
  readonly token: number;
  /** That token begins before the place: the place is inside it. */
  readonly isInside: boolean;
}

/** What the encoder of ordinary text tells about one part of it. */
export interface EncodedPart {
  /** As the model saw it, and where that began in the normalised text of the whole part. */
  readonly normalized: string;
  readonly at: number;
  readonly ids: Uint32Array;
  readonly firstToken: number;
}

export interface BorderRules {
  bytesOf(id: number): Uint8Array;
  /** The ids of a normalised text. */
  encode(normalized: string): Uint32Array;
  /** Whether `▁` stands for a space in normalised text. */
  readonly hasMetaspace: boolean;
}

export class BorderFinder {
  private readonly places: readonly number[];
  private readonly rules: BorderRules;
  private readonly found: TokenBorder[] = [];

  /** `places`: UTF-16 units of the text, ascending. */
  constructor(places: readonly number[], rules: BorderRules) {
    this.places = places;
    this.rules = rules;
  }

  /** A token that stands for the text at [begin, end). */
  addToken(token: number, begin: number, end: number): void {
    for (;;) {
      const place = this.places[this.found.length];
      if (place === undefined || place >= end) return;
      this.found.push({ token, isInside: begin < place });
    }
  }

  /** Ordinary text at [at, at + text.length), which became `parts`; `normalize` is as it was for the whole of it. */
  addText(text: string, at: number, normalize: (text: string) => string, parts: readonly EncodedPart[]): void {
    for (;;) {
      const place = this.places[this.found.length];
      if (place === undefined || place >= at + text.length) return;
      const position = place <= at ? 0 : normalize(text.slice(0, place - at)).length;
      const part = parts.findLast((candidate) => candidate.at <= position) ?? parts[0];
      if (part === undefined) return;
      this.found.push(this.inPart(part, position - part.at));
    }
  }

  /** All places, once `tokenCount` tokens have come. */
  finish(tokenCount: number): TokenBorder[] {
    while (this.found.length < this.places.length) this.found.push({ token: tokenCount, isInside: false });
    return this.found;
  }

  private inPart({ normalized, ids, firstToken }: EncodedPart, position: number): TokenBorder {
    const { bytesOf } = this.rules;
    const lengths = Array.from(ids, (id) => bytesOf(id).length);
    const spelled = lengths.reduce((sum, length) => sum + length, 0);
    if (spelled !== this.byteLength(normalized)) return this.byComparing(normalized, ids, firstToken, position);
    const wanted = this.byteLength(normalized.slice(0, position));
    let begin = 0;
    for (const [i, length] of lengths.entries()) {
      if (begin + length > wanted) return { token: firstToken + i, isInside: begin < wanted };
      begin += length;
    }
    return { token: firstToken + ids.length, isInside: false };
  }

  /** Unknown tokens do not say what they stand for: then the beginning is encoded alone, and the ids that both have are before the place. */
  private byComparing(normalized: string, ids: Uint32Array, firstToken: number, position: number): TokenBorder {
    const before = this.rules.encode(normalized.slice(0, position));
    let same = 0;
    while (same < before.length && same < ids.length && before[same] === ids[same]) same++;
    return { token: firstToken + same, isInside: same < before.length };
  }

  private byteLength(text: string): number {
    return encoder.encode(this.rules.hasMetaspace ? text.replaceAll(SPACE, ' ') : text).length;
  }
}

const encoder = new TextEncoder();
