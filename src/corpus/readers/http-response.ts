/** A stored HTTP response: status, headers, and its body as text in the charset that it declares. */
import type { ReadContext } from './reader.ts';

export interface HttpResponse {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

const ascii = new TextDecoder('latin1');
const HEADER_LIMIT = 256 * 1024;
/** Browsers look for `<meta charset>` in the first 1024 bytes; pages are sloppier. */
const META_BYTES = 4096;

/** Throws Error with what is wrong. */
export function parseHttpResponse(bytes: Uint8Array, context: ReadContext): HttpResponse {
  const head = ascii.decode(bytes.subarray(0, HEADER_LIMIT));
  const blank = /\r?\n\r?\n/.exec(head);
  const status = /^HTTP\/[\d.]+ (\d{3})/.exec(head);
  if (!blank || !status) throw new Error('not an HTTP response');
  const headers = new Map<string, string>();
  for (const line of head.slice(0, blank.index).split(/\r?\n/).slice(1)) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  let body = bytes.subarray(blank.index + blank[0].length);
  if (/chunked/i.test(headers.get('transfer-encoding') ?? '')) body = unchunk(body);
  body = decompress(body, headers.get('content-encoding') ?? '', context);
  const contentType = headers.get('content-type') ?? '';
  return { status: Number(status[1]), contentType, text: decodeCharset(body, contentType) };
}

/** Undoes chunked transfer. Common Crawl stores some bodies already joined while the header stays: those come back as they are. */
function unchunk(body: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (;;) {
    const line = /^([0-9a-f]{1,8})[^\n]{0,200}\r?\n/i.exec(ascii.decode(body.subarray(at, at + 256)));
    if (!line) return parts.length === 0 ? body : join(parts);
    const size = Number.parseInt(line[1]!, 16);
    at += line[0].length;
    if (size === 0) return join(parts);
    parts.push(body.subarray(at, at + size));
    at += size;
    if (body[at] === 13) at++;
    if (body[at] === 10) at++;
  }
}

function decompress(body: Uint8Array, encoding: string, context: ReadContext): Uint8Array {
  const limit = context.maximumRecordBytes;
  const kind = encoding.trim().toLowerCase();
  if (kind === 'gzip' || kind === 'x-gzip')
    return body[0] === 0x1f && body[1] === 0x8b ? context.inflate('gzip', body, limit) : body;
  if (kind === 'br') return context.inflate('brotli', body, limit);
  if (kind === 'zstd') return context.inflate('zstd', body, limit);
  if (kind === 'deflate') return context.inflate('deflate', body, limit);
  return body;
}

/** By the byte-order mark, the HTTP header, the page's own meta tag, or UTF-8 if it is that, else windows-1252. */
function decodeCharset(body: Uint8Array, contentType: string): string {
  const declared =
    markCharset(body) ??
    /charset\s*=\s*["']?([\w:.-]+)/i.exec(contentType)?.[1] ??
    /<meta[^>]{1,300}?charset\s*=\s*["']?([\w:.-]+)/i.exec(ascii.decode(body.subarray(0, META_BYTES)))?.[1];
  for (const label of [declared, 'utf-8']) {
    if (!label) continue;
    try {
      return new TextDecoder(label, { fatal: label === 'utf-8' && !declared }).decode(body);
    } catch {
      // an unknown label, or not UTF-8 after all: try the next
    }
  }
  return new TextDecoder('windows-1252').decode(body);
}

function markCharset(body: Uint8Array): string | undefined {
  if (body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf) return 'utf-8';
  if (body[0] === 0xfe && body[1] === 0xff) return 'utf-16be';
  return body[0] === 0xff && body[1] === 0xfe ? 'utf-16le' : undefined;
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
