/** What was read outlives the engine: in a folder that others use too, and in a file. The bits are those of a fresh computation. */
import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { tinyFolder } from '../../../../test/support/server.ts';
import { bundledModels } from '../bundled-models.ts';
import { Llama, type LoadOptions } from '../index.ts';
import { FolderOfBlocks } from './block-files.ts';

const folder = mkdtempSync(join(tmpdir(), 'cria-kept-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const model = bundledModels()[0]!.path;
const prompt = `${'The fox went into the wood, and there he met a bear. '.repeat(12)}Then`;
const options = { maxTokens: 12, seed: 4, logprobs: 3 };

/** Loads, answers, closes. */
async function answer(load: LoadOptions = {}, text = prompt, path = model) {
  const llama = await Llama.load(path, { threads: 1, ...load });
  try {
    const stream = llama.generate(text, options);
    const pieces = await Array.fromAsync(stream);
    const { timings, promptIds, ids } = await stream.result;
    return { pieces: JSON.stringify(pieces), cached: timings.cache_n, read: timings.prompt_n, promptIds, ids };
  } finally {
    await llama.close();
  }
}

const files = (place: string) =>
  readdirSync(place, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
const fresh = answer();

test('another engine finds what one has read, and has the same bits; another model, kv type or context does not find it', async () => {
  const cacheDir = join(folder, 'shared');
  const { pieces, promptIds } = await fresh;
  const whole = 32 * Math.floor((promptIds.length - 1) / 32);
  ok(whole >= 96);
  const first = await answer({ cacheDir });
  const second = await answer({ cacheDir });
  deepStrictEqual([first.cached, first.pieces], [0, pieces]);
  deepStrictEqual([second.cached, second.pieces], [whole, pieces]);
  strictEqual((await answer({ cacheDir, kvType: 'q8_0' })).cached, 0);
  // A text that goes on otherwise shares what stands before.
  const { cached } = await answer({ cacheDir }, prompt.replace(/bear\. Then$/, 'wolf, and he said'));
  ok(cached > 0 && cached <= whole);
});

test('damaged files are said by warnings of this process, removed and computed again', async (t) => {
  const cacheDir = join(folder, 'damaged');
  await answer({ cacheDir });
  for (const [i, path] of files(cacheDir).entries()) {
    const bytes = readFileSync(path);
    if (i % 3 === 0) writeFileSync(path, bytes.subarray(0, bytes.length - 1));
    else if (i % 3 === 1) writeFileSync(path, '');
    else {
      bytes[bytes.length >> 1]! ^= 1;
      writeFileSync(path, bytes);
    }
  }
  const said: string[] = [];
  t.mock.method(process, 'emitWarning', (message: string, name: string) => void said.push(`${name}: ${message}`));
  const again = await answer({ cacheDir });
  deepStrictEqual([again.cached, again.pieces], [0, (await fresh).pieces]);
  ok(said.length > 0 && said.every((text) => /^CriaWarning: .* is damaged: it is removed/.test(text)), said.join());
  ok((await answer({ cacheDir })).cached > 0);
});

test('of a damaged block is said which one, and that it is computed again', async () => {
  const cacheDir = join(folder, 'said');
  const said: string[] = [];
  const blocks = new FolderOfBlocks(cacheDir, 2 ** 20, (message) => void said.push(message));
  const name = 'a'.repeat(64);
  blocks.put(name, async () => new Uint8Array(100));
  await blocks.flush();
  const [path] = files(cacheDir);
  for (const damage of [(bytes: Buffer) => bytes.subarray(0, 50), (bytes: Buffer) => bytes.fill(1, 60, 61), () => '']) {
    strictEqual(blocks.get(name)?.length, 100);
    writeFileSync(path!, damage(readFileSync(path!)));
    strictEqual(blocks.get(name), null);
    strictEqual(existsSync(path!), false);
    blocks.put(name, async () => new Uint8Array(100));
    await blocks.flush();
  }
  strictEqual(said.length, 3);
  ok(said.every((text) => text.startsWith(path!) && /is damaged: it is removed/.test(text)));
});

test('of a text of more blocks than may wait to be written, all are there when the engine has closed', async () => {
  const cacheDir = join(folder, 'long');
  const long = { cacheDir, contextLength: 10_240, threads: 2 };
  const text = 'ab '.repeat(4500);
  const first = await answer(long, text, tinyFolder);
  const whole = 32 * Math.floor((first.promptIds.length - 1) / 32);
  ok(whole > 256 * 32);
  strictEqual((await answer(long, text, tinyFolder)).cached, whole);
});

test('two processes at once on one folder: both have the bits, and leave whole files', async () => {
  const cacheDir = join(folder, 'together');
  const program = `
    import { Llama } from ${JSON.stringify(new URL('../index.ts', import.meta.url).href)};
    const llama = await Llama.load(${JSON.stringify(model)}, { threads: 1, cacheDir: ${JSON.stringify(cacheDir)} });
    const { text } = await llama.generate(${JSON.stringify(prompt)}, ${JSON.stringify(options)}).result;
    await llama.close();
    console.log(JSON.stringify(text));`;
  const run = async () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (data) => {
      out += data;
    });
    await once(child, 'close');
    return out;
  };
  const [one, other] = await Promise.all([run(), run()]);
  strictEqual(one, other);
  const { cached, pieces } = await answer({ cacheDir });
  ok(cached > 0 && files(cacheDir).every((path) => !path.endsWith('.partial')));
  strictEqual(pieces, (await fresh).pieces);
});

test('killed while it writes, it leaves nothing that anybody would take for a block', async () => {
  const cacheDir = join(folder, 'killed');
  const program = `
    import { FolderOfBlocks } from ${JSON.stringify(new URL('./block-files.ts', import.meta.url).href)};
    const files = new FolderOfBlocks(${JSON.stringify(cacheDir)}, 2 ** 40, console.error);
    console.log('ready');
    for (let i = 0; ; i++) {
      files.put(i.toString(16).padStart(64, '0'), async () => new Uint8Array(1 << 20).fill(i));
      if (i % 32 === 0) await files.flush();
    }`;
  for (const ms of [5, 23, 60]) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    await new Promise((resolve) => setTimeout(resolve, ms));
    child.kill('SIGKILL');
    await once(child, 'close');
    const reader = new FolderOfBlocks(cacheDir, 2 ** 40, (message) => ok(false, message));
    const names = files(cacheDir).filter((path) => !path.endsWith('.partial'));
    for (const path of names) {
      const name = path.slice(cacheDir.length + 1).replace(/[\\/]/, '');
      const bytes = reader.get(name);
      ok(bytes?.length === 1 << 20 && bytes.every((byte) => byte === (Number.parseInt(name, 16) & 255)));
    }
  }
});

test('the folder stays within its size: what was not used for longest goes', async () => {
  const cacheDir = join(folder, 'bounded');
  const blocks = new FolderOfBlocks(cacheDir, 10_500, () => {});
  const nameOf = (i: number) => i.toString(16).padStart(64, '0');
  for (let i = 0; i < 30; i++) {
    blocks.put(nameOf(i), async () => new Uint8Array(960));
    await blocks.flush();
    await new Promise((resolve) => setTimeout(resolve, 4));
    ok(i === 0 || blocks.get(nameOf(0)) !== null, 'what is used stays');
  }
  ok(files(cacheDir).reduce((sum, path) => sum + statSync(path).size, 0) <= 10_500);
  strictEqual(blocks.get(nameOf(1)), null);
  ok(blocks.get(nameOf(29)));
});

test('of several that write to one folder, none lets it grow beyond its size by more than a tenth', async () => {
  const cacheDir = join(folder, 'bounded-together');
  const mostBytes = 20_000;
  const writers = [0, 1, 2].map(() => new FolderOfBlocks(cacheDir, mostBytes, () => {}));
  for (let i = 0; i < 90; i++) {
    const writer = writers[i % writers.length]!;
    writer.put(i.toString(16).padStart(64, '0'), async () => new Uint8Array(960));
    await writer.flush();
    const bytes = files(cacheDir).reduce((sum, path) => sum + statSync(path).size, 0);
    ok(bytes <= (1 + 0.1 * writers.length) * mostBytes, `${bytes} bytes after block ${i}`);
  }
});

test('where nothing can be written, that is said once, nothing is tried for a while, and then again', async () => {
  const cacheDir = join(folder, 'full');
  const said: string[] = [];
  let now = 0;
  const blocks = new FolderOfBlocks(
    cacheDir,
    2 ** 20,
    (message) => void said.push(message),
    () => now,
  );
  const inTheWay = join(cacheDir, 'aa');
  writeFileSync(inTheWay, 'a file where a folder is to be');
  const name = 'a'.repeat(64);
  const put = () => blocks.put(name, async () => new Uint8Array(100));
  deepStrictEqual([put(), put()], [true, true]);
  await blocks.flush();
  strictEqual(put(), false);
  strictEqual(said.length, 1);
  ok(said[0]!.startsWith(`${cacheDir} takes no blocks for now: `));
  rmSync(inTheWay);
  now += 10 * 60_000;
  strictEqual(put(), true);
  await blocks.flush();
  strictEqual(blocks.get(name)?.length, 100);
  strictEqual(said.length, 1);
});

test('saveState and loadState: a text, what was read of it, and a note', async () => {
  const path = join(folder, 'story.state');
  const { pieces, promptIds } = await fresh;
  const whole = 32 * Math.floor((promptIds.length - 1) / 32);
  const first = await Llama.load(model, { threads: 1 });
  await first.generate(prompt, options).result;
  const saved = await first.saveState(path, promptIds, { chapter: 1 });
  strictEqual(saved.tokens, 32 * Math.floor(promptIds.length / 32));
  strictEqual(saved.bytes, statSync(path).size);
  await first.close();

  const second = await Llama.load(model, { threads: 1 });
  const loaded = await second.loadState(path);
  deepStrictEqual([...loaded.ids], [...promptIds]);
  deepStrictEqual([loaded.note, loaded.tokens, loaded.problem], [{ chapter: 1 }, saved.tokens, null]);
  const stream = second.generate(prompt, options);
  strictEqual(JSON.stringify(await Array.fromAsync(stream)), pieces);
  strictEqual((await stream.result).timings.cache_n, whole);

  const bytes = readFileSync(path);
  bytes[bytes.length - 40]! ^= 1;
  writeFileSync(path, bytes);
  const other = await Llama.load(model, { threads: 1, kvType: 'q8_0' });
  const strange = await other.loadState(path);
  deepStrictEqual([strange.tokens, strange.note], [0, { chapter: 1 }]);
  ok(/another model/.test(strange.problem!));
  await other.close();
  const third = await Llama.load(model, { threads: 1 });
  const damaged = await third.loadState(path);
  strictEqual(damaged.tokens, saved.tokens - 32);
  ok(/is damaged/.test(damaged.problem!));
  writeFileSync(path, bytes.subarray(0, 30));
  await rejects(third.loadState(path), /expected a saved state of Cria, found a damaged one/);
  await third.close();
  await second.close();
  ok(existsSync(path));
});

test('saveState with textOnly: the last text counts, what was read stays, and a torn end is said', async () => {
  const path = join(folder, 'turns.state');
  const llama = await Llama.load(model, { threads: 1 });
  const { promptIds } = await fresh;
  const longer = [...promptIds, 7, 8];
  const first = await llama.saveState(path, promptIds, 'new', { textOnly: true });
  deepStrictEqual([first.tokens, (await llama.loadState(path)).note], [0, 'new']);
  await llama.generate(prompt, options).result;
  const { tokens } = await llama.saveState(path, promptIds, 'one');
  const wholeBytes = statSync(path).size;
  for (const note of ['two', 'three']) await llama.saveState(path, longer, note, { textOnly: true });
  ok(statSync(path).size < 2 * wholeBytes);
  const loaded = await llama.loadState(path);
  deepStrictEqual([loaded.note, [...loaded.ids], loaded.tokens, loaded.problem], ['three', longer, tokens, null]);
  writeFileSync(path, readFileSync(path).subarray(0, -1));
  const torn = await llama.loadState(path);
  deepStrictEqual([torn.note, torn.tokens], ['two', tokens]);
  ok(/its last text is damaged/.test(torn.problem!));
  const notes = join(folder, 'notes.txt');
  writeFileSync(notes, 'no state');
  await llama.saveState(notes, promptIds, 'instead', { textOnly: true });
  strictEqual((await llama.loadState(notes)).note, 'instead');
  await llama.close();
});

test('killed while it saves a state, it leaves the former one or the new one, whole', async () => {
  const path = join(folder, 'saved.state');
  const program = `
    import { storage } from ${JSON.stringify(new URL('./storage.ts', import.meta.url).href)};
    const path = ${JSON.stringify(path)};
    storage.writeFile(path, [new Uint8Array(1 << 22)]);
    console.log('ready');
    for (let i = 1; ; i++) storage.writeFile(path, [new Uint8Array(1 << 21).fill(i), new Uint8Array(1 << 21).fill(i)]);`;
  for (const ms of [3, 11, 29]) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    await new Promise((resolve) => setTimeout(resolve, ms));
    child.kill('SIGKILL');
    await once(child, 'close');
    const bytes = readFileSync(path);
    ok(bytes.length === 1 << 22 && bytes.every((byte) => byte === bytes[0]));
  }
});
