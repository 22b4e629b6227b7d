/**
 * Amazon S3 and what speaks its language (AWS_ENDPOINT_URL): signed requests for ranges and lists. Credentials come from the environment only.
 * Without any, requests go unsigned, as public buckets want it.
 * Source: Amazon S3 API reference, GetObject, ListObjectsV2, "Authenticating requests (Signature Version 4)".
 */
import type { IncomingHttpHeaders } from 'node:http';
import { AwsV4Signer } from 'aws4fetch';
import { SaxesParser } from 'saxes';
import { CriaError } from '../../base/errors.ts';
import { missing, PassingFailure, type Patience, type Resource, readText } from './http.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface S3Entry {
  readonly key: string;
  readonly bytes: number;
  readonly etag: string;
}

/** What nobody's bucket has: a server that goes on for ever is stopped here. */
const MOST_PAGES = 100_000;

export class S3 {
  private readonly env: Environment;
  private readonly patience: Patience;
  /** Buckets that turned out to lie elsewhere than the environment says. */
  private readonly regions = new Map<string, string>();

  constructor(env: Environment, patience: Patience) {
    this.env = env;
    this.patience = patience;
  }

  file(bucket: string, key: string): Resource {
    if (key.split('/').some((part) => part === '.' || part === '..'))
      throw new CriaError(
        'source.address',
        `s3://${bucket}/${key}: a key with . or .. cannot be asked for by its URL.`,
      );
    return this.resource(bucket, `/${key.split('/').map(encodeURIComponent).join('/')}`, `s3://${bucket}/${key}`);
  }

  /** Everything whose key begins with `prefix`, in order of keys. */
  async list(bucket: string, prefix: string): Promise<S3Entry[]> {
    const entries: S3Entry[] = [];
    let token: string | undefined;
    for (let page = 0; page < MOST_PAGES; page++) {
      const query = new URLSearchParams({ 'list-type': '2', prefix, 'encoding-type': 'url' });
      if (token !== undefined) query.set('continuation-token', token);
      // S3 signs a space as %20, URLSearchParams writes a plus.
      const search = query.toString().replaceAll('+', '%20');
      const address = `s3://${bucket}/${prefix}`;
      const listed = parseList(await readText(this.resource(bucket, `/?${search}`, address), this.patience), address);
      for (const entry of listed.entries) entries.push(entry);
      if (listed.next === undefined) return entries;
      token = listed.next;
    }
    throw new CriaError('network.answer', `s3://${bucket}/${prefix}: a list of more than ${MOST_PAGES} pages.`);
  }

  private resource(bucket: string, path: string, address: string): Resource {
    return {
      address,
      followsRedirects: false,
      request: async (headers) => {
        const url = new URL(this.origin(bucket) + path);
        const credentials = this.credentials();
        if (!credentials) return { url, headers: new Headers(headers) };
        const region = this.region(bucket);
        return new AwsV4Signer({ url: url.href, headers, ...credentials, service: 's3', region }).sign();
      },
      refused: (status, headers, body) => this.refused(bucket, address, status, headers, body),
    };
  }

  /** Path style for endpoints of one's own and for dotted names, which no certificate covers; the bucket's own host otherwise. */
  private origin(bucket: string): string {
    const endpoint = this.env.AWS_ENDPOINT_URL_S3 || this.env.AWS_ENDPOINT_URL;
    if (endpoint) return `${endpoint.replace(/\/+$/, '')}/${bucket}`;
    const region = this.region(bucket);
    const domain = `s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
    return bucket.includes('.') ? `https://${domain}/${bucket}` : `https://${bucket}.${domain}`;
  }

  private region(bucket: string): string {
    return this.regions.get(bucket) || this.env.AWS_REGION || this.env.AWS_DEFAULT_REGION || 'us-east-1';
  }

  private credentials() {
    const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN } = this.env;
    if (!accessKeyId || !secretAccessKey) return undefined;
    return { accessKeyId, secretAccessKey, ...(AWS_SESSION_TOKEN ? { sessionToken: AWS_SESSION_TOKEN } : {}) };
  }

  private refused(bucket: string, address: string, status: number, headers: IncomingHttpHeaders, body: string): Error {
    const region = headers['x-amz-bucket-region'];
    if (typeof region === 'string' && region !== this.region(bucket)) {
      this.regions.set(bucket, region);
      return new PassingFailure(`the bucket lies in ${region}`);
    }
    const code = /<Code>(\w+)<\/Code>/.exec(body)?.[1];
    if (status === 404 && code !== 'NoSuchBucket') return missing(address);
    const said = `${address}: the server says ${status}${code === undefined ? '' : ` ${code}`}.`;
    return new CriaError(
      this.credentials() ? 'network.refused' : 'network.no-credentials',
      `${said} ${this.adviceFor(status, code)}`,
    );
  }

  private adviceFor(status: number, code: string | undefined): string {
    if (code === 'NoSuchBucket') return 'Check the name of the bucket, and AWS_ENDPOINT_URL.';
    if (code === 'SignatureDoesNotMatch' || code === 'InvalidAccessKeyId')
      return 'Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.';
    if (code === 'RequestTimeTooSkewed') return 'Set the clock of this machine.';
    if (code === 'ExpiredToken') return 'Set AWS_SESSION_TOKEN and its keys anew; the same command goes on.';
    if (status !== 401 && status !== 403) return 'Check the address, AWS_REGION and AWS_ENDPOINT_URL.';
    if (this.credentials()) return 'The credentials of the environment may not read it, or lack s3:ListBucket.';
    return 'It is not public, and the environment has no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN where they are temporary).';
  }
}

/** Throws CriaError `network.answer`. */
export function parseList(
  xml: string,
  address: string,
): { readonly entries: readonly S3Entry[]; readonly next: string | undefined } {
  const bad = (what: string) =>
    new CriaError(
      'network.answer',
      `${address}: expected a list of objects, found ${what}. Does this server speak S3?`,
    );
  const entries: S3Entry[] = [];
  const path: string[] = [];
  let text = '';
  let entry: Record<string, string> = {};
  let isList = false;
  let isEncoded = false;
  let next: string | undefined;
  const parser = new SaxesParser();
  parser.on('error', (error) => {
    throw bad(error.message);
  });
  parser.on('opentag', ({ name }) => {
    path.push(name);
    if (path.length === 1) isList = name === 'ListBucketResult';
    if (name === 'Contents') entry = {};
    text = '';
  });
  parser.on('text', (part) => {
    text += part;
  });
  parser.on('closetag', ({ name }) => {
    path.pop();
    if (path.at(-1) === 'Contents') entry[name] = text;
    else if (path.length === 1 && name === 'NextContinuationToken' && text !== '') next = text;
    else if (path.length === 1 && name === 'EncodingType') isEncoded = text === 'url';
    else if (path.length === 1 && name === 'Contents') {
      const { Key = '', Size = '', ETag = '' } = entry;
      if (Key === '' || !/^\d{1,15}$/.test(Size)) throw bad(`an object of ${JSON.stringify(Size)} bytes`);
      entries.push({ key: Key, bytes: Number(Size), etag: ETag });
    }
    text = '';
  });
  parser.write(xml).close();
  if (!isList) throw bad('something else');
  if (!isEncoded) return { entries, next };
  return {
    entries: entries.map((each) => ({ ...each, key: decodeURIComponent(each.key.replaceAll('+', '%20')) })),
    next,
  };
}
