/** Training on a GPU as a page's program does it, through the library; on wasm it is in test/package, in a built page. */
import { match } from 'node:assert/strict';
import { test } from 'node:test';
import type * as Library from '../../src/platform/browser/index.ts';
import type * as Training from '../../src/platform/browser/training.ts';
import { Llama } from '../../src/platform/node/index.ts';
import { initialModel, Trainer, textBatches } from '../../src/platform/node/training/index.ts';
import { launchBrowser, newPage, noBrowser, serveSources, softwareGpu } from '../support/browser.ts';
import { assertClose } from '../support/close.ts';

const given = {
  steps: 3,
  shape: { depth: 1, width: 32, heads: 2, contextLength: 32 },
  text: 'The cat sat on the mat. The dog ran to the cat. They were glad.\n<|endoftext|>\nThe end.',
};

test("Chromium's software GPU trains with the losses of Node's CPU, and the file that comes of it is the model that was learnt", {
  skip: noBrowser,
}, async () => {
  const { steps, shape, text } = given;
  await using model = await Llama.load(await initialModel(shape), { device: 'wasm', threads: 1 });
  await using trainer = await Trainer.create(model, { schedule: (step) => 0.01 / (step + 1), blas: false });
  const wanted: number[] = [];
  for (const batch of textBatches(model.tokenizer, text, { rows: 2, length: 32 })) {
    const { loss, gradientNorm } = await trainer.step([batch]);
    wanted.push(loss, gradientNorm);
    if (wanted.length === 2 * steps) break;
  }

  const browser = await launchBrowser(softwareGpu);
  const server = await serveSources('isolated');
  try {
    const page = await newPage(browser);
    await page.goto(server.url);
    const found = await page.evaluate(async ({ steps, shape, text }) => {
      const { Llama }: typeof Library = await import(`${location.origin}/src/platform/browser/index.ts`);
      const { initialModel, Trainer, textBatches }: typeof Training = await import(
        `${location.origin}/src/platform/browser/training.ts`
      );
      const model = await Llama.load(await initialModel(shape), { device: 'webgpu' });
      const options = { schedule: (step: number) => 0.01 / (step + 1), blas: false } as const;
      const withBlas = await Trainer.create(model, { ...options, blas: true } as object as typeof options).catch(
        String,
      );
      const trainer = await Trainer.create(model, options);
      const numbers: number[] = [];
      for (const batch of textBatches(model.tokenizer, text, { rows: 2, length: 32 })) {
        const { loss, gradientNorm } = await trainer.step([batch]);
        numbers.push(loss, gradientNorm);
        if (numbers.length === 2 * steps) break;
      }
      const file = new Uint8Array(await (await trainer.toGguf()).arrayBuffer()).toBase64();
      const { description } = trainer;
      await trainer.close();
      const closed = await trainer.step([]).then(String, String);
      await model.close();
      return { numbers, file, description, withBlas, closed };
    }, given);
    match(found.description, /^webgpu, /);
    assertClose('losses and norms', found.numbers, wanted, { rtol: 1e-4 });
    match(String(found.withBlas), /blas needs Node/);
    match(found.closed, /Trainer: it was closed/);
    await using again = await Llama.load(Buffer.from(found.file, 'base64'), { device: 'wasm', threads: 1 });
    const logits = await model.logits([1, 5, 9]);
    // AdamW's first steps follow the signs of gradients, of which those near 0 are rounding.
    assertClose('logits', await again.logits([1, 5, 9]), logits, { rtol: 1e-2, atol: 1e-2 });
  } finally {
    await browser.close();
    server.close();
  }
});
