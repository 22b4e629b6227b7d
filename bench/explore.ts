/**
 * How fluid the explorer is: node bench/explore.ts [-m MODEL] [--tokens N] [--page-tokens N] [--no-page]
 *
 * trace    forward pass alone, with all attention maps, and with what the page's scenes ask for, in milliseconds (median of
 *          several, least … most); what the arena held beyond the weights
 * page     in Chromium: from the press of a key, and from a changed text, to the paint that shows it, and until no figure of the scene
 *          waits for a number
 */
import { parseArgs } from 'node:util';
import { type TraceSlice, traceNames } from '../src/inference/observe.ts';
import { Llama } from '../src/platform/node/index.ts';
import { serveDefaults } from '../src/platform/node/serve/defaults.ts';
import { createLog } from '../src/platform/node/serve/log.ts';
import { startServer } from '../src/platform/node/serve/server.ts';
import { launchBrowser, noBrowser } from '../test/support/browser.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string', short: 'm' },
    tokens: { type: 'string', default: '128,500' },
    'page-tokens': { type: 'string', default: '128' },
    threads: { type: 'string', short: 't', default: '2' },
    page: { type: 'boolean', default: true },
  },
  allowNegative: true,
});
const ROUNDS = 7;
/** Maps of a large model at once would be gigabytes; a page never asks for them. */
const MOST_NUMBERS = 1 << 26;
const median = (numbers: number[]) => numbers.sort((a, b) => a - b)[numbers.length >> 1]!;

const model = await Llama.load(values.model, { threads: Number(values.threads) });
const { config } = model;
console.log(`${model.facts.name}: ${config.blockCount} blocks, ${model.facts.device}`);
const before = await model.memory();

for (const count of values.tokens.split(',').map(Number)) {
  const ids = Uint32Array.from({ length: Math.min(count, model.contextLength) }, (_, i) => (i * 7) % config.vocabSize);
  const last = [ids.length - 1];
  const spread = Array.from({ length: Math.min(64, ids.length) }, (_, i) => Math.round((i * (ids.length - 1)) / 63));
  const kinds: Readonly<Record<string, readonly [names: readonly string[], slice: TraceSlice]>> = {
    forward: [['norm'], { rows: last }],
    'all maps': [['blocks.*.attention.probabilities'], {}],
    'maps of a block, 64 rows': [['blocks.0.attention.probabilities'], { rows: spread }],
    'the stream of a token': [['hidden.*', 'hidden.*.logits', 'blocks.*.*.output'], { rows: last }],
    'one block of a token': [traceNames(config).filter((name) => name.startsWith('blocks.0.')), { rows: last }],
  };
  const times = new Map(Object.keys(kinds).map((kind) => [kind, [] as number[]]));
  // Interleaved, so that what else the machine does meets all of them.
  for (let round = 0; round < ROUNDS; round++) {
    for (const [kind, [names, slice]] of Object.entries(kinds)) {
      const isLarge = kind === 'all maps' && config.blockCount * config.headCount * ids.length ** 2 > MOST_NUMBERS;
      if (isLarge) continue;
      const started = performance.now();
      await model.trace(ids, names, slice);
      times.get(kind)!.push(performance.now() - started);
    }
  }
  const { arena } = await model.memory();
  console.log(`${ids.length} tokens: activations ${((arena - before.arena) / 2 ** 20).toFixed(0)} MiB`);
  const forward = median(times.get('forward')!);
  for (const [kind, found] of times) {
    if (found.length === 0) continue;
    const middle = median(found);
    console.log(
      `  ${kind}: ${middle.toFixed(0)} ms (${found[0]!.toFixed(0)} … ${found.at(-1)!.toFixed(0)}), ${(middle / forward).toFixed(2)} × forward`,
    );
  }
}

if (values.page && !noBrowser) {
  const { buildWeb } = (await import(new URL('../scripts/build-web.js', import.meta.url).href)) as {
    buildWeb(): Promise<void>;
  };
  await buildWeb();
  const settings = {
    ...serveDefaults,
    ...{ host: '127.0.0.1', port: 0, apiKeys: [], corsOrigins: [], page: true, modelId: 'model', template: 'plain' },
    ...{ connections: 64, drainSeconds: 0, version: 'bench' },
  };
  const server = await startServer(
    model,
    settings,
    createLog({ write: () => {} }, { level: 'silent', prompts: false }),
  );
  const browser = await launchBrowser();
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  const text = 'the cat sat on the mat and '.repeat(Math.round(Number(values['page-tokens']) / 7));
  await page.goto(`${server.url}/explore/#scene=attention&text=${encodeURIComponent(text)}`);
  const settled = () => page.waitForFunction(() => !document.querySelector('main [aria-busy=true], main .waiting'));
  await page.locator('.large [role=img]').waitFor({ timeout: 120_000 });
  await settled();
  /** Milliseconds until the large map is that of the new choice, or text, and has been painted; and until all figures have their numbers. */
  const until = (act: string) =>
    page.evaluate(async (act) => {
      const frame = () => new Promise(requestAnimationFrame);
      const map = document.querySelector<HTMLElement>('.large [role=img]')!;
      const label = () => document.querySelector('.large [role=img]')?.getAttribute('aria-label');
      const old = label();
      const tokens = () => document.querySelector('.tokens')!.textContent;
      const before = tokens();
      if (act === 'key') {
        // Taking the focus scrolls to the map: that belongs to the Tab before, not to the key.
        map.focus();
        await frame();
        await frame();
      }
      const started = performance.now();
      if (act === 'key') {
        map.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowUp', bubbles: true, cancelable: true }));
      } else {
        const area = document.querySelector<HTMLTextAreaElement>('textarea')!;
        area.value += act;
        area.dispatchEvent(new InputEvent('input', { bubbles: true }));
      }
      // A changed text shows the old map with another choice before it is read: what counts is the map of the new tokens.
      const isOld = () =>
        act === 'key'
          ? label() === old
          : tokens() === before || document.querySelector('.large')?.closest('[aria-busy=true]') !== null;
      while (isOld()) await frame();
      await frame();
      const painted = performance.now() - started;
      while (document.querySelector('main [aria-busy=true], main .waiting')) await frame();
      return [painted, performance.now() - started] as const;
    }, act);
  const keys: (readonly [number, number])[] = [];
  const edits: (readonly [number, number])[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    keys.push(await until('key'));
    edits.push(await until(['a', 'b', 'c', 'd', 'e', 'f', 'g'][round]!));
  }
  const shown = await page.locator('.tokens button').count();
  const told = (of: readonly (readonly [number, number])[]) =>
    ([0, 1] as const)
      .map((which) => of.map((times) => times[which]))
      .map((times) => `${median(times).toFixed(0)} ms (${times[0]!.toFixed(0)} … ${times.at(-1)!.toFixed(0)})`)
      .join(', all numbers ');
  console.log(`page, ${shown} tokens: key to paint ${told(keys)}; edit to paint ${told(edits)}`);
  await browser.close();
  await server.close();
}
await model.close();
