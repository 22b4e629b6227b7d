/**
 * The Hugging Face cache, as huggingface_hub lays it out, so that files are shared with other tools:
 *
 *   models--owner--repo/blobs/<etag>                 the bytes, once
 *   models--owner--repo/snapshots/<commit>/<path>    a link to them
 *   models--owner--repo/refs/<revision>              the commit of a branch
 */
import { existsSync, readdirSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { CriaError } from '../../base/errors.ts';
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
  const folder = repoFolder(repo, root, kind);
  const ref = join(folder, 'refs', revision);
  const commit = existsSync(ref) ? readFileSync(ref, 'utf8').trim() : revision;
  const snapshot = join(folder, 'snapshots', commit);
  return /^[\w.-]+$/.test(commit) && existsSync(snapshot) ? snapshot : null;
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
 * Removes a model: the whole repository, or of one quantization the files, with their bytes where no other snapshot has them.
 * Returns the bytes that are free now. Throws CriaError `hub.not-cached`.
 */
export function removeCached(name: HubName, root = cacheFolder()): number {
  const folder = repoFolder(name.repo, root);
  const snapshot = snapshotOf(name, root);
  if (!existsSync(folder) || (name.quant !== null && snapshot === null)) throw notCached(name);
  const before = blobBytes(folder);
  if (name.quant === null || snapshot === null) {
    rmSync(folder, { recursive: true });
    return before;
  }
  const { files } = chooseFiles(name, filesIn(snapshot));
  for (const file of files) {
    const blob = realpathSync(join(snapshot, file));
    rmSync(join(snapshot, file));
    const isShared = listCached(root).some(
      (other) =>
        other.repo === name.repo && other.files.some(({ path }) => realpathSync(join(other.folder, path)) === blob),
    );
    if (!isShared) rmSync(blob, { force: true });
  }
  if (filesIn(snapshot).length === 0) rmSync(folder, { recursive: true });
  return before - blobBytes(folder);
}

export function notCached({ repo, quant }: HubName): CriaError {
  const name = quant === null ? repo : `${repo}:${quant}`;
  return new CriaError(
    'hub.not-cached',
    `${name}: expected in the cache, found nothing there. Fetch it: cria pull ${name}`,
  );
}

function blobBytes(folder: string): number {
  const blobs = join(folder, 'blobs');
  if (!existsSync(blobs)) return 0;
  return readdirSync(blobs).reduce((sum, blob) => sum + statSync(join(blobs, blob)).size, 0);
}
