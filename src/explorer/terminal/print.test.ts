import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { tinyConfig, tinyModel } from '../../../test/support/tiny-model.ts';
import { createReferenceDevice } from '../../devices/reference/device.ts';
import { trace } from '../../inference/observe.ts';
import { Traces } from '../../inference/remote/traces.ts';
import type { LlamaConfig } from '../../model/config.ts';
import type { ExplorerModel } from '../model.ts';
import { formatNumber, formatShare } from '../numbers.ts';
import { languages } from '../words/words.ts';
import { print, terminalScenes, widthOf } from './print.ts';
import { reportOf } from './report.ts';

const device = createReferenceDevice();
const plain = { width: 80, color: false };
const options = { block: 1, head: 2, sampling: { seed: 3 } };

function explorerModel(config: LlamaConfig, pieceOf?: (id: number) => string): ExplorerModel {
  const model = tinyModel(device, config);
  const facts = { name: 'tiny', kvType: 'f32' } as ExplorerModel['facts'];
  return {
    config,
    facts,
    hasTokenizer: pieceOf !== undefined,
    tokenizer: { pieceOf } as ExplorerModel['tokenizer'],
    trace: async (ids, names, slice) => new Traces(await trace(device, model, Uint32Array.from(ids), names, slice)),
    parameterRows: async () => new Float32Array(),
    nearestRows: async () => [],
  };
}

test('the numbers of the walk are those of trace(), in both languages', async () => {
  const model = explorerModel(tinyConfig);
  const ids = Uint32Array.of(5, 9, 80, 3);
  const report = await reportOf(model, ids, options);
  const traced = await model.trace(ids, [
    'blocks.1.feedForward.gate',
    'hidden.2',
    'probabilities',
    'blocks.1.attention.probabilities',
  ]);
  for (const words of Object.values(languages)) {
    const text = print(report, tinyConfig, words, null, plain);
    const gate = traced.get('blocks.1.feedForward.gate').data;
    const row = [...gate.subarray(64, 68)].map((value) => formatNumber(value).padStart(9)).join(' ');
    ok(text.includes(row), row);
    const last = traced.get('hidden.2').data.subarray(3 * 32);
    ok(text.includes(formatNumber(Math.sqrt(last.reduce((sum, value) => sum + value * value, 0)))));
    ok(text.includes(formatShare(Math.max(...traced.get('probabilities').data.subarray(3 * 96)))));
    const looked = Math.max(
      ...traced.get('blocks.1.attention.probabilities').data.subarray((2 * 4 + 3) * 4, (2 * 4 + 4) * 4),
    );
    ok(text.includes(formatShare(looked)));
    for (const { title } of Object.values(words.steps)) ok(text.includes(title), title);
  }
});

test('every scene fits the width, for one token, many, wide ones, and ones that would steer a terminal', async () => {
  for (const [count, piece] of [
    [1, 'a'],
    [200, '고양이'],
    [40, '\x1b[2J\n'],
  ] as const) {
    const model = explorerModel(tinyConfig, () => piece);
    const report = await reportOf(model, new Uint32Array(count).fill(7), options);
    for (const color of [false, true]) {
      for (const scene of terminalScenes) {
        const text = print(report, tinyConfig, languages.ko, scene, { width: 60, color });
        const bare = text.replace(/\x1b\[[\d;]*m/g, '');
        ok(!bare.includes('\x1b'), 'no escape but colours');
        if (!color) strictEqual(bare, text);
        if (scene === 'map') continue; // lists parameters, and is as wide as their names
        for (const line of bare.split('\n')) ok(widthOf(line) <= 62, `${scene}: ${widthOf(line)} columns: ${line}`);
      }
    }
  }
});

test('variants of the model have their own steps: no rotation, no gate', async () => {
  const config: LlamaConfig = {
    ...tinyConfig,
    positions: 'learned',
    activation: 'relu',
    norm: 'layer',
    normPlacement: 'after',
  };
  const { walk } = await reportOf(explorerModel(config), Uint32Array.of(1, 2), options);
  const names = walk.flatMap(({ activations }) => activations.map(({ name }) => name));
  ok(!names.some((name) => name.endsWith('gate')) && names.includes('blocks.1.feedForward.up'));
  deepStrictEqual(walk.length, 10);
});
