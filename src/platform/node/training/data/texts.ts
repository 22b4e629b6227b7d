/**
 * Texts for training, as documents in bounded memory: plain text with or without separators, JSON lines, lists in JSON, CSV and TSV,
 * Parquet, any of them packed with gzip, zstd or bzip2.
 */
import { statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { FormatError } from '../../../../base/errors.ts';
import { readRecords } from '../../../../corpus/readers/csv.ts';
import { splitJsonValues } from '../../../../corpus/readers/json-values.ts';
import { readParquetRows } from '../../../../corpus/readers/parquet.ts';
import { openInput, readContext } from '../../corpus/input.ts';
import { kindOf } from './text-files.ts';

/** Where a document's text stands, and how often it is to be seen. */
export interface TextFields {
  /** The field or column of the text; absent: "text". */
  readonly field?: string | undefined;
  /** A number; without it every weight is 1. */
  readonly weightField?: string | undefined;
}

export interface TextDocument {
  readonly text: string;
  readonly weight: number;
}

/** A document, or a piece of one: the next goes on with it unless this is its end. */
export interface TextPart extends TextDocument {
  readonly isEnd: boolean;
}

/** In plain text, a line that stands between two documents. */
const SEPARATOR = '<|endoftext|>';
/** Longer documents come in parts of about this many UTF-16 units, which end at the end of a line or a word. */
const PART_UNITS = 1 << 17;
const MOST_RECORD_BYTES = 1 << 28;
const USUAL_FIELD = 'text';

/** The documents of a file in order; empty ones are left out. `onBytes`: unpacked bytes read so far. Throws FormatError `training.…`. */
export async function* readParts(
  path: string,
  fields: TextFields = {},
  onBytes: (count: number) => void = () => {},
): AsyncGenerator<TextPart> {
  const file = basename(path);
  const kind = kindOf(path);
  if (kind === 'text') {
    yield* plainParts(decoded(path, file, onBytes));
    return;
  }
  for await (const { text, weight } of records(path, file, kind, fields, onBytes)) {
    const whole = text.trim() === '' ? [] : splitText(text);
    for (const [i, part] of whole.entries()) yield { text: part, weight, isEnd: i === whole.length - 1 };
  }
}

/** The same, whole. */
export async function* readTexts(path: string): AsyncGenerator<string> {
  let text = '';
  for await (const part of readParts(path)) {
    text += part.text;
    if (!part.isEnd) continue;
    yield text;
    text = '';
  }
}

/** The same line by line, or in pieces of whole lines. `onBytes` hears how much of the file's size has been read, about. */
export async function* readTextLines(
  path: string,
  unit: 'line' | 'document',
  onBytes: (count: number) => void,
): AsyncGenerator<string> {
  const { size } = statSync(path);
  for await (const { text } of readParts(path, {}, (bytes) => onBytes(Math.min(size, bytes)))) {
    if (unit === 'document') yield text;
    else yield* text.split('\n');
  }
}

async function* records(
  path: string,
  file: string,
  kind: Exclude<ReturnType<typeof kindOf>, 'text'>,
  fields: TextFields,
  onBytes: (count: number) => void,
): AsyncGenerator<TextDocument> {
  if (kind === 'lines') {
    let number = 0;
    for await (const line of lines(decoded(path, file, onBytes), file)) {
      number++;
      if (line.trim() !== '') yield parsed(line, file, `line ${number}`, fields);
    }
  } else if (kind === 'json') {
    let number = 0;
    for await (const value of splitJsonValues(decoded(path, file, onBytes), file)) {
      yield parsed(value, file, `value ${++number}`, fields);
    }
  } else if (kind === 'parquet') yield* parquetRows(path, file, fields);
  else yield* table(readRecords(decoded(path, file, onBytes), kind === 'csv' ? ',' : '\t', file), file, fields);
}

async function* table(
  rows: AsyncIterable<readonly string[]>,
  file: string,
  { field = USUAL_FIELD, weightField }: TextFields,
): AsyncGenerator<TextDocument> {
  let head: readonly string[] | null = null;
  let number = 0;
  const columns = { text: -1, weight: -1 };
  for await (const row of rows) {
    number++;
    if (head === null) {
      head = row;
      columns.text = row.length === 1 ? 0 : columnOf(head, field, file);
      if (weightField !== undefined) columns.weight = columnOf(head, weightField, file);
      continue;
    }
    const where = `record ${number}`;
    if (row.length !== head.length) {
      const problem = `expected ${head.length} fields as in the first line, found ${row.length}`;
      throw new FormatError({ code: 'training.csv', file, where }, problem, 'Quote fields that hold the separator.');
    }
    const weight = weightField === undefined ? 1 : checkWeight(Number(row[columns.weight]), weightField, file, where);
    yield { text: row[columns.text]!, weight };
  }
}

function columnOf(head: readonly string[], name: string, file: string): number {
  const column = head.indexOf(name);
  if (column >= 0) return column;
  const advice = 'Name the column of the text with --set data.train.0.field=COLUMN.';
  const problem = `expected a column "${name}", found ${head.join(', ')}`;
  throw new FormatError({ code: 'training.column', file, where: 'its first line' }, problem, advice);
}

async function* parquetRows(
  path: string,
  file: string,
  { field = USUAL_FIELD, weightField }: TextFields,
): AsyncGenerator<TextDocument> {
  // The reader hands on as a problem of the file what is thrown while it reads: the first error is the one that counts.
  let first: FormatError | null = null;
  const fail = (where: string, problem: string, advice: string): never => {
    first ??= new FormatError({ code: 'training.parquet', file, where }, problem, advice);
    throw first;
  };
  const context = readContext(
    dirname(path),
    (_, message) => fail('its rows', message.replace(`${file}: `, ''), 'Get the file again.'),
    MOST_RECORD_BYTES,
  );
  const choose = (present: readonly string[]) => {
    const advice = 'Name the column of the text with --set data.train.0.field=COLUMN.';
    if (!present.includes(field)) {
      fail('its columns', `expected a column "${field}", found ${present.join(', ')}`, advice);
    }
    return weightField === undefined ? [field] : [field, weightField];
  };
  for await (const { value, row } of readParquetRows(openInput(dirname(path), file), context, choose)) {
    yield documentOf(value, file, `row ${row + 1}`, { field, weightField });
  }
}

function parsed(json: string, file: string, where: string, fields: TextFields): TextDocument {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    const advice = 'Each line must be an object with a "text".';
    throw new FormatError({ code: 'training.json-line', file, where }, 'it is not JSON', advice);
  }
  return documentOf(value, file, where, fields);
}

/** A bare text is a document, too. */
function documentOf(
  value: unknown,
  file: string,
  where: string,
  { field = USUAL_FIELD, weightField }: TextFields,
): TextDocument {
  const row = typeof value === 'string' && weightField === undefined ? { [field]: value } : value;
  const text = (row as Record<string, unknown> | null)?.[field];
  if (typeof text !== 'string') {
    const names = typeof row === 'object' && row !== null ? Object.keys(row).join(', ') : '';
    const problem = `expected a text under "${field}", found ${names === '' ? 'none' : `${names} alone`}`;
    const advice = 'Each document must be an object with a text; name its field with --set data.train.0.field=NAME.';
    throw new FormatError({ code: 'training.json-line', file, where }, problem, advice);
  }
  if (weightField === undefined) return { text, weight: 1 };
  const weight = (row as Record<string, unknown>)[weightField];
  return { text, weight: checkWeight(typeof weight === 'bigint' ? Number(weight) : weight, weightField, file, where) };
}

function checkWeight(weight: unknown, field: string, file: string, where: string): number {
  if (typeof weight === 'number' && weight >= 0 && Number.isFinite(weight)) return weight;
  const problem = `expected a number of at least 0 under "${field}", found ${JSON.stringify(weight)}`;
  throw new FormatError(
    { code: 'training.json-line', file, where },
    problem,
    'Mend the row, or leave weightField out.',
  );
}

/** Plain text: documents end at lines that are separators, and long ones come in parts. */
async function* plainParts(chunks: AsyncIterable<string>): AsyncGenerator<TextPart> {
  let rest = '';
  /** Whether `rest` begins a line. */
  let beginsLine = true;
  let isFirst = true;
  const part = (raw: string, isEnd: boolean): TextPart[] => {
    const lines = raw.replaceAll('\r\n', '\n');
    const begun = isFirst ? lines.trimStart() : lines;
    const text = isEnd ? begun.trimEnd() : begun;
    const isNothing = isFirst && text === '';
    isFirst = isEnd || isNothing;
    return isNothing ? [] : [{ text, weight: 1, isEnd }];
  };
  const wholeDocuments = function* (isLast: boolean): Generator<TextPart> {
    for (;;) {
      const found = separatorIn(rest, beginsLine, isLast);
      if (found === null) return;
      yield* part(rest.slice(0, found.begin), true);
      [rest, beginsLine] = [rest.slice(found.end), true];
    }
  };
  for await (const chunk of chunks) {
    rest += chunk;
    yield* wholeDocuments(false);
    while (rest.length > PART_UNITS) {
      const at = cutBefore(rest, PART_UNITS);
      beginsLine = rest[at - 1] === '\n';
      yield* part(rest.slice(0, at), false);
      rest = rest.slice(at);
    }
  }
  yield* wholeDocuments(true);
  yield* part(rest, true);
}

/** The first line of `text` that is a separator, with its line end; at the end of a text that goes on it may be more than one. */
function separatorIn(text: string, beginsLine: boolean, isLast: boolean): { begin: number; end: number } | null {
  for (let at = text.indexOf(SEPARATOR); at >= 0; at = text.indexOf(SEPARATOR, at + 1)) {
    if (at === 0 ? !beginsLine : text[at - 1] !== '\n') continue;
    const after = at + SEPARATOR.length;
    const [lineEnd] = /^\r?\n/.exec(text.slice(after, after + 2)) ?? [];
    if (lineEnd !== undefined) return { begin: at, end: after + lineEnd.length };
    if (isLast && /^\r?$/.test(text.slice(after))) return { begin: at, end: text.length };
  }
  return null;
}

function splitText(text: string): string[] {
  const parts: string[] = [];
  let from = 0;
  while (text.length - from > PART_UNITS) {
    const at = from + cutBefore(text.slice(from, from + PART_UNITS + 1), PART_UNITS);
    parts.push(text.slice(from, at));
    from = at;
  }
  return [...parts, text.slice(from)];
}

/** After the last line end at or before `limit`, else after the last space, else where no character is cut in two. */
function cutBefore(text: string, limit: number): number {
  const line = text.lastIndexOf('\n', limit - 1);
  const space = line >= limit / 2 ? line : text.lastIndexOf(' ', limit - 1);
  if (space >= limit / 2) return space + 1;
  return /[\uD800-\uDBFF]/.test(text[limit - 1]!) ? limit - 1 : limit;
}

async function* lines(chunks: AsyncIterable<string>, file: string): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of chunks) {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop()!;
    yield* parts;
    if (rest.length <= MOST_RECORD_BYTES) continue;
    const problem = `one line is longer than ${MOST_RECORD_BYTES} characters`;
    throw new FormatError({ code: 'training.json-line', file, where: 'its lines' }, problem, 'Is it JSON lines?');
  }
  if (rest !== '') yield rest;
}

/** The file's text, unpacked and decoded. */
async function* decoded(path: string, file: string, onBytes: (count: number) => void): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
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
    for await (const chunk of openInput(dirname(path), file).chunks()) {
      const text = decode(chunk);
      byteCount += chunk.length;
      onBytes(byteCount);
      yield text;
    }
  } catch (error) {
    if (error instanceof FormatError) throw error;
    const problem = `it cannot be read: ${error instanceof Error ? error.message : String(error)}`;
    const place = { code: 'training.unreadable', file, where: `about byte ${byteCount}` };
    throw new FormatError(place, problem, 'Get the file again.');
  }
  yield decode(undefined);
}
