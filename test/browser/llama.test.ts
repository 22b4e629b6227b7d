/** The library in headless Chromium: the same tokens as in Node, with threads where the page may have them and without. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import type * as Library from '../../src/platform/browser/index.ts';
import { Llama } from '../../src/platform/node/index.ts';
import { launchBrowser, newPage, noBrowser, type SourceServer, serveSources } from '../support/browser.ts';
import { goldenPath } from '../support/golden.ts';

const gguf = 'formats/gguf-llama-mixed/model.gguf';
const options = { seed: 7, temperature: 0.9, maxTokens: 24 };

describe('in Chromium', { skip: noBrowser }, () => {
  let browser: Browser;
  let want: { text: string; ids: number[]; logits: number[] };

  before(async () => {
    browser = await launchBrowser();
    await using model = await Llama.load(goldenPath(gguf), { threads: 1 });
    const { text, ids } = await model.generate('The llama', options).result;
    want = { text, ids: [...ids], logits: [...(await model.logits([1, 5, 9]))] };
  });
  after(() => browser.close());

  for (const [isolated, load] of [
    ['isolated', {}],
    ['isolated', { threads: 3, segmentBytes: 50_000 }],
    ['open', {}],
    ['open', { segmentBytes: 50_000 }],
  ] as const) {
    const memories = 'segmentBytes' in load ? ', over several memories' : '';
    test(`${isolated}${memories}: same tokens and same logits as in Node`, async () => {
      const server = await serveSources(isolated);
      const page = await openPage(browser, server);
      try {
        const got = await page.evaluate(
          async ({ address, options, load }) => {
            const { Llama }: typeof Library = await import(`${location.origin}/src/platform/browser/index.ts`);
            const model = await Llama.load(address, load);
            const generation = model.generate('The llama', options);
            let text = '';
            for await (const piece of generation) text += piece.text;
            const { ids, finishReason } = await generation.result;
            const logits = [...(await model.logits([1, 5, 9]))];
            const device = model.facts.device;
            await model.close();
            return { text, ids: [...ids], logits, device, finishReason };
          },
          { address: `/test/golden/${gguf}`, options, load },
        );
        deepStrictEqual({ text: got.text, ids: got.ids, logits: got.logits }, want);
        strictEqual(got.finishReason, 'length');
        ok(got.device.includes(isolated === 'open' ? 'not cross-origin isolated' : 'thread'), got.device);
      } finally {
        await page.close();
        server.close();
      }
    });
  }

  test('a File is read where it is; errors keep their class; a path is refused', async () => {
    const server = await serveSources('open');
    const page = await openPage(browser, server);
    try {
      const got = await page.evaluate(
        async ({ address, options }) => {
          const { Llama, FormatError }: typeof Library = await import(
            `${location.origin}/src/platform/browser/index.ts`
          );
          const bytes = await (await fetch(address)).arrayBuffer();
          const model = await Llama.load(new File([bytes], 'model.gguf'));
          const text = await model.generate('The llama', options).text();
          await model.close();
          const broken = await Llama.load(new Blob([bytes.slice(0, 3000)])).catch((error: unknown) => error);
          return { text, isFormatError: broken instanceof FormatError, message: String(broken) };
        },
        { address: `/test/golden/${gguf}`, options },
      );
      strictEqual(got.text, want.text);
      ok(got.isFormatError, got.message);
    } finally {
      await page.close();
      server.close();
    }
  });
});

async function openPage(browser: Browser, server: SourceServer): Promise<Page> {
  const page = await newPage(browser);
  page.on('console', (message) => message.type() === 'error' && console.error(`page: ${message.text()}`));
  await page.goto(server.url);
  return page;
}
