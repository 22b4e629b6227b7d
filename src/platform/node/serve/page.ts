/** The pages, chat and explorer: built files, read once, under a policy that lets nothing else run or be asked. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { Hono } from 'hono';
import { builtPath } from '../package-folder.ts';
import type { Wire } from './app.ts';
import { engineScriptOf } from './engine-script.ts';

const policyOf = (more: readonly string[]) =>
  [
    "default-src 'none'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    ...more,
  ].join('; ');

interface Page {
  readonly folder: string;
  /** What the addresses of its files begin with. */
  readonly path: string;
  readonly policy: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Whether it computes models itself; the engine's threads are started from Blobs. */
  readonly hasEngine: boolean;
}

const chat: Page = {
  folder: 'web/generated/chat',
  path: '/',
  policy: policyOf(["script-src 'self'"]),
  headers: {},
  hasEngine: false,
};
/** It may compute a model itself, on threads of its own. */
const explorer: Page = {
  folder: 'web/generated/explore',
  path: '/explore/',
  policy: policyOf(["script-src 'self' 'wasm-unsafe-eval'", "worker-src 'self' blob:"]),
  headers: { 'cross-origin-embedder-policy': 'require-corp', 'x-cria-explorer': 'served' },
  hasEngine: true,
};

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json; charset=utf-8',
};

export function addPages(app: Hono<Wire>): void {
  addPage(app, chat);
  addPage(app, explorer);
}

/** Only names that are in the folder at the start are ever served: a request cannot name a path. */
function addPage(app: Hono<Wire>, page: Page): void {
  const folder = builtPath(page.folder);
  if (!existsSync(folder)) {
    const text = 'The pages are not built in this copy of Cria: run `npm run build:web` once. The API is there.\n';
    app.get(page.path.replace(/(?<=.)\/$/, ''), (c) => c.text(text, 503));
    return;
  }
  for (const [name, bytes] of filesOf(page)) {
    const type = types[extname(name)]!;
    const isPage = name === 'index.html';
    // Routes are named without the slash at their end, and found with it, too.
    app.get(isPage ? page.path.replace(/(?<=.)\/$/, '') : `${page.path}${name}`, (c) => {
      // Its parts are beside it: without the slash the browser would ask for them a folder too high.
      const [, last] = /([^/]+)$/.exec(new URL(c.req.url).pathname) ?? [];
      if (isPage && last !== undefined) return c.redirect(`./${last}/`);
      return c.body(bytes, 200, {
        'content-type': type,
        'content-security-policy': page.policy,
        'referrer-policy': 'no-referrer',
        'cross-origin-opener-policy': 'same-origin',
        'cache-control': 'no-cache',
        ...page.headers,
      });
    });
  }
}

const ENGINE = 'engine-worker.js';

/** What is served of a page, by name; none where it is not built. */
function filesOf({ folder: name, hasEngine }: Page): Map<string, Uint8Array<ArrayBuffer>> {
  const folder = builtPath(name);
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  if (!existsSync(folder)) return files;
  for (const file of readdirSync(folder))
    if (extname(file) in types) files.set(file, new Uint8Array(readFileSync(join(folder, file))));
  if (hasEngine && !files.has(ENGINE)) {
    const script = engineScriptOf(readFileSync(builtPath('platform/browser/standalone.js'), 'utf8'));
    if (script !== null) files.set(ENGINE, new TextEncoder().encode(script));
  }
  return files;
}

/** The files of the explorer's page, which needs no server. */
export const explorerFiles = (): ReadonlyMap<string, Uint8Array<ArrayBuffer>> => filesOf(explorer);
