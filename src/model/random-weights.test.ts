import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeRow, writableTypes } from '../quant/rows.ts';
import { rowBytes, type WeightType } from '../tensor/dtype.ts';
import { type LlamaConfig, paperChoices } from './config.ts';
import { randomWeights } from './random-weights.ts';

const config: LlamaConfig = {
  ...paperChoices,
  width: 256,
  blockCount: 2,
  headCount: 4,
  kvHeadCount: 2,
  headSize: 64,
  ffnWidth: 512,
  vocabSize: 301,
  contextLength: 64,
  normEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: { kind: 'none' },
  tiedEmbeddings: false,
  attentionBias: true,
  slidingWindow: null,
};

function read(dtype: WeightType, name: string, seed = 1, ranges: [number, number][] = [[0, 256]]): Float32Array {
  const source = randomWeights(config, seed, ({ shape }) => (shape.length === 1 ? 'f32' : dtype)).get(name)!;
  const columns = source.shape.at(-1)!;
  const parts = ranges.flatMap(([first, count]) => {
    const rows = source.shape.length === 1 ? 1 : count;
    const bytes = new Uint8Array(rowBytes(source.dtype, columns) * rows);
    source.readRows(bytes, first, rows);
    const weights = new Float32Array(columns * rows);
    decodeRow(source.dtype as WeightType, bytes, weights);
    return [...weights];
  });
  return Float32Array.from(parts);
}

function deviation(weights: Float32Array): number {
  return Math.sqrt(weights.reduce((sum, w) => sum + w * w, 0) / weights.length);
}

for (const dtype of writableTypes) {
  test(`${dtype}: normal numbers of the wanted size, uncorrelated`, () => {
    const weights = read(dtype, 'blocks.0.wGate_FD');
    const size = deviation(weights);
    assert.ok(Math.abs(size - 0.02) < 0.001, String(size));
    const mean = weights.reduce((sum, w) => sum + w, 0) / weights.length;
    assert.ok(Math.abs(mean) < 0.0005, String(mean));
    const lag = weights.reduce((sum, w, i) => sum + w * (weights[i - 1] ?? 0), 0) / weights.length / size ** 2;
    assert.ok(Math.abs(lag) < 0.02, String(lag));
  });

  test(`${dtype}: rows are the same whatever the order of reading`, () => {
    const whole = read(dtype, 'blocks.1.wDown_DF', 7, [[0, 5]]);
    const parts = read(dtype, 'blocks.1.wDown_DF', 7, [
      [0, 2],
      [2, 1],
      [3, 2],
    ]);
    assert.deepEqual(parts, whole);
  });
}

test('matrices that end a residual branch are smaller, gains are 1, biases 0', () => {
  assert.ok(Math.abs(deviation(read('f32', 'blocks.0.wo_DQ')) - 0.02 / 2) < 0.0005);
  assert.deepEqual(new Set(read('f32', 'blocks.0.attnNorm_D')), new Set([1]));
  assert.deepEqual(new Set(read('f32', 'norm_D')), new Set([1]));
  assert.deepEqual(new Set(read('f32', 'blocks.0.bq_Q')), new Set([0]));
});

test('another seed, another parameter: other numbers; the same: the same', () => {
  const first = read('f16', 'blocks.0.wUp_FD', 3);
  assert.deepEqual(read('f16', 'blocks.0.wUp_FD', 3), first);
  assert.notDeepEqual(read('f16', 'blocks.0.wUp_FD', 4), first);
  assert.notDeepEqual(read('f16', 'blocks.1.wUp_FD', 3), first);
});
