/** llama-server's slots, scales of adapters for all, and properties. */
import { deepStrictEqual, match, notStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openCheckpointAt } from '../../src/platform/node/files.ts';
import { madeAdapter, writeAdapter } from '../support/adapters.ts';
import { post, type TestServer, testServer, tinyFolder } from '../support/server.ts';

const folder = mkdtempSync(join(tmpdir(), 'cria-slots-'));
after(() => rmSync(folder, { recursive: true }));
const { config } = openCheckpointAt(tinyFolder);
const path = writeAdapter(join(folder, 'pirate.gguf'), madeAdapter(config, { seed: 1 }), config);
const adapters = [{ name: 'pirate', source: { kind: 'path' as const, path }, usual: false }];
const kept = { slotSavePath: folder, parallel: 4 };
const server = await testServer(kept, { adapters });

const prompt = 'Once upon a time there was a little girl who lived in a house. '.repeat(4);
const ask = (more: object = {}, to: TestServer = server) =>
  post(to, '/completion', { prompt, n_predict: 8, temperature: 0, ...more });
const act = (id: number | string, action: string, body?: object, to = server) =>
  post(to, `/slots/${id}?action=${action}`, body ?? {});
const slots = async (to = server) => (await (await fetch(`${to.url}/slots`)).json()) as Record<string, unknown>[];

test('slots are listed; a request may name one; others take an idle one', async () => {
  deepStrictEqual(
    (await slots()).map(({ id, n_ctx, is_processing, n_tokens }) => [id, n_ctx, is_processing, n_tokens]),
    [0, 1, 2, 3].map((id) => [id, 512, false, 0]),
  );
  const { json } = await ask({ id_slot: 2 });
  const held = (await slots()).map(({ n_tokens }) => n_tokens);
  strictEqual(held[2], json.tokens_evaluated + json.tokens_predicted);
  strictEqual((await ask({ id_slot: 4 })).json.error.param, 'id_slot');
  strictEqual((await fetch(`${server.url}/slots?fail_on_no_slot=1`)).status, 200);
});

test('a slot says whether tokens are guessed ahead', async () => {
  const guessing = await testServer({ parallel: 1 }, { draft: { lookUp: true, model: null } });
  deepStrictEqual([(await slots())[0]!.speculative, (await slots(guessing))[0]!.speculative], [false, true]);
});

test('saved, and restored in another process: the prompt is not read again, and the text is the same', async () => {
  for (const more of [{}, { lora: [{ id: 0, scale: 1 }] }]) {
    const first = await ask({ id_slot: 1, ...more });
    const saved = await act(1, 'save', { filename: 'story.bin' });
    strictEqual(saved.status, 200, saved.text);
    ok(saved.json.n_saved >= 32 && saved.json.n_written === readFileSync(join(folder, 'story.bin')).length);
    const other = await testServer(kept, { adapters });
    const restored = await act(3, 'restore', { filename: 'story.bin' }, other);
    deepStrictEqual([restored.json.id_slot, restored.json.n_restored], [3, saved.json.n_saved]);
    const again = await ask({ id_slot: 3, ...more }, other);
    strictEqual(again.json.content, first.json.content);
    ok(again.json.timings.cache_n >= 32, 'from the cache');
  }
});

test('erased: forgotten, in the list and in the cache', async () => {
  await ask({ id_slot: 0 });
  ok((await ask({ id_slot: 0 })).json.timings.cache_n >= 32);
  const erased = await fetch(`${server.url}/slots/0?action=erase`, { method: 'POST' });
  deepStrictEqual([erased.status, ((await erased.json()) as { id_slot: number }).id_slot], [200, 0]);
  strictEqual((await slots())[0]!.n_tokens, 0);
  strictEqual((await ask({ id_slot: 0 })).json.timings.cache_n, 0);
  const fromPage = { method: 'POST', headers: { origin: 'https://elsewhere.example' } };
  strictEqual((await fetch(`${server.url}/slots/0?action=erase`, fromPage)).status, 415, 'no other site may');
});

test('what is wrong is said', async () => {
  const code = async (...args: Parameters<typeof act>) => {
    const { status, json } = await act(...args);
    return [status, json.error.param ?? json.error.code];
  };
  for (const filename of ['../x', '/etc/passwd', 'a/b', 'a\\b', '.', '..', '.x', '', 'x\0', 'a'.repeat(300), 'x.']) {
    deepStrictEqual(await code(1, 'save', { filename }), [400, 'filename'], filename);
  }
  deepStrictEqual(await code(1, 'save'), [400, 'filename']);
  deepStrictEqual(await code(9, 'save', { filename: 'x' }), [400, 'id']);
  deepStrictEqual(await code('x', 'save', { filename: 'x' }), [400, 'id']);
  deepStrictEqual(await code(1, 'jump', { filename: 'x' }), [400, 'action']);
  await act(0, 'erase');
  deepStrictEqual(await code(0, 'save', { filename: 'x' }), [400, 'id']);
  deepStrictEqual(await code(0, 'restore', { filename: 'none.bin' }), [400, 'filename']);
  writeFileSync(join(folder, 'other.bin'), 'not a state');
  deepStrictEqual(await code(0, 'restore', { filename: 'other.bin' }), [400, 'filename']);
  ok(!existsSync(join(folder, 'x')));
  const without = await testServer();
  deepStrictEqual(await code(0, 'save', { filename: 'x' }, without), [501, 'not_supported']);
  match((await act(0, 'save', { filename: 'x' }, without)).json.error.message, /--slot-save-path/);
});

test('POST /lora-adapters holds for every request that does not say', async () => {
  const base = (await ask()).json.content;
  const pirate = (await ask({ lora: [{ id: 0, scale: 1 }] })).json.content;
  notStrictEqual(pirate, base);
  const set = (body: unknown) => post(server, '/lora-adapters', body);
  deepStrictEqual((await set([{ id: 0, scale: 1 }])).json, { success: true });
  deepStrictEqual(await (await fetch(`${server.url}/lora-adapters`)).json(), [{ id: 0, name: 'pirate', scale: 1 }]);
  strictEqual((await ask()).json.content, pirate);
  strictEqual((await ask({ model: 'tiny' })).json.content, pirate);
  strictEqual((await ask({ adapters: [] })).json.content, base);
  strictEqual((await set([{ id: 1, scale: 1 }])).status, 400);
  strictEqual((await set({ id: 0, scale: 1 })).status, 400);
  await set([]);
  strictEqual((await ask()).json.content, base);
});

test('POST /props is answered where the server was started so, and changes what it names: nothing yet', async () => {
  const refused = await post(server, '/props', {});
  deepStrictEqual([refused.status, refused.json.error.code], [501, 'not_supported']);
  const open = await testServer({ props: true });
  deepStrictEqual((await post(open, '/props', {})).json, { success: true });
  strictEqual((await post(open, '/props', { n_ctx: 5 })).json.error.param, 'n_ctx');
});
