/** A server on loopback that speaks S3's protocol, checks its signatures, and misbehaves when told to. */
import { createHash, createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface TestBucket {
  /** Without the bucket: what AWS_ENDPOINT_URL holds. */
  readonly url: string;
  readonly requests: string[];
  readonly objects: Map<string, Uint8Array>;
  /** Objects to a page of a list. */
  pageSize: number;
  /** Called for each object: true when it has answered itself. */
  misbehave: ((key: string, from: number, request: IncomingMessage, response: ServerResponse) => boolean) | null;
  /** What requests must be signed with; null: the bucket is public. */
  credentials: { readonly id: string; readonly secret: string; readonly region: string } | null;
  close(): void;
}

/** Objects are at `/bucket/key`; the same bytes are at `/web/key` without S3's words. */
export async function startBucket(objects: Readonly<Record<string, Uint8Array | string>>): Promise<TestBucket> {
  const server = createServer((request, response) => {
    const url = new URL(request.url!, 'http://bucket');
    const path = decodeURIComponent(url.pathname);
    const range = request.headers.range ?? '';
    bucket.requests.push(`${path}${url.search === '' ? '' : '?'} ${range}`.trim());
    const refuse = (status: number, code: string) =>
      void response.writeHead(status).end(`<?xml version="1.0"?><Error><Code>${code}</Code></Error>`);
    if (path.startsWith('/bucket/') && bucket.credentials) {
      const { authorization } = request.headers;
      if (authorization === undefined) return refuse(403, 'AccessDenied');
      if (signatureOf(request, url, bucket.credentials) !== authorization) return refuse(403, 'SignatureDoesNotMatch');
    }
    if (path === '/bucket/' && url.searchParams.get('list-type') === '2') {
      const prefix = url.searchParams.get('prefix') ?? '';
      const after = url.searchParams.get('continuation-token') ?? '';
      const keys = [...bucket.objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
      const page = keys.slice(0, bucket.pageSize);
      const contents = page.map(
        (key) =>
          `<Contents><Key>${encodeURIComponent(key)}</Key><Size>${bucket.objects.get(key)!.length}</Size><ETag>&quot;${etagOf(bucket.objects.get(key)!)}&quot;</ETag></Contents>`,
      );
      const next = keys.length > page.length ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : '';
      return void response.end(
        `<?xml version="1.0"?><ListBucketResult><EncodingType>url</EncodingType>${next}${contents.join('')}</ListBucketResult>`,
      );
    }
    const key = /^\/(?:bucket|web)\/(.+)$/s.exec(path)?.[1] ?? '';
    const bytes = bucket.objects.get(key);
    if (!bytes) return path.startsWith('/nobody/') ? refuse(404, 'NoSuchBucket') : refuse(404, 'NoSuchKey');
    const [, first = '0', last] = /^bytes=(\d+)-(\d+)$/.exec(range) ?? [];
    if (bucket.misbehave?.(key, Number(first), request, response)) return;
    const etag = `"${etagOf(bytes)}"`;
    if (bytes.length === 0) return void response.writeHead(416, { 'content-range': 'bytes */0', etag }).end();
    const part = bytes.subarray(Number(first), Number(last ?? bytes.length) + 1);
    response
      .writeHead(206, {
        etag,
        'content-length': part.length,
        'content-range': `bytes ${first}-${Number(first) + part.length - 1}/${bytes.length}`,
      })
      .end(part);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bucket: TestBucket = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: [],
    objects: new Map(
      Object.entries(objects).map(([key, value]) => [key, typeof value === 'string' ? Buffer.from(value) : value]),
    ),
    pageSize: 1000,
    misbehave: null,
    credentials: null,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
  return bucket;
}

function etagOf(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex');
}

/** Signature Version 4 of what arrived, by the steps of Amazon's reference, apart from the library that signs. */
function signatureOf(
  request: IncomingMessage,
  url: URL,
  { id, secret, region }: { readonly id: string; readonly secret: string; readonly region: string },
): string {
  const names = /SignedHeaders=([^,]+)/.exec(request.headers.authorization!)![1]!;
  const encode = (text: string) =>
    encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  const query = [...url.searchParams].map(([name, value]) => `${encode(name)}=${encode(value)}`).sort();
  const canonical = [
    request.method,
    decodeURIComponent(url.pathname).split('/').map(encode).join('/'),
    query.join('&'),
    ...names.split(';').map((name) => `${name}:${request.headers[name]}`),
    '',
    names,
    request.headers['x-amz-content-sha256'],
  ].join('\n');
  const time = request.headers['x-amz-date'] as string;
  const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', time, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
  const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
  const key = [time.slice(0, 8), region, 's3', 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${secret}`);
  return `AWS4-HMAC-SHA256 Credential=${id}/${scope}, SignedHeaders=${names}, Signature=${hmac(key, toSign).toString('hex')}`;
}
