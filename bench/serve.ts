/**
 * The server under load: clients that each send one request after another over loopback, streaming, with the default samplers.
 *
 *   node bench/serve.ts [-m model.gguf] [--clients 1,4,16] [--requests 1] [--prompt 64] [--output 64] [--threads 2]
 *                       [--beside schema.json] [--soak SECONDS [--pause MS]]
 *
 * Without -m the bundled model. Every prompt is of other random tokens, so that no request finds another's in the cache. Prints, for
 * each number of clients, the tokens per second of all of them together, against one client's, and how long the first token and the
 * others took.
 *
 *   CPU s     tokens per second of processor time say, on a machine that others use too, what the batch saves; take one thread for them
 *   ÷ bound   the request with that first token, against the time in which all prompts that were admitted before it and not read when
 *             it came, and its own, can be read one after another, each alone (measured first). Prompts of one batch get their first
 *             tokens together: the first of them waits for the others, and the "worst" is most often such a one
 *
 * With --beside one more client asks, all the time, for answers of that schema, changed a little each time, so that it is compiled anew.
 * With --soak the last number of clients goes on for so long, one request of four leaving in the middle; memory is printed as it
 * goes, and at the end how much it grew from the second sixth of the time to the last. --pause: between a client's requests.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Random } from '../src/base/random.ts';
import { Llama } from '../src/platform/node/index.ts';
import { serveDefaults } from '../src/platform/node/serve/defaults.ts';
import { createLog } from '../src/platform/node/serve/log.ts';
import { startServer } from '../src/platform/node/serve/server.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string', short: 'm' },
    clients: { type: 'string', default: '1,4,16' },
    requests: { type: 'string', default: '1' },
    prompt: { type: 'string', default: '64' },
    output: { type: 'string', default: '64' },
    threads: { type: 'string' },
    beside: { type: 'string' },
    soak: { type: 'string', default: '0' },
    pause: { type: 'string', default: '0' },
  },
});
const promptTokens = Number(values.prompt);
const outputTokens = Number(values.output);
const clientCounts = values.clients.split(',').map(Number);
const most = Math.max(...clientCounts);
const pauseMs = Number(values.pause);

const model = await Llama.load(values.model, {
  ...(values.threads !== undefined && { threads: Number(values.threads) }),
  contextLength: Math.max(512, promptTokens + outputTokens + 1),
  cacheTokens: 2 * most * (promptTokens + outputTokens + 32),
  maxSequences: most,
});
const server = await startServer(
  model,
  {
    ...serveDefaults,
    ...{ modelId: 'bench', template: undefined, pooling: 'mean', version: 'bench', host: '127.0.0.1', port: 0 },
    ...{
      apiKeys: [],
      corsOrigins: [],

      bodyBytes: 1 << 24,
      stallSeconds: 600,
      page: false,
      parallel: most,
    },
    ...{ queue: 4096, queueSeconds: 3600, timeLimitSeconds: 3600, connections: 4096, readSeconds: 20, drainSeconds: 1 },
  },
  createLog({ write: () => {} }, { level: 'silent', prompts: false }),
);
console.log(`${model.facts.name}: ${model.facts.dtypes[0]}, ${model.facts.device}`);
console.log(`prompt ${promptTokens}, output ${outputTokens}, ${values.requests} requests a client\n`);
const random = new Random(1);
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const ranked = (sorted: readonly number[], share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
const percentile = (numbers: readonly number[], share: number) =>
  ranked(
    [...numbers].sort((a, b) => a - b),
    share,
  );

interface Measured {
  readonly firstMs: number;
  /** firstMs, of the time in which this prompt and the unread ones before it could be read alone. */
  readonly ofBound: number;
  /** From the first token to the last, per token. */
  readonly eachMs: number;
}

/** What one prompt takes alone, until its first token. */
let aloneMs = Number.NaN;
/** Prompts that have been read: requests are admitted, and get their first tokens, in the order they come to the server. */
let read = 0;

/** `leaves`: goes away after its first token. */
async function request({ leaves = false } = {}): Promise<Measured> {
  const prompt = Array.from({ length: promptTokens }, () => 3 + random.below(model.config.vocabSize - 3));
  const body = JSON.stringify({
    prompt,
    max_tokens: outputTokens,
    ignore_eos: true,
    stream: true,
    stream_options: { include_usage: true },
  });
  const readBefore = read;
  const started = performance.now();
  const response = await fetch(`${server.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  if (!response.ok) throw new Error(await response.text());
  let firstMs: number | null = null;
  let ofBound = 0;
  let last = '';
  for await (const chunk of response.body!) {
    if (firstMs === null) {
      firstMs = performance.now() - started;
      ofBound = firstMs / ((++read - readBefore) * aloneMs);
      if (leaves) break; // which cancels the body
    }
    last = new TextDecoder().decode(chunk);
  }
  const counted = Number(/"completion_tokens":(\d+)/.exec(last)?.[1]);
  if (!leaves && counted !== outputTokens) throw new Error(`${counted} tokens, expected ${outputTokens}: ${last}`);
  const eachMs = (performance.now() - started - firstMs!) / Math.max(1, outputTokens - 1);
  return { firstMs: firstMs!, ofBound, eachMs };
}

async function run(
  clients: number,
  more: () => boolean,
  leaves: () => boolean = () => false,
): Promise<{ measured: Measured[]; seconds: number }> {
  const measured: Measured[] = [];
  const started = performance.now();
  const client = async () => {
    do {
      measured.push(await request({ leaves: leaves() }));
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    } while (more());
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { measured, seconds: (performance.now() - started) / 1000 };
}

await run(1, () => false); // warm-up
const alone: number[] = [];
for (let i = 0; i < 3; i++) alone.push((await request({ leaves: true })).firstMs);
aloneMs = percentile(alone, 0.5);
console.log(`a prompt alone: ${aloneMs.toFixed(0)} ms to the first token\n`);
console.log(
  '| clients | tokens/s | × one client | tokens/CPU s | × one client | first token p50 ms | p99 ms | ÷ bound at p50 | at p99 | worst | per token p50 ms | p99 ms | rows a step |',
);
console.log('|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|');
const compiling = values.beside === undefined ? null : compileBeside(values.beside);
let single = 0;
let singleCpu = 0;
for (const clients of clientCounts) {
  await Promise.all(Array.from({ length: clients }, () => fetch(`${server.url}/health`).then((r) => r.text()))); // connect
  let left = clients * Number(values.requests) - clients;
  const before = await model.engineLoad();
  const cpuBefore = process.cpuUsage();
  const { measured, seconds } = await run(clients, () => left-- > 0);
  const after = await model.engineLoad();
  const cpu = process.cpuUsage(cpuBefore);
  const cpuRate = (measured.length * outputTokens * 1e6) / (cpu.user + cpu.system);
  const rate = (measured.length * outputTokens) / seconds;
  if (clients === 1) [single, singleCpu] = [rate, cpuRate];
  const first = measured.map(({ firstMs }) => firstMs);
  const byFirst = [...measured].sort((a, b) => a.firstMs - b.firstMs).map(({ ofBound }) => ofBound);
  const each = measured.map(({ eachMs }) => eachMs);
  const cells = [
    rate.toFixed(1),
    single > 0 ? (rate / single).toFixed(2) : '',
    cpuRate.toFixed(2),
    singleCpu > 0 ? (cpuRate / singleCpu).toFixed(2) : '',
    percentile(first, 0.5).toFixed(0),
    percentile(first, 0.99).toFixed(0),
    ranked(byFirst, 0.5).toFixed(2),
    ranked(byFirst, 0.99).toFixed(2),
    Math.max(...byFirst).toFixed(2),
    percentile(each, 0.5).toFixed(1),
    percentile(each, 0.99).toFixed(1),
    ((after.rows - before.rows) / (after.steps - before.steps)).toFixed(1),
  ];
  console.log(`| ${clients} | ${cells.join(' | ')} |`);
}

if (compiling) console.log(`\nbeside them: ${await compiling.end()} schemas compiled anew`);

/** Asks for one answer after another of a schema that the server has not seen. */
function compileBeside(file: string): { end(): Promise<number> } {
  const schema = JSON.parse(readFileSync(file, 'utf8')) as object;
  let count = 0;
  let isOver = false;
  const client = async () => {
    while (!isOver) {
      const json_schema = { ...schema, $comment: `${count}` };
      const body = JSON.stringify({ prompt: 'Once', max_tokens: 1, json_schema });
      const headers = { 'content-type': 'application/json' };
      const response = await fetch(`${server.url}/v1/completions`, { method: 'POST', headers, body });
      const said = await response.text();
      if (!response.ok && response.status !== 400) throw new Error(said);
      count++;
    }
  };
  const ended = client();
  return {
    async end() {
      isOver = true;
      await ended;
      return count;
    },
  };
}

const soakSeconds = Number(values.soak);
if (soakSeconds > 0) {
  console.log('\n| soak s | requests | rss MiB | heap MiB | outside heap MiB |');
  console.log('|---:|---:|---:|---:|---:|');
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const seen: { readonly rss: number; readonly heap: number }[] = [];
  let asked = 0;
  const report = () => {
    collect();
    const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage();
    const mib = [rss, heapUsed, external + arrayBuffers].map((bytes) => bytes / 2 ** 20) as [number, number, number];
    seen.push({ rss: mib[0], heap: mib[1] });
    console.log(`| ${seconds().toFixed(0)} | ${asked} | ${mib.map((value) => value.toFixed(1)).join(' | ')} |`);
  };
  const timer = setInterval(report, (soakSeconds * 1000) / 6);
  await run(
    clientCounts.at(-1)!,
    () => seconds() < soakSeconds,
    () => asked++ % 4 === 3,
  );
  clearInterval(timer);
  report();
  const grown = (what: 'rss' | 'heap') => (seen.at(-1)![what] - seen[1]![what]).toFixed(1);
  console.log(`\nfrom the second line to the last: rss ${grown('rss')} MiB, heap ${grown('heap')} MiB`);
}
await server.close();
await model.close();
