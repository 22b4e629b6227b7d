/**
 * How fluid the explorer is: node bench/explore.ts [-m MODEL] [--tokens N] [--no-page]
 *
 * trace    forward pass alone, with all attention maps, and with everything, in milliseconds (median of several); what the
 *          arena held beyond the weights
 * page     in Chromium: from the press of a key to the next paint, and from a changed text to the new figure
 */
import { parseArgs } from 'node:util';
import { traceNames } from '../src/inference/observe.ts';
import { Llama } from '../src/platform/node/index.ts';
import { serveDefaults } from '../src/platform/node/serve/defaults.ts';
import { createLog } from '../src/platform/node/serve/log.ts';
import { startServer } from '../src/platform/node/serve/server.ts';
import { launchBrowser, noBrowser } from '../test/support/browser.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string', short: 'm' },
    tokens: { type: 'string', default: '128,500' },
    threads: { type: 'string', short: 't', default: '2' },
    page: { type: 'boolean', default: true },
  },
  allowNegative: true,
});
const ROUNDS = 7;
const median = (numbers: number[]) => numbers.sort((a, b) => a - b)[numbers.length >> 1]!;

const model = await Llama.load(values.model, { threads: Number(values.threads) });
const { config } = model;
console.log(`${model.facts.name}: ${config.blockCount} blocks, ${model.facts.device}`);
const before = await model.memory();

for (const count of values.tokens.split(',').map(Number)) {
  const ids = Uint32Array.from({ length: Math.min(count, model.contextLength) }, (_, i) => (i * 7) % config.vocabSize);
  const kinds: Readonly<Record<string, readonly string[]>> = {
    forward: ['norm'],
    'all maps': ['blocks.*.attention.probabilities'],
    'one block': traceNames(config).filter((name) => name.startsWith('blocks.0.')),
  };
  for (const [kind, names] of Object.entries(kinds)) {
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const started = performance.now();
      await model.trace(ids, names);
      times.push(performance.now() - started);
    }
    const { arena } = await model.memory();
    const beyond = ((arena - before.arena) / 2 ** 20).toFixed(0);
    console.log(
      `${ids.length} tokens, ${kind}: ${median(times).toFixed(0)} ms (least ${times[0]!.toFixed(0)}), arena + ${beyond} MiB`,
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
  const text = 'the cat sat on the mat and '.repeat(17);
  await page.goto(`${server.url}/explore/#scene=attention&text=${encodeURIComponent(text)}`);
  await page.locator('.large [role=img]').waitFor();
  /** Milliseconds until the sentence of the large map is another one and has been painted. */
  const until = (act: string) =>
    page.evaluate(async (act) => {
      const label = () => document.querySelector('.large [role=img]')?.getAttribute('aria-label');
      const old = label();
      const started = performance.now();
      if (act === 'key') {
        const map = document.querySelector<HTMLElement>('.large [role=img]')!;
        map.focus();
        map.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowUp', bubbles: true, cancelable: true }));
      } else {
        const area = document.querySelector<HTMLTextAreaElement>('textarea')!;
        area.value += act;
        area.dispatchEvent(new InputEvent('input', { bubbles: true }));
      }
      while (label() === old) await new Promise(requestAnimationFrame);
      await new Promise(requestAnimationFrame);
      return performance.now() - started;
    }, act);
  const keys: number[] = [];
  const edits: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    keys.push(await until('key'));
    edits.push(await until(['a', 'b', 'c', 'd', 'e', 'f', 'g'][round]!));
  }
  const shown = await page.locator('.tokens button').count();
  console.log(
    `page, ${shown} tokens: key to paint ${median(keys).toFixed(0)} ms, edit to paint ${median(edits).toFixed(0)} ms`,
  );
  await browser.close();
  await server.close();
}
await model.close();
