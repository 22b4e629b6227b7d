/** Serves a bundle, with and without the headers that isolate a page, and runs it in headless Chromium. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import type { Browser } from 'playwright-core';
import { bundledModels } from '../../src/platform/node/bundled-models.ts';
import { newPage } from '../support/browser.ts';

export const isolation = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
} as const;

const types: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript' };

export interface Story {
  readonly text: string;
  readonly device: string;
}

/** What `window.story` of the page at an address comes to. */
export async function storyAt(browser: Browser, address: string): Promise<Story> {
  const page = await newPage(browser);
  const said: string[] = [];
  page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => said.push(error.message));
  try {
    await page.goto(address);
    await page.waitForFunction(() => 'story' in window);
    return await page.evaluate(() => (window as unknown as { story: Promise<Story> }).story);
  } catch (cause) {
    throw new Error(`${address}: ${cause instanceof Error ? cause.message : cause}\n${said.join('\n')}`);
  } finally {
    await page.close();
  }
}

/** The same for the page in a folder, whose model.gguf is the bundled model. `headers` go with every answer. */
export async function storyIn(
  browser: Browser,
  folder: string,
  headers: Readonly<Record<string, string>>,
): Promise<Story> {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url!, 'http://localhost').pathname);
    const file = path === '/model.gguf' ? bundledModels()[0]!.path : join(folder, path === '/' ? 'index.html' : path);
    if (path.includes('..') || !existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404, headers).end();
      return;
    }
    const type = types[extname(file)] ?? 'application/octet-stream';
    response.writeHead(200, { ...headers, 'content-type': type }).end(readFileSync(file));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await storyAt(browser, `http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
