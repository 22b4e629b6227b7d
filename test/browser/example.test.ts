/** examples/browser under plain Vite: no bundler plug-in, threads by two headers. */
import { match } from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createServer } from 'vite';
import { launchBrowser, noBrowser } from '../support/browser.ts';

const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));

test('the example page writes a story with the bundled model, on threads', { skip: noBrowser }, async () => {
  const root = path('examples/browser');
  const server = await createServer({
    root,
    configFile: path('examples/browser/vite.config.js'),
    logLevel: 'error',
    server: { port: 0, host: '127.0.0.1' },
  });
  const browser = await launchBrowser();
  try {
    await server.listen();
    const page = await browser.newPage();
    await page.goto(server.resolvedUrls!.local[0]!);
    await page.setInputFiles('#file', path('models/stories-11m.gguf'));
    await page.waitForFunction(() => document.querySelector('#story')!.textContent!.length > 150, null, {
      timeout: 120_000,
    });
    match(
      (await page.textContent('#story'))!,
      /^wasm, \d+ threads?, (?:relaxed|plain) SIMD(?:, dot products)?\s+Once upon a time.{50}/s,
    );
  } finally {
    await browser.close();
    await server.close();
  }
});
