/** examples/browser under plain Vite: no bundler plug-in, threads by two headers; on the CPU, and on Chromium's software GPU. */
import { match, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createServer } from 'vite';
import { launchBrowser, newPage, noBrowser, softwareGpu } from '../support/browser.ts';

const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));

/** What the page shows of the bundled model, once it is so many characters long or an error. */
async function storyOn(device: 'wasm' | 'webgpu', length: number): Promise<string> {
  const root = path('examples/browser');
  const server = await createServer({
    root,
    configFile: path('examples/browser/vite.config.js'),
    logLevel: 'error',
    server: { port: 0, host: '127.0.0.1' },
  });
  const browser = await launchBrowser(device === 'webgpu' ? softwareGpu : []);
  try {
    await server.listen();
    const page = await newPage(browser);
    await page.goto(server.resolvedUrls!.local[0]!);
    await page.selectOption('#device', device);
    await page.setInputFiles('#file', path('models/stories-11m.gguf'));
    const enough = (most: number) => document.querySelector('#story')!.textContent!.length > most;
    await page.waitForFunction(enough, length);
    return (await page.textContent('#story'))!;
  } finally {
    await browser.close();
    await server.close();
  }
}

test('the example page writes a story with the bundled model on threads, and the same on the GPU', {
  skip: noBrowser,
}, async () => {
  const onCpu = await storyOn('wasm', 150);
  match(onCpu, /^wasm, \d+ threads?, (?:relaxed|plain) SIMD(?:, dot products)?\s+Once upon a time.{50}/s);
  const onGpu = await storyOn('webgpu', 130);
  match(onGpu, /^webgpu, .+\s+Once upon a time.{20}/s);
  const [ofCpu, ofGpu] = [onCpu, onGpu].map((text) => text.slice(text.indexOf('Once upon')));
  const length = Math.min(ofCpu!.length, ofGpu!.length);
  ok(length > 40, onGpu);
  strictEqual(ofGpu!.slice(0, length), ofCpu!.slice(0, length));
});
