// Cria in headless Chromium, in a cross-origin isolated page, so that threads are real.
import { type Browser, chromium } from 'playwright-core';
import type * as Library from '../../src/platform/browser/index.ts';
import { serveSources } from '../../test/support/browser.ts';
import { readArguments, serve } from './protocol.ts';

const { model: path, threads, context } = readArguments();
const server = await serveSources('isolated');
const browser: Browser = await chromium.launch({
  executablePath: process.env.CRIA_CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
});
const page = await browser.newPage();
await page.goto(server.url);
await page.setContent('<input type="file" id="model">');
await page.setInputFiles('#model', path); // a file on disk: no copy of the model in the page

interface Page {
  model: Library.Llama;
}
const loaded = await page.evaluate(
  async ({ threads, context }) => {
    const { Llama }: typeof Library = await import(`${location.origin}/src/platform/browser/index.ts`);
    const [file] = (document.querySelector('#model') as HTMLInputElement).files!;
    const started = performance.now();
    const model = await Llama.load(file!, { threads, contextLength: context });
    (globalThis as unknown as Page).model = model;
    return { loadSeconds: (performance.now() - started) / 1000, kernels: model.facts.device };
  },
  { threads, context },
);

const versions = { chromium: browser.version(), kernels: loaded.kernels };
await serve({ name: 'cria in Chromium', versions, loadSeconds: loaded.loadSeconds }, ({ prompt, generate, depth }) =>
  page.evaluate(
    async ({ length, generate }) => {
      const { model } = globalThis as unknown as Page;
      const ids = Uint32Array.from({ length }, () => Math.random() * model.config.vocabSize);
      const options = { maxTokens: generate === 0 ? 0 : generate + 1, temperature: 0, ignoreEos: true };
      const { timings } = await model.generate(ids, options).result;
      return (generate === 0 ? timings.prompt_ms : timings.predicted_ms) / 1000;
    },
    { length: Math.max(1, prompt + depth), generate },
  ),
);
await browser.close();
server.close();
process.exit(0);
