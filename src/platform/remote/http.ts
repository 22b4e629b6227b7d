/**
 * Bytes of a file over HTTP, from a server that may break off, be busy or stall: each try goes on where the last one stopped. Bodies are taken as they are
 * stored; `fetch` would unpack those whose server calls them gzip, and a range of a packed body is none of the unpacked one.
 */
import { Agent, get as getHttp, type IncomingMessage } from 'node:http';
import { get as getHttps, Agent as SecureAgent } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { CriaError, FormatError } from '../../base/errors.ts';

export interface Patience {
  /** Milliseconds before another try, doubled each time. */
  readonly pauseMs: number;
  /** Milliseconds without a byte until a connection counts as dead. */
  readonly stallMs: number;
}

export const USUAL_PATIENCE: Patience = { pauseMs: 500, stallMs: 30_000 };

/** Tries in a row that bring no byte. */
const TRIES = 5;
const LONGEST_PAUSE_MS = 30_000;
const MOST_REDIRECTS = 5;
const MOST_BODY_BYTES = 16 * 2 ** 20;

/** A failure that another try may mend. */
export class PassingFailure extends Error {
  readonly afterMs: number;
  constructor(message: string, afterMs = 0) {
    super(message);
    this.afterMs = afterMs;
  }
}

/** A file or a list on a server, as it is asked for. */
export interface Resource {
  /** For messages. */
  readonly address: string;
  readonly followsRedirects: boolean;
  /** The request of one try; a signature holds for minutes. */
  request(headers: Readonly<Record<string, string>>): Promise<{ readonly url: URL; readonly headers: Headers }>;
  /** What an answer that is no success means; a PassingFailure where another try may bring more. */
  refused(status: number, headers: IncomingMessage['headers'], body: string): Error;
}

export interface RemoteFile {
  readonly byteLength: number;
  /** The ETag, or when it was changed; '' where the server says neither. */
  readonly version: string;
}

const agents = { 'http:': new Agent({ keepAlive: true }), 'https:': new SecureAgent({ keepAlive: true }) };

/** How long a file is, and which version. Throws CriaError `network.…`, FormatError `source.missing`. */
export async function probe(resource: Resource, patience: Patience): Promise<RemoteFile> {
  return persistently(resource.address, patience, undefined, async () => {
    const answer = await ask(resource, { range: 'bytes=0-0' }, patience);
    const { statusCode: status, headers } = answer;
    if (status === 416 && headers['content-range'] === 'bytes */0') {
      answer.resume();
      return { byteLength: 0, version: versionOf(headers) };
    }
    if (status === 206) {
      const total = /^bytes 0-0\/(\d+)$/.exec(headers['content-range'] ?? '')?.[1];
      answer.resume();
      if (total !== undefined) return { byteLength: Number(total), version: versionOf(headers) };
    }
    if (status === 200 && headers['content-length'] === '0') {
      answer.resume();
      return { byteLength: 0, version: versionOf(headers) };
    }
    if (status !== undefined && status >= 200 && status < 300) {
      answer.destroy();
      throw noRanges(resource.address);
    }
    throw await refusal(resource, answer);
  });
}

/** Fills `target` with the bytes from `from` on. Throws CriaError `network.…`, FormatError `source.missing`, `source.changed`. */
export async function readRange(
  resource: Resource,
  file: RemoteFile,
  from: number,
  target: Uint8Array,
  patience: Patience,
): Promise<void> {
  let have = 0;
  const last = from + target.length - 1;
  await persistently(
    resource.address,
    patience,
    () => have,
    async () => {
      const answer = await ask(resource, { range: `bytes=${from + have}-${last}` }, patience);
      const { statusCode: status, headers } = answer;
      if (status !== 206) {
        if (status === 416) {
          answer.destroy();
          throw changed(resource.address, `${file.byteLength} bytes`, 'fewer');
        }
        if (status !== undefined && status >= 200 && status < 300) {
          answer.destroy();
          throw noRanges(resource.address);
        }
        throw await refusal(resource, answer);
      }
      const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers['content-range'] ?? '') ?? [];
      const version = versionOf(headers);
      const isOther = version !== file.version || (total !== '*' && Number(total) !== file.byteLength);
      if (Number(start) !== from + have || isOther) {
        answer.destroy();
        if (!isOther) throw noRanges(resource.address);
        const told = (bytes: unknown, name: string) => `${bytes} bytes (version ${name || 'not said'})`;
        throw changed(resource.address, told(file.byteLength, file.version), told(total, version));
      }
      for await (const chunk of answer as AsyncIterable<Uint8Array>) {
        const part = chunk.subarray(0, target.length - have);
        target.set(part, have);
        have += part.length;
      }
      if (have < target.length) throw new PassingFailure('the connection broke off');
    },
  );
}

/** A small body as text. */
export async function readText(resource: Resource, patience: Patience): Promise<string> {
  return persistently(resource.address, patience, undefined, async () => {
    const answer = await ask(resource, {}, patience);
    if (answer.statusCode === 200) return bodyOf(answer);
    throw await refusal(resource, answer);
  });
}

async function persistently<T>(
  address: string,
  patience: Patience,
  have: (() => number) | undefined,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let failures = 0; ; ) {
    const before = have?.();
    try {
      return await attempt();
    } catch (error) {
      const passing = asPassing(error);
      if (!passing) throw error;
      failures = have && have() > before! ? 0 : failures + 1;
      if (failures >= TRIES) {
        throw new CriaError(
          'network.failed',
          `${address}: ${passing.message}, ${TRIES} times in a row. Check the network and the address; the same command goes on where it was.`,
          { cause: error },
        );
      }
      const pause = Math.max(passing.afterMs, failures === 0 ? 0 : patience.pauseMs * 2 ** (failures - 1));
      await sleep(Math.min(pause, LONGEST_PAUSE_MS));
    }
  }
}

/** What sockets and name servers say may be otherwise the next time. */
function asPassing(error: unknown): PassingFailure | undefined {
  if (error instanceof PassingFailure) return error;
  if (error instanceof CriaError || !(error instanceof Error) || !('code' in error)) return undefined;
  if (error.code === 'ECONNRESET') return new PassingFailure('the connection broke off');
  return new PassingFailure(error.message || String(error.code)); // an AggregateError has no words of its own
}

async function ask(
  resource: Resource,
  headers: Readonly<Record<string, string>>,
  { stallMs }: Patience,
): Promise<IncomingMessage> {
  const made = await resource.request({ 'accept-encoding': 'identity', ...headers });
  let { url } = made;
  for (let redirects = 0; ; redirects++) {
    const answer = await send(url, Object.fromEntries(made.headers), stallMs);
    const { location } = answer.headers;
    const isRedirect = [301, 302, 303, 307, 308].includes(answer.statusCode!);
    if (!resource.followsRedirects || !isRedirect || location === undefined || redirects === MOST_REDIRECTS)
      return answer;
    answer.resume();
    url = new URL(location, url);
    if (!(url.protocol in agents)) throw new CriaError('network.refused', `${resource.address}: leads to ${url}.`);
  }
}

function send(url: URL, headers: Record<string, string>, stallMs: number): Promise<IncomingMessage> {
  const protocol = url.protocol as keyof typeof agents;
  return new Promise((resolve, reject) => {
    const get = protocol === 'https:' ? getHttps : getHttp;
    const request = get(url, { headers, agent: agents[protocol], timeout: stallMs }, resolve);
    request.on('timeout', () => request.destroy(new PassingFailure(`nothing came for ${stallMs / 1000} s`)));
    request.on('error', reject);
  });
}

async function refusal(resource: Resource, answer: IncomingMessage): Promise<Error> {
  const status = answer.statusCode!;
  const body = await bodyOf(answer);
  if (status >= 500 || status === 429 || status === 408) {
    const seconds = Number(answer.headers['retry-after'] ?? 0);
    return new PassingFailure(`the server says ${status}`, Number.isFinite(seconds) ? seconds * 1000 : 0);
  }
  return resource.refused(status, answer.headers, body);
}

async function bodyOf(answer: IncomingMessage): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of answer as AsyncIterable<Uint8Array>) {
    parts.push(part);
    bytes += part.length;
    if (bytes > MOST_BODY_BYTES) throw new CriaError('network.answer', 'an answer of more than 16 MiB to a question.');
  }
  return Buffer.concat(parts).toString('utf8');
}

function versionOf(headers: IncomingMessage['headers']): string {
  return headers.etag ?? headers['last-modified'] ?? '';
}

function noRanges(address: string): CriaError {
  return new CriaError(
    'network.no-ranges',
    `${address}: expected the server to give ranges of the file, found that it gives only the whole. Download it, and name the file.`,
  );
}

function changed(address: string, expected: string, found: string): FormatError {
  return new FormatError(
    { code: 'source.changed', file: address, where: 'the file on the server' },
    `expected ${expected} as when it was opened, found ${found}`,
    'It was changed while it was read; run the same command again.',
  );
}

export function missing(address: string): FormatError {
  return new FormatError(
    { code: 'source.missing', file: address, where: 'the server' },
    'expected a file, found none of this name (404)',
    'Check the address.',
  );
}
