/**
 * The golden tests of whole models, components, greedy continuations, training and adapters, as they are, in a worker of headless Chromium
 * on its software adapter. It takes many minutes for all: here is one of each kind; CRIA_GPU_TESTS=all runs every one.
 */
import { deepStrictEqual, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { launchBrowser, newPage, noBrowser, serveSources, softwareGpu } from '../support/browser.ts';
import type { Told, Wanted } from '../support/in-page/run-tests.ts';

const inPage = (name: string) => `/test/support/in-page/${name}.ts`;

/** Modules of Node, and of ours that need more of it, and what stands for them in a browser. */
const replaced = {
  'node:test': inPage('node-test'),
  'node:assert/strict': inPage('node-assert'),
  'node:fs': inPage('node-fs'),
  'node:path': inPage('node-path'),
  'node:url': inPage('node-path'),
  '/test/support/devices.ts': inPage('devices'),
  '/test/support/webgpu.ts': inPage('devices'),
  '/src/platform/node/native/blas.ts': inPage('devices'),
  '/src/platform/node/threads.ts': inPage('devices'),
};

const files = ['forward', 'greedy', 'components', 'components-backward', 'webgpu'].map(
  (name) => `/test/golden-${name}.test.ts`,
);
/** Of the tests' names. */
const onGpu = '^(?=.*on webgpu).*';
const chosen = `${onGpu}(?:forward .*gqa$|greedy .*gqa$|decoder-layer|training/llama2-recipe )`;
const pattern = process.env.CRIA_GPU_TESTS === 'all' ? onGpu : chosen;

test('golden cases on webgpu in Chromium', { skip: noBrowser }, async () => {
  const server = await serveSources('open', replaced);
  const browser = await launchBrowser(softwareGpu);
  try {
    const page = await newPage(browser);
    const failed: string[] = [];
    page.on('requestfailed', (request) => failed.push(request.url()));
    await page.goto(server.url);
    const told = await page.evaluate(
      ([program, wanted]) =>
        new Promise<Told>((resolve) => {
          const worker = new Worker(program, { type: 'module' });
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = ({ message }) => resolve({ error: message || 'the worker could not be loaded' });
          worker.postMessage(wanted);
        }),
      [inPage('run-tests'), { files, pattern } satisfies Wanted] as const,
    );
    ok('outcomes' in told, JSON.stringify({ ...told, failed }));
    for (const { name, milliseconds } of told.outcomes) console.error(`${name}: ${(milliseconds / 1000).toFixed(1)} s`);
    deepStrictEqual(
      told.outcomes.filter(({ problem }) => problem !== null),
      [],
    );
    ok(told.outcomes.length >= 5, `${told.outcomes.length} tests were found`);
  } finally {
    await browser.close();
    server.close();
  }
});
