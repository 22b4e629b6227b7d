/**
 * The server under load: clients that each send one request after another over loopback, streaming.
 *
 *   node bench/serve.ts -m model.gguf [--clients 1,4,16] [--requests 1] [--prompt 64] [--output 64] [--threads 2] [--soak SECONDS]
 *
 * Tokens per second of processor time say, on a machine that others use too, what the batch saves; take one thread for them.
 *
 * Every prompt is of other random tokens, so that no request finds another's in the cache. Prints, for each number of clients, the
 * tokens per second of all of them together, against one client's, and how long the first token and the others took. With --soak the
 * last number of clients goes on for so long, and the memory is printed as it goes.
 */
import { parseArgs } from 'node:util';
import { Random } from '../src/base/random.ts';
import { Llama } from '../src/platform/node/index.ts';
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
    soak: { type: 'string', default: '0' },
  },
});
const promptTokens = Number(values.prompt);
const outputTokens = Number(values.output);
const clientCounts = values.clients.split(',').map(Number);
const most = Math.max(...clientCounts);

const model = await Llama.load(values.model, {
  ...(values.threads !== undefined && { threads: Number(values.threads) }),
  contextLength: Math.max(512, promptTokens + outputTokens + 1),
  cacheTokens: 2 * most * (promptTokens + outputTokens + 32),
  maxSequences: most,
});
const server = await startServer(
  model,
  {
    ...{ modelId: 'bench', template: undefined, pooling: 'mean', version: 'bench', host: '127.0.0.1', port: 0 },
    ...{ apiKeys: [], corsOrigins: [], bodyBytes: 1 << 24, stallSeconds: 600, page: false, parallel: most },
    ...{ queue: 4096, queueSeconds: 3600, timeLimitSeconds: 3600, connections: 4096, drainSeconds: 1 },
  },
  createLog({ write: () => {} }, { level: 'silent', prompts: false }),
);
console.log(`${model.facts.name}: ${model.facts.dtypes[0]}, ${model.facts.device}`);
console.log(`prompt ${promptTokens}, output ${outputTokens}, ${values.requests} requests a client\n`);
const random = new Random(1);

interface Measured {
  readonly firstMs: number;
  /** From the first token to the last, per token. */
  readonly eachMs: number;
}

async function request(): Promise<Measured> {
  const prompt = Array.from({ length: promptTokens }, () => 3 + random.below(model.config.vocabSize - 3));
  const body = JSON.stringify({
    prompt,
    max_tokens: outputTokens,
    ignore_eos: true,
    temperature: 0,
    stream: true,
    logprobs: 0,
  });
  const started = performance.now();
  const response = await fetch(`${server.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  if (!response.ok) throw new Error(await response.text());
  let firstMs = 0;
  let events = 0;
  for await (const chunk of response.body!) {
    if (events === 0) firstMs = performance.now() - started;
    events += new TextDecoder().decode(chunk).split('"token_logprobs":[').length - 1;
  }
  return { firstMs, eachMs: (performance.now() - started - firstMs) / Math.max(1, outputTokens - 1) };
}

async function run(clients: number, more: () => boolean): Promise<{ measured: Measured[]; seconds: number }> {
  const measured: Measured[] = [];
  const started = performance.now();
  const client = async () => {
    do measured.push(await request());
    while (more());
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { measured, seconds: (performance.now() - started) / 1000 };
}

const percentile = (numbers: readonly number[], share: number) =>
  [...numbers].sort((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(share * numbers.length))]!;

await run(1, () => false); // warm-up
console.log(
  '| clients | tokens/s | × one client | tokens/CPU s | × one client | first token p50 ms | p99 ms | per token p50 ms | p99 ms | rows a step |',
);
console.log('|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|');
let single = 0;
let singleCpu = 0;
for (const clients of clientCounts) {
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
  const each = measured.map(({ eachMs }) => eachMs);
  const cells = [
    rate.toFixed(1),
    single > 0 ? (rate / single).toFixed(2) : '',
    cpuRate.toFixed(2),
    singleCpu > 0 ? (cpuRate / singleCpu).toFixed(2) : '',
    percentile(first, 0.5).toFixed(0),
    percentile(first, 0.99).toFixed(0),
    percentile(each, 0.5).toFixed(1),
    percentile(each, 0.99).toFixed(1),
    ((after.rows - before.rows) / (after.steps - before.steps)).toFixed(1),
  ];
  console.log(`| ${clients} | ${cells.join(' | ')} |`);
}

const soakSeconds = Number(values.soak);
if (soakSeconds > 0) {
  const until = performance.now() + soakSeconds * 1000;
  const report = () => {
    const { rss, heapUsed } = process.memoryUsage();
    console.log(
      `${Math.max(0, (until - performance.now()) / 1000).toFixed(0)} s left: rss ${(rss / 2 ** 20).toFixed(0)} MiB, heap ${(heapUsed / 2 ** 20).toFixed(1)} MiB`,
    );
  };
  const timer = setInterval(report, (soakSeconds * 1000) / 6);
  await run(clientCounts.at(-1)!, () => performance.now() < until);
  clearInterval(timer);
  report();
}
await server.close();
await model.close();
