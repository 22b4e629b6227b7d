/** The explorer's page in headless Chromium: every scene in both languages, and every number compared with trace(). */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { diagramOf } from '../../src/explorer/diagram.ts';
import { formatNumber, formatShare, lengthOf } from '../../src/explorer/numbers.ts';
import { sceneKeys } from '../../src/explorer/walk.ts';
import { languageNames, languages } from '../../src/explorer/words/words.ts';
import { traceNames } from '../../src/inference/observe.ts';
import type { Traces } from '../../src/inference/remote/traces.ts';
import { Llama } from '../../src/platform/node/index.ts';
import { createLog } from '../../src/platform/node/serve/log.ts';
import { explorerFiles } from '../../src/platform/node/serve/page.ts';
import { startServer } from '../../src/platform/node/serve/server.ts';
import { formatState, initial, type State } from '../../src/web/explore/state.ts';
import { cria } from '../e2e/cria.ts';
import { launchBrowser, newPage, noBrowser } from '../support/browser.ts';
import { serveDefaults } from '../support/server.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Everything that the lab may choose otherwise than LLaMA, at once. */
const labConfig = {
  ...{ architectures: ['CriaLabForCausalLM'], model_type: 'cria_lab', hidden_size: 64, num_hidden_layers: 2 },
  ...{ num_attention_heads: 4, num_key_value_heads: 1, head_dim: 16, intermediate_size: 128, vocab_size: 512 },
  ...{ max_position_embeddings: 128, rms_norm_eps: 1e-5, rope_theta: 10000, tie_word_embeddings: true },
  lab: { norm: 'layer', normPlacement: 'after', activation: 'relu', positions: 'learned' },
};

/** One number of the page: its text, and what it says that it is. */
interface Printed {
  readonly text: string;
  readonly name: string;
  readonly at: string;
  readonly form: string;
}

/** What the number must read, by the traces of the whole text. */
function expected(traces: Traces, { name, at, form }: Printed): string {
  const { shape, data } = traces.get(name);
  const place = at.split(',').map(Number);
  const index = place.reduce((sum, each, axis) => sum * shape[axis]! + each, 0);
  if (form === 'length') {
    const columns = shape.at(-1)!;
    return formatNumber(lengthOf(data.subarray(index * columns, (index + 1) * columns)));
  }
  return (form === 'share' ? formatShare : formatNumber)(data[index]!);
}

const settled = async (page: Page) => {
  // What was asked for is drawn with the next frame; until then what is seen is what was asked for before.
  await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
  await page.waitForFunction(
    () =>
      document.querySelector('main.scene') !== null && document.querySelector('[aria-busy=true], .waiting') === null,
  );
};

const printed = (page: Page): Promise<Printed[]> =>
  page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>('[data-name]')].map((node) => ({
      text: node.textContent!,
      name: node.dataset.name!,
      at: node.dataset.at!,
      form: node.dataset.form!,
    })),
  );

/** Decimal numbers and percentages in figures that do not say what they are. */
const nameless = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const found: string[] = [];
    for (const picture of document.querySelectorAll('.picture')) {
      const walker = document.createTreeWalker(picture, NodeFilter.SHOW_TEXT);
      for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const text = node.textContent!;
        if (!/\d\.\d|\d %/.test(text)) continue;
        const named = '[data-name], [data-made], [data-count], svg, select, .formula-line, .legend, .label, h4';
        if (!node.parentElement!.closest(named) && !/MiB|KiB|GiB/.test(text)) found.push(text);
      }
    }
    return found;
  });

describe('the explorer’s page', { skip: noBrowser }, async () => {
  if (noBrowser) return;
  const { buildWeb } = (await import(new URL('../../scripts/build-web.js', import.meta.url).href)) as {
    buildWeb(options: object): Promise<void>;
  };
  await buildWeb({ log: () => {} });
  const model = await Llama.load(undefined, { threads: 2 });
  const log = createLog({ write: () => {} }, { level: 'silent', prompts: false });
  const server = await startServer(model, { ...serveDefaults, page: true, drainSeconds: 0.2 }, log);
  const browser: Browser = await launchBrowser();
  const ids = model.tokenizer.encode(initial.text, { bos: true });
  const traces = await model.trace(ids, traceNames(model.config));
  after(async () => {
    await browser.close();
    await server.close();
    await model.close();
  });

  const open = async (state: Partial<State>, base = `${server.url}/explore/`, before = () => {}) => {
    const page = await newPage(browser, { viewport: { width: 1440, height: 900 } });
    await page.addInitScript(before);
    const complaints: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(`${base}#${formatState({ ...initial, ...state })}`);
    return { page, complaints };
  };

  for (const language of languageNames) {
    test(`${language}: every scene shows its words and trace()’s numbers, and fits phones`, async () => {
      const { page, complaints } = await open({ language, block: 2, head: 1 });
      let numbers = 0;
      for (const scene of sceneKeys) {
        await page.locator('nav.scenes button').nth(sceneKeys.indexOf(scene)).click();
        await page.getByText(languages[language].scenes[scene].what).first().waitFor();
        await settled(page);
        const found = await printed(page);
        numbers += found.length;
        deepStrictEqual(
          found.map((each) => `${each.name}[${each.at}] ${each.text}`),
          found.map((each) => `${each.name}[${each.at}] ${expected(traces, each)}`),
          scene,
        );
        deepStrictEqual(await nameless(page), [], `${scene}: numbers without a name`);
        strictEqual(await page.locator('[aria-live]').count(), 1, `${scene}: one voice`);
        const { title } = languages[language].scenes[scene];
        if (scene !== sceneKeys[0])
          await page.locator('[aria-live]', { hasText: `${title}. ` }).waitFor({ state: 'attached' });
        const unnamed = await page.locator('[role=img]:not([aria-label]), svg:not([aria-label])').count();
        strictEqual(unnamed, 0, `${scene}: pictures without a sentence`);
        for (const width of [360, 768, 1440]) {
          await page.setViewportSize({ width, height: 900 });
          const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          ok(over <= 0, `${scene} is ${over} pixels wider than ${width}`);
        }
      }
      ok(numbers > 200, `${numbers} numbers`);
      deepStrictEqual(complaints, []);
      await page.close();
    });
  }

  test('the numbers on request are trace()’s, too', async () => {
    const { page } = await open({ scene: 'attention' });
    await settled(page);
    await page.locator('.numbers summary').first().click();
    await page.locator('.trace-table table').waitFor();
    const found = (await printed(page)).filter(({ at }) => at.split(',').length === 3);
    ok(found.length > 100, `${found.length} numbers`);
    for (const each of found) strictEqual(each.text, expected(traces, each));
    await page.close();
  });

  test('by keyboard alone: scenes, tokens, cells; the address keeps all of it, and the back button undoes', async () => {
    const { page } = await open({});
    await settled(page);
    await page.keyboard.press('7');
    await page.waitForFunction(() => location.hash.includes('scene=attention'));
    await settled(page);
    await page.locator('.large [role=img]').focus();
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('ArrowLeft');
    await page.waitForFunction((last) => location.hash.includes(`query=${last}`), ids.length - 2);
    // A screen reader hears what the picture's label says once the keys rest: until the last of them is drawn it says what it said.
    await page.waitForFunction(() => {
      const label = document.querySelector('.large [role=img]')!.getAttribute('aria-label')!;
      const heard = [...document.querySelectorAll('[aria-live]')].map(({ textContent }) => textContent).join();
      return /^Head 0: “.+” looks at “.+” with .+ %/.test(label) && heard.includes(`Attention. ${label}`);
    });
    await page.locator('.tokens [aria-checked=true]').focus();
    await page.keyboard.press('Shift+ArrowRight');
    await page.waitForFunction(() => location.hash.includes('block=1'));
    await page.reload();
    await settled(page);
    strictEqual(await page.locator('.steps input').inputValue(), '1');
    await page.goBack();
    await page.waitForFunction(() => !location.hash.includes('scene='));
    await page.close();
  });

  test('a chosen token is the sampler’s, is appended, and the walk goes round again', async () => {
    const { page } = await open({ scene: 'choice', seed: 5, temperature: 0.9 });
    await settled(page);
    for (let i = 0; i < 3; i++) {
      await page.getByRole('button', { name: 'Append this token' }).click();
      await page.waitForFunction((count) => document.querySelectorAll('.tokens button.added').length === count, i + 1);
      await settled(page);
    }
    const hash = new URLSearchParams(new URL(page.url()).hash.slice(1));
    const options = { seed: 5, temperature: 0.9, maxTokens: 3, topK: 40, topP: 0.95, minP: 0.05 };
    const { ids: generated } = await model.generate(ids, options).result;
    strictEqual(hash.get('appended'), [...generated].join(','));
    await page.close();
  });

  test('the cache’s scene reads the text and goes on with it: tokens, times, and the blocks of the longer sequence', async () => {
    const { page, complaints } = await open({ scene: 'cache' });
    await settled(page);
    await page.getByRole('button', { name: 'Generate one token' }).click();
    const next = page.locator('.bar-row', { hasText: 'each next token, with the cache' });
    await next.getByText(/^[\d.]+ ms$/).waitFor();
    await page.getByText(new RegExp(`the text: ${ids.length} tokens computed|tokens computed, \\d+ found`)).waitFor();
    const [first] = (await model.generate(ids, { maxTokens: 1, temperature: 0 }).result).ids;
    const hash = new URLSearchParams(new URL(page.url()).hash.slice(1));
    strictEqual(hash.get('appended'), String(first));
    await page.getByText(`The cache holds ${ids.length + 1} tokens`).waitFor();
    deepStrictEqual(complaints, []);
    await page.close();
  });

  test('texts that are awkward: none, one token, the whole context and more, emoji, Korean', async () => {
    for (const text of ['', 'a', '🦙 안녕하세요', 'word '.repeat(300), 'x '.repeat(3000)]) {
      const { page, complaints } = await open({ text, scene: 'attention' });
      const isTooLong = model.tokenizer.encode(text, { bos: true }).length > model.config.contextLength;
      if (isTooLong) await page.getByText(/context holds 512/).waitFor();
      else await settled(page);
      for (const scene of ['rope', 'stream', 'tokens'] as const) {
        if (isTooLong) continue;
        await page.locator('nav.scenes button').nth(sceneKeys.indexOf(scene)).click();
        await settled(page);
      }
      deepStrictEqual(complaints, []);
      await page.close();
    }
  });

  test('what comes between the drawing of the page and what it does after it is shown: a busy machine’s pages wait for nothing', async () => {
    const { page, complaints } = await open({ scene: 'attention' }, undefined, () => {
      const [later, frame] = [window.setTimeout, window.requestAnimationFrame];
      window.requestAnimationFrame = (run) => frame(() => later(() => run(performance.now()), 600));
      // as TypeScript knows it in Node, it is another function
      window.setTimeout = ((run: () => void, ms = 0) => later(run, ms > 0 ? ms + 600 : 0)) as typeof later;
    });
    const held = Promise.withResolvers<void>();
    await page.route(/\/walk[^/]*\.js$/, (route) => held.promise.then(() => route.continue()));
    const asked = page.waitForRequest(/\/walk[^/]*\.js$/); // the last of those that are fetched while the first is looked at
    await settled(page);
    await asked;
    await page.locator('nav.scenes button').nth(sceneKeys.indexOf('walk')).click();
    await page.locator('main.scene-walk').waitFor();
    held.resolve();
    await settled(page);
    deepStrictEqual(complaints, []);
    await page.close();
  });

  test('a figure is taken along: its numbers as JSON, its picture as SVG, and the code that gives them runs', async () => {
    const { page } = await open({ scene: 'swiglu', block: 2 });
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await settled(page);
    const figure = page.locator('figure').first();
    const saved = async (name: string) => {
      const download = page.waitForEvent('download');
      await figure.getByRole('button', { name, exact: true }).click();
      return readFileSync(await (await download).path(), 'utf8');
    };
    const name = 'blocks.2.feedForward.gate';
    const last = ids.length - 1;
    const [, columns] = traces.get(name).shape as [number, number];
    const gate = [...traces.get(name).data.subarray(last * columns, ids.length * columns)];
    const json = JSON.parse(await saved('JSON')) as { rows: number[]; numbers: Record<string, { data: number[] }> };
    deepStrictEqual(json.rows, [last]);
    deepStrictEqual(json.numbers[name]!.data, gate);
    const svg = await saved('SVG');
    const shapes = await page.evaluate((text) => {
      const root = new DOMParser().parseFromString(text, 'image/svg+xml');
      return ['parsererror', 'polyline', 'image', 'text'].map((tag) => root.getElementsByTagName(tag).length);
    }, svg);
    ok(shapes[0] === 0 && shapes.slice(1).every((count) => count > 0), `${shapes}`);
    await figure.getByRole('button', { name: 'Copy as TypeScript' }).click();
    await figure.getByRole('button', { name: 'Copied' }).waitFor();
    const code = await page.evaluate(() => navigator.clipboard.readText());
    const folder = mkdtempSync(join(root, 'copied-'));
    try {
      const file = join(folder, 'copied.ts');
      const wanted = `trace.get(${JSON.stringify('blocks.2.feedForward.gate')})`;
      ok(code.includes(wanted), code);
      writeFileSync(file, code.replace(`console.log(${wanted})`, `console.log(JSON.stringify([...${wanted}.data]))`));
      const { stdout, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8' });
      deepStrictEqual(JSON.parse(stdout || JSON.stringify(stderr)), gate);
    } finally {
      rmSync(folder, { recursive: true });
    }
    await page.close();
  });

  test('every control is reached by Tab, and shows that it has the focus', async () => {
    const { page } = await open({ scene: 'attention' });
    await settled(page);
    const count = await page.evaluate(
      () =>
        [...document.querySelectorAll('button, input, select, textarea, summary, [tabindex]')].filter(
          (node) => node instanceof HTMLElement && node.tabIndex >= 0 && !node.matches(':disabled'),
        ).length,
    );
    const reached = new Set<string>();
    for (let i = 0; i < count; i++) {
      await page.keyboard.press('Tab');
      const found = await page.evaluate(() => {
        const node = document.activeElement as HTMLElement;
        const all = [...document.querySelectorAll('*')];
        return {
          at: String(all.indexOf(node)),
          outline: getComputedStyle(node).outlineStyle,
          what: node.outerHTML.slice(0, 90),
        };
      });
      ok(found.outline !== 'none', `no outline: ${found.what}`);
      reached.add(found.at);
    }
    strictEqual(reached.size, count);
    await page.close();
  });

  const relatives = ['mixtral', 'gemma3', 'gpt-oss', 'olmo2'].map((name) => ({
    name,
    path: async () => fileURLToPath(new URL(`../golden/relatives/${name}/model.gguf`, import.meta.url)),
  }));
  const scratch = mkdtempSync(join(tmpdir(), 'cria-explore-lab-'));
  after(() => rmSync(scratch, { recursive: true }));
  const labModel = {
    name: 'a model of the lab with random weights',
    async path() {
      const config = join(scratch, 'config.json');
      writeFileSync(config, JSON.stringify(labConfig));
      strictEqual((await cria(['init', config, '-o', join(scratch, 'lab')])).code, 0);
      return join(scratch, 'lab');
    },
  };
  for (const relative of [...relatives, labModel]) {
    test(`${relative.name} draws itself: every scene, without a complaint and without a number that is none`, async () => {
      const path = await relative.path();
      const other = await Llama.load(path, { threads: 1 });
      const serving = await startServer(other, { ...serveDefaults, page: true, drainSeconds: 0.2 }, log);
      const { page, complaints } = await open({ text: 'abcd' }, `${serving.url}/explore/`);
      await settled(page);
      const boxes = await page.locator('.diagram [role=button]').count();
      strictEqual(boxes, diagramOf(other.config, 0).boxes.length);
      for (const [i, scene] of sceneKeys.entries()) {
        await page.locator('nav.scenes button').nth(i).click();
        await settled(page);
        const text = (await page.locator('main').textContent())!;
        ok(!/NaN|undefined|Infinity/.test(text), `${scene}: ${text}`);
      }
      deepStrictEqual(complaints, []);
      await page.close();
      await serving.close();
      await other.close();
    });
  }

  test('as files from any server: the model in the page gives the same strings; a file that is no model is said', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cria-explore-'));
    const { code } = await cria(['explore', '--save', folder]);
    strictEqual(code, 0);
    ok([...explorerFiles().keys()].every((name) => readdirSync(folder).includes(name)));
    const files = createServer((request, response) => {
      const name = new URL(request.url!, 'http://x').pathname.slice(1) || 'index.html';
      if (!readdirSync(folder).includes(name)) return void response.writeHead(404).end();
      const type = { js: 'text/javascript', css: 'text/css', html: 'text/html', json: 'application/json' }[
        name.split('.').at(-1)!
      ];
      response
        .writeHead(200, {
          'content-type': type ?? 'application/octet-stream',
          'cross-origin-opener-policy': 'same-origin',
          'cross-origin-embedder-policy': 'require-corp',
        })
        .end(readFileSync(join(folder, name)));
    });
    await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve));
    try {
      const base = `http://127.0.0.1:${(files.address() as AddressInfo).port}/`;
      const { page } = await open({ scene: 'swiglu' }, base);
      await settled(page);
      const found = await printed(page);
      ok(found.length > 10);
      for (const each of found) strictEqual(each.text, expected(traces, each), `${each.name}[${each.at}]`);
      await page.getByRole('button', { name: model.facts.name }).click();
      await page
        .locator('input[type=file]')
        .setInputFiles({ name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('no model') });
      await page
        .getByRole('alert')
        .getByText(/expected the start of a GGUF/)
        .waitFor();
      await page.close();
    } finally {
      files.close();
      files.closeAllConnections();
      rmSync(folder, { recursive: true });
    }
  });
});
