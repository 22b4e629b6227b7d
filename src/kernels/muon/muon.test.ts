import { ok } from 'node:assert/strict';
import test from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { trainingDevices } from '../../../test/support/training.ts';
import { Random } from '../../base/random.ts';
import { muon, orthogonalize } from './reference.ts';

const random = new Random(2);
const matrix = (count: number) => Float32Array.from({ length: count }, () => random.normal());

test('orthogonalize: the Gram matrix of the smaller side comes near the identity, tall or wide', () => {
  for (const [rows, columns] of [
    [4, 9],
    [9, 4],
    [5, 5],
  ] as const) {
    const x = orthogonalize(matrix(rows * columns), rows, columns);
    const S = Math.min(rows, columns);
    const at = (i: number, k: number) => (rows > columns ? x[k * columns + i]! : x[i * columns + k]!);
    let trace = 0;
    for (let i = 0; i < S; i++) for (let k = 0; k < Math.max(rows, columns); k++) trace += at(i, k) ** 2;
    ok(Math.abs(trace / S - 1) < 0.35, `mean squared singular value ${trace / S}`);
  }
});

test('orthogonalize keeps singular vectors: a diagonal matrix stays diagonal, signs stay', () => {
  const x = orthogonalize(Float64Array.of(3, 0, 0, 0, -0.5, 0), 2, 3);
  ok(x[0]! > 0.6 && x[0]! < 1.3 && x[4]! < -0.6 && x[4]! > -1.3);
  assertClose('off the diagonal', [x[1]!, x[2]!, x[3]!, x[5]!], [0, 0, 0, 0], { atol: 1e-12 });
});

for (const { name, create } of trainingDevices) {
  test(`two Muon steps on ${name} agree with the reference loops`, async () => {
    const device = await create();
    for (const [rows, columns] of [
      [6, 20],
      [33, 7],
      [17, 17],
    ] as const) {
      const [p, g, m] = [0, 1, 2].map(() => device.allocate([rows, columns])) as [never, never, never];
      const values = [matrix(rows * columns), matrix(rows * columns)] as const;
      device.write(p, values[0]);
      const expected = Float64Array.from(values[0]);
      const momentum = new Float64Array(rows * columns);
      const step = { learningRate: 0.1, momentum: 0.95, weightDecay: 0.1, gradientScale: 0.5 };
      for (let i = 0; i < 2; i++) {
        const gradient = i === 0 ? values[1] : matrix(rows * columns);
        device.write(g, gradient);
        device.muon(p, g, m, step);
        muon(expected, Float64Array.from(gradient), momentum, rows, columns, step);
      }
      assertClose(`${rows} × ${columns}`, await device.read(p), expected, { atol: 1e-4 });
    }
    device.close();
  });
}
