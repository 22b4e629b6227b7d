/**
 * WARC files of web crawls, and ARC files, which came before (arc.ts): `conversion` records (WET: text that Common Crawl extracted) and `response` records (HTML over HTTP).
 *
 *   WARC/1.0 ⏎ Name: value ⏎ … ⏎ ⏎ Content-Length bytes ⏎ ⏎
 *
 * Written here rather than taken from a library, because a record that lies about its length, a missing header or a cut file must cost that
 * record only: the reader looks for the next `WARC/` line, and says how many bytes it passed.
 * Source: ISO 28500; cc_net's reading of WET files: the first line is the title and not part of the text.
 */
import type { Document } from '../document.ts';
import { arcRecords, startsAsArc } from './arc.ts';
import { ByteQueue } from './byte-queue.ts';
import { htmlToText } from './html-text.ts';
import { type HttpResponse, parseHttpResponse } from './http-response.ts';
import { mainText } from './main-text/main-text.ts';
import { decodeUtf8, type InputFile, type ReadContext } from './reader.ts';

const LINE_LIMIT = 64 * 1024;
const HEADER_LINES = 200;
const NEWLINE = 10;
const ascii = new TextDecoder('latin1');

export interface WarcOptions {
  /** Which records become documents. */
  readonly records: 'conversion' | 'response' | 'both';
  /** Of HTML: the main content, or all text, roughly as Common Crawl's WET files have it. */
  readonly content: 'main' | 'all';
}

export async function* readWarc(
  file: InputFile,
  context: ReadContext,
  { records, content }: WarcOptions,
): AsyncGenerator<Document> {
  let index = 0;
  for await (const { headers, body } of warcRecords(file, context)) {
    const type = headers.get('warc-type');
    const id = `${file.name}#${index++}`;
    if (type === 'conversion' && records !== 'response') yield fromConversion(id, headers, body, context);
    else if (type === 'response' && records !== 'conversion') {
      const document = fromResponse(id, headers, body, context, content);
      if (document) yield document;
    }
  }
}

export interface WarcRecord {
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
}

/** All records of a file that are whole; what is not is reported. */
export async function* warcRecords(file: InputFile, context: ReadContext): AsyncGenerator<WarcRecord> {
  const queue = new ByteQueue(file.chunks(context));
  if (await startsAsArc(queue)) return yield* arcRecords(queue, context, file.name);
  for (;;) {
    const start = queue.position;
    const first = await nextRecordLine(queue, context, file.name);
    if (!first) return;
    const headers = await readHeaders(queue);
    const where = `${file.name} @ byte ${start}`;
    const length = Number(headers?.get('content-length'));
    if (!headers || !/^\d+$/.test(headers.get('content-length') ?? '') || !Number.isSafeInteger(length)) {
      context.problem('broken-record', `${where}: a WARC record without a usable Content-Length was skipped`);
      continue;
    }
    if (length > context.maximumRecordBytes) {
      context.problem(
        'record-too-large',
        `${where}: a record of ${length} bytes was skipped (limit ${context.maximumRecordBytes})`,
      );
      if (!(await queue.skip(length))) return;
      continue;
    }
    const body = await queue.take(length);
    if (!body) {
      context.problem('truncated', `${where}: the file ends inside a record of ${length} bytes, which was skipped`);
      return;
    }
    yield { headers, body: await checkEnd(queue, body, context, where) };
  }
}

/**
 * After a record comes a blank line and the next record, or the end. Where not, its length lied: the record then ends at the next
 * line that begins one, be it inside what was read or after it.
 */
async function checkEnd(queue: ByteQueue, body: Uint8Array, context: ReadContext, where: string): Promise<Uint8Array> {
  await queue.fill(16);
  const next = ascii.decode(queue.ready.subarray(0, 16));
  if (/^(?:[\r\n]*WARC\/|[\r\n]*$)/.test(next)) return body;
  context.problem(
    'wrong-length',
    `${where}: the record does not end where its Content-Length says; cut at the next record`,
  );
  const inside = indexOfRecord(body);
  if (inside >= 0) {
    queue.pushBack(body.subarray(inside));
    return body.subarray(0, inside);
  }
  const parts = [body];
  let length = body.length;
  for (let first = true; length <= context.maximumRecordBytes; first = false) {
    const line = await queue.until(NEWLINE, context.maximumRecordBytes);
    if (line === undefined || line === 'too-long') break;
    if (!first && ascii.decode(line.subarray(0, 5)) === 'WARC/') {
      queue.pushBack(new Uint8Array([...line, NEWLINE]));
      break;
    }
    parts.push(line, new Uint8Array([NEWLINE]));
    length += line.length + 1;
  }
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) joined.set(part, (at += part.length) - part.length);
  return joined;
}

/** Where a line begins with `WARC/1.`, or −1. */
function indexOfRecord(bytes: Uint8Array): number {
  const mark = [NEWLINE, ...new TextEncoder().encode('WARC/1.')];
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) {
    if (mark.every((byte, i) => bytes[at + i] === byte)) return at + 1;
  }
  return -1;
}

/** Passes blank lines and rubbish up to the next `WARC/` line; false at the end. Rubbish is reported once. */
async function nextRecordLine(queue: ByteQueue, context: ReadContext, name: string): Promise<boolean> {
  let reported = false;
  for (;;) {
    const position = queue.position;
    const line = await queue.until(NEWLINE, LINE_LIMIT);
    if (line === undefined) return false;
    const text = line === 'too-long' ? 'x' : ascii.decode(line.subarray(0, 16));
    if (text.startsWith('WARC/')) return true;
    if (text.trim() === '' || reported) continue;
    reported = true;
    context.problem('broken-record', `${name} @ byte ${position}: expected a WARC record, skipped to the next one`);
  }
}

async function readHeaders(queue: ByteQueue): Promise<Map<string, string> | undefined> {
  const headers = new Map<string, string>();
  let last = '';
  for (let i = 0; i < HEADER_LINES; i++) {
    const raw = await queue.until(NEWLINE, LINE_LIMIT);
    if (raw === undefined || raw === 'too-long') return undefined;
    const line = new TextDecoder().decode(raw).replace(/\r$/, '');
    if (line === '') return headers;
    if (/^[ \t]/.test(line)) headers.set(last, `${headers.get(last) ?? ''} ${line.trim()}`);
    else {
      const colon = line.indexOf(':');
      if (colon < 0) return undefined;
      last = line.slice(0, colon).trim().toLowerCase();
      headers.set(last, line.slice(colon + 1).trim());
    }
  }
  return undefined;
}

function fromConversion(
  id: string,
  headers: ReadonlyMap<string, string>,
  body: Uint8Array,
  context: ReadContext,
): Document {
  const text = decodeUtf8(body, context, id);
  const end = text.indexOf('\n');
  const title = end < 0 ? text : text.slice(0, end);
  return { ...common(id, headers), title, text: end < 0 ? '' : text.slice(end + 1) };
}

function fromResponse(
  id: string,
  headers: ReadonlyMap<string, string>,
  body: Uint8Array,
  context: ReadContext,
  content: WarcOptions['content'],
): Document | undefined {
  let response: HttpResponse;
  try {
    response = parseHttpResponse(body, context);
  } catch (error) {
    context.problem('broken-http', `${id}: ${(error as Error).message}`);
    return undefined;
  }
  if (response.status !== 200 || !/^(?:text\/html|application\/xhtml\+xml)\b/i.test(response.contentType))
    return undefined;
  const { text, title } = (content === 'main' ? mainText : htmlToText)(response.text);
  return { ...common(id, headers), title, text };
}

function common(id: string, headers: ReadonlyMap<string, string>): Document {
  const url = headers.get('warc-target-uri')?.replace(/^<|>$/g, '');
  const date = headers.get('warc-date');
  return { id, text: '', attributes: {}, ...(url ? { url } : {}), ...(date ? { date } : {}) };
}
