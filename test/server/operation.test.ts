/** How the server is run: behind a proxy, on a Unix socket, over TLS, on IPv6, under names; and a refusal that its client can read. */
import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get, request } from 'node:http';
import { get as getTls } from 'node:https';
import { connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { hostChecker } from '../../src/platform/node/serve/access.ts';
import { createLog } from '../../src/platform/node/serve/log.ts';
import { type ServeSettings, startServer } from '../../src/platform/node/serve/server.ts';
import { scriptedModel } from '../support/scripted-model.ts';
import { serveDefaults } from '../support/server.ts';

const folder = mkdtempSync(join(tmpdir(), 'cria-operation-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const log = createLog({ write: () => {} }, { level: 'silent', prompts: false });
const start = async (settings: Partial<ServeSettings>) => {
  const server = await startServer(
    scriptedModel(() => 'yes'),
    { ...serveDefaults, drainSeconds: 0.2, ...settings },
    log,
  );
  let closing: Promise<void> | null = null;
  const close = () => (closing ??= server.close());
  after(close);
  return { ...server, close };
};
const statusAt = (options: object) =>
  new Promise<number>((resolve, reject) => {
    get(options, (response) => {
      response.resume();
      resolve(response.statusCode!);
    }).on('error', reject);
  });

describe('operation', () => {
  test('behind a prefix every path and the page are there, and nothing else is', async () => {
    const { url } = await start({ basePath: '/llm', page: true });
    ok(url.endsWith('/llm'));
    const root = url.slice(0, -'/llm'.length);
    strictEqual((await fetch(`${url}/health`)).status, 200);
    strictEqual((await fetch(`${root}/health`)).status, 404);
    const page = await fetch(url);
    ok(page.url.endsWith('/llm/'), page.url);
    if (page.status !== 503) {
      const [, script] = /src="(\.\/[\w.]+)"/.exec(await page.text())!;
      strictEqual((await fetch(new URL(script!, page.url))).status, 200);
    }
    const described = (await (await fetch(`${url}/openapi.json`)).json()) as { servers: { url: string }[] };
    deepStrictEqual(described.servers, [{ url: '/llm' }]);
  });

  test('the pages are there with the slash at their end, and lead there without it', async () => {
    const { url } = await start({ page: true });
    for (const path of ['/', '/explore/', '/explore']) {
      const page = await fetch(url + path);
      ok(page.status === 200 || page.status === 503, `${path}: ${page.status}`); // 503: not built here
      if (page.status === 200) strictEqual(page.url, url + path.replace(/e$/, 'e/'));
    }
    strictEqual((await fetch(`${url}/v1/models/`)).status, 200);
  });

  test('a Unix socket: answers, whatever the Host; goes with the server; a left one is taken over', async () => {
    const socket = join(folder, 's.sock');
    const first = await start({ socket });
    strictEqual(first.url, `unix:${socket}`);
    strictEqual(await statusAt({ socketPath: socket, path: '/health', headers: { host: 'proxy.example.com' } }), 200);
    await rejects(start({ socket }), /Another program listens there: choose another --socket/);
    await first.close();
    ok(!existsSync(socket));
    const left =
      'const s = require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
    try {
      execFileSync(process.execPath, ['-e', left, socket], { stdio: 'ignore' });
    } catch {} // it ended itself
    ok(existsSync(socket));
    await start({ socket });
    strictEqual(await statusAt({ socketPath: socket, path: '/health' }), 200);
    writeFileSync(join(folder, 'notes.txt'), 'mine');
    await rejects(start({ socket: join(folder, 'notes.txt') }), /cannot listen/);
    ok(existsSync(join(folder, 'notes.txt')), 'a file that is no socket stays');
  });

  const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ family }) => family === 'IPv6'));
  test('every network, of IPv6 too', { skip: hasIpv6 ? false : 'no IPv6 on this machine' }, async () => {
    const { url } = await start({ host: '::' });
    const { port } = new URL(url);
    ok(url.startsWith('http://[::]:'));
    strictEqual((await fetch(`http://[::1]:${port}/health`)).status, 200);
    strictEqual((await fetch(`http://127.0.0.1:${port}/health`)).status, 200);
  });

  test('TLS, and words about what is no certificate', async (t) => {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    try {
      const make = [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
      ];
      execFileSync('openssl', [...make, '-subj', '/CN=localhost', '-keyout', key, '-out', cert], { stdio: 'ignore' });
    } catch {
      t.skip('openssl is not on this machine');
      return;
    }
    const { url } = await start({ tls: { cert, key } });
    ok(url.startsWith('https://'));
    const status = await new Promise<number>((resolve, reject) => {
      getTls(`${url}/health`, { rejectUnauthorized: false }, (response) => {
        response.resume();
        resolve(response.statusCode!);
      }).on('error', reject);
    });
    strictEqual(status, 200);
    await rejects(start({ tls: { cert: key, key } }), /are no certificate and its key, in PEM/);
    await rejects(start({ tls: { cert: join(folder, 'none'), key } }), /are no certificate and its key/);
  });

  test('names under which a server may be called', () => {
    const says = (listensOn: string, allowed: string[], host: string) => {
      try {
        hostChecker(listensOn, allowed)(host);
        return true;
      } catch {
        return false;
      }
    };
    const ours = ['localhost:8080', '127.0.0.1', '[::1]:80', '127.8.9.1:1'];
    for (const host of ours)
      ok(says('127.0.0.1', [], host) && says('0.0.0.0', [], host) && says('box', [], host), host);
    for (const host of ['192.168.1.4:8080', '[fd00::1]:80', 'box', 'box.local', 'box.lan', 'a.internal']) {
      ok(says('0.0.0.0', [], host) && says('::', [], host), host);
      ok(!says('127.0.0.1', [], host), host);
    }
    for (const host of ['evil.example', 'a.b.com:80', '', 'x@evil.com', 'evil.example.', '1.2.3.4.evil.com']) {
      ok(!says('0.0.0.0', [], host) || host === '', host);
      ok(!says('127.0.0.1', [], host), host);
    }
    ok(says('127.0.0.1', ['llm.example.com'], 'LLM.example.com:443'));
    ok(says('0.0.0.0', ['*'], 'anything.example'));
    ok(says('llm.example.com', [], 'llm.example.com'));
  });

  for (const [kind, more] of [
    ['content-length', ''],
    ['chunked', ''],
    ['content-length', 'connection: close\r\n'],
    ['chunked', 'connection: close\r\n'],
  ] as const) {
    test(`a client that sends all before it reads gets its 413 (${kind}${more && ', '}${more.trim()})`, async () => {
      const { url } = await start({});
      const size = 24 << 20;
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      let received = '';
      const ended = new Promise<void>((resolve, reject) => {
        socket.on('error', reject);
        socket.on('end', resolve);
      });
      const length = kind === 'chunked' ? 'transfer-encoding: chunked' : `content-length: ${size}`;
      socket.write(
        `POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${more}${length}\r\n\r\n`,
      );
      socket.pause();
      const part = Buffer.alloc(1 << 16, 0x20);
      for (let sent = 0; sent < size; sent += part.length) {
        if (kind === 'chunked') socket.write('10000\r\n');
        if (!socket.write(part)) await new Promise((resolve) => socket.once('drain', resolve));
        if (kind === 'chunked') socket.write('\r\n');
      }
      socket.end(kind === 'chunked' ? '0\r\n\r\n' : '');
      socket.on('data', (data) => {
        received += data;
      });
      socket.resume();
      await ended;
      ok(received.startsWith('HTTP/1.1 413'), received.slice(0, 200));
      ok(received.includes('body_too_large'));
    });
  }

  test("Ollama's curl says no content type; a browser's page does not get in that way", async () => {
    const { url } = await start({});
    const sent = (path: string, headers: Record<string, string>) =>
      new Promise<number>((resolve, reject) => {
        const asking = request(url + path, { method: 'POST', headers }, (response) => {
          response.resume();
          resolve(response.statusCode!);
        });
        asking.on('error', reject);
        asking.end(JSON.stringify({ model: 'tiny', prompt: 'hi', stream: false }));
      });
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    strictEqual(await sent('/api/generate', {}), 200);
    strictEqual(await sent('/api/generate', form), 200);
    strictEqual(await sent('/api/generate', { ...form, origin: 'https://evil.example' }), 415);
    strictEqual(await sent('/api/generate', { 'content-type': 'text/plain', 'sec-fetch-site': 'cross-site' }), 415);
    strictEqual(await sent('/v1/completions', form), 415);
  });

  test('metrics have the new parts', async () => {
    const { url } = await start({});
    const body = { messages: [{ role: 'user', content: 'hi' }], response_format: { type: 'json_object' } };
    const headers = { 'content-type': 'application/json' };
    await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body: JSON.stringify(body) });
    const text = await (await fetch(`${url}/metrics`)).text();
    const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
    deepStrictEqual([value('cria_request_read_seconds_count'), value('cria_grammar_seconds_count')], [1, 1]);
    ok(value('cria_grammars_kept') === 1 && value('cria_grammars_kept_bytes') > 0);
    deepStrictEqual(
      [value('cria_requests_unread'), value('cria_responses_kept'), value('cria_tokens_drafted_total')],
      [0, 0, 0],
    );
  });
});
