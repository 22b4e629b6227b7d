/** What `auto` means in a browser: a software adapter is never chosen, and what was found is remembered for this GPU. */
import { deepStrictEqual, match, strictEqual } from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import type * as Library from '../../src/platform/browser/index.ts';
import { launchBrowser, newPage, noBrowser, serveSources, softwareGpu } from '../support/browser.ts';

const address = '/test/golden/formats/gguf-llama-mixed/model.gguf';

describe('auto, in Chromium with a software adapter', { skip: noBrowser }, () => {
  let browser: Browser;
  before(async () => {
    browser = await launchBrowser(softwareGpu);
  });
  after(() => browser.close());

  test('wasm, remembered with the site, measured again for another GPU', async () => {
    const server = await serveSources('open');
    const page = await newPage(browser);
    try {
      await page.goto(server.url);
      const found = await page.evaluate(async (model) => {
        const { Llama }: typeof Library = await import(`${location.origin}/src/platform/browser/index.ts`);
        const place = 'https://cria.invalid/device';
        const kept = async () => await (await (await caches.open('cria')).match(place))?.json();
        const keep = async (content: object) =>
          await (await caches.open('cria')).put(place, new Response(JSON.stringify(content)));
        const load = async () => {
          const opened = await Llama.load(model, { device: 'auto' });
          const runsOn = opened.facts.device;
          await opened.close();
          return { runsOn, ...(await kept()) };
        };
        const hasGpu = Boolean(await navigator.gpu?.requestAdapter());
        const first = await load();
        await keep({ ...(await kept()), why: 'kept' });
        const second = await load();
        await keep({ ...(await kept()), key: 'another GPU' });
        return { hasGpu, first, second, third: await load() };
      }, address);
      strictEqual(found.hasGpu, true);
      match(found.first.why, /software adapter/);
      strictEqual(found.second.why, 'kept');
      deepStrictEqual(found.third, found.first);
      strictEqual(found.first.device, 'wasm');
      match(found.second.runsOn, /^wasm/);
    } finally {
      await page.close();
      server.close();
    }
  });
});
