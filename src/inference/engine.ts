/**
 * The engine: many generations on one model, by continuous batching. Each step builds one batch out of a row for every sequence
 * that is decoding and chunks of the prompts that are not yet read, calls `forward` once, and picks the next tokens. A sequence
 * comes and goes at any step; who shares its batch changes none of its bits.
 *
 * When the cache has no room for a sequence's next token, the one admitted last gives its blocks back and waits; it is computed
 * again from its tokens when there is room, which changes no bit either. As the cache holds at least one whole context, the oldest
 * always goes on.
 *
 * A worker calls step() for as long as it says that there is work; only the device's one read in it is waited for.
 */
import { assert } from '../base/assert.ts';
import { ArgumentError } from '../base/errors.ts';
import type { Device } from '../devices/device.ts';
import type { KvStore, KvType } from '../kernels/ops.ts';
import { type AdapterChoice, EngineAdapters, opsFor, type Selection, templateWith } from '../model/adapter/select.ts';
import { BATCH_TOKENS, cacheOf, mostHeld } from '../model/cache-size.ts';
import { longestWindow } from '../model/choices/positions.ts';
import { KvCache } from '../model/kv-cache.ts';
import { forward, hidden, keepOutputs, type Tap } from '../model/llama.ts';
import type { Model } from '../model/model.ts';
import type { Floats } from '../tensor/tensor.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { BatchBuilder } from './batch-builder.ts';
import type { Constraint } from './constraint.ts';
import type { Prompt } from './generation.ts';

import { resolveOptions } from './option-table.ts';
import { type GenerationOptions, generationOptions } from './options.ts';
import { encodePrompt, isChat } from './prompt.ts';
import { Embedding, type Pooling } from './reading/embedding.ts';
import { LargestLogits, mostWanted } from './reading/largest-logits.ts';
import { collectScores, Prefix, type ScoreListener, Scoring } from './reading/scoring.ts';
import { type Listener, Running } from './running.ts';
import { endsOfGeneration, SamplerMaker } from './sampler/sampler-maker.ts';
import type { Speculation } from './speculation/speculation.ts';

/** Rows of logits of one batch, so that scoring with a large vocabulary needs no giant arena. */
const LOGIT_ROWS = 256;

export interface EngineOptions {
  readonly model: Model;
  readonly device: Device;
  readonly tokenizer: Tokenizer | null;
  /** Tokens that end a generation, beside those that the tokenizer knows. */
  readonly eogIds?: readonly number[] | undefined;
  /** The model's own chat template, where its files hold one beside the tokenizer. */
  readonly chatTemplate?: string | null | undefined;
  /** Absent: none. */
  readonly adapters?: EngineAdapters | undefined;
  /** Longest sequence, prompt and generated text together. */
  readonly contextLength: number;
  readonly kvType: KvType;
  /** Tokens that the cache holds, of all sequences together; at least one context, which is also the default. */
  readonly cacheTokens?: number | undefined;
  /** Rows of one batch at most: a longer prompt is read in chunks of this many tokens. */
  readonly batchTokens?: number | undefined;
  /** Tokens of prompts that are read in one step while others decode: a long prompt must not make them wait. */
  readonly sharedPromptTokens?: number | undefined;
  /** Sequences that run at the same time at most; the others wait. */
  readonly maxSequences?: number | undefined;
  /** Milliseconds, for the timings. */
  readonly clock: () => number;
  /** The time of day, for templates that write the date; without it they have no strftime_now. */
  readonly now?: (() => Date) | undefined;
  /** A seed for generations that name none. */
  readonly drawSeed: () => number;
}

/** What goes with a generation besides its options. */
export interface SubmitOptions {
  readonly constraint?: Constraint | null;
  /** null: the usual ones. */
  readonly adapters?: AdapterChoice | null;
}

/** A submitted generation. */
export interface Job {
  abort(): void;
}

/** What the engine is busy with. */
export interface EngineLoad {
  readonly running: number;
  readonly waiting: number;
  /** Cache blocks that some sequence uses, of all there are. */
  readonly usedBlocks: number;
  readonly blockCount: number;
  /** Batches computed since the start, and rows in them. */
  readonly steps: number;
  readonly rows: number;
}

export class Engine {
  readonly contextLength: number;
  readonly model: Model;
  readonly device: Device;
  readonly tokenizer: Tokenizer | null;
  readonly cache: KvCache;
  readonly eogIds: ReadonlySet<number>;
  readonly adapters: EngineAdapters;
  private readonly chatTemplate: string | null;
  readonly store: KvStore;
  readonly segment: ReturnType<typeof keepOutputs>;
  private readonly batch: BatchBuilder;
  /** Positions of one sequence that are in the cache at the same time: the context, or what windows see and a batch adds. */
  private readonly mostHeld: number;
  private readonly maxSequences: number;
  private readonly sharedPromptTokens: number;
  private readonly largest = new LargestLogits();
  private steps = 0;
  private rows = 0;
  private readonly samplers: SamplerMaker;
  private speculation: Speculation | null = null;
  private readonly clock: () => number;
  private readonly now: (() => Date) | undefined;
  /** In order of admission. */
  private readonly running: Sequence[] = [];
  private readonly waiting: Sequence[] = [];

  constructor(options: EngineOptions) {
    const { model, device, contextLength, batchTokens = BATCH_TOKENS } = options;
    const { config } = model;
    this.model = model;
    this.device = device;
    this.segment = keepOutputs(device);
    this.tokenizer = options.tokenizer;
    this.chatTemplate = options.chatTemplate ?? null;
    this.eogIds = endsOfGeneration(options.tokenizer, options.eogIds ?? []);
    this.adapters = options.adapters ?? new EngineAdapters([], []);
    this.contextLength = contextLength;
    this.maxSequences = options.maxSequences ?? 64;
    this.sharedPromptTokens = options.sharedPromptTokens ?? 64;
    this.clock = options.clock;
    this.now = options.now;
    const { tokenizer, drawSeed } = options;
    this.samplers = new SamplerMaker({ tokenizer, eogIds: this.eogIds, vocabSize: config.vocabSize, drawSeed });
    this.batch = new BatchBuilder(batchTokens);
    const window = longestWindow(config);
    this.mostHeld = mostHeld(config, options);
    this.store = device.createKvStore(cacheOf(config, options));
    const { blockCount, blockTokens } = this.store;
    this.cache = new KvCache({
      blockCount,
      blockTokens,
      window,
      copyBlock: (from, to) => device.copyKvBlock(this.store, from, to),
    });
  }

  /** From now on tokens are guessed ahead: which changes no generation's outcome. */
  guessBy(speculation: Speculation): void {
    this.speculation = speculation;
  }

  /**
   * Queues a generation. What is wrong with it is said now, not at its first token.
   * Throws ArgumentError `generate.options`, `generate.prompt`, `generate.context`, `generate.tokenizer`, `generate.adapters`.
   */
  submit(
    prompt: Prompt,
    options: GenerationOptions,
    listener: Listener,
    { constraint = null, adapters = null }: SubmitOptions = {},
  ): Job {
    const selection = this.adapters.select(adapters, isChat(prompt));
    const settings = resolveOptions('generate', generationOptions, options);
    const promptIds = this.encode(prompt, settings, adapters);
    this.checkLength(promptIds);
    if (settings.stop.length > 0 && !this.tokenizer) {
      throw new ArgumentError(
        'generate.tokenizer',
        'generate: stop expects a model with a tokenizer, found none in its files. Put the tokenizer beside the model, or leave the option out.',
      );
    }
    if (settings.promptLogprobs && settings.logprobs < 0) {
      throw new ArgumentError(
        'generate.options',
        'generate: promptLogprobs expects logprobs of 0 or more, found −1. Say how many likeliest tokens to report.',
      );
    }
    const { contextLength, clock, tokenizer, eogIds } = this;
    const { candidates } = this.samplers;
    const sampler = this.samplers.create(settings, constraint);
    const job = new Running(promptIds, settings, listener, {
      sampler,
      candidates,
      tokenizer,
      eogIds,
      contextLength,
      clock,
      guesser: this.speculation?.createGuesser(settings) ?? null,
    });
    return this.queue(job, selection);
  }

  /** Queues a text whose states are wanted, pooled, of any length. Throws ArgumentError `generate.context`, `generate.adapters`. */
  embed(
    ids: Uint32Array,
    pooling: Pooling,
    listener: { done(vector_D: Float32Array): void; failed(error: unknown): void },
    adapters: AdapterChoice | null = null,
  ): Job {
    this.checkLength(ids);
    const selection = this.adapters.select(adapters);
    return this.queue(new Embedding(ids, this.model.config.width, pooling, listener), selection);
  }

  /**
   * Queues the scoring of continuations of one text, which is computed once for all of them. None of the arrays may be empty.
   * Throws ArgumentError `score.context`, `generate.adapters`.
   */
  score(
    context: Uint32Array,
    continuations: readonly Uint32Array[],
    listener: ScoreListener,
    adapters: AdapterChoice | null = null,
  ): Job {
    const selection = this.adapters.select(adapters);
    const longest = context.length + Math.max(...continuations.map(({ length }) => length)) - 1;
    if (longest > this.contextLength) {
      throw new ArgumentError(
        'score.context',
        `score: a text and its continuation are ${longest + 1} tokens, expected at most one more than the context's ${this.contextLength}. ` +
          'Shorten the text, or load the model with a larger context (contextLength, --context).',
      );
    }
    const settle = collectScores(continuations.length, listener);
    const { vocabSize } = this.model.config;
    const jobs = continuations.map((continuation, i) => new Scoring(context, continuation, vocabSize, settle(i)));
    const isShared = jobs.length > 1 && context.length > 1;
    const first = isShared ? [new Prefix(context, jobs)] : jobs;
    for (const job of [...first, ...jobs]) job.selection = selection;
    this.waiting.push(...first);
    return {
      abort: () => {
        for (const job of jobs) job.aborted = true;
      },
    };
  }

  private queue(job: Running | Embedding, selection: Selection): Job {
    job.selection = selection;
    this.waiting.push(job);
    return {
      abort: () => {
        job.aborted = true;
      },
    };
  }

  private checkLength({ length }: Uint32Array): void {
    if (length <= this.contextLength) return;
    throw new ArgumentError(
      'generate.context',
      `generate: the prompt is ${length} tokens, expected at most the context's ${this.contextLength}. ` +
        'Shorten the prompt, or load the model with a larger context (contextLength, --context).',
    );
  }

  /** The token ids of a prompt, as submit() reads it. Throws ArgumentError. */
  encode(
    prompt: Prompt,
    options: { readonly parseSpecial: boolean },
    adapters: AdapterChoice | null = null,
  ): Uint32Array {
    const { tokenizer, model, now } = this;
    const chatTemplate = templateWith(this.chatTemplate, this.adapters.named, adapters);
    return encodePrompt({ tokenizer, chatTemplate, vocabSize: model.config.vocabSize, now }, prompt, options);
  }

  get load(): EngineLoad {
    const { usedBlocks, blockCount } = this.cache;
    const { steps, rows } = this;
    return { running: this.running.length, waiting: this.waiting.length, usedBlocks, blockCount, steps, rows };
  }

  /** One batch. False when there was nothing to do. One call at a time. */
  async step(): Promise<boolean> {
    this.dropAborted();
    this.admit();
    this.batch.clear();
    await this.guess();
    const chosen = this.fillBatch();
    if (chosen.length === 0) return false;
    try {
      await this.runBatch(chosen);
    } catch (error) {
      for (const { job } of chosen) this.end(job, error);
    }
    return this.running.length + this.waiting.length > 0;
  }

  /** Ends everything with an error, as when the engine closes. */
  failAll(error: unknown): void {
    for (const job of [...this.running.splice(0), ...this.waiting.splice(0)]) job.fail(error);
  }

  private async runBatch(chosen: readonly Chosen[]): Promise<void> {
    const { device, model, batch } = this;
    const { rows_R } = batch;
    const ops = opsFor(
      device.ops,
      batch.batch,
      chosen.map(({ job }) => job.selection),
      rows_R,
    );
    const isDecoding = chosen.every(({ job }) => job.pending === 1);
    const startMs = this.speculation ? this.clock() : 0;
    this.steps++;
    this.rows += batch.batch.ids.length;
    const mark = device.mark();
    let reading: Promise<Floats> | null = null;
    const states: { reading: Promise<Floats> | null } = { reading: null };
    try {
      const options = { cache: this.store, rows_R, segment: this.segment, tap: this.stateTap(chosen, states) };
      if (rows_R.length === 0) hidden(model, ops, batch.batch, options);
      else reading = this.largest.read(device, forward(model, ops, batch.batch, options), mostWanted(chosen));
    } finally {
      device.release(mark);
    }
    const states_ND = states.reading && (await states.reading);
    const logits = reading && (await reading);
    if (this.speculation && isDecoding) this.speculation.note(batch.batch.ids.length, this.clock() - startMs);
    const finished = states_ND ? this.takeStates(chosen, states_ND) : [];
    let row = 0;
    for (const { job, count, wanted } of chosen) {
      if (!this.running.includes(job)) {
        // It was ended while the device computed.
        row += wanted;
        continue;
      }
      // What is guessed is known to belong there only when it has been picked.
      const from = job.cached!.length;
      job.cached!.advance(job.ids.subarray(from, from + count - guessedOf(job)));
      if (job instanceof Prefix && job.pending === 0) this.branch(job);
      if (wanted === 0 || job instanceof Embedding || job instanceof Prefix) continue;
      try {
        if (job.accept(logits!, row, wanted)) remove(this.running, job);
        else if (job.cached === null) this.requeue(job);
      } catch (error) {
        this.end(job, error);
      }
      row += wanted;
    }
    for (const job of finished) {
      remove(this.running, job);
      job.finish();
    }
  }

  /** A shared text is in the cache: its continuations go on from there, as many as may run; the others find what is known of it. */
  private branch(prefix: Prefix): void {
    remove(this.running, prefix);
    for (const job of prefix.continuations) {
      if (this.running.length >= this.maxSequences) this.waiting.unshift(job);
      else {
        job.admit(prefix.cached!.fork());
        this.running.push(job);
      }
    }
    prefix.yieldRoom();
  }

  /** It has forgotten tokens: what is left of it is computed again, before those that wait. */
  private requeue(job: Sequence): void {
    remove(this.running, job);
    this.waiting.unshift(job);
  }

  /** Reads the states of a batch where somebody wants them. */
  private stateTap(chosen: readonly Chosen[], states: { reading: Promise<Floats> | null }): Tap | undefined {
    if (!chosen.some(({ job }) => job instanceof Embedding)) return undefined;
    return (name, tensor) => {
      if (name === 'norm') states.reading = this.device.read(tensor);
    };
  }

  /** Hands the states of a batch to those that want them; returns those that now have all of theirs. */
  private takeStates(chosen: readonly Chosen[], states_ND: Floats): Embedding[] {
    const finished: Embedding[] = [];
    let row = 0;
    for (const { job, count } of chosen) {
      const isWanted = job instanceof Embedding && this.running.includes(job);
      if (isWanted && job.takeStates(states_ND, row, count)) finished.push(job);
      row += count;
    }
    return finished;
  }

  /** While all decode, they may take guesses: where prompts are read, a batch has rows enough. */
  private async guess(): Promise<void> {
    if (!this.speculation || this.running.length === 0) return;
    const isDecoding = this.running.every((job) => job.cached !== null && job.pending === 1);
    const decoding = this.running.filter((job): job is Running => job instanceof Running);
    if (!isDecoding || decoding.length === 0) return;
    try {
      await this.speculation.prepare(decoding, Math.min(this.batch.room, LOGIT_ROWS));
    } catch (error) {
      for (const job of decoding) if (this.running.includes(job)) this.end(job, error);
    }
  }

  /** Decoding rows first, then chunks of prompts, in order of admission. */
  private fillBatch(): Chosen[] {
    const { batch } = this;
    const chosen: Chosen[] = [];
    let logitRows = LOGIT_ROWS;
    const add = (job: Sequence, limit: number) => {
      if (!job.cached) return 0;
      const fitting = Math.min(job.pending + guessedOf(job), batch.room, limit);
      const count = fitting - Math.max(0, job.wantedLogits(fitting) - logitRows);
      if (count === 0 || !this.makeRoom(job, count, chosen)) return 0;
      const wanted = job.wantedLogits(count);
      const { length, blocks } = job.cached!;
      batch.add(job.ids, length, count, blocks, wanted);
      chosen.push({ job, count, wanted });
      logitRows -= wanted;
      return count;
    };
    const decoding = this.running.filter((job) => job.pending === 1);
    const reading = this.running.filter((job) => job.pending > 1);
    for (const job of decoding) {
      const guessed = guessedOf(job);
      // Nobody makes room for a guess.
      if (guessed > 0 && job.cached?.reserve(1 + guessed) !== true) (job as Running).guessed = 0;
      add(job, 1 + guessedOf(job));
    }
    let promptTokens = decoding.length > 0 ? this.sharedPromptTokens : batch.room;
    for (const job of reading) promptTokens -= add(job, promptTokens);
    return chosen;
  }

  /** Reserves cache for `count` tokens, if need be at the expense of the sequences admitted last. */
  private makeRoom(job: Sequence, count: number, chosen: readonly Chosen[]): boolean {
    while (job.cached && !job.cached.reserve(count)) {
      const last = this.running.findLast((other) => !chosen.some((taken) => taken.job === other));
      assert(last !== undefined, 'engine: the cache is too small for one sequence');
      last.yieldRoom();
      remove(this.running, last);
      this.waiting.unshift(last);
    }
    return job.cached !== null;
  }

  private admit(): void {
    while (this.running.length < this.maxSequences && this.waiting.length > 0) {
      const job = this.waiting[0]!;
      const cached = this.cache.createSequence(job.reusable, job.selection.key);
      // All that is known of it must fit, as far as it is ever held; what it generates is found room for as it comes.
      if (!cached.reserve(Math.min(job.length - cached.length, this.mostHeld))) {
        cached.release();
        assert(this.running.length > 0, 'engine: the cache is too small for one sequence');
        return;
      }
      this.waiting.shift();
      job.admit(cached);
      this.running.push(job);
    }
  }

  private dropAborted(): void {
    for (const list of [this.running, this.waiting]) {
      for (const job of list.filter((candidate) => candidate.aborted)) {
        remove(list, job);
        job.abort();
      }
    }
  }

  private end(job: Sequence, error: unknown): void {
    remove(this.running, job);
    job.fail(error);
  }
}

/** A sequence's part of a batch. */
interface Chosen {
  readonly job: Sequence;
  readonly count: number;
  /** Rows of logits. */
  readonly wanted: number;
}

type Sequence = Running | Embedding | Scoring | Prefix;

function guessedOf(job: Sequence): number {
  return job instanceof Running ? job.guessed : 0;
}

function remove<T>(list: T[], item: T): void {
  const index = list.indexOf(item);
  if (index >= 0) list.splice(index, 1);
}
