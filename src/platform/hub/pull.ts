/** Fetches a model from the hub into the shared cache. */
import { copyFileSync, existsSync, lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { HubApiError, type ListFileEntry, listFiles, modelInfo } from '@huggingface/hub';
import { CriaError } from '../../base/errors.ts';
import { cacheFolder, findCached, notCached, repoFolder } from './cache.ts';
import { type Download, downloadFile } from './download.ts';
import { chooseFiles, type HubName } from './names.ts';

export interface PullOptions {
  readonly signal: AbortSignal;
  readonly offline: boolean;
  /** HF_TOKEN, HF_ENDPOINT and their kin are read from here. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly onProgress: (done: number, total: number, file: string) => void;
  readonly cache?: string;
  /** For tests: how soon to try again, and when a connection counts as dead. */
  readonly patience?: Pick<Download, 'pauseMs' | 'stallMs'>;
}

/**
 * The path to open. A branch is asked for its commit each time; what is here already is not fetched again.
 * Throws CriaError `hub.…`.
 */
export async function pull(name: HubName, options: PullOptions): Promise<string> {
  const { env, cache = cacheFolder(), signal } = options;
  if (options.offline || isOn(env.HF_HUB_OFFLINE)) {
    const path = findCached(name, cache);
    if (path === null) throw notCached(name);
    return path;
  }
  const hubUrl = (env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/$/, '');
  const accessToken = env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN;
  const hub = { hubUrl, ...(accessToken !== undefined && { accessToken }), fetch: withSignal(signal) };
  const { commit, entries } = await look(name, hub);
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  const choice = chooseFiles(
    name,
    entries.map(({ path, size }) => ({ path, bytes: size })),
  );

  const folder = repoFolder(name.repo, cache);
  const snapshot = join(folder, 'snapshots', commit);
  const total = choice.files.reduce((sum, file) => sum + byPath.get(file)!.size, 0);
  let before = 0;
  for (const file of choice.files) {
    const entry = byPath.get(file)!;
    const hex = entry.lfs?.oid ?? entry.oid!;
    const blob = join(folder, 'blobs', hex);
    mkdirSync(dirname(blob), { recursive: true });
    if (!existsSync(blob)) {
      await downloadFile({
        url: `${hubUrl}/${name.repo}/resolve/${commit}/${file.split('/').map(encodeURIComponent).join('/')}`,
        headers: accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` },
        path: blob,
        bytes: entry.size,
        digest: { kind: entry.lfs ? 'sha256' : 'git', hex },
        onProgress: (bytes) => options.onProgress(before + bytes, total, file),
        signal,
        ...options.patience,
      });
    }
    before += entry.size;
    options.onProgress(before, total, file);
    link(blob, join(snapshot, file));
  }
  const ref = join(folder, 'refs', name.revision);
  if (name.revision !== commit) {
    mkdirSync(dirname(ref), { recursive: true });
    writeFileSync(ref, commit);
  }
  return choice.open === null ? snapshot : join(snapshot, choice.open);
}

type Hub = { hubUrl: string; accessToken?: string; fetch: typeof fetch };

/** The commit that the revision stands for now, and its files. */
async function look({ repo, revision }: HubName, hub: Hub): Promise<{ commit: string; entries: ListFileEntry[] }> {
  try {
    const { sha: commit } = await modelInfo({ name: repo, revision, additionalFields: ['sha'], ...hub });
    if (!/^[0-9a-f]{40}$/.test(commit)) throw badIndex(repo, `the commit ${JSON.stringify(commit)}`);
    const entries: ListFileEntry[] = [];
    for await (const entry of listFiles({ repo, revision: commit, recursive: true, ...hub })) {
      if (entry.type === 'file') entries.push(checked(repo, entry));
    }
    return { commit, entries };
  } catch (cause) {
    if (cause instanceof CriaError) throw cause;
    if (cause instanceof HubApiError) throw refused(repo, revision, cause);
    const why = cause instanceof Error ? (cause.cause instanceof Error ? cause.cause.message : cause.message) : '';
    throw new CriaError(
      'hub.network',
      `${hub.hubUrl}: no answer (${why}). Check the network, or use what was pulled before with --offline.`,
      { cause },
    );
  }
}

function refused(repo: string, revision: string, error: HubApiError): CriaError {
  const { statusCode } = error;
  const advice =
    statusCode === 401 || statusCode === 403
      ? 'It does not exist, or it is private or gated: set HF_TOKEN to a token that may read it, and accept its licence on the hub.'
      : statusCode === 404
        ? 'Check its name and revision.'
        : 'Try again later.';
  return new CriaError('hub.refused', `${repo}@${revision}: the hub says ${statusCode}. ${advice}`, { cause: error });
}

/** The index is the network's: no path may lead out of the cache, and every digest must be one. */
function checked(repo: string, entry: ListFileEntry): ListFileEntry {
  const { path, size, lfs, oid } = entry;
  const parts = path.split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..') || /[\\:\0]/.test(path)) {
    throw badIndex(repo, `the path ${JSON.stringify(path)}`);
  }
  if (!Number.isSafeInteger(size) || size < 0) throw badIndex(repo, `${path} of ${size} bytes`);
  const isDigest = lfs ? /^[0-9a-f]{64}$/.test(lfs.oid) : /^[0-9a-f]{40}$/.test(oid ?? '');
  if (!isDigest) throw badIndex(repo, `the digest ${JSON.stringify(lfs?.oid ?? oid)} of ${path}`);
  return entry;
}

function badIndex(repo: string, what: string): CriaError {
  return new CriaError(
    'hub.index',
    `${repo}: the hub's list of files holds ${what}, expected something sound. Nothing was fetched.`,
  );
}

function link(blob: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  if (lstatSync(path, { throwIfNoEntry: false })) {
    if (existsSync(path)) return;
    rmSync(path);
  }
  try {
    symlinkSync(relative(dirname(path), blob), path);
  } catch {
    copyFileSync(blob, path); // file systems without links
  }
}

function withSignal(signal: AbortSignal): typeof fetch {
  return (input, init) => fetch(input, { ...init, signal });
}

function isOn(value: string | undefined): boolean {
  return value !== undefined && /^(?:1|true|yes|on)$/i.test(value);
}
