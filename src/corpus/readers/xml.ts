/**
 * XML as events, from chunks, with saxes: the one place where dumps meet the parser. Entities are never defined by documents; a run of bytes
 * without any element, or elements nested too deep, ends the file with an error, as does whatever XML forbids.
 */
import { SaxesParser } from 'saxes';
import type { Chunks } from './reader.ts';

export interface XmlHandlers {
  open(name: string, attributes: Readonly<Record<string, string>>): void;
  text?(text: string): void;
  close?(name: string): void;
}

const MAXIMUM_DEPTH = 64;

/**
 * Runs the parser over the input and yields after each chunk, so that the caller can hand on what the handlers collected.
 * Returns what ended the file early, or undefined; everything before it has been seen.
 */
export async function* parseXml(
  chunks: Chunks,
  maximumGapBytes: number,
  handlers: XmlHandlers,
): AsyncGenerator<undefined, Error | undefined> {
  const parser = new SaxesParser();
  let failed: Error | undefined;
  let sinceTag = 0;
  let depth = 0;
  let decoder: TextDecoder | undefined;
  parser.on('error', (error) => (failed ??= error));
  parser.on('opentag', ({ name, attributes }) => {
    sinceTag = 0;
    if (++depth > MAXIMUM_DEPTH) failed ??= new Error(`elements nested more than ${MAXIMUM_DEPTH} deep`);
    if (!failed) handlers.open(name, attributes);
  });
  parser.on('text', (text) => {
    if (!failed) handlers.text?.(text);
  });
  parser.on('closetag', ({ name }) => {
    sinceTag = 0;
    depth--;
    if (!failed) handlers.close?.(name);
  });
  try {
    for await (const chunk of chunks) {
      decoder ??= new TextDecoder(encodingOf(chunk));
      sinceTag += chunk.length;
      parser.write(decoder.decode(chunk, { stream: true }));
      if (sinceTag > maximumGapBytes) failed ??= new Error(`no element for ${sinceTag} bytes`);
      yield;
      if (failed) return failed;
    }
    parser.close();
  } catch (error) {
    failed ??= error as Error;
  }
  yield;
  return failed;
}

/** By the byte-order mark; XML without one is UTF-8 here, as all the dumps are. */
function encodingOf(chunk: Uint8Array): string {
  if (chunk[0] === 0xff && chunk[1] === 0xfe) return 'utf-16le';
  return chunk[0] === 0xfe && chunk[1] === 0xff ? 'utf-16be' : 'utf-8';
}
