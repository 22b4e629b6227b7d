/** Files by address: what lies below a pattern, how long a file is, its bytes. */
import { FormatError } from '../../base/errors.ts';
import { nameFits } from '../node/glob.ts';
import { literalPrefix, parseAddress } from './address.ts';
import { DataSets } from './data-sets.ts';
import { type Patience, probe, type RemoteFile, type Resource, readRange, USUAL_PATIENCE } from './http.ts';
import { S3 } from './s3.ts';
import { webResource } from './web.ts';

export interface RemoteEntry {
  /** Its address; of the hub's data sets with the commit. */
  readonly name: string;
  readonly bytes: number;
  /** What changes when the file does. */
  readonly version: string;
}

/** A file that is read by ranges, or one that lies on this machine by now. */
export type OpenedFile = ({ readonly kind: 'remote' } & RemoteFile) | { readonly kind: 'local'; readonly path: string };

export interface ServiceOptions {
  /** Credentials, endpoints and the cache of the hub are read from here. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** For tests. */
  readonly patience?: Patience;
}

export class RemoteFiles {
  private readonly s3: S3;
  private readonly dataSets: DataSets;
  private readonly patience: Patience;

  constructor({ env, patience = USUAL_PATIENCE }: ServiceOptions) {
    this.patience = patience;
    this.s3 = new S3(env, patience);
    this.dataSets = new DataSets(env, patience);
  }

  /**
   * Files that fit a pattern (`*`, `**`, `?`, `{a,b}`), those below a prefix that ends with a slash, or the one of this name. None: an empty list.
   * Throws CriaError `network.…`, `hub.…`.
   */
  async list(pattern: string): Promise<RemoteEntry[]> {
    const address = parseAddress(pattern);
    switch (address.scheme) {
      case 'https':
        return this.single(pattern);
      case 's3': {
        const { bucket, key } = address;
        const prefix = literalPrefix(key);
        if (prefix === undefined && key !== '' && !key.endsWith('/')) return this.single(pattern);
        const found = await this.s3.list(bucket, prefix ?? key);
        return found
          .filter((entry) => !entry.key.endsWith('/') && (prefix === undefined || nameFits(entry.key, key)))
          .map((entry) => ({ name: `s3://${bucket}/${entry.key}`, bytes: entry.bytes, version: entry.etag }));
      }
      case 'hf': {
        const { repo, revision, path } = address;
        const { commit, files } = await this.dataSets.list(repo, revision);
        const isFolder = path === '' || path.endsWith('/');
        const fits = (name: string) =>
          isFolder ? name.startsWith(path) : literalPrefix(path) === undefined ? name === path : nameFits(name, path);
        return files
          .filter((file) => fits(file.path))
          .map((file) => ({
            name: `hf://datasets/${repo}@${commit}/${file.path}`,
            bytes: file.bytes,
            version: commit,
          }));
      }
      default:
        return address satisfies never;
    }
  }

  /** Throws CriaError `network.…`, `hub.…`, FormatError `source.missing`. */
  async open(name: string): Promise<OpenedFile> {
    const address = parseAddress(name);
    if (address.scheme !== 'hf') return { kind: 'remote', ...(await probe(this.resource(name), this.patience)) };
    return { kind: 'local', path: await this.dataSets.fetch(address.repo, address.revision, address.path) };
  }

  read(name: string, file: RemoteFile, from: number, target: Uint8Array): Promise<void> {
    return readRange(this.resource(name), file, from, target, this.patience);
  }

  private async single(name: string): Promise<RemoteEntry[]> {
    try {
      const { byteLength, version } = await probe(this.resource(name), this.patience);
      return [{ name, bytes: byteLength, version }];
    } catch (error) {
      if (error instanceof FormatError && error.code === 'source.missing') return [];
      throw error;
    }
  }

  private resource(name: string): Resource {
    const address = parseAddress(name);
    if (address.scheme === 's3') return this.s3.file(address.bucket, address.key);
    if (address.scheme === 'https') return webResource(name, address.url);
    throw new Error(`${name} is read from the cache`);
  }
}
