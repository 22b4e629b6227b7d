/** Texts → tokens as they come, in order, on several threads and in bounded memory. */
import { Worker } from 'node:worker_threads';
import type { TokenizerFiles } from '../../../../formats/tokenizer-files.ts';
import type { Tokenizer } from '../../../../tokenizer/tokenizer.ts';
import type { TextPart } from './texts.ts';

export type TextBatch = readonly (TextPart & { readonly isBegin: boolean })[];

export interface EncodedBatch {
  readonly ids: Uint32Array;
  /** Of each part: how many of the ids are its own, and the UTF-8 bytes of its text. */
  readonly lengths: readonly number[];
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
export function encodeBatch(tokenizer: Tokenizer, batch: TextBatch): EncodedBatch {
  let textBytes = 0;
  const parts = batch.map(({ text, isBegin, isEnd }) => {
    textBytes += Buffer.byteLength(text);
    return tokenizer.encode(text, {
      bos: isBegin && tokenizer.bosId !== null,
      eos: isEnd && tokenizer.eosId !== null,
    });
  });
  const ids = new Uint32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    ids.set(part, at);
    at += part.length;
  }
  return { ids, lengths: parts.map(({ length }) => length), textBytes };
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
  let batch: (TextPart & { isBegin: boolean })[] = [];
  let units = 0;
  let isBegin = true;
  for await (const part of parts) {
    batch.push({ ...part, isBegin });
    isBegin = part.isEnd;
    units += part.text.length;
    if (units < BATCH_UNITS) continue;
    yield batch;
    batch = [];
    units = 0;
  }
  if (batch.length > 0) yield batch;
}
