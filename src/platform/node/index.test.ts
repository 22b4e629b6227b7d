import { deepStrictEqual, match, ok, rejects, strictEqual, throws } from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { assertClose } from '../../../test/support/close.ts';
import { goldenJson, goldenPath, goldenTensors, goldenTolerance } from '../../../test/support/golden.ts';
import { EngineClient } from '../../inference/remote/client.ts';
import { startEngine } from './engine/start.ts';
import { ArgumentError, FormatError, Llama, type Piece, Tokenizer, UnsupportedError } from './index.ts';
import { loadBlas } from './native/blas.ts';

const gqa = goldenPath('forward/gqa');
const gguf = goldenPath('formats/gguf-llama-mixed/model.gguf');
const quiet = { device: 'wasm', threads: 1 } as const;

const model = await Llama.load(gqa, quiet);
const speaker = await Llama.load(gguf, quiet);
after(async () => {
  await model.close();
  await speaker.close();
});

test('blas: the golden logits by the system’s BLAS, which the device names; refused where it cannot be', {
  skip: loadBlas() ? false : 'no BLAS here',
}, async () => {
  const expected = goldenTensors('forward/gqa/expected.safetensors');
  const ids = expected.input_ids!.data.subarray(0, 28);
  const twelve = Array.from({ length: 12 }, () => Array.from(ids)).flat(); // rows enough for it
  await using fast = await Llama.load(gqa, { ...quiet, threads: 2, blas: true, contextLength: 512 });
  match(fast.facts.device, /; by .*(BLAS|MKL|BLIS|Accelerate).*: .*f32/);
  await using same = await Llama.load(gqa, { ...quiet, contextLength: 512 });
  assertClose('logits', await fast.logits(twelve), await same.logits(twelve), { atol: 2e-5 });
  await rejects(Llama.load(gqa, { device: 'reference', blas: true }), { code: 'load.blas' });
});

async function collect(pieces: AsyncIterable<Piece>): Promise<Piece[]> {
  const all: Piece[] = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}

test('logits of all positions are transformers’', async () => {
  const expected = goldenTensors('forward/gqa/expected.safetensors');
  const { fp32_vs_fp64 } = goldenJson<{ fp32_vs_fp64: Record<string, { max_abs_err: number; max_abs_value: number }> }>(
    'forward/gqa/expected.json',
  );
  const ids = expected.input_ids!.data.subarray(0, 28);
  const logits = await model.logits(ids);
  assertClose('logits', logits, expected.logits!.data.subarray(0, 28 * 200), goldenTolerance(fp32_vs_fp64.logits!));
  const traced = await model.trace(Array.from(ids), ['hidden.2', 'blocks.2.attention.probabilities']);
  assertClose(
    'hidden',
    traced.get('hidden.2').data,
    expected['hidden.2']!.data.subarray(0, 28 * 48),
    goldenTolerance(fp32_vs_fp64['hidden.2']!),
  );
  const probabilities = traced.get('blocks.2.attention.probabilities');
  deepStrictEqual(probabilities.shape, [8, 28, 28]);
  deepStrictEqual([...traced.keys()], ['hidden.2', 'blocks.2.attention.probabilities']);
  throws(() => traced.get('hidden.3'), {
    code: 'trace.get',
    message: /one of the 2 names .*hidden\.2.*found "hidden\.3"/,
  });
  const wanted = expected.attention_probs!.data.subarray(0, 8 * 28 * 28);
  assertClose('attention', probabilities.data, wanted, goldenTolerance(fp32_vs_fp64.attention_probs!));
  strictEqual((await model.hiddenStates(ids)).length, 28 * 48);
  ok((await model.traceNames()).includes('blocks.2.attention.probabilities'));
});

test('a model without a tokenizer generates ids with empty text, the golden ones', async () => {
  const { greedy_new_ids: want } = goldenJson<{ greedy_new_ids: number[][] }>('forward/gqa/expected.json');
  const prompts = goldenTensors('forward/gqa/expected.safetensors')['greedy.prompt_ids']!.data;
  const runs = [0, 1].map((row) =>
    collect(model.generate(prompts.subarray(row * 8, row * 8 + 8), { temperature: 0, maxTokens: 32 })),
  );
  for (const [row, pieces] of (await Promise.all(runs)).entries()) {
    deepStrictEqual(
      pieces.map(({ id }) => id),
      want[row],
    );
    ok(pieces.every(({ text }) => text === ''));
  }
  strictEqual(model.hasTokenizer, false);
  await rejects(async () => model.tokenizer, { code: 'model.no-tokenizer' });
  await rejects(collect(model.generate('text')), { code: 'generate.tokenizer' });
});

test('generations that overlap do not change each other, and the event loop goes on', async () => {
  const prompts = ['The', 'A small', 'Once upon a time there', 'x'];
  const options = (seed: number) => ({ seed, temperature: 1, maxTokens: 24 });
  const alone: string[] = [];
  for (const [i, prompt] of prompts.entries()) alone.push(await speaker.generate(prompt, options(i)).text());
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  deepStrictEqual(await Promise.all(prompts.map((prompt, i) => speaker.generate(prompt, options(i)).text())), alone);
  clearInterval(timer);
  ok(ticks > 0);
});

test('pieces are the text, the text is what the ids decode to, and timings are counted', async () => {
  const generation = speaker.generate('The', { seed: 3, maxTokens: 20, logprobs: 2 });
  const pieces = await collect(generation);
  const result = await generation.result;
  strictEqual(pieces.map(({ text }) => text).join(''), result.text);
  const { tokenizer } = speaker;
  const all = Uint32Array.of(...result.promptIds, ...result.ids);
  strictEqual(tokenizer.decode(all), `The${result.text}`);
  deepStrictEqual([...result.promptIds], [...tokenizer.encode('The', { bos: tokenizer.addBos })]);
  deepStrictEqual(await speaker.encodePrompt('The'), result.promptIds);
  strictEqual(result.timings.predicted_n, 20);
  ok(pieces.every(({ logprobs }) => logprobs!.top.length === 2));
});

test('a stop string ends the text before it, also across tokens', async () => {
  const whole = await speaker.generate('The', { seed: 3, maxTokens: 20 }).text();
  const stop = whole.slice(5, 12);
  const generation = speaker.generate('The', { seed: 3, maxTokens: 20, stop });
  const pieces = await collect(generation);
  const result = await generation.result;
  strictEqual(result.text, whole.slice(0, whole.indexOf(stop)));
  strictEqual(pieces.map(({ text }) => text).join(''), result.text);
  deepStrictEqual([result.finishReason, result.stop], ['stop', stop]);
});

test('an AbortSignal and a loop that is left end a generation', async () => {
  const aborter = new AbortController();
  const generation = speaker.generate('The', { maxTokens: -1, ignoreEos: true, signal: aborter.signal });
  for await (const _ of generation) aborter.abort();
  strictEqual((await generation.result).finishReason, 'abort');
  const left = speaker.generate('The', { maxTokens: -1, ignoreEos: true });
  for await (const _ of left) break;
  strictEqual((await left.result).finishReason, 'abort');
  const never = await speaker.generate('The', { signal: AbortSignal.abort() }).result;
  deepStrictEqual([never.finishReason, never.ids.length], ['abort', 0]);
});

test('a chat remembers its turns, reads no turn twice, and takes back a turn that failed', async () => {
  const chat = speaker.chat({ system: 'Be brief. '.repeat(20), template: 'chatml' });
  const first = await chat.send('Hello', { seed: 1, maxTokens: 8 }).result;
  const second = await chat.send('And now?', { seed: 2, maxTokens: 8 }).result;
  deepStrictEqual(
    chat.messages.map(({ role }) => role),
    ['system', 'user', 'assistant', 'user', 'assistant'],
  );
  strictEqual(chat.messages[2]!.content, first.text);
  ok(second.timings.cache_n >= 64, `${second.timings.cache_n} of ${second.promptIds.length} from the cache`);
  const fresh = await Llama.load(gguf, quiet);
  const again = await fresh
    .chat({ template: 'chatml', messages: chat.messages.slice(0, 3) })
    .send('And now?', { seed: 2, maxTokens: 8 }).result;
  await fresh.close();
  strictEqual(again.text, second.text, 'with and without the cache');
  await rejects(chat.send('x', { topK: 0.5 }).result, { code: 'generate.options' });
  strictEqual(chat.messages.length, 5);
});

test('a model comes from bytes, from several files, from a file URL and over HTTP', async () => {
  const want = await speaker.generate('The', { seed: 5, maxTokens: 6 }).text();
  const bytes = readFileSync(gguf);
  const files = new Map(
    ['config.json', 'model.safetensors'].map((file) => [file, new Uint8Array(readFileSync(`${gqa}/${file}`))]),
  );
  const server = await serve({
    '/model.gguf': bytes,
    ...Object.fromEntries([...files].map(([name, data]) => [`/hf/${name}`, data])),
  });
  const progress: string[] = [];
  try {
    for (const source of [bytes, pathToFileURL(gguf), new URL('model.gguf', server.url), `${server.url}model.gguf`]) {
      const loaded = await Llama.load(source, { ...quiet, onProgress: ({ stage }) => progress.push(stage) });
      strictEqual(await loaded.generate('The', { seed: 5, maxTokens: 6 }).text(), want);
      await loaded.close();
    }
    ok(progress.includes('download') && progress.includes('load'));
    const logits = await model.logits([1, 2, 3]);
    for (const source of [files, `${server.url}hf/`, `${server.url}hf/model.safetensors`]) {
      const loaded = await Llama.load(source, quiet);
      deepStrictEqual(await loaded.logits([1, 2, 3]), logits);
      await loaded.close();
    }
    await rejects(Llama.load(`${server.url}none.gguf`, quiet), { code: 'download.failed', message: /404/ });
  } finally {
    server.close();
  }
});

test('a tokenizer loads without its model', async () => {
  const tokenizer = await Tokenizer.load(gguf);
  deepStrictEqual(tokenizer.encode('The llama'), speaker.tokenizer.encode('The llama'));
  await rejects(Tokenizer.load(gqa), { code: 'tokenizer.none' });
});

test('a model is saved in both formats, whole or recoded, and comes back the same', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cria-save-'));
  try {
    const logits = await model.logits([1, 2, 3]);
    for (const path of ['whole.gguf', 'whole']) {
      await model.save(join(folder, path));
      await using back = await Llama.load(join(folder, path), quiet);
      deepStrictEqual(await back.logits([1, 2, 3]), logits, path);
    }
    await model.save(join(folder, 'half.gguf'), { dtype: 'f16' });
    await using half = await Llama.load(join(folder, 'half.gguf'), quiet);
    ok(half.facts.dtypes.includes('f16'));
    assertClose('f16 logits', await half.logits([1, 2, 3]), logits, { atol: 0.05 });
    deepStrictEqual(readdirSync(folder).sort(), ['half.gguf', 'whole', 'whole.gguf'], 'no temporary file is left');
    await rejects(model.save(join(folder, 'x.gguf'), { dtype: 'q4_9' }), { code: 'quant.unknown-mix' });
    await rejects(model.save(join(folder, 'x'), { format: 'zip' as never }), { code: 'save.format' });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('without a source, the bundled model is loaded and writes', async () => {
  await using bundled = await Llama.load(undefined, quiet);
  const generation = bundled.generate('Once upon a time', { maxTokens: 12, temperature: 0 });
  ok((await generation.text()).trim() !== '');
});

test('errors keep their class, code and details across the worker', async () => {
  const truncated = readFileSync(gguf).subarray(0, 2000);
  await rejects(
    Llama.load(new Uint8Array(truncated), quiet),
    (error) => error instanceof FormatError && error.file !== '' && error.code !== '',
  );
  await rejects(
    Llama.load('/no/such/file.gguf'),
    (error) => error instanceof ArgumentError && error.code === 'load.no-file',
  );
  await rejects(
    Llama.load(gqa, { device: 'webgpu', blas: true }),
    (error) => error instanceof UnsupportedError && error.code === 'load.blas',
  );
  await rejects(Llama.load(gqa, { thread: 1 } as object), { code: 'load.options', message: /thread is not an option/ });
  await rejects(model.trace([1], ['hiden.1']), { code: 'trace.names', message: /hidden\.1/ });
  await rejects(model.logits([1, 200]), { code: 'logits.prompt', message: /id 1 is 200/ });
  await rejects(collect(model.generate([1, -1])), { code: 'generate.prompt', message: /id 1 is -1/ });
  await rejects(collect(model.generate(new Uint32Array(513))), {
    code: 'generate.context',
    message: /513 tokens.*512/,
  });
});

test('closing rejects what is pending, and what comes after', async () => {
  const closing = await Llama.load(gqa, quiet);
  const pending = closing.generate([1, 2, 3], { maxTokens: -1 });
  await pending.next();
  await closing.close();
  await rejects(pending.result, { code: 'engine.closed' });
  await rejects(closing.logits([1]), { code: 'engine.closed' });
  await closing.close();
});

test('an aborted load ends its worker', async () => {
  await rejects(Llama.load(gqa, { ...quiet, signal: AbortSignal.abort(new Error('no more')) }), /no more/);
  const aborter = new AbortController();
  const loading = Llama.load(gqa, { ...quiet, signal: aborter.signal });
  aborter.abort(new Error('changed my mind'));
  await rejects(loading, /changed my mind/);
});

test('when the worker dies, everything pending is rejected with the reason', async () => {
  const port = startEngine();
  const client = new EngineClient(port);
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/never.gguf`;
  const value = client.call('load', [{ kind: 'url', url }, {} as never]);
  port.post(null as never); // not a message: the host breaks
  await rejects(value, { code: 'engine.died', message: /null/ });
  silent.closeAllConnections();
  silent.close();
  await rejects(client.call('memory', []), { code: 'engine.died' });
});

test('an open model that nobody waits for does not keep the program running', async () => {
  const program = `import { Llama } from '${import.meta.resolve('./index.ts')}';
    const model = await Llama.load(process.argv[1], { threads: 2 });
    console.log((await model.logits([1, 2])).length);`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program, gqa], {
    timeout: 240_000, // it would be the whole day
  });
  strictEqual(stdout, '400\n');
});

async function serve(files: Record<string, Uint8Array>): Promise<{ url: string; close(): void }> {
  const server: Server = createServer((request, response) => {
    const body = files[request.url ?? ''];
    response.writeHead(body ? 200 : 404, body ? { 'content-length': body.length } : {}).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, close: () => server.close() };
}
