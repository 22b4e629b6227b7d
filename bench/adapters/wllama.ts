// wllama (llama.cpp compiled to WebAssembly) in headless Chromium. Runs in the folder where the package is installed.
// Both times are llama.cpp's own, from the completion's `timings`; prompt caching is off, sampling greedy.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { chromium } from 'playwright-core';
import { readArguments, serve } from './protocol.ts';

const { model: path, threads, context } = readArguments();
const folder = join(process.cwd(), 'node_modules/@wllama/wllama');
const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
const types: Record<string, string> = { '.js': 'text/javascript', '.wasm': 'application/wasm' };

const server = createServer((request, response) => {
  response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
  response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
  const file = normalize(new URL(request.url!, 'http://localhost').pathname);
  response.setHeader('Content-Type', file === '/' ? 'text/html' : (types[extname(file)] ?? 'application/octet-stream'));
  try {
    response.end(file === '/' ? '<!doctype html><input type="file" id="model">' : readFileSync(join(folder, file)));
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
const browser = await chromium.launch({
  executablePath: process.env.CRIA_CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
const page = await browser.newPage();
await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
await page.setInputFiles('#model', path);

interface Timings {
  readonly prompt_n: number;
  readonly prompt_ms: number;
  readonly predicted_n: number;
  readonly predicted_ms: number;
}
interface Wllama {
  loadModel(files: readonly File[], options: object): Promise<void>;
  createCompletion(options: object): Promise<void>;
  isMultithread(): boolean;
}
interface Page {
  wllama: Wllama;
}
const loadSeconds = await page.evaluate(
  async ({ threads, context }) => {
    const { Wllama } = (await import(`${location.origin}/esm/index.js`)) as { Wllama: new (paths: object) => Wllama };
    const wllama = new Wllama({ default: '/esm/wasm/wllama.wasm' });
    (globalThis as unknown as Page).wllama = wllama;
    const started = performance.now();
    const files = [...(document.querySelector('#model') as HTMLInputElement).files!];
    const size = { n_ctx: Math.ceil(context / 256) * 256, n_batch: 512, n_parallel: 1 };
    await wllama.loadModel(files, { n_gpu_layers: 0, n_threads: threads, seed: 1, ...size });
    if (threads > 1 && !wllama.isMultithread()) throw new Error('wllama runs on one thread here');
    return (performance.now() - started) / 1000;
  },
  { threads, context },
);

/** One completion of a prompt of so many words, with llama.cpp's clock. */
function complete(words: number, tokens: number): Promise<Timings> {
  return page.evaluate(
    async ({ words, tokens }) => {
      const list = 'the of and to in is that for it was on are as with his they at be this from'.split(' ');
      const prompt = Array.from({ length: words }, (_, i) => list[(i * 7) % list.length]).join(' ');
      let timings: Timings | undefined;
      await (globalThis as unknown as Page).wllama.createCompletion({
        prompt,
        max_tokens: tokens,
        ...{ temperature: 0, top_k: 1, ignore_eos: true, cache_prompt: false, timings_per_token: true, stream: true },
        onData: (chunk: { timings?: Timings }) => {
          timings = chunk.timings ?? timings;
        },
      });
      return timings!;
    },
    { words, tokens },
  );
}

await serve(
  { name: 'wllama', versions: { wllama: version, chromium: browser.version() }, loadSeconds },
  async (round) => {
    if (round.generate > 0) return (await complete(Math.max(1, round.depth), round.generate + 1)).predicted_ms / 1000;
    // A word is a token in a trained vocabulary; where it is more, the time is scaled to the wanted length.
    const { prompt_n, prompt_ms } = await complete(round.prompt - 1, 1);
    return ((prompt_ms / 1000) * round.prompt) / prompt_n;
  },
);
await browser.close();
server.close();
process.exit(0);
