/** A server on loopback that speaks the hub's protocol, and misbehaves when told to. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HubFixture {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Large files are named by their sha256, small ones by git's sha1. */
  readonly lfs?: boolean;
  /** What the index says instead of the truth. */
  readonly claims?: { readonly digest?: string; readonly size?: number };
}

export interface TestHub {
  readonly url: string;
  readonly requests: string[];
  /** Called for each file: true when it has answered itself. */
  misbehave: ((path: string, from: number, request: IncomingMessage, response: ServerResponse) => boolean) | null;
  token: string | null;
  close(): void;
}

export const COMMIT = 'c0ffee'.padEnd(40, '0');

export async function startHub(
  repo: string,
  files: readonly HubFixture[],
  kind: 'model' | 'dataset' = 'model',
): Promise<TestHub> {
  const home = kind === 'dataset' ? `/datasets/${repo}` : `/${repo}`;
  const index = files.map(({ path, bytes, lfs, claims }) => {
    const size = claims?.size ?? bytes.length;
    const git = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
    const sha256 = claims?.digest ?? createHash('sha256').update(bytes).digest('hex');
    return {
      type: 'file',
      path,
      size,
      oid: lfs ? '0'.repeat(40) : (claims?.digest ?? git),
      ...(lfs && { lfs: { oid: sha256, size, pointerSize: 130 } }),
    };
  });
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url!.split('?')[0]!);
    hub.requests.push(`${path}${request.headers.range ? ` ${request.headers.range}` : ''}`);
    const json = (status: number, body: object) =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (hub.token !== null && request.headers.authorization !== `Bearer ${hub.token}`) {
      return json(401, { error: 'Invalid credentials' });
    }
    if (['main', COMMIT].some((name) => path === `/api/${kind}s/${repo}/revision/${name}`))
      return json(200, { _id: '1', id: repo, sha: COMMIT });
    if (path === `/api/${kind}s/${repo}/tree/${COMMIT}`) return json(200, index);
    const file = files.find((each) => path === `${home}/resolve/${COMMIT}/${each.path}`);
    if (!file) return json(404, { error: 'not found' });
    const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    if (hub.misbehave?.(file.path, from, request, response)) return;
    const { bytes } = file;
    const headers = {
      'content-length': bytes.length - from,
      'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}`,
    };
    response.writeHead(from > 0 ? 206 : 200, headers).end(bytes.subarray(from));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const hub: TestHub = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: [],
    misbehave: null,
    token: null,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
  return hub;
}
