/** Texts → tokens as they come, in order, on several threads and in bounded memory. */
import { Worker } from 'node:worker_threads';
import type { TokenizerFiles } from '../../../../formats/tokenizer-files.ts';
import type { Tokenizer } from '../../../../tokenizer/tokenizer.ts';
import type { TextPart } from './texts.ts';

/** Parts of texts, one behind the other: nothing is made for each of them, as there may be thousands of a few letters. */
export interface TextBatch {
  readonly text: string;
  /** UTF-16 units of each part. */
  readonly units: Uint32Array;
  /** Whether a part begins a document, and whether it ends one: BEGIN | END. */
  readonly borders: Uint8Array;
  readonly weights: Float64Array;
}

export const BEGIN = 1;
export const END = 2;

export interface EncodedBatch {
  readonly ids: Uint32Array;
  /** Of each part: how many of the ids are its own. */
  readonly lengths: Uint32Array;
  /** UTF-8 bytes of the batch. */
  readonly textBytes: number;
}

/** UTF-16 units that go to a thread at once. */
const BATCH_UNITS = 1 << 16;
/** What a batch leaves behind is collected soon: a thread holds little. */
const YOUNG_MB = 6;

/**
 * The tokens of one batch. bos and eos stand around documents, not around their parts; a SentencePiece model begins each part as it
 * begins a text.
 */
export function encodeBatch(tokenizer: Tokenizer, { text, units, borders }: TextBatch): EncodedBatch {
  const lengths = new Uint32Array(units.length);
  let ids = new Uint32Array(text.length);
  let count = 0;
  let from = 0;
  for (const [i, length] of units.entries()) {
    const part = tokenizer.encode(text.slice(from, from + length), {
      bos: (borders[i]! & BEGIN) !== 0 && tokenizer.bosId !== null,
      eos: (borders[i]! & END) !== 0 && tokenizer.eosId !== null,
    });
    if (count + part.length > ids.length) ids = enlarged(ids, 2 * (count + part.length));
    ids.set(part, count);
    lengths[i] = part.length;
    count += part.length;
    from += length;
  }
  return { ids: ids.slice(0, count), lengths, textBytes: Buffer.byteLength(text) };
}

function enlarged(ids: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(length);
  larger.set(ids);
  return larger;
}

export interface EncoderOptions {
  readonly files: TokenizerFiles;
  readonly tokenizer: Tokenizer;
  /** 1: in the calling thread. */
  readonly threads: number;
}

/** Every batch with its tokens, in order. Twice as many batches as threads are on their way at most. */
export async function* encodeParts(
  parts: AsyncIterable<TextPart>,
  { files, tokenizer, threads }: EncoderOptions,
): AsyncGenerator<{ readonly batch: TextBatch; readonly encoded: EncodedBatch }> {
  if (threads <= 1) {
    for await (const batch of batches(parts)) yield { batch, encoded: encodeBatch(tokenizer, batch) };
    return;
  }
  const workers: EncoderThread[] = [];
  const waiting: { readonly batch: TextBatch; readonly encoded: Promise<EncodedBatch> }[] = [];
  try {
    let turn = 0;
    for await (const batch of batches(parts)) {
      if (workers.length < threads) workers.push(new EncoderThread(files));
      const encoded = workers[turn++ % workers.length]!.encode(batch);
      encoded.catch(() => {}); // it is waited for below
      waiting.push({ batch, encoded });
      if (waiting.length < 2 * threads) continue;
      const first = waiting.shift()!;
      yield { batch: first.batch, encoded: await first.encoded };
    }
    for (const { batch, encoded } of waiting) yield { batch, encoded: await encoded };
  } finally {
    for (const worker of workers) worker.close();
  }
}

class EncoderThread {
  private readonly worker: Worker;
  private readonly asked: { resolve(batch: EncodedBatch): void; reject(error: unknown): void }[] = [];

  constructor(files: TokenizerFiles) {
    const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_MB };
    this.worker = new Worker(new URL('./encoder-worker.ts', import.meta.url), { workerData: files, resourceLimits });
    this.worker.on('message', (batch: EncodedBatch) => this.asked.shift()!.resolve(batch));
    this.worker.on('error', (error) => {
      for (const { reject } of this.asked.splice(0)) reject(error);
    });
  }

  encode(batch: TextBatch): Promise<EncodedBatch> {
    return new Promise((resolve, reject) => {
      this.asked.push({ resolve, reject });
      this.worker.postMessage(batch);
    });
  }

  close(): void {
    void this.worker.terminate();
  }
}

async function* batches(parts: AsyncIterable<TextPart>): AsyncGenerator<TextBatch> {
  let held: TextPart[] = [];
  let units = 0;
  let isBegin = true;
  const take = (): TextBatch => {
    const borders = new Uint8Array(held.length);
    for (const [i, { isEnd }] of held.entries()) {
      borders[i] = (isBegin ? BEGIN : 0) | (isEnd ? END : 0);
      isBegin = isEnd;
    }
    const batch = {
      text: held.map(({ text }) => text).join(''),
      units: Uint32Array.from(held, ({ text }) => text.length),
      borders,
      weights: Float64Array.from(held, ({ weight }) => weight),
    };
    held = [];
    units = 0;
    return batch;
  };
  for await (const part of parts) {
    held.push(part);
    units += part.text.length;
    if (units >= BATCH_UNITS) yield take();
  }
  if (held.length > 0) yield take();
}
