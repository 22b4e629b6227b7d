/** What the next tokens of one sequence may be, and how sure that is. */
import { Agreement } from './agreement.ts';
import { LookUp, SHORTEST_MATCH } from './look-up.ts';

/** Of a request, under llama-server's names. */
export interface GuessSettings {
  /** Tokens at most. */
  readonly draftMax: number;
  /** A shorter guess is dropped. */
  readonly draftMin: number;
  /** A guess ends before a token whose probability to be right is less. */
  readonly draftPMin: number;
}

/** Kinds of look-ups: by the logarithm of how many tokens before the guess agree. */
export const lookUpKinds = 6;

function lookUpKind(match: number): number {
  return Math.min(lookUpKinds - 1, Math.floor(2 * Math.log2(match / SHORTEST_MATCH)));
}

export class Guesser {
  readonly settings: GuessSettings;
  /** The guess of this step; the first `count` are valid. */
  readonly ids: Uint32Array;
  /** The probability that token i is right, if those before it are. */
  readonly chances: Float64Array;
  count = 0;
  /** For the timings. */
  proposed = 0;
  accepted = 0;
  private readonly kinds: Uint8Array;
  private readonly lookUpAgreement: Agreement | null;
  private lookUp: LookUp | null;

  /** `lookUps`: how those of the other sequences agreed; null: none are made. */
  constructor(settings: GuessSettings, lookUps: Agreement | null) {
    this.settings = settings;
    this.ids = new Uint32Array(settings.draftMax);
    this.chances = new Float64Array(settings.draftMax);
    this.kinds = new Uint8Array(settings.draftMax);
    this.lookUpAgreement = lookUps && new Agreement(lookUpKinds, lookUps);
    this.lookUp = lookUps && new LookUp();
  }

  /** Looks for a guess of at most `limit` tokens after the first `length` ids. */
  search(text: Uint32Array, length: number, limit: number): void {
    this.count = 0;
    if (!this.lookUp || limit < 1) return;
    const match = this.lookUp.find(this.ids, text, length);
    if (match === 0) return;
    this.count = Math.min(limit, this.ids.length);
    for (let i = 0; i < this.count; i++) {
      this.kinds[i] = lookUpKind(match + i);
      this.chances[i] = this.lookUpAgreement!.of(this.kinds[i]!);
    }
  }

  /** The tokens from `from` on are what was picked: the guess is judged by them, whether or not it was taken. */
  learn(text: Uint32Array, from: number, length: number): void {
    for (let i = 0; i < this.count && from + i < length; i++) {
      const agreed = text[from + i] === this.ids[i];
      this.lookUpAgreement!.note(this.kinds[i]!, agreed);
      if (!agreed) break;
    }
    this.count = 0;
  }

  /** The text is another one: its beginning was forgotten. */
  reset(): void {
    this.count = 0;
    this.lookUp &&= new LookUp();
  }
}
