/** Adapters in a batch: what they compute is what the merged model computes, and nobody's bits depend on the company. */
import { deepStrictEqual, ok } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { sameBitsDevices, testDevices } from '../../../test/support/devices.ts';
import type { Device } from '../../devices/device.ts';
import { batchOfSequences } from '../../kernels/batch.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { type LlamaConfig, paperChoices } from '../config.ts';
import { forward } from '../llama.ts';
import { loadModel, type Model } from '../model.ts';
import { listParameters } from '../parameters.ts';
import { randomWeights } from '../random-weights.ts';
import { type Adapter, lowRankShapes, targetsOf } from './adapter.ts';
import { type AdapterUse, adaptedOps, placeAdapter, type RowGroup } from './apply.ts';
import { mergeAdapters } from './merge.ts';
import { floatSource } from './sources.ts';

const config: LlamaConfig = {
  ...paperChoices,
  width: 32,
  blockCount: 2,
  headCount: 4,
  kvHeadCount: 2,
  headSize: 8,
  ffnWidth: 48,
  vocabSize: 40,
  contextLength: 32,
  normEps: 1e-5,
  ropeTheta: 1e4,
  ropeScaling: { kind: 'none' },
  tiedEmbeddings: true,
  attentionBias: true,
  slidingWindow: null,
};

function numbers(count: number, seed: number, size: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => size * Math.sin(1 + i * 1.7 + seed * 3.1));
}

function adapterOf(seed: number, { magnitudes = false, whole = false, of = config } = {}): Adapter {
  const source = (name: string, shape: readonly number[], more: number, size = 0.3) =>
    floatSource(
      name,
      numbers(
        shape.reduce((a, b) => a * b, 1),
        seed + more,
        size,
      ),
      shape,
    );
  const layers = targetsOf(of)
    .filter(({ use }) => !magnitudes || use === 'linear')
    .map((target, i) => {
      const rank = 1 + ((i + seed) % 5);
      const { a, b } = lowRankShapes(target, rank);
      const lengths = numbers(target.shape[0]!, seed + i, 0.2).map((x) => 1 + x);
      const magnitude = magnitudes ? floatSource(target.name, lengths, [target.shape[0]!]) : null;
      return [target.name, { a: source('a', a, i), b: source('b', b, i + 0.5), magnitude, scale: 0.7 }] as const;
    });
  const replaced = new Map<string, TensorSource>();
  if (whole) {
    replaced.set('norm_D', source('norm', [of.width], 9));
    replaced.set('blocks.1.wv_PD', source('wv', [of.kvHeadCount * of.headSize, of.width], 8));
  }
  const kept = layers.filter(([name]) => !replaced.has(name));
  return { format: 'memory', name: `a${seed}`, layers: new Map(kept), replaced, metadata: new Map(), close() {} };
}

const weights = randomWeights(config, 7, () => 'f32');
const sequences = [
  [3, 1, 4, 1, 5],
  [9, 2, 6],
  [5, 3, 5, 8, 9, 7, 9],
  [3, 2, 3, 8],
].map((ids) => Uint32Array.from(ids));

async function logitsOf(
  device: Device,
  model: Model,
  ids: readonly Uint32Array[],
  uses: readonly AdapterUse[][],
  rows_R?: Uint32Array,
) {
  const batch = batchOfSequences(ids);
  const groups: RowGroup[] = uses.flatMap((use, i) => {
    const { firstRow, rowCount } = batch.spans[i]!;
    return use.length === 0
      ? []
      : [{ rows: Uint32Array.from({ length: rowCount }, (_, n) => firstRow + n), uses: use }];
  });
  const all = ids.length === 1 ? groups.map((group) => ({ ...group, rows: null })) : groups;
  const ops = all.length === 0 ? device.ops : adaptedOps(device.ops, batch.ids.length, all, rows_R ?? null);
  return device.read(forward(model, ops, batch, { rows_R }));
}

for (const { name, create } of testDevices) {
  describe(`adapters on ${name}`, () => {
    for (const [what, options] of [
      ['LoRA on every matrix, embedding and output layer', {}],
      ['DoRA', { magnitudes: true }],
      ['parameters trained whole', { whole: true }],
    ] as const) {
      test(`${what}: the merged model's logits`, async () => {
        const device = await create();
        const adapter = adapterOf(1, options);
        for (const scale of options.magnitudes ? [1] : [1, -0.5]) {
          const model = loadModel(device, config, weights);
          const placed = placeAdapter(device, model, adapter, { name: 'a', scale, weights });
          const found = await logitsOf(
            device,
            model,
            sequences,
            sequences.map(() => [{ adapter: placed, scale }]),
          );
          const merged = mergeAdapters({ config, tensors: weights }, [{ adapter, scale }]);
          ok(!merged.config.tiedEmbeddings); // the output layer was corrected, the embedding otherwise
          const expected = await logitsOf(device, loadModel(device, merged.config, merged.tensors), sequences, []);
          const size = Math.max(...expected.map(Math.abs));
          assertClose(`${what}, scale ${scale}`, found, expected, { atol: 2e-5 * size });
          const plain = await logitsOf(device, model, sequences, []);
          ok(
            plain.some((x, i) => Math.abs(x - expected[i]!) > 0.01 * size),
            'the adapter changes nothing',
          );
        }
        device.close();
      });
    }
  });
}

for (const { name, create } of sameBitsDevices) {
  test(`${name}: rows with this adapter, with that, with both, and without ride together, with the bits that they have alone`, async () => {
    const device = await create();
    const model = loadModel(device, config, weights);
    const place = (adapter: Adapter) => placeAdapter(device, model, adapter, { name: adapter.name, scale: 1, weights });
    const [first, second, dora] = [
      place(adapterOf(1)),
      place(adapterOf(2, { whole: true })),
      place(adapterOf(3, { magnitudes: true })),
    ];
    const uses: AdapterUse[][] = [
      [{ adapter: first!, scale: 1 }],
      [],
      [
        { adapter: second!, scale: 0.25 },
        { adapter: first!, scale: 2 },
      ],
      [{ adapter: dora!, scale: 1 }],
    ];
    const V = config.vocabSize;
    const together = await logitsOf(device, model, sequences, uses);
    let row = 0;
    for (const [i, ids] of sequences.entries()) {
      const alone = await logitsOf(device, model, [ids], [uses[i]!]);
      deepStrictEqual(together.slice(row * V, (row + ids.length) * V), alone, `sequence ${i}`);
      row += ids.length;
    }
    // The last rows alone, as decoding wants them.
    const last = Uint32Array.from([4, 7, 14, 18]);
    const chosen = await logitsOf(device, model, sequences, uses, last);
    for (const [r, n] of last.entries())
      deepStrictEqual(chosen.slice(r * V, (r + 1) * V), together.slice(n * V, (n + 1) * V), `row ${n}`);
    device.close();
  });
}

test('a parameter that cannot differ from row to row is refused by name', async () => {
  const device = await testDevices[0]!.create();
  const model = loadModel(device, config, weights);
  const bias = listParameters(config).find(({ key }) => key === 'bq_Q')!;
  const replaced = new Map([[bias.name, floatSource('b', new Float32Array(bias.shape[0]!), bias.shape)]]);
  const adapter = { ...adapterOf(1), layers: new Map(), replaced };
  try {
    placeAdapter(device, model, adapter, { name: 'a', scale: 1, weights });
    ok(false, 'it was placed');
  } catch (error) {
    ok(/blocks\.0\.bq_Q was trained whole.*cria merge/.test(String(error)), String(error));
  }
});
