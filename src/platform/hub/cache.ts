/**
 * The Hugging Face cache, as huggingface_hub lays it out, so that files are shared with other tools:
 *
 *   models--owner--repo/blobs/<etag>                 the bytes, once
 *   models--owner--repo/snapshots/<commit>/<path>    a link to them
 *   models--owner--repo/refs/<revision>              the commit of a branch
 */
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, relative, sep } from 'node:path';
import { CriaError } from '../../base/errors.ts';
import { makeFolder } from '../node/make-folder.ts';
import { type Choice, chooseFiles, type HubFile, type HubName } from './names.ts';

export interface CachedModel {
  readonly repo: string;
  readonly revision: string;
  readonly folder: string;
  readonly files: readonly HubFile[];
}

/** Where huggingface_hub looks, too. */
export function cacheFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const home = env.HF_HOME ?? join(env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'huggingface');
  return env.HF_HUB_CACHE ?? env.HUGGINGFACE_HUB_CACHE ?? join(home, 'hub');
}

export type RepositoryKind = 'model' | 'dataset';

export function repoFolder(repo: string, root = cacheFolder(), kind: RepositoryKind = 'model'): string {
  return join(root, `${kind}s--${repo.replace('/', '--')}`);
}

/** The path of a model that is here in full; null where it is not. */
export function findCached(name: HubName, root = cacheFolder()): string | null {
  const snapshot = snapshotOf(name, root);
  if (snapshot === null) return null;
  let choice: Choice;
  try {
    choice = chooseFiles(name, filesIn(snapshot));
  } catch (error) {
    if (error instanceof CriaError) return null;
    throw error;
  }
  if (!isWhole(choice, snapshot)) return null;
  return choice.open === null ? snapshot : join(snapshot, choice.open);
}

/** Split weights name their number of parts; pull() leaves a mark only when it has them all. */
function isWhole({ files }: Choice, snapshot: string): boolean {
  for (const file of files) {
    const parts = /-(\d{5})-of-(\d{5})\.(gguf|safetensors|bin)$/.exec(file);
    if (!parts) continue;
    const stem = file.slice(0, parts.index);
    for (let i = 1; i <= Number(parts[2]); i++) {
      const part = `${stem}-${String(i).padStart(5, '0')}-of-${parts[2]}.${parts[3]}`;
      if (!existsSync(join(snapshot, part))) return false;
    }
  }
  return true;
}

/** The folder of a revision that is here; null where none is. */
export function snapshotOf(
  { repo, revision }: Pick<HubName, 'repo' | 'revision'>,
  root: string,
  kind: RepositoryKind = 'model',
): string | null {
  const commit = keptCommit({ repo, revision }, root, kind) ?? revision;
  const snapshot = join(repoFolder(repo, root, kind), 'snapshots', commit);
  return /^[\w.-]+$/.test(commit) && existsSync(snapshot) ? snapshot : null;
}

/** The commit that a branch stood for when it was asked for last; null where it never was. */
export function keptCommit(
  { repo, revision }: Pick<HubName, 'repo' | 'revision'>,
  root: string,
  kind: RepositoryKind,
): string | null {
  const ref = join(repoFolder(repo, root, kind), 'refs', revision);
  return existsSync(ref) ? readFileSync(ref, 'utf8').trim() : null;
}

export function keepCommit(
  { repo, revision }: Pick<HubName, 'repo' | 'revision'>,
  commit: string,
  root: string,
  kind: RepositoryKind,
): void {
  if (revision === commit) return;
  const ref = join(repoFolder(repo, root, kind), 'refs', revision);
  makeFolder(dirname(ref));
  writeFileSync(ref, commit);
}

/** Files under a snapshot; links whose bytes are gone are not there. */
export function filesIn(snapshot: string): HubFile[] {
  const found: HubFile[] = [];
  for (const entry of readdirSync(snapshot, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat?.isFile()) found.push({ path: relative(snapshot, path).split(sep).join('/'), bytes: stat.size });
  }
  return found;
}

/** Every model in the cache that has a branch or commit with files. */
export function listCached(root = cacheFolder()): CachedModel[] {
  if (!existsSync(root)) return [];
  const models: CachedModel[] = [];
  for (const entry of readdirSync(root).sort()) {
    const repo = /^models--(.+)$/.exec(entry)?.[1]?.replace('--', '/');
    const snapshots = join(root, entry, 'snapshots');
    if (repo === undefined || !existsSync(snapshots)) continue;
    for (const revision of readdirSync(snapshots)) {
      const folder = join(snapshots, revision);
      const files = filesIn(folder);
      if (files.length > 0) models.push({ repo, revision, folder, files });
    }
  }
  return models;
}

/**
 * Removes a model: the whole repository, or of one quantization the files, with their bytes where no other snapshot has them. Nothing
 * outside of the repository's own folder is touched: a link goes, what it points to stays, unless that is a blob of this repository.
 * Returns the bytes that are free now. Throws CriaError `hub.not-cached`, `hub.not-ours`.
 */
export function removeCached(name: HubName, root = cacheFolder()): number {
  const folder = repoFolder(name.repo, root);
  const snapshot = snapshotOf(name, root);
  const isThere = lstatSync(folder, { throwIfNoEntry: false });
  if (!isThere || (name.quant !== null && snapshot === null)) throw notCached(name, 'See what is there: cria list');
  const before = blobBytes(folder);
  if (name.quant === null || snapshot === null) {
    rmSync(folder, { recursive: true }); // of links inside, or of the folder if it is one, only the links
    return before;
  }
  const home = ownFolder(folder, snapshot);
  const { files } = chooseFiles(name, filesIn(snapshot));
  for (const file of files) {
    const path = join(snapshot, file);
    if (!isBelow(home, realpathSync(dirname(path)))) throw notOurs(path, home);
    const blob = realpathSync(path);
    const isOwnBlob = lstatSync(path).isSymbolicLink() && dirname(blob) === join(home, 'blobs');
    rmSync(path);
    const isShared = listCached(root).some(
      (other) =>
        other.repo === name.repo && other.files.some(({ path }) => realpathSync(join(other.folder, path)) === blob),
    );
    if (isOwnBlob && !isShared) rmSync(blob, { force: true });
  }
  if (filesIn(snapshot).length === 0 && listCached(root).every(({ repo }) => repo !== name.repo)) {
    rmSync(folder, { recursive: true });
  }
  return before - blobBytes(folder);
}

/** The repository's folder with links resolved. Throws where the folder or the snapshot is a link to elsewhere. */
function ownFolder(folder: string, snapshot: string): string {
  const home = realpathSync(folder);
  const isLink = lstatSync(folder).isSymbolicLink();
  if (isLink || !isBelow(home, realpathSync(snapshot))) throw notOurs(isLink ? folder : snapshot, home);
  return home;
}

function isBelow(home: string, path: string): boolean {
  return path.startsWith(`${home}${sep}`);
}

function notOurs(path: string, home: string): CriaError {
  return new CriaError(
    'hub.not-ours',
    `${path}: expected a folder below ${home}, found a link to ${realpathSync(path)}. Nothing there is removed; remove it by hand.`,
  );
}

export function notCached({ repo, quant }: HubName, advice?: string): CriaError {
  const name = quant === null ? repo : `${repo}:${quant}`;
  const what = advice ?? `Fetch it: cria pull ${name}`;
  return new CriaError('hub.not-cached', `${name}: expected in the cache, found nothing there. ${what}`);
}

function blobBytes(folder: string): number {
  const blobs = join(folder, 'blobs');
  if (!lstatSync(blobs, { throwIfNoEntry: false })?.isDirectory()) return 0;
  return readdirSync(blobs).reduce((sum, blob) => {
    const stat = lstatSync(join(blobs, blob));
    return sum + (stat.isFile() ? stat.size : 0);
  }, 0);
}
