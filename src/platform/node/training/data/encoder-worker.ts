/** A thread that tokenizes: batches of parts of texts in, their tokens out. */
import { parentPort, workerData } from 'node:worker_threads';
import type { TokenizerFiles } from '../../../../formats/tokenizer-files.ts';
import { createTokenizer } from '../../../../tokenizer/create-tokenizer.ts';
import { encodeBatch, type TextBatch } from './encode-parts.ts';

const tokenizer = createTokenizer(workerData as TokenizerFiles);

parentPort!.on('message', (batch: TextBatch) => {
  const encoded = encodeBatch(tokenizer, batch);
  parentPort!.postMessage(encoded, [encoded.ids.buffer as ArrayBuffer]);
});
