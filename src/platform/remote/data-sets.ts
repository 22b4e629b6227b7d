/** Data sets of the hub as corpus files: listed at a commit, fetched into the shared cache when they are opened. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { CriaError } from '../../base/errors.ts';
import { cacheFolder, filesIn, keepCommit, keptCommit, snapshotOf } from '../hub/cache.ts';
import { fetchListed, isOffline, type Listing, listOnHub } from '../hub/pull.ts';
import { missing, type Patience } from './http.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface DataSetEntry {
  readonly path: string;
  readonly bytes: number;
}

export class DataSets {
  private readonly env: Environment;
  private readonly patience: Patience;
  private readonly listings = new Map<string, Promise<Listing>>();
  /** One transfer a file, whoever asks. */
  private readonly fetching = new Map<string, Promise<string>>();

  constructor(env: Environment, patience: Patience) {
    this.env = env;
    this.patience = patience;
  }

  /**
   * The files of a revision, and its commit: what is read is this commit's, whatever becomes of the branch. A branch stays at the commit for which it stood
   * when it was first asked for, so that a run that was killed finds its input again.
   */
  async list(repo: string, revision: string): Promise<{ commit: string; files: readonly DataSetEntry[] }> {
    const cache = cacheFolder(this.env);
    if (isOffline({ offline: false, env: this.env })) {
      const snapshot = snapshotOf({ repo, revision }, cache, 'dataset');
      if (snapshot === null) throw notHere(repo);
      return { commit: basename(snapshot), files: filesIn(snapshot) };
    }
    const { commit, files } = await this.listing(repo, keptCommit({ repo, revision }, cache, 'dataset') ?? revision);
    keepCommit({ repo, revision }, commit, cache, 'dataset');
    return { commit, files: files.map(({ path, size }) => ({ path, bytes: size })) };
  }

  /** Where the file lies in the cache, fetched first where it is not there. Throws CriaError `hub.…`. */
  fetch(repo: string, revision: string, path: string): Promise<string> {
    const name = `${repo}@${revision}/${path}`;
    let fetched = this.fetching.get(name);
    if (!fetched) {
      fetched = this.fetchOnce(repo, revision, path).finally(() => this.fetching.delete(name));
      this.fetching.set(name, fetched);
    }
    return fetched;
  }

  private async fetchOnce(repo: string, revision: string, path: string): Promise<string> {
    const { env } = this;
    const snapshot = snapshotOf({ repo, revision }, cacheFolder(env), 'dataset');
    // A commit's file never changes: where it is here, nobody is asked.
    if (snapshot !== null && /^[0-9a-f]{40}$/.test(revision) && existsSync(join(snapshot, path)))
      return join(snapshot, path);
    if (isOffline({ offline: false, env })) {
      if (snapshot !== null && existsSync(join(snapshot, path))) return join(snapshot, path);
      throw notHere(`${repo}/${path}`);
    }
    const listing = await this.listing(repo, revision);
    if (!listing.files.some((file) => file.path === path)) throw missing(`hf://datasets/${repo}@${revision}/${path}`);
    const { signal } = new AbortController();
    const patience = { pauseMs: this.patience.pauseMs, stallMs: this.patience.stallMs };
    const folder = await fetchListed(listing, [path], { signal, offline: false, env, onProgress: () => {}, patience });
    return join(folder, path);
  }

  private listing(repo: string, revision: string): Promise<Listing> {
    const name = `${repo}@${revision}`;
    let listing = this.listings.get(name);
    if (!listing) {
      listing = listOnHub({ kind: 'dataset', repo, revision }, { env: this.env, signal: new AbortController().signal });
      this.listings.set(name, listing);
      listing.catch(() => this.listings.delete(name));
    }
    return listing;
  }
}

function notHere(what: string): CriaError {
  return new CriaError(
    'hub.not-cached',
    `${what}: expected it in the cache, found nothing there. Run once with the network.`,
  );
}
