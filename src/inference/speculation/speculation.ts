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
 * largest: tokens a millisecond. Where guesses lose, none is taken. A look-up costs nothing and is asked first; where it brings nothing,
 * the draft model goes on token by token, for as long as a further one is expected to bring more tokens a millisecond than the step does
 * without it.
 *
 * Source: Leviathan et al. 2023, arXiv:2211.17192; Chen et al. 2023, arXiv:2302.01318. Unlike theirs, a guess is compared with what is
 * sampled instead of being accepted by a ratio of probabilities: so the text of a seed stays the same. The draft samples with the same
 * random numbers, so that alike distributions pick alike.
 */
import type { Running } from '../running.ts';
import { Agreement } from './agreement.ts';
import type { DraftModel, DraftSequence } from './draft-model.ts';
import { draftKinds, Guesser, type GuessSettings, lookUpKinds } from './guesser.ts';
import { StepCost } from './step-cost.ts';

/** Rows of a step with guesses at most: beyond, a step's time grows with its rows. */
const MOST_ROWS = 64;

/** Tokens of a guess before anything is known of its cost. */
const FIRST_GUESS = 3;

export interface SpeculationOptions {
  /** Whether the text so far is searched. */
  readonly lookUp: boolean;
  readonly draft?: DraftModel | null;
  /** Milliseconds. */
  readonly clock: () => number;
}

interface Plan {
  /** Guessed tokens to take, of each sequence. */
  readonly counts: Uint32Array;
  readonly taken: number;
  /** Tokens a millisecond. */
  readonly rate: number;
}

export class Speculation {
  private readonly cost = new StepCost(MOST_ROWS);
  private readonly draftCost = new StepCost(MOST_ROWS);
  private readonly lookUps: Agreement | null;
  private readonly drafts = new Agreement(draftKinds);
  private readonly draft: DraftModel | null;
  private readonly clock: () => number;

  constructor({ lookUp, draft = null, clock }: SpeculationOptions) {
    this.lookUps = lookUp ? new Agreement(lookUpKinds) : null;
    this.draft = draft;
    this.clock = clock;
  }

  /** For a new sequence; null where it wants no guesses. */
  createGuesser(settings: GuessSettings): Guesser | null {
    if (settings.draftMax === 0) return null;
    const draft = this.draft && { agreement: this.drafts, sequence: this.draft.open() };
    return new Guesser(settings, this.lookUps, draft);
  }

  /** Lets those sequences that are about to decode take guesses. `room`: rows that fit into the batch. */
  async prepare(decoding: readonly Running[], room: number): Promise<void> {
    const mostRows = Math.min(room, MOST_ROWS);
    for (const job of decoding) job.searchGuess();
    let plan = this.choose(decoding, mostRows);
    // What a step costs without guesses is known first.
    if (this.draft && this.cost.isKnown && (await this.goAhead(this.draft, decoding, plan, mostRows)))
      plan = this.choose(decoding, mostRows);
    for (const [i, job] of decoding.entries()) {
      const count = plan.counts[i]!;
      if (job.guesser) job.takeGuess(count >= job.guesser.settings.draftMin ? count : 0);
    }
  }

  /** A step of only decoding sequences took this long. */
  note(rows: number, ms: number): void {
    this.cost.note(rows, ms);
  }

  /** How many tokens of each sequence's guess are worth their rows. */
  private choose(decoding: readonly Running[], mostRows: number): Plan {
    const counts = new Uint32Array(decoding.length);
    const offers: { readonly job: number; readonly chance: number }[] = [];
    for (const [job, { guesser }] of decoding.entries()) {
      const { guess } = guesser ?? { guess: null };
      if (!guess) continue;
      let chance = 1;
      for (let i = 0; i < guess.count && guess.chances[i]! >= guesser!.settings.draftPMin; i++) {
        chance *= guess.chances[i]!;
        offers.push({ job, chance });
      }
    }
    // Of one sequence they come in the order of the text: chances only fall, and the sort is stable.
    offers.sort((a, b) => b.chance - a.chance);
    let tokens = decoding.length;
    let rate = tokens / this.cost.of(tokens);
    let taken = 0;
    const most = Math.min(offers.length, mostRows - decoding.length, this.cost.knowsSeveral ? MOST_ROWS : FIRST_GUESS);
    for (let n = 1; n <= most; n++) {
      tokens += offers[n - 1]!.chance;
      const next = tokens / this.cost.of(decoding.length + n);
      if (next <= rate) continue;
      rate = next;
      taken = n;
    }
    for (const { job } of offers.slice(0, taken)) counts[job]!++;
    return { counts, taken, rate };
  }

  /** Drafts for the sequences that have no guess worth taking. Whether it did. */
  private async goAhead(
    draft: DraftModel,
    decoding: readonly Running[],
    { counts, taken, rate }: Plan,
    mostRows: number,
  ): Promise<boolean> {
    let rows = decoding.length + taken;
    const drafts = new Map<DraftSequence, Running>();
    for (const [i, job] of decoding.entries()) {
      if (counts[i]! > 0 || job.guessLimit < 1) continue;
      const begun = job.beginDraft();
      if (begun) drafts.set(begun, job);
    }
    let drew = false;
    while (drafts.size > 0) {
      let pending = 0;
      for (const { pending: own } of drafts.keys()) pending += own;
      // What follows is judged by the tokens that are new in every round, not by a text that is read for the first time.
      const isUsual = pending <= 2 * drafts.size;
      const draftMs = this.draftCost.isKnown ? this.draftCost.of(isUsual ? pending : drafts.size) / drafts.size : 0;
      const verifyMs = (this.cost.of(rows + drafts.size) - this.cost.of(rows)) / drafts.size;
      for (const [sequence, job] of drafts) {
        const { drafted, settings } = job.guesser!;
        const isFull = drafted.count >= Math.min(job.guessLimit, settings.draftMax);
        const pays = drafted.chance * drafted.agreement.mean() >= rate * (draftMs + verifyMs);
        if (!pays && drafted.count === 0) job.guesser!.pauseDraft(job.length);
        if (isFull || !pays) drafts.delete(sequence);
      }
      if (drafts.size === 0 || rows + drafts.size > mostRows) break;
      rows += drafts.size;
      const startMs = this.clock();
      const heard = new Set<DraftSequence>();
      await draft.read([...drafts.keys()], (sequence, logits_V) => {
        heard.add(sequence);
        if (!drafts.get(sequence)!.drawDraft(logits_V)) drafts.delete(sequence);
        drew = true;
      });
      if (isUsual) this.draftCost.note(pending, this.clock() - startMs);
      for (const sequence of drafts.keys()) if (!heard.has(sequence)) drafts.delete(sequence);
    }
    return drew;
  }
}
