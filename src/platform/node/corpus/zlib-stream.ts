/**
 * Decompressing as an async generator. While the caller works on what came of one chunk the next is being unpacked, on another core; what
 * came of a chunk is handed out whole before anything of the next, so that an error costs at most what the chunk with the error holds, and a
 * damaged file gives the same documents every time.
 */
import type { Transform } from 'node:stream';
import type { Chunks } from '../../../corpus/readers/reader.ts';

/** `grown`: told of bytes as they come out, before they are kept; what it returns ends the stream with that error. */
export async function* throughStream(
  input: Chunks,
  stream: Transform,
  grown: (bytes: number) => Error | undefined = () => undefined,
): Chunks {
  let output: Uint8Array[] = [];
  let failed: Error | undefined;
  let ended = false;
  let wake = (): void => {};
  stream.on('data', (chunk: Uint8Array) => {
    const refused = failed ? undefined : grown(chunk.length);
    if (refused) {
      failed = refused;
      stream.destroy();
    }
    if (!failed) output.push(chunk);
  });
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
  const take = (): Uint8Array[] => {
    const taken = output;
    output = [];
    return taken;
  };
  let writing: Promise<void> | undefined;
  const written = async (): Promise<void> => {
    await writing;
    if (ended)
      failed ??= Object.assign(new Error('bytes after the end of the compressed data'), { code: 'Z_DATA_ERROR' });
  };
  try {
    for await (const chunk of input) {
      await written();
      if (failed) break;
      const ready = take();
      writing = settled((done) => stream.write(chunk, () => done()));
      yield* ready;
    }
    await written();
    if (!failed) await settled(() => stream.end());
    yield* take();
    if (failed) throw failed;
  } finally {
    stream.destroy();
  }
}
