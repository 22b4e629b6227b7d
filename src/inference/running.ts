/**
 * One request on its way: its tokens so far, its place in the cache, its sampler, and the text that its tokens become.
 */

import { noAdapters, type Selection } from '../model/adapter/select.ts';
import type { CachedSequence } from '../model/kv-cache.ts';
import type { Floats } from '../tensor/tensor.ts';
import type { StreamDecoder } from '../tokenizer/stream-decoder.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import {
  type FinishReason,
  type GenerationResult,
  type Piece,
  type PieceLogProbabilities,
  timingsOf,
} from './generation.ts';
import type { GenerationSettings } from './options.ts';
import type { Candidates } from './sampler/candidates.ts';
import { keptLogProbabilities, type PickLogProbabilities, rawLogProbabilities } from './sampler/log-probabilities.ts';
import type { Sampler } from './sampler/sampler.ts';
import type { DraftSequence } from './speculation/draft-model.ts';
import type { Guesser } from './speculation/guesser.ts';
import { StopStrings } from './text/stop-strings.ts';
import { tokenText } from './text/token-texts.ts';

export interface Listener {
  /** It has its place in the cache, which held this many tokens of its prompt already. */
  admitted?(cachedTokens: number): void;
  /** With `promptLogprobs`, before the first piece: of the prompt's tokens, from its second on. */
  promptRead?(logprobs: readonly PieceLogProbabilities[]): void;
  piece(piece: Piece): void;
  done(result: GenerationResult): void;
  failed(error: unknown): void;
}

/** What the engine takes through its batches, and what it gets for it. */
export interface EngineSequence {
  /** The first `length` are valid. */
  readonly ids: Uint32Array;
  readonly length: number;
  /** Tokens whose beginning the cache may know already. */
  readonly reusable: Uint32Array;
  /** null while it waits for room. */
  cached: CachedSequence | null;
  readonly aborted: boolean;
  /** The adapters that it is computed with; set when it is queued. */
  selection: Selection;
  /** Tokens whose keys and values are still to be computed: at least one. */
  readonly pending: number;
  /** Of the next `count` tokens, after how many of the last ones the logits are wanted. Asked before they are computed. */
  wantedLogits(count: number): number;
  /** Of these logits, how many of the largest are enough; null or absent: all are looked at. */
  readonly enough?: number | null;
  /** Takes its place in the cache: at first, and again after it had to make room. */
  admit(cached: CachedSequence): void;
  /** Gives its blocks back; it keeps its tokens and goes on later. */
  yieldRoom(): void;
  /** Ends it where it is. */
  abort(): void;
  fail(error: unknown): void;
}

export class Running implements EngineSequence {
  /** Prompt and generated tokens; the first `length` are valid. */
  ids: Uint32Array;
  length: number;
  readonly promptLength: number;
  private readonly promptIds: Uint32Array;
  private readonly generated: number[] = [];
  /** null while it waits for room. */
  cached: CachedSequence | null = null;
  aborted = false;
  selection: Selection = noAdapters;
  readonly settings: GenerationSettings;
  readonly listener: Listener;
  /** null: each step computes one token. */
  readonly guesser: Guesser | null;
  /** Tokens after the first `length` that the next step computes too, in case they are right. */
  guessed = 0;

  /** Tokens that shifts have taken out of the text. */
  private forgotten = 0;
  /** Of the prompt's tokens that were read; null where nobody asked. */
  private promptLogprobs: PieceLogProbabilities[] | null;
  private readonly sampler: Sampler;
  private readonly candidates: Candidates;
  private readonly tokenizer: Tokenizer | null;
  private readonly decoder: StreamDecoder | null;
  private readonly stops: StopStrings;
  private readonly eogIds: ReadonlySet<number>;
  private readonly contextLength: number;
  private readonly clock: () => number;
  private text = '';
  private predicted = 0;
  private cachedTokens: number | null = null;
  private startMs: number | null = null;
  private firstTokenMs = 0;

  constructor(
    promptIds: Uint32Array,
    settings: GenerationSettings,
    listener: Listener,
    engine: {
      readonly sampler: Sampler;
      readonly candidates: Candidates;
      readonly tokenizer: Tokenizer | null;
      readonly eogIds: ReadonlySet<number>;
      readonly contextLength: number;
      readonly clock: () => number;
      readonly guesser: Guesser | null;
    },
  ) {
    this.promptLength = promptIds.length;
    this.promptIds = promptIds;
    this.length = promptIds.length;
    this.ids = new Uint32Array(promptIds.length + 64);
    this.ids.set(promptIds);
    this.settings = settings;
    this.listener = listener;
    this.sampler = engine.sampler;
    this.candidates = engine.candidates;
    this.tokenizer = engine.tokenizer;
    this.eogIds = engine.eogIds;
    this.contextLength = engine.contextLength;
    this.clock = engine.clock;
    this.guesser = engine.guesser;
    this.promptLogprobs = settings.promptLogprobs ? [] : null;
    this.stops = new StopStrings(settings.stop);
    this.decoder = engine.tokenizer?.decoder() ?? null;
    // The decoder goes through the prompt, so that the first generated piece is spelled as what follows it.
    for (const id of promptIds) this.decode(id);
  }

  get reusable(): Uint32Array {
    return this.ids.subarray(0, this.isPromptRead ? this.length : 0);
  }

  /** The prompt's logits need not be looked at (any more). */
  private get isPromptRead(): boolean {
    return this.promptLogprobs === null || this.promptLogprobs.length === this.promptLength - 1;
  }

  get pending(): number {
    return this.length - (this.cached?.length ?? 0);
  }

  wantedLogits(count: number): number {
    if (!this.isPromptRead) return count;
    return Math.max(0, count - this.pending + 1);
  }

  /** Of its next logits, how many of the largest are enough; null: all are looked at. */
  get enough(): number | null {
    return this.isPromptRead && this.settings.logprobs < 0 ? this.sampler.enough : null;
  }

  /** How many tokens a guess may have: the token after it must have a place too. */
  get guessLimit(): number {
    const { maxTokens } = this.settings;
    const left = maxTokens < 0 ? Number.POSITIVE_INFINITY : maxTokens - this.predicted - 1;
    return this.isPromptRead ? Math.min(left, this.contextLength - this.length) : 0;
  }

  /** Looks for a guess in the text, as far as the constraint lets it be right. */
  searchGuess(): void {
    const { guesser } = this;
    guesser?.search(this.ids, this.length, this.guessLimit);
    if (guesser?.guess) guesser.cut(this.sampler.allowed(guesser.guess.ids.subarray(0, guesser.guess.count)));
  }

  /** Puts the first `count` guessed tokens behind the text, for the next step. */
  takeGuess(count: number): void {
    this.makeRoom(count);
    if (count > 0) this.ids.set(this.guesser!.guess!.ids.subarray(0, count), this.length);
    this.guessed = count;
  }

  /** The draft's half of this sequence, up to date; null where none is to be had. */
  beginDraft(): DraftSequence | null {
    return this.guesser?.beginDraft(this.ids, this.length, this.sampler) ?? null;
  }

  /** Draws the next token of a draft. Whether another may follow. */
  drawDraft(logits_V: Floats): boolean {
    const place = this.length + this.guesser!.drafted.count;
    this.makeRoom(place + 1 - this.length);
    const id = this.guesser!.drawDraft(logits_V, this.ids, place);
    if (id !== null) this.ids[place] = id;
    return id !== null && !this.eogIds.has(id);
  }

  admit(cached: CachedSequence): void {
    this.cached = cached;
    this.startMs ??= this.clock();
    if (this.cachedTokens !== null) return;
    this.cachedTokens = cached.length;
    this.listener.admitted?.(cached.length);
  }

  yieldRoom(): void {
    this.cached?.release();
    this.cached = null;
    this.guessed = 0;
    if (!this.isPromptRead) this.promptLogprobs = [];
  }

  /**
   * The logits after the last `count` tokens that were computed: rows `firstRow` … of logits_RV. Once all tokens are, picks the next.
   * True when the generation has ended.
   */
  accept(logits_RV: Floats, firstRow: number, count: number): boolean {
    if (!this.isPromptRead) this.readPrompt(logits_RV, firstRow, count);
    if (this.pending > 0) return false;
    const { guesser, guessed, length } = this;
    if (!guesser) return this.pick(logits_RV, firstRow + count - 1);
    this.guessed = 0;
    guesser.proposed += guessed;
    const hasEnded = this.pickWhileRight(logits_RV, firstRow + count - 1 - guessed, guessed);
    if (this.cached) guesser.learn(this.ids, length, this.length);
    else guesser.reset();
    return hasEnded;
  }

  /** Picks the next token, and the one after each guessed token for as long as that one was picked. */
  private pickWhileRight(logits_RV: Floats, firstRow: number, guessed: number): boolean {
    for (let i = 0; ; i++) {
      const guess = this.ids[this.length]; // what is picked takes its place
      if (this.pick(logits_RV, firstRow + i)) return true;
      if (i === guessed || this.cached === null || this.ids[this.length - 1] !== guess) return false;
      this.guesser!.accepted++;
      this.cached.advance(this.ids.subarray(this.length - 1, this.length));
    }
  }

  private readPrompt(logits_RV: Floats, firstRow: number, count: number): void {
    const read = this.promptLogprobs!;
    for (let i = 0; i < count && !this.isPromptRead; i++) {
      const next = this.ids[read.length + 1]!;
      const { logprobs: top } = this.settings;
      read.push(this.named(rawLogProbabilities(this.candidates, logits_RV, firstRow + i, next, top)));
    }
  }

  private pick(logits_RV: Floats, row: number): boolean {
    const { settings } = this;
    if (this.predicted === 0) {
      this.firstTokenMs = this.clock();
      if (this.promptLogprobs) this.listener.promptRead?.(this.promptLogprobs);
    }
    if (settings.maxTokens === 0) return this.finish('length');
    const id = this.sampler.sample(logits_RV, row, this.ids, this.length);
    this.predicted++;

    if (this.eogIds.has(id)) {
      const rest = this.decoder?.flush() ?? '';
      const { text, stop } = this.stops.push(rest);
      this.emit(id, stop === null ? text + this.stops.flush() : text, logits_RV, row, 'only with text');
      return this.finish('stop', stop, stop === null ? id : null);
    }
    this.append(id);
    const { text, stop } = this.stops.push(this.decode(id));
    const full = this.predicted === settings.maxTokens || (this.length > this.contextLength && !this.canShift());
    const complete = this.sampler.isFinished;
    if (stop === null && (full || complete)) {
      const last = this.stops.push(this.decoder?.flush() ?? '');
      this.emit(id, text + last.text + (last.stop === null ? this.stops.flush() : ''), logits_RV, row);
      return last.stop === null && !complete ? this.finish('length') : this.finish('stop', last.stop);
    }
    this.emit(id, text, logits_RV, row);
    if (stop !== null) return this.finish('stop', stop);
    if (this.length > this.contextLength) this.shift();
    return false;
  }

  /** The first tokens, which are never forgotten; llama.cpp's rule. */
  private get keptTokens(): number {
    const { keep } = this.settings;
    const begins = this.promptIds[0] === this.tokenizer?.bosId ? 1 : 0;
    return keep < 0 ? this.promptLength : Math.min(keep + begins, this.promptLength);
  }

  /** How many tokens a shift forgets: half of those that are not kept. */
  private get forgettable(): number {
    return Math.floor((this.length - 1 - this.keptTokens) / 2);
  }

  private canShift(): boolean {
    return this.settings.contextShift && this.forgettable > 0;
  }

  /**
   * Forgets the oldest tokens after the kept ones. Positions are part of the cached keys, and the keys of later tokens know of the
   * forgotten ones: so what is left is computed anew, like a prompt, of which the cache knows the kept beginning.
   */
  private shift(): void {
    const [kept, forgotten] = [this.keptTokens, this.forgettable];
    this.ids.copyWithin(kept, kept + forgotten, this.length);
    this.length -= forgotten;
    this.forgotten += forgotten;
    this.yieldRoom();
  }

  /** Ends it where it is; text that was held back is not given out. */
  abort(): void {
    this.finish('abort');
  }

  /** Ends it with an error. */
  fail(error: unknown): void {
    this.yieldRoom();
    this.guesser?.close();
    this.listener.failed(error);
  }

  private finish(finishReason: FinishReason, stop: string | null = null, eogId: number | null = null): true {
    const now = this.clock();
    const cached = this.cachedTokens ?? 0;
    const promptMs = this.startMs === null ? 0 : (this.predicted > 0 ? this.firstTokenMs : now) - this.startMs;
    const computed = this.startMs === null ? 0 : this.promptLength - cached;
    this.yieldRoom();
    this.guesser?.close();
    this.listener.done({
      text: this.text,
      ids: Uint32Array.from(this.generated),
      promptIds: this.promptIds.slice(),
      ...(this.promptLogprobs && { promptLogprobs: this.promptLogprobs }),
      finishReason,
      stop,
      eogId,
      seed: this.sampler.seed,
      ...(this.forgotten > 0 && { forgotten: this.forgotten }),
      timings: {
        ...timingsOf(cached, computed, promptMs, this.predicted, this.predicted > 0 ? now - this.firstTokenMs : 0),
        ...(this.guesser && { draft_n: this.guesser.proposed, draft_n_accepted: this.guesser.accepted }),
      },
    });
    return true;
  }

  private emit(
    id: number,
    text: string,
    logits_RV: Floats,
    row: number,
    when: 'always' | 'only with text' = 'always',
  ): void {
    this.text += text;
    if (when === 'only with text' && text === '') return;
    const { logprobs: top, postSamplingProbs } = this.settings;
    if (top < 0) {
      this.listener.piece({ id, text });
      return;
    }
    const found = postSamplingProbs
      ? keptLogProbabilities(this.candidates, id, top)
      : rawLogProbabilities(this.candidates, logits_RV, row, id, top);
    this.listener.piece({ id, text, logprobs: this.named(found) });
  }

  private named({ logprob, top }: PickLogProbabilities): PieceLogProbabilities {
    return { logprob, top: top.map((entry) => ({ ...entry, text: tokenText(this.tokenizer, entry.id) })) };
  }

  /** Of so many tokens behind the text. */
  private makeRoom(count: number): void {
    if (this.length + count <= this.ids.length) return;
    const larger = new Uint32Array(2 * (this.length + count));
    larger.set(this.ids);
    this.ids = larger;
  }

  private append(id: number): void {
    this.makeRoom(1);
    this.ids[this.length++] = id;
    this.generated.push(id);
  }

  /** The text that the token completes; a model may have more rows than its tokenizer has pieces. */
  private decode(id: number): string {
    return this.decoder && id < this.tokenizer!.vocabSize ? this.decoder.push(id) : '';
  }
}
