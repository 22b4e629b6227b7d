/** Fetches a model from the hub into the shared cache. */
import { copyFileSync, existsSync, lstatSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { makeFolder } from '../node/make-folder.ts';
import { cacheFolder, findCached, keepCommit, notCached, type RepositoryKind, repoFolder } from './cache.ts';
import { type Download, downloadFile } from './download.ts';
import { type ListedFile, listRepository } from './listing.ts';
import { type Choice, chooseFiles, type HubFile, type HubName } from './names.ts';

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
  const { cache = cacheFolder(options.env) } = options;
  if (isOffline(options)) {
    const path = findCached(name, cache);
    if (path === null) throw notCached(name);
    return path;
  }
  const { repo, revision } = name;
  const choose = (files: readonly HubFile[]) => chooseFiles(name, files);
  const { snapshot, choice } = await fetchRepository({ kind: 'model', repo, revision, choose }, options);
  return choice.open === null ? snapshot : join(snapshot, choice.open);
}

export function isOffline({ offline, env }: Pick<PullOptions, 'offline' | 'env'>): boolean {
  return offline || isOn(env.HF_HUB_OFFLINE);
}

/** A repository on the hub, and which of its files are wanted. */
export interface Wanted {
  readonly kind: RepositoryKind;
  readonly repo: string;
  readonly revision: string;
  choose(files: readonly HubFile[]): Choice;
}

/** A repository as the hub lists it. */
export interface Listing {
  readonly kind: RepositoryKind;
  readonly repo: string;
  readonly commit: string;
  readonly files: readonly ListedFile[];
}

/** Asks the hub what a revision holds. Throws CriaError `hub.…`. */
export async function listOnHub(
  { kind, repo, revision }: Pick<Wanted, 'kind' | 'repo' | 'revision'>,
  { env, signal }: Pick<PullOptions, 'env' | 'signal'>,
): Promise<Listing> {
  const { url, headers } = hubOf(env);
  return { kind, repo, ...(await listRepository({ kind, repo, revision }, { url, headers, signal })) };
}

function hubOf(env: PullOptions['env']): { readonly url: string; readonly headers: Record<string, string> } {
  const accessToken = env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN;
  return {
    url: (env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/$/, ''),
    headers: accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` },
  };
}

/** Fetches the chosen files that are not here yet, and gives the folder that holds them all. */
export async function fetchRepository(
  { kind, repo, revision, choose }: Wanted,
  options: PullOptions,
): Promise<{ readonly snapshot: string; readonly choice: Choice }> {
  const listing = await listOnHub({ kind, repo, revision }, options);
  const choice = choose(listing.files.map(({ path, size }) => ({ path, bytes: size })));
  const snapshot = await fetchListed(listing, choice.files, options);
  keepCommit({ repo, revision }, listing.commit, options.cache ?? cacheFolder(options.env), kind);
  return { snapshot, choice };
}

/** Fetches files of a listing that are not here yet, and gives the folder of the commit, which holds them. */
export async function fetchListed(
  { kind, repo, commit, files }: Listing,
  wanted: readonly string[],
  options: PullOptions,
): Promise<string> {
  const { env, cache = cacheFolder(env), signal } = options;
  const { url: hubUrl, headers } = hubOf(env);
  const byPath = new Map(files.map((file) => [file.path, file]));
  const home = `${hubUrl}/${kind === 'dataset' ? 'datasets/' : ''}${repo}`;
  const folder = repoFolder(repo, cache, kind);
  const snapshot = join(folder, 'snapshots', commit);
  const total = wanted.reduce((sum, file) => sum + byPath.get(file)!.size, 0);
  let before = 0;
  for (const file of wanted) {
    const { size, digest } = byPath.get(file)!;
    const blob = join(folder, 'blobs', digest.hex);
    makeFolder(dirname(blob));
    if (!existsSync(blob)) {
      await downloadFile({
        url: `${home}/resolve/${commit}/${file.split('/').map(encodeURIComponent).join('/')}`,
        headers,
        path: blob,
        bytes: size,
        digest,
        onProgress: (bytes) => options.onProgress(before + bytes, total, file),
        signal,
        ...options.patience,
      });
    }
    before += size;
    options.onProgress(before, total, file);
    link(blob, join(snapshot, file));
  }
  return snapshot;
}

function link(blob: string, path: string): void {
  makeFolder(dirname(path));
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

function isOn(value: string | undefined): boolean {
  return value !== undefined && /^(?:1|true|yes|on)$/i.test(value);
}
