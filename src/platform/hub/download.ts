/**
 * One file from a server that may break off, stall or lie: goes on where it stopped, also in another process; takes nothing whose
 * digest is wrong.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream, existsSync, rmSync, statSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { CriaError } from '../../base/errors.ts';

export interface Download {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Where the whole file goes; until then it is `<path>.incomplete`. */
  readonly path: string;
  readonly bytes: number;
  /** sha256 of the bytes (LFS), or git's sha1 of them as a blob. */
  readonly digest: { readonly kind: 'sha256' | 'git'; readonly hex: string };
  readonly onProgress: (bytes: number) => void;
  readonly signal: AbortSignal;
  /** Milliseconds: before another try, doubled each time; without a byte until the connection counts as dead. */
  readonly pauseMs?: number;
  readonly stallMs?: number;
}

/** Tries in a row that bring no byte. */
const TRIES = 5;

/** Throws CriaError `hub.network`, `hub.digest`, `hub.refused`. */
export async function downloadFile(download: Download): Promise<void> {
  const { path, bytes, signal } = download;
  const incomplete = `${path}.incomplete`;
  let hash = startHash(download);
  let have = 0;
  if (existsSync(incomplete)) {
    if (statSync(incomplete).size > bytes) rmSync(incomplete);
    else have = await hashFile(incomplete, hash);
  }
  let failures = 0;
  let isSecondCopy = false;
  while (true) {
    while (have < bytes || !existsSync(incomplete)) {
      const before = have;
      const outcome = await fetchPart(download, incomplete, have, hash);
      if (outcome.restarted) hash = outcome.hash;
      have = outcome.have;
      if (outcome.error === null) continue;
      signal.throwIfAborted();
      if (outcome.isFinal) throw outcome.error;
      failures = have > before ? 0 : failures + 1;
      if (failures >= TRIES) throw outcome.error;
      await pause((download.pauseMs ?? 500) * 2 ** failures, signal);
    }
    const found = hash.digest('hex');
    if (found === download.digest.hex) break;
    rmSync(incomplete, { force: true });
    // What was left by an earlier run may have been damaged there; a fresh copy that is wrong is the server's.
    if (isSecondCopy) {
      throw new CriaError(
        'hub.digest',
        `${download.url}: expected ${download.digest.kind} ${download.digest.hex}, found ${found}, twice. The file was not kept; try again later, or another source.`,
      );
    }
    isSecondCopy = true;
    hash = startHash(download);
    have = 0;
  }
  await rename(incomplete, path);
}

interface Outcome {
  readonly have: number;
  readonly restarted: boolean;
  readonly hash: Hash;
  readonly error: Error | null;
  /** Another try would bring the same. */
  readonly isFinal: boolean;
}

async function fetchPart(download: Download, incomplete: string, from: number, hash: Hash): Promise<Outcome> {
  const { url, bytes, onProgress, stallMs = 30_000 } = download;
  const stalled = new AbortController();
  let timer = setTimeout(() => stalled.abort(), stallMs);
  let have = from;
  let restarted = false;
  const end = (error: Error | null, isFinal = false): Outcome => ({ have, restarted, hash, error, isFinal });
  try {
    const headers: Record<string, string> = { ...download.headers };
    if (from > 0) headers.range = `bytes=${from}-`;
    const response = await fetch(url, { headers, signal: AbortSignal.any([download.signal, stalled.signal]) });
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      const isFinal = response.status < 500 && response.status !== 408 && response.status !== 429;
      const advice = isFinal ? hintFor(response.status) : 'Try again later.';
      return end(new CriaError('hub.refused', `${url}: the server says ${response.status}. ${advice}`), isFinal);
    }
    const goesOn = response.status === 206 && response.headers.get('content-range')?.startsWith(`bytes ${from}-`);
    if (!goesOn && from > 0) {
      hash = startHash(download);
      have = 0;
      restarted = true;
    }
    const file = await open(incomplete, goesOn ? 'a' : 'w');
    try {
      for await (const chunk of response.body) {
        clearTimeout(timer);
        timer = setTimeout(() => stalled.abort(), stallMs);
        if (have + chunk.length > bytes) {
          return end(
            new CriaError(
              'hub.size',
              `${url}: expected ${bytes} bytes, found more. The file on the server is not what its index says.`,
            ),
            true,
          );
        }
        await file.write(chunk);
        hash.update(chunk);
        have += chunk.length;
        onProgress(have);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    return have === bytes
      ? end(null)
      : end(
          new CriaError(
            'hub.network',
            `${url}: the connection broke off at byte ${have} of ${bytes}. Run it again to go on.`,
          ),
        );
  } catch (cause) {
    if (isFileError(cause)) throw cause;
    const why = stalled.signal.aborted ? `nothing came for ${stallMs / 1000} s` : reasonOf(cause);
    return end(
      new CriaError('hub.network', `${url}: ${why}, at byte ${have} of ${bytes}. Run it again to go on.`, { cause }),
    );
  } finally {
    clearTimeout(timer);
  }
}

function startHash({ digest, bytes }: Download): Hash {
  return digest.kind === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${bytes}\0`);
}

async function hashFile(path: string, hash: Hash): Promise<number> {
  let bytes = 0;
  for await (const chunk of createReadStream(path)) {
    hash.update(chunk as Buffer);
    bytes += (chunk as Buffer).length;
  }
  return bytes;
}

function hintFor(status: number): string {
  if (status === 401 || status === 403)
    return 'Set HF_TOKEN to a token that may read it, and accept its licence on the hub.';
  return status === 404 ? 'Check the name.' : 'It will not give this file.';
}

/** A full disk is no reason to ask the network again. */
function isFileError(error: unknown): boolean {
  const { syscall } = error as NodeJS.ErrnoException;
  return syscall === 'write' || syscall === 'open' || syscall === 'fsync';
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener('abort', end, { once: true });
  });
}
