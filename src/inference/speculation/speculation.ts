/**
 * Speculative decoding: tokens are guessed, and a step computes their rows together with the row that is due. The engine samples every
 * position from the model's own logits with the sequence's own random numbers, and keeps the guess while it agrees; so a guess saves
 * time or wastes it, and changes nothing else.
 *
 * Here it is decided how much is guessed. A batch of r rows takes a time C(r), which is measured; a guessed token brings as much of a
 * token as it is likely to be right, given how such guesses fared. Of all guesses of all sequences as many are taken, the likeliest
 * first, as make
 *
 *   (sequences + Σ likelihoods) / C(sequences + guesses)
 *
 * largest: tokens a millisecond. Where guesses lose, none is taken.
 *
 * Source: Leviathan et al. 2023, arXiv:2211.17192; Chen et al. 2023, arXiv:2302.01318. Unlike theirs, a guess is compared with what is
 * sampled instead of being accepted by a ratio of probabilities: so the text of a seed stays the same.
 */
import type { Running } from '../running.ts';
import { Agreement } from './agreement.ts';
import { Guesser, type GuessSettings, lookUpKinds } from './guesser.ts';
import { StepCost } from './step-cost.ts';

/** Rows of a step with guesses at most: beyond, a step's time grows with its rows. */
const MOST_ROWS = 64;

export interface SpeculationOptions {
  /** Whether the text so far is searched. */
  readonly lookUp: boolean;
}

export class Speculation {
  private readonly cost = new StepCost(MOST_ROWS);
  private readonly lookUps: Agreement | null;

  constructor({ lookUp }: SpeculationOptions) {
    this.lookUps = lookUp ? new Agreement(lookUpKinds) : null;
  }

  /** For a new sequence; null where it wants no guesses. */
  createGuesser(settings: GuessSettings): Guesser | null {
    return settings.draftMax > 0 ? new Guesser(settings, this.lookUps) : null;
  }

  /** Lets those sequences that are about to decode take guesses. `room`: rows that fit into the batch. */
  prepare(decoding: readonly Running[], room: number): void {
    for (const { guesser, ids, length, guessLimit } of decoding) guesser?.search(ids, length, guessLimit);
    const counts = this.choose(decoding, Math.min(room, MOST_ROWS));
    for (const [i, job] of decoding.entries()) {
      const count = counts[i]!;
      if (job.guesser && count > 0 && count >= job.guesser.settings.draftMin) job.takeGuess(count);
    }
  }

  /** A step of only decoding sequences took this long. */
  note(rows: number, ms: number): void {
    this.cost.note(rows, ms);
  }

  /** How many tokens of each sequence's guess are worth their rows. */
  private choose(decoding: readonly Running[], mostRows: number): Uint32Array {
    const counts = new Uint32Array(decoding.length);
    const offers: { readonly job: number; readonly chance: number }[] = [];
    for (const [job, { guesser }] of decoding.entries()) {
      if (!guesser) continue;
      let chance = 1;
      for (let i = 0; i < guesser.count && guesser.chances[i]! >= guesser.settings.draftPMin; i++) {
        chance *= guesser.chances[i]!;
        offers.push({ job, chance });
      }
    }
    // Of one sequence they come in the order of the text: chances only fall, and the sort is stable.
    offers.sort((a, b) => b.chance - a.chance);
    let tokens = decoding.length;
    let best = tokens / this.cost.of(tokens);
    let taken = 0;
    for (let n = 1; n <= offers.length && decoding.length + n <= mostRows; n++) {
      tokens += offers[n - 1]!.chance;
      const rate = tokens / this.cost.of(decoding.length + n);
      if (rate <= best) continue;
      best = rate;
      taken = n;
    }
    for (const { job } of offers.slice(0, taken)) counts[job]!++;
    return counts;
  }
}
