/** Training as a page's program does it, through the library: the losses of Node's, on the CPU and on Chromium's software GPU. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import type * as Library from '../../src/platform/browser/index.ts';
import type * as Training from '../../src/platform/browser/training.ts';
import { Llama } from '../../src/platform/node/index.ts';
import { initialModel, Trainer, textBatches } from '../../src/platform/node/training/index.ts';
import { launchBrowser, newPage, noBrowser, type SourceServer, serveSources, softwareGpu } from '../support/browser.ts';
import { assertClose } from '../support/close.ts';

const STEPS = 4;
const shape = { depth: 1, width: 32, heads: 2, contextLength: 32 };
const text = 'The cat sat on the mat. The dog ran to the cat. They were glad.\n<|endoftext|>\nThe end.';

/** What a page learns in some steps: losses and norms, the trained weights' logits, and whether its GGUF file has the same. */
async function learnIn(page: Page, device: 'wasm' | 'webgpu', rank: number | null) {
  return page.evaluate(
    async ({ device, rank, shape, text, steps }) => {
      const { Llama }: typeof Library = await import(`${location.origin}/src/platform/browser/index.ts`);
      const { initialModel, Trainer, textBatches }: typeof Training = await import(
        `${location.origin}/src/platform/browser/training.ts`
      );
      const model = await Llama.load(await initialModel(shape), { device: 'wasm' });
      const trained = device === 'wasm' ? model : await Llama.load(await initialModel(shape), { device });
      const options = { schedule: (step: number) => 0.01 / (step + 1), blas: false } as const;
      const trainer = await Trainer.create(trained, { ...options, ...(rank !== null && { adapter: { rank } }) });
      const withBlas = await Trainer.create(trained, { ...options, blas: true } as object as typeof options).catch(
        String,
      );
      const numbers: number[] = [];
      for (const batch of textBatches(trained.tokenizer, text, { rows: 2, length: 32 })) {
        const { loss, gradientNorm } = await trainer.step([batch]);
        numbers.push(loss, gradientNorm);
        if (numbers.length === 2 * steps) break;
      }
      const file = await trainer.toGguf();
      const { description } = trainer;
      await trainer.close();
      const closed = await trainer.step([]).then(String, String);
      const again = await Llama.load(file, { device: 'wasm' });
      const logits = [...(await again.logits([1, 5, 9]))];
      const own = device === 'wasm' ? [...(await model.logits([1, 5, 9]))] : logits;
      for (const one of [model, trained, again]) await one.close();
      return { numbers, logits, own, description, closed, withBlas };
    },
    { device, rank, shape, text, steps: STEPS },
  );
}

describe('training in Chromium', { skip: noBrowser }, () => {
  let browser: Browser;
  let server: SourceServer;
  let page: Page;
  before(async () => {
    browser = await launchBrowser(softwareGpu);
    server = await serveSources('isolated');
    page = await newPage(browser);
    await page.goto(server.url);
  });
  after(async () => {
    await browser.close();
    server.close();
  });

  for (const rank of [null, 4]) {
    test(`${rank === null ? 'all weights' : 'LoRA'}: the same bits on wasm as in Node, in the model and in its file`, async () => {
      await using model = await Llama.load(await initialModel(shape), { device: 'wasm', threads: 1 });
      const options = { schedule: (step: number) => 0.01 / (step + 1), blas: false };
      await using trainer = await Trainer.create(model, { ...options, ...(rank !== null && { adapter: { rank } }) });
      const batches = textBatches(model.tokenizer, text, { rows: 2, length: 32 });
      const wanted: number[] = [];
      for (let step = 0; step < STEPS; step++) {
        const { loss, gradientNorm } = await trainer.step([batches.next().value]);
        wanted.push(loss, gradientNorm);
      }
      const found = await learnIn(page, 'wasm', rank);
      deepStrictEqual(found.numbers, wanted);
      deepStrictEqual(found.logits, [...(await model.logits([1, 5, 9]))]);
      deepStrictEqual(found.own, found.logits);
      match(found.description, /^wasm, \d+ threads?/);
      match(String(found.withBlas), /blas needs Node/);
      match(found.closed, /Trainer: it was closed/);
      if (rank !== null) return;
      const onGpu = await learnIn(page, 'webgpu', null);
      match(onGpu.description, /^webgpu, /);
      assertClose('losses and norms', onGpu.numbers, wanted, { rtol: 1e-4 });
      strictEqual(onGpu.logits.length, found.logits.length);
      ok(onGpu.logits.some((x) => x !== 0));
    });
  }
});
