/** The chat page: built files, read once, under a policy that lets nothing else run or be asked. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { Hono } from 'hono';
import { builtPath } from '../package-folder.ts';
import type { Wire } from './app.ts';

const folder = builtPath('web/generated/chat');

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Only names that are in the folder at the start are ever served: a request cannot name a path. */
export function addPage(app: Hono<Wire>): void {
  if (!existsSync(folder)) {
    const text = 'The chat page is not built in this copy of Cria: run `npm run build:web` once. The API is there.\n';
    app.get('/', (c) => c.text(text, 503));
    return;
  }
  for (const name of readdirSync(folder)) {
    const type = types[extname(name)];
    if (type === undefined) continue;
    const bytes = readFileSync(join(folder, name));
    const path = name === 'index.html' ? '/' : `/${name}`;
    app.get(path, (c) =>
      c.body(bytes, 200, {
        'content-type': type,
        'content-security-policy': policy,
        'referrer-policy': 'no-referrer',
        'cross-origin-opener-policy': 'same-origin',
        'cache-control': 'no-cache',
      }),
    );
  }
}
