/**
 * A second, smaller model on the same device, which goes ahead: it reads each sequence as the model does, in a cache of its own, and
 * says what it would write next. What it computes is never part of a text, so its chunks and its cache are its own business.
 */
import type { Device } from '../../devices/device.ts';
import type { KvStore } from '../../kernels/ops.ts';
import { type CachedSequence, KvCache } from '../../model/kv-cache.ts';
import { forward, keepOutputs } from '../../model/llama.ts';
import type { Model } from '../../model/model.ts';
import type { Floats } from '../../tensor/tensor.ts';
import { BatchBuilder } from '../batch-builder.ts';
import type { VocabularyMap } from './vocabulary-map.ts';

/** Tokens that it reads in one batch. */
const BATCH_TOKENS = 512;

export interface DraftModelOptions {
  readonly model: Model;
  readonly device: Device;
  readonly store: KvStore;
  readonly map: VocabularyMap;
  /** Vocabulary of the model that it drafts for. */
  readonly vocabSize: number;
}

export class DraftModel {
  private readonly model: Model;
  private readonly device: Device;
  private readonly store: KvStore;
  private readonly cache: KvCache;
  private readonly map: VocabularyMap;
  private readonly batch = new BatchBuilder(BATCH_TOKENS);
  private readonly segment: ReturnType<typeof keepOutputs>;
  /** Logits of one row in the vocabulary of the model. */
  private readonly logits_V: Float32Array;

  constructor({ model, device, store, map, vocabSize }: DraftModelOptions) {
    this.model = model;
    this.device = device;
    this.store = store;
    this.map = map;
    this.segment = keepOutputs(device);
    this.logits_V = new Float32Array(vocabSize);
    const { blockCount, blockTokens } = store;
    this.cache = new KvCache({
      blockCount,
      blockTokens,
      copyBlock: (from, to) => device.copyKvBlock(store, from, to),
    });
  }

  /** The draft's half of a sequence. */
  open(): DraftSequence {
    return new DraftSequence(this.cache, this.map);
  }

  /**
   * Reads what is new of each text. Calls `heard` with the logits of what comes next, in the model's vocabulary and valid for that call
   * only, for those whose texts are read to the end; a long one takes several calls.
   */
  async read(
    sequences: readonly DraftSequence[],
    heard: (sequence: DraftSequence, logits_V: Floats) => void,
  ): Promise<void> {
    const { batch, device, model } = this;
    const read: { readonly sequence: DraftSequence; readonly count: number; readonly wanted: number }[] = [];
    batch.clear();
    for (const sequence of sequences) {
      const count = Math.min(sequence.pending, batch.room);
      if (count === 0 || !sequence.reserve(count)) continue;
      const wanted = count === sequence.pending ? 1 : 0;
      batch.add(sequence.text, sequence.cachedLength, count, sequence.blocks, wanted);
      read.push({ sequence, count, wanted });
    }
    if (read.length === 0) return;
    const { rows_R } = batch;
    const mark = device.mark();
    let reading: Promise<Floats>;
    try {
      reading = device.read(
        forward(model, device.ops, batch.batch, { cache: this.store, rows_R, segment: this.segment }),
      );
    } finally {
      device.release(mark);
    }
    const logits_RV = await reading;
    let row = 0;
    for (const { sequence, count, wanted } of read) {
      sequence.advance(count);
      if (wanted === 1) heard(sequence, this.inModelsVocabulary(logits_RV, row++));
    }
  }

  private inModelsVocabulary(logits_RV: Floats, row: number): Floats {
    const { toModel } = this.map;
    const V = this.model.config.vocabSize;
    if (toModel === null) return logits_RV.subarray(row * V, (row + 1) * V);
    this.logits_V.fill(Number.NEGATIVE_INFINITY);
    for (let id = 0; id < V; id++) if (toModel[id]! >= 0) this.logits_V[toModel[id]!] = logits_RV[row * V + id]!;
    return this.logits_V;
  }
}

/** One sequence as the draft sees it: its text in the draft's tokens, and its place in the draft's cache. */
export class DraftSequence {
  /** In the draft's tokens; the first `length` are valid. */
  text = new Uint32Array(64);
  private length = 0;
  /** In the model's tokens, those after the certain ones being guesses; `ends[i]`: the length of `text` with the first i + 1 of them. */
  private readonly source: number[] = [];
  private readonly ends: number[] = [];
  private certain = 0;
  private cached: CachedSequence | null = null;
  private readonly cache: KvCache;
  private readonly map: VocabularyMap;

  constructor(cache: KvCache, map: VocabularyMap) {
    this.cache = cache;
    this.map = map;
  }

  /** The first `length` ids are the text: of what was guessed the rest is forgotten. */
  follow(ids: Uint32Array, length: number): void {
    let agreed = this.certain;
    while (agreed < this.source.length && agreed < length && this.source[agreed] === ids[agreed]) agreed++;
    this.source.length = this.ends.length = agreed;
    this.length = this.ends[agreed - 1] ?? 0;
    if (this.cached && this.cached.length > this.length) this.cached.truncate(this.length);
    for (let i = agreed; i < length; i++) this.push(ids[i]!);
    this.certain = length;
    if (this.cached) return;
    this.cached = this.cache.createSequence(this.text.subarray(0, this.length));
  }

  /** A token follows, in the model's vocabulary. */
  push(id: number): void {
    const spelled = this.map.toDraft(id);
    if (this.length + spelled.length > this.text.length) {
      const larger = new Uint32Array(2 * (this.length + spelled.length));
      larger.set(this.text);
      this.text = larger;
    }
    this.text.set(spelled, this.length);
    this.length += spelled.length;
    this.source.push(id);
    this.ends.push(this.length);
  }

  /** Tokens that are still to be read. */
  get pending(): number {
    return this.length - this.cachedLength;
  }
  get cachedLength(): number {
    return this.cached?.length ?? 0;
  }
  get blocks(): Uint32Array {
    return this.cached!.blocks;
  }
  reserve(count: number): boolean {
    return this.cached?.reserve(count) ?? false;
  }
  advance(count: number): void {
    const from = this.cachedLength;
    this.cached?.advance(this.text.subarray(from, from + count));
  }

  /** Its text is another one. */
  reset(): void {
    this.release();
    this.source.length = this.ends.length = this.length = this.certain = 0;
  }

  /** Gives its blocks back. */
  release(): void {
    this.cached?.release();
    this.cached = null;
  }
}
