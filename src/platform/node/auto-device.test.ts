import { deepStrictEqual, match, rejects, strictEqual } from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { countingGpu } from '../../../test/support/counting-gpu.ts';
import { UnsupportedError } from '../../base/errors.ts';
import { createWasmDevice } from '../../devices/wasm/device.ts';
import { createWebGpuDevice } from '../../devices/webgpu/device.ts';
import { EngineHost } from '../../inference/remote/host.ts';
import { loadSettings } from '../../inference/remote/load.ts';
import type { FromEngine } from '../../inference/remote/protocol.ts';
import { choiceFile, choose } from './auto-device.ts';
import { bundledModels } from './bundled-models.ts';
import { openAdapterSource, openSource } from './engine/sources.ts';
import { createDeviceOfRun, deviceOfRun } from './training/device.ts';

test('what auto means is measured once, remembered, and measured again when the machine or the file is another', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cria-auto-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const env = { XDG_CACHE_HOME: folder };
  let asked = 0;
  const probe = async () => {
    asked++;
    const choice = { device: 'webgpu', why: `measurement ${asked}` } as const;
    return { adapterName: 'one', isSoftware: false, features: [], products: null, problem: null, words: '', choice };
  };
  const first = { device: 'webgpu', why: 'measurement 1' };
  deepStrictEqual(await choose(env, probe), first);
  deepStrictEqual(await choose(env, probe), first);
  strictEqual(JSON.parse(readFileSync(choiceFile(env), 'utf8')).why, 'measurement 1');
  strictEqual((await choose({ ...env, VK_DRIVER_FILES: '/another.json' }, probe)).why, 'measurement 2');
  writeFileSync(choiceFile(env), 'broken');
  strictEqual((await choose(env, probe)).why, 'measurement 3');
  strictEqual(asked, 3);
});

test('a run trains where it is faster, where only wasm can do it on wasm, and goes on where it began', async () => {
  const told: string[] = [];
  const tell = (message: string) => void told.push(message);
  const measure = async () => ({ device: 'webgpu', why: 'it was measured' }) as const;
  const facts = { products: 'f32', ranks: 1, began: undefined } as const;
  strictEqual(await deviceOfRun('auto', facts, tell, measure), 'webgpu');
  match(told.join(), /trains on the GPU: it was measured; with --device wasm/);
  strictEqual(await deviceOfRun('wasm', facts, tell, measure), 'wasm');
  strictEqual(await deviceOfRun('auto', { ...facts, products: 'bf16' }, tell, measure), 'wasm');
  strictEqual(await deviceOfRun('auto', { ...facts, ranks: 2 }, tell, measure), 'wasm');
  strictEqual(await deviceOfRun('auto', { ...facts, began: { device: 'wasm' } }, tell, measure), 'wasm');
  strictEqual(await deviceOfRun('auto', { ...facts, began: { device: 'webgpu, a GPU' } }, tell, measure), 'webgpu');
  strictEqual(told.length, 1);
});

test('a GPU that auto chose and that is not there: the run trains on wasm and says why; asked for by name, it is an error', async () => {
  const told: string[] = [];
  const machine = { threads: 1, blas: false, revectorize: false, native: false };
  const open = (device: 'auto' | 'webgpu') =>
    createDeviceOfRun({ ...machine, device }, 'webgpu', 'f32', (message) => void told.push(message));
  process.env.VK_DRIVER_FILES = '/nowhere.json';
  process.env.XDG_CACHE_HOME = mkdtempSync(join(tmpdir(), 'cria-forgotten-'));
  after(() => rmSync(process.env.XDG_CACHE_HOME!, { recursive: true }));
  mkdirSync(dirname(choiceFile(process.env)));
  writeFileSync(choiceFile(process.env), 'webgpu, once');
  const { device } = await open('auto');
  strictEqual(device.kind, 'wasm');
  device.close();
  strictEqual(existsSync(choiceFile(process.env)), false, 'the next process measures again');
  match(told[0]!, /^webgpu: .* So it trains on wasm\.$/);
  await rejects(open('webgpu'), /^UnsupportedError: webgpu: /);
});

const noAdapter = async () => {
  throw new UnsupportedError('webgpu.no-adapter', 'webgpu: this system offers no adapter');
};

for (const [what, createGpuDevice, why] of [
  [
    'that computes wrong numbers',
    () => createWebGpuDevice(countingGpu()),
    /a GPU that only counts computes wrong numbers/,
  ],
  ['that was remembered and is gone', noAdapter, /this system offers no adapter/],
] as const)
  test(`a GPU ${what}: auto runs on wasm and says so, webgpu refuses it by name`, async () => {
    const load = async (device: 'auto' | 'webgpu') => {
      let heard: FromEngine | null = null;
      const host = new EngineHost({
        post: (message) => {
          heard = message;
        },
        openSource,
        openAdapter: openAdapterSource,
        createDevice: ({ device: kind }) => (kind === 'wasm' ? createWasmDevice({ threads: 1 }) : createGpuDevice()),
        breathe: async () => {},
        clock: () => 0,
        now: () => new Date(0),
        drawSeed: () => 1,
      });
      const source = { kind: 'path', path: bundledModels()[0]!.path } as const;
      await host.receive({
        kind: 'call',
        call: 1,
        method: 'load',
        args: [source, loadSettings({ device })],
        aborted: false,
      });
      return JSON.stringify(heard);
    };
    const onWasm = await load('auto');
    match(onWasm, /"device":"wasm, 1 thread/);
    match(onWasm, new RegExp(`${why.source}.*So it runs on wasm`));
    match(await load('webgpu'), new RegExp(`"kind":"error".*${why.source}`));
  });

test('no GPU, or a driver that crashed: wasm, for that reason', async () => {
  const none = { adapterName: null, isSoftware: false, features: [], products: null, words: '', choice: null };
  const probe = async () => ({ ...none, problem: 'it crashed' });
  deepStrictEqual(await choose({ XDG_CACHE_HOME: '/nowhere/cria' }, probe), { device: 'wasm', why: 'it crashed' });
});
