/** What the next tokens of one sequence may be, by whom, and how sure that is. */
import { CriaError } from '../../base/errors.ts';
import type { Floats } from '../../tensor/tensor.ts';
import type { Sampler } from '../sampler/sampler.ts';
import { Agreement } from './agreement.ts';
import type { DraftSequence } from './draft-model.ts';
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

/** Kinds of drafted tokens: by the probability that the draft gives them. */
const DRAFT_BOUNDS = [0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95] as const;
export const draftKinds = DRAFT_BOUNDS.length + 1;

function draftKind(probability: number): number {
  const kind = DRAFT_BOUNDS.findIndex((bound) => probability < bound);
  return kind < 0 ? DRAFT_BOUNDS.length : kind;
}

const NOTHING_LEFT: readonly string[] = ['sampling.none-left', 'grammar.no-token-left'];

/** Tokens that are left to the model alone after a draft that did not pay; twice as many each time. */
const FIRST_PAUSE = 64;

/** Guessed tokens in order. */
export class Guess {
  /** The first `count` are valid. */
  readonly ids: Uint32Array;
  /** The probability that token i is right, if those before it are. */
  readonly chances: Float64Array;
  count = 0;
  private readonly kinds: Uint8Array;
  agreement: Agreement;

  constructor(most: number, agreement: Agreement) {
    this.ids = new Uint32Array(most);
    this.chances = new Float64Array(most);
    this.kinds = new Uint8Array(most);
    this.agreement = agreement;
  }

  add(id: number, kind: number): void {
    this.ids[this.count] = id;
    this.kinds[this.count] = kind;
    this.chances[this.count++] = this.agreement.of(kind);
  }

  /** The probability that all of it is right. */
  get chance(): number {
    let chance = 1;
    for (let i = 0; i < this.count; i++) chance *= this.chances[i]!;
    return chance;
  }

  /** What was picked from `from` on judges it, whether or not it was taken. */
  learn(text: Uint32Array, from: number, length: number): void {
    for (let i = 0; i < this.count && from + i < length; i++) {
      const agreed = text[from + i] === this.ids[i];
      this.agreement.note(this.kinds[i]!, agreed);
      if (!agreed) break;
    }
    this.count = 0;
  }
}

interface Drafting {
  readonly sequence: DraftSequence;
  readonly guess: Guess;
  /** Picks from the draft's logits with the random numbers that the sequence's own sampler will use. */
  sampler: Sampler | null;
  /** No draft before the text is this long. */
  pausedUntil: number;
  pause: number;
}

export class Guesser {
  readonly settings: GuessSettings;
  /** For the timings. */
  proposed = 0;
  accepted = 0;
  /** The guess that counts in this step. */
  guess: Guess | null = null;
  private lookUp: LookUp | null;
  private readonly lookUpGuess: Guess | null;
  private readonly drafting: Drafting | null;

  /** `lookUps`, `drafts`: how those of the other sequences agreed; null: none are made. */
  constructor(
    settings: GuessSettings,
    lookUps: Agreement | null,
    draft: { readonly agreement: Agreement; readonly sequence: DraftSequence } | null,
  ) {
    const { draftMax } = settings;
    this.settings = settings;
    this.lookUp = lookUps && new LookUp();
    this.lookUpGuess = lookUps && new Guess(draftMax, new Agreement(lookUpKinds, lookUps));
    this.drafting = draft && {
      guess: new Guess(draftMax, new Agreement(draftKinds, draft.agreement)),
      sequence: draft.sequence,
      sampler: null,
      pausedUntil: 0,
      pause: FIRST_PAUSE,
    };
  }

  /** Looks for a guess of at most `limit` tokens after the first `length` ids. */
  search(text: Uint32Array, length: number, limit: number): void {
    this.guess = null;
    const { lookUpGuess } = this;
    if (!lookUpGuess || limit < 1) return;
    lookUpGuess.count = 0;
    const match = this.lookUp!.find(lookUpGuess.ids, text, length);
    if (match === 0) return;
    for (let i = 0; i < Math.min(limit, this.settings.draftMax); i++) {
      lookUpGuess.add(lookUpGuess.ids[i]!, lookUpKind(match + i));
    }
    this.guess = lookUpGuess;
  }

  /** Of what was found only the first `count` tokens may be right. */
  cut(count: number): void {
    this.guess!.count = count;
    if (count === 0) this.guess = null;
  }

  /** Begins a draft after the first `length` ids; null where there is none to be had. */
  beginDraft(text: Uint32Array, length: number, sampler: Sampler): DraftSequence | null {
    const { drafting } = this;
    if (!drafting || length < drafting.pausedUntil) return null;
    drafting.guess.count = 0;
    drafting.sequence.follow(text, length);
    drafting.sampler = sampler.shadow(drafting.sampler);
    return drafting.sequence;
  }

  /** What is drafted so far. */
  get drafted(): Guess {
    return this.drafting!.guess;
  }

  /** The draft would not pay: it rests for a while, and is then given another chance. */
  pauseDraft(length: number): void {
    const { drafting } = this;
    if (!drafting) return;
    drafting.pausedUntil = length + drafting.pause;
    drafting.pause *= 2;
    drafting.guess.agreement = new Agreement(draftKinds);
  }

  /** The token that follows the first `length` ids by the draft; null where none may. */
  drawDraft(logits_V: Floats, text: Uint32Array, length: number): number | null {
    const { guess, sequence, sampler } = this.drafting!;
    if (sampler!.isFinished) return null;
    let id: number;
    try {
      id = sampler!.sample(logits_V, 0, text, length);
    } catch (error) {
      // A grammar may ask for what the draft's vocabulary does not have.
      if (error instanceof CriaError && NOTHING_LEFT.includes(error.code)) return null;
      throw error;
    }
    guess.add(id, draftKind(probabilityOf(logits_V, id)));
    sequence.push(id);
    this.guess = guess;
    return id;
  }

  /** The tokens from `from` on are what was picked: guesses are judged by them, whether or not they were taken. */
  learn(text: Uint32Array, from: number, length: number): void {
    this.lookUpGuess?.learn(text, from, length);
    this.drafting?.guess.learn(text, from, length);
    this.guess = null;
  }

  /** The text is another one: its beginning was forgotten. */
  reset(): void {
    this.guess = null;
    if (this.lookUpGuess) {
      this.lookUp = new LookUp();
      this.lookUpGuess.count = 0;
    }
    if (!this.drafting) return;
    this.drafting.guess.count = 0;
    this.drafting.sequence.reset();
  }

  /** The sequence has ended. */
  close(): void {
    this.drafting?.sequence.release();
  }
}

/** Of the draft's own distribution. */
function probabilityOf(logits_V: Floats, id: number): number {
  const logit = logits_V[id]!;
  let sum = 0;
  for (let i = 0; i < logits_V.length; i++) sum += Math.exp(logits_V[i]! - logit);
  return 1 / sum;
}
