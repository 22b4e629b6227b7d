/** The pages, chat and explorer: built files, read once, under a policy that lets nothing else run or be asked. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { Hono } from 'hono';
import { bundledModels } from '../bundled-models.ts';
import { builtPath } from '../package-folder.ts';
import type { Wire } from './app.ts';

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
}

const chat: Page = {
  folder: 'web/generated/chat',
  path: '/',
  policy: policyOf(["script-src 'self'"]),
  headers: {},
};
/** It may compute a model itself, on threads of its own. */
const explorer: Page = {
  folder: 'web/generated/explore',
  path: '/explore/',
  policy: policyOf(["script-src 'self' 'wasm-unsafe-eval'", "worker-src 'self'"]),
  headers: { 'cross-origin-embedder-policy': 'require-corp', 'x-cria-explorer': 'served' },
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
  for (const name of readdirSync(folder)) {
    const type = types[extname(name)];
    if (type === undefined) continue;
    const bytes = readFileSync(join(folder, name));
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

/** The files of the explorer's page that need no server, with the bundled model beside them, by name. */
export function staticExplorer(): ReadonlyMap<string, string> {
  const folder = builtPath(explorer.folder);
  const files = new Map<string, string>();
  if (!existsSync(folder)) return files;
  for (const name of readdirSync(folder)) if (extname(name) in types) files.set(name, join(folder, name));
  const [model] = bundledModels();
  if (model) files.set('model.gguf', model.path);
  return files;
}
