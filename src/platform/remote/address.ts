/** Addresses of corpus files that lie elsewhere: `s3://bucket/key`, `https://host/path`, `hf://datasets/owner/repo@revision/path`. */
import { isAbsolute } from 'node:path';
import { ArgumentError } from '../../base/errors.ts';

export type Address =
  | { readonly scheme: 's3'; readonly bucket: string; readonly key: string }
  | { readonly scheme: 'https'; readonly url: URL }
  | { readonly scheme: 'hf'; readonly repo: string; readonly revision: string; readonly path: string };

export function isAddress(text: string): boolean {
  return /^(?:s3|https?|hf):\/\//.test(text);
}

/** The address of a name below a root; undefined for files of this machine. */
export function addressBelow(root: string, name: string): string | undefined {
  if (isAddress(name)) return name;
  return isAddress(root) && !isAbsolute(name) ? `${root.replace(/\/+$/, '')}/${name}` : undefined;
}

/** Throws ArgumentError `source.address`. */
export function parseAddress(text: string): Address {
  const s3 = /^s3:\/\/([a-zA-Z0-9][\w.-]{1,254})(?:\/(.*))?$/s.exec(text);
  if (s3) return { scheme: 's3', bucket: s3[1]!, key: s3[2] ?? '' };
  const hub = /^hf:\/\/datasets\/([\w.-]{1,96}\/[\w.-]{1,96})(?:@([^/]+))?(?:\/(.*))?$/s.exec(text);
  if (hub && !hub[1]!.split('/').includes('..'))
    return { scheme: 'hf', repo: hub[1]!, revision: decodeURIComponent(hub[2] ?? 'main'), path: hub[3] ?? '' };
  if (/^https?:/.test(text) && URL.canParse(text)) return { scheme: 'https', url: new URL(text) };
  throw new ArgumentError(
    'source.address',
    `${text}: expected s3://bucket/key, https://host/path or hf://datasets/owner/name@revision/path.`,
  );
}

/** What stands before the first character that makes a name a pattern; undefined for a name that is none. */
export function literalPrefix(pattern: string): string | undefined {
  const at = pattern.search(/[*?[{]|[!+@]\(/);
  return at < 0 ? undefined : pattern.slice(0, at);
}

/** False for a bucket, a host or a data set alone, which the parents of a file's folder may be. */
export function namesFile(address: string): boolean {
  try {
    const parsed = parseAddress(address);
    if (parsed.scheme === 's3') return parsed.key !== '';
    return parsed.scheme === 'https' ? parsed.url.pathname !== '/' : parsed.path !== '';
  } catch {
    return false;
  }
}
