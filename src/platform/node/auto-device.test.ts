import { deepStrictEqual, match, strictEqual } from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { countingGpu } from '../../../test/support/counting-gpu.ts';
import { createWasmDevice } from '../../devices/wasm/device.ts';
import { createWebGpuDevice } from '../../devices/webgpu/device.ts';
import { EngineHost } from '../../inference/remote/host.ts';
import { loadSettings } from '../../inference/remote/load.ts';
import type { FromEngine } from '../../inference/remote/protocol.ts';
import { choiceFile, choose } from './auto-device.ts';
import { bundledModels } from './bundled-models.ts';
import { openAdapterSource, openSource } from './engine/sources.ts';

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

test('a GPU that computes wrong numbers: auto runs on wasm and says so, webgpu refuses it by name', async () => {
  const load = async (device: 'auto' | 'webgpu') => {
    let heard: FromEngine | null = null;
    const host = new EngineHost({
      post: (message) => {
        heard = message;
      },
      openSource,
      openAdapter: openAdapterSource,
      createDevice: ({ device: kind }) =>
        kind === 'wasm' ? createWasmDevice({ threads: 1 }) : createWebGpuDevice(countingGpu()),
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
  match(
    await load('auto'),
    /"device":"wasm, 1 thread.*a GPU that only counts computes wrong numbers.*So it runs on wasm/,
  );
  match(await load('webgpu'), /"kind":"error".*a GPU that only counts computes wrong numbers/);
});

test('no GPU, or a driver that crashed: wasm, for that reason', async () => {
  const none = { adapterName: null, isSoftware: false, features: [], products: null, words: '', choice: null };
  const probe = async () => ({ ...none, problem: 'it crashed' });
  deepStrictEqual(await choose({ XDG_CACHE_HOME: '/nowhere/cria' }, probe), { device: 'wasm', why: 'it crashed' });
});
