/**
 * Decompressing as an async generator: all that comes of one chunk is handed out before the next goes in, so that an error costs at most
 * what the chunk with the error holds, and a damaged file gives the same documents every time.
 */
import type { Transform } from 'node:stream';
import type { Chunks } from '../../../corpus/readers/reader.ts';

export async function* throughStream(input: Chunks, stream: Transform): Chunks {
  let output: Uint8Array[] = [];
  let failed: Error | undefined;
  let ended = false;
  let wake = (): void => {};
  stream.on('data', (chunk: Uint8Array) => output.push(chunk));
  stream.on('error', (error) => {
    failed ??= error;
    wake();
  });
  stream.on('end', () => {
    ended = true;
    wake();
  });
  stream.on('close', () => wake());
  // A stream that has failed or ended does not call back any more; its events do.
  const settled = (start: (done: () => void) => void): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
      start(resolve);
    });
  try {
    for await (const chunk of input) {
      await settled((done) => stream.write(chunk, () => done()));
      yield* output;
      output = [];
      if (ended) failed ??= new Error('bytes after the end of the compressed data');
      if (failed) break;
    }
    if (!failed) await settled(() => stream.end());
    yield* output;
    if (failed) throw failed;
  } finally {
    stream.destroy();
  }
}
