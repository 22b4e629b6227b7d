/** A headless Chromium of this system, and a server that gives it the sources as modules: types stripped, packages by address. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { stripTypeScriptTypes } from 'node:module';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const root = fileURLToPath(new URL('../../', import.meta.url));
const executable = [
  process.env.CRIA_CHROMIUM,
  ...['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'],
].find((path) => path !== undefined && existsSync(path));

/** For node:test's `skip` option. */
export const noBrowser: false | string = executable ? false : 'no Chromium on this machine (CRIA_CHROMIUM names one)';

/** A busy machine draws late, and a test that waits for what comes loses nothing by waiting long. */
const PATIENCE_MS = 240_000;

export async function launchBrowser(switches: readonly string[] = []): Promise<Browser> {
  const args = ['--no-sandbox', ...switches];
  return chromium.launch({ executablePath: executable!, args, timeout: PATIENCE_MS });
}

/** In a context of its own, which goes with its last page. */
export async function newPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(PATIENCE_MS);
  context.on('page', (page) =>
    page.once('close', () => {
      if (context.pages().length === 0) void context.close().catch(() => {}); // the whole browser may be closing
    }),
  );
  return context.newPage();
}

/** For launchBrowser: WebGPU on Chromium's software adapter, without work for kernels that count on workgroup memory being zero. */
export const softwareGpu = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-dawn-features=disable_workgroup_init',
];

export interface SourceServer {
  readonly url: string;
  close(): void;
}

/**
 * `isolated`: with the headers that let a page share memory among threads. `replaced`: modules, by their address here or their bare name,
 * that pages find others in place of. A folder's address with ?list is answered with what is in it.
 */
export async function serveSources(
  isolated: 'isolated' | 'open',
  replaced: Readonly<Record<string, string>> = {},
): Promise<SourceServer> {
  const server = createServer((request, response) => {
    const { pathname, search } = new URL(request.url!, 'http://localhost');
    const headers: Record<string, string> = { 'content-type': contentType(pathname) };
    if (isolated === 'isolated') {
      headers['cross-origin-opener-policy'] = 'same-origin';
      headers['cross-origin-embedder-policy'] = 'require-corp';
    }
    if (pathname === '/') {
      response.writeHead(200, headers).end('<!doctype html><title>cria</title>');
      return;
    }
    if (replaced[pathname]) {
      response.writeHead(302, { ...headers, location: replaced[pathname] }).end();
      return;
    }
    if (pathname === '/favicon.ico') {
      response.writeHead(204, headers).end();
      return;
    }
    const path = root + decodeURIComponent(pathname.slice(1));
    if (pathname.includes('..') || !existsSync(path)) {
      response.writeHead(404, headers).end();
      return;
    }
    if (statSync(path).isDirectory()) {
      const entries = readdirSync(path, { withFileTypes: true });
      const list = entries.map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() }));
      response.writeHead(search === '?list' ? 200 : 404, headers).end(JSON.stringify(list));
      return;
    }
    if (search === '?list') {
      response.writeHead(404, headers).end();
      return;
    }
    const bytes = readFileSync(path);
    response.writeHead(200, headers).end(pathname.endsWith('.ts') ? asModule(bytes.toString('utf8'), replaced) : bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function contentType(path: string): string {
  if (path === '/') return 'text/html';
  return /\.[jt]s$/.test(path) ? 'text/javascript' : 'application/octet-stream';
}

/** Workers know no import maps, so package names become addresses here, as a bundler would do. */
function asModule(source: string, replaced: Readonly<Record<string, string>>): string {
  const stripped = stripTypeScriptTypes(source);
  return stripped.replace(/(from\s+|import\s+)'([^'./][^']*)'/g, (whole, keyword: string, name: string) => {
    if (replaced[name]) return `${keyword}'${replaced[name]}'`;
    try {
      const path = fileURLToPath(import.meta.resolve(name));
      return `${keyword}'${path.slice(path.indexOf('/node_modules/'))}'`; // which may be a link to elsewhere
    } catch {
      return whole;
    }
  });
}
