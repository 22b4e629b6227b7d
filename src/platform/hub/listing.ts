/** What the hub says of a repository: the commit that a revision stands for, and its files. Two questions of its REST API. */
import { CriaError } from '../../base/errors.ts';
import type { RepositoryKind } from './cache.ts';

export interface Hub {
  /** Without a slash at its end. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

export interface ListedFile {
  readonly path: string;
  readonly size: number;
  /** sha256 of the bytes for large files, git's sha1 of them as a blob for the others. */
  readonly digest: { readonly kind: 'sha256' | 'git'; readonly hex: string };
}

/** What nobody's repository has: a server that goes on for ever is stopped here. */
const MOST_PAGES = 1000;

/** Throws CriaError `hub.refused`, `hub.network`, `hub.index`. */
export async function listRepository(
  { kind, repo, revision }: { readonly kind: RepositoryKind; readonly repo: string; readonly revision: string },
  hub: Hub,
): Promise<{ commit: string; files: ListedFile[] }> {
  const ask = (address: string) => askHub(address, hub, `${repo}@${revision}`);
  const base = `${hub.url}/api/${kind}s/${repo}`;
  const { body } = await ask(`${base}/revision/${encodeURIComponent(revision)}`);
  const commit = (body as { sha?: unknown } | null)?.sha;
  if (typeof commit !== 'string' || !/^[0-9a-f]{40}$/.test(commit)) {
    throw badIndex(repo, `the commit ${JSON.stringify(commit)}`);
  }
  const files: ListedFile[] = [];
  let page: string | null = `${base}/tree/${commit}?recursive=true`;
  for (let count = 0; page !== null; count++) {
    if (count === MOST_PAGES) throw badIndex(repo, `more than ${MOST_PAGES} pages`);
    const { body, next }: Answer = await ask(page);
    if (!Array.isArray(body)) throw badIndex(repo, 'no list');
    for (const entry of body) if (entry?.type === 'file') files.push(checked(repo, entry));
    if (next !== null && new URL(next).origin !== new URL(hub.url).origin)
      throw badIndex(repo, `a next page at ${next}`);
    page = next;
  }
  return { commit, files };
}

interface Answer {
  readonly body: unknown;
  readonly next: string | null;
}

async function askHub(address: string, { url, headers, signal }: Hub, what: string): Promise<Answer> {
  try {
    const response = await fetch(address, { headers, signal });
    if (!response.ok) {
      await response.body?.cancel();
      throw refused(what, response.status);
    }
    const next = /<([^>]+)>;\s*rel="next"/.exec(response.headers.get('link') ?? '')?.[1];
    return { body: await response.json(), next: next === undefined ? null : new URL(next, address).href };
  } catch (cause) {
    if (cause instanceof CriaError) throw cause;
    const why = cause instanceof Error ? (cause.cause instanceof Error ? cause.cause.message : cause.message) : '';
    throw new CriaError(
      'hub.network',
      `${url}: no answer (${why}). Check the network, or use what was pulled before with --offline.`,
      { cause },
    );
  }
}

function refused(what: string, status: number): CriaError {
  const advice =
    status === 401 || status === 403
      ? 'It does not exist, or it is private or gated: set HF_TOKEN to a token that may read it, and accept its licence on the hub.'
      : status === 404
        ? 'Check its name and revision.'
        : 'Try again later.';
  return new CriaError('hub.refused', `${what}: the hub says ${status}. ${advice}`);
}

/** The index is the network's: no path may lead out of the cache, and every digest must be one. */
function checked(repo: string, { path, size, lfs, oid }: Record<string, unknown>): ListedFile {
  if (
    typeof path !== 'string' ||
    path.split('/').some((part) => part === '' || part === '.' || part === '..') ||
    /[\\:\0]/.test(path)
  ) {
    throw badIndex(repo, `the path ${JSON.stringify(path)}`);
  }
  if (!Number.isSafeInteger(size) || (size as number) < 0) throw badIndex(repo, `${path} of ${size} bytes`);
  const hex = lfs ? (lfs as { oid?: unknown }).oid : oid;
  if (typeof hex !== 'string' || !(lfs ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/).test(hex)) {
    throw badIndex(repo, `the digest ${JSON.stringify(hex)} of ${path}`);
  }
  return { path, size: size as number, digest: { kind: lfs ? 'sha256' : 'git', hex } };
}

function badIndex(repo: string, what: string): CriaError {
  return new CriaError(
    'hub.index',
    `${repo}: the hub's list of files holds ${what}, expected something sound. Nothing was fetched.`,
  );
}
