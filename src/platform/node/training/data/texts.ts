/** Documents of text for training: JSON lines with a `text` field, or plain text, either of them compressed with gzip or not. */
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { createGunzip } from 'node:zlib';
import { FormatError } from '../../../../base/errors.ts';

export interface TextDocument {
  readonly text: string;
  readonly weight: number;
}

const JSON_LINES = /\.jsonl(\.gz)?$/;
/** In plain text, a line that stands between two documents. */
const SEPARATOR = '<|endoftext|>';

/** The documents of a file in order. `weightField` names a number of each JSON line; without it every weight is 1. */
export async function* readTexts(path: string, weightField: string | undefined): AsyncGenerator<TextDocument> {
  const file = basename(path);
  const isJson = JSON_LINES.test(file);
  let text: string[] = [];
  let lineNumber = 0;
  for await (const line of lines(path, file)) {
    lineNumber++;
    if (isJson) {
      if (line.trim() !== '') yield parseLine(line, file, lineNumber, weightField);
    } else if (line === SEPARATOR) {
      yield { text: text.join('\n').trim(), weight: 1 };
      text = [];
    } else text.push(line);
  }
  if (!isJson && text.some((line) => line !== '')) yield { text: text.join('\n').trim(), weight: 1 };
}

/**
 * The same text piece by piece in bounded memory, however long a plain file is: lines, or whole documents where the file marks them.
 * `onBytes` hears how many bytes of the file have been read so far.
 */
export async function* readTextLines(
  path: string,
  unit: 'line' | 'document',
  onBytes: (count: number) => void,
): AsyncGenerator<string> {
  const file = basename(path);
  const isJson = JSON_LINES.test(file);
  let lineNumber = 0;
  for await (const line of lines(path, file, onBytes)) {
    lineNumber++;
    if (!isJson) {
      if (line !== SEPARATOR) yield unit === 'line' ? line : `${line}\n`;
    } else if (line.trim() !== '') {
      const { text } = parseLine(line, file, lineNumber, undefined);
      if (unit === 'document') yield text;
      else yield* text.split('\n');
    }
  }
}

function parseLine(line: string, file: string, lineNumber: number, weightField: string | undefined): TextDocument {
  const fail = (problem: string): never => {
    const advice = 'Each line must be an object with a "text".';
    throw new FormatError({ code: 'training.json-line', file, where: `line ${lineNumber}` }, problem, advice);
  };
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return fail('it is not JSON');
  }
  if (typeof value?.text !== 'string') return fail('expected a text under "text", found none');
  if (weightField === undefined) return { text: value.text, weight: 1 };
  const weight = value[weightField];
  if (typeof weight !== 'number' || !(weight >= 0)) {
    return fail(`expected a number of at least 0 under "${weightField}", found ${JSON.stringify(weight)}`);
  }
  return { text: value.text, weight };
}

async function* lines(path: string, file: string, onBytes: (count: number) => void = () => {}): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const raw = createReadStream(path);
  const stream = file.endsWith('.gz') ? raw.pipe(createGunzip()) : raw;
  let rest = '';
  let byteCount = 0;
  const decode = (bytes: Uint8Array | undefined): string => {
    try {
      return bytes ? decoder.decode(bytes, { stream: true }) : decoder.decode();
    } catch {
      const place = { code: 'training.not-utf8', file, where: `about byte ${byteCount}` };
      throw new FormatError(place, 'expected UTF-8 text, found other bytes', 'Convert the file to UTF-8.');
    }
  };
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      const parts = (rest + decode(chunk)).split('\n');
      byteCount += chunk.length;
      onBytes(raw.bytesRead);
      rest = parts.pop()!;
      for (const part of parts) yield part.endsWith('\r') ? part.slice(0, -1) : part;
    }
  } catch (error) {
    if (error instanceof FormatError) throw error;
    const problem = `it cannot be read: ${error instanceof Error ? error.message : String(error)}`;
    throw new FormatError(
      { code: 'training.unreadable', file, where: `about byte ${byteCount}` },
      problem,
      'Get the file again.',
    );
  }
  rest += decode(undefined);
  if (rest !== '') yield rest;
}
