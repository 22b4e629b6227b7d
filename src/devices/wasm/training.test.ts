import { ok, strictEqual } from 'node:assert/strict';
import test from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { cases, gradientsOn } from '../../../test/support/gradient-cases.ts';
import { bf16ToF32, f32ToBf16 } from '../../base/f16.ts';
import { Random } from '../../base/random.ts';
import { loadBlas } from '../../platform/node/native/blas.ts';
import { loadOneDnn } from '../../platform/node/native/onednn.ts';
import { nodeThreads } from '../../platform/node/threads.ts';
import { type Device, readDoubles } from '../device.ts';
import { createReferenceDevice } from '../reference/device.ts';
import { createWasmDevice } from './device.ts';

const reference = createReferenceDevice();

const devices: Record<string, () => Promise<Device>> = {
  'one thread': () => createWasmDevice(),
  'wide tiles': () => createWasmDevice({ wideVectors: true }),
  'plain SIMD': () => createWasmDevice({ simd: 'plain' }),
  'three threads': () => createWasmDevice({ threads: 3, host: nodeThreads }),
};

for (const [name, create] of Object.entries(devices)) {
  test(`outputs and gradients agree with the reference, ${name}`, async () => {
    const device = await create();
    for (const [what, { shapes, run }] of Object.entries(cases)) {
      for (const begin of [0, 2]) {
        const expected = await gradientsOn(reference, shapes, run, begin);
        for (const [i, actual] of (await gradientsOn(device, shapes, run, begin)).entries()) {
          const scale = expected[i]!.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
          assertClose(`${what}, result ${i}, begun with ${begin}`, actual, expected[i]!, { atol: 2e-6 * scale + 1e-7 });
        }
      }
    }
    device.close();
  });
}

for (const threads of [1, 3]) {
  const skip = loadBlas() ? false : 'no BLAS here';
  test(`matrix products by BLAS on ${threads} of our threads agree with the reference`, { skip }, async () => {
    const device = await createWasmDevice({ threads, host: nodeThreads, blas: loadBlas() });
    const linear = Object.entries(cases).filter(([key]) => key.startsWith('linear'));
    const large = [1, 40, 300, 700].map((N) => {
      const shapes = [[N, 70], [601, 70], [601]];
      return [`linear ${N}`, { shapes, run: cases['linear with bias']!.run }] as const;
    });
    for (const [what, { shapes, run }] of [...linear, ...large]) {
      for (const begin of [0, 2]) {
        const expected = await gradientsOn(reference, shapes, run, begin);
        for (const [i, actual] of (await gradientsOn(device, shapes, run, begin)).entries()) {
          const scale = expected[i]!.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
          assertClose(`${what}, result ${i}, begun with ${begin}`, actual, expected[i]!, { atol: 2e-6 * scale + 1e-7 });
        }
      }
    }
    device.close();
  });
}

const toBf16 = (x: number) => bf16ToF32(f32ToBf16(x));

for (const threads of [1, 3]) {
  const skip = loadOneDnn() ? false : 'no oneDNN with bf16 here';
  test(`matrix products in bf16 on ${threads} of our threads are those of the rounded numbers`, { skip }, async () => {
    const device = await createWasmDevice({ threads, host: nodeThreads, blas: loadOneDnn() });
    const { run } = cases['linear 3 × 5 → 2']!;
    const shapes = [
      [601, 97],
      [131, 97],
    ];
    for (const begin of [0, 2]) {
      // Numbers that bf16 holds: then the rounded products are the exact ones.
      const expected = await gradientsOn(reference, shapes, run, begin, toBf16);
      for (const [i, actual] of (await gradientsOn(device, shapes, run, begin, toBf16)).entries()) {
        const scale = expected[i]!.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        assertClose(`result ${i}, begun with ${begin}`, actual, expected[i]!, { atol: 2e-6 * scale });
      }
      const [exact] = await gradientsOn(reference, shapes, run, begin);
      const [rounded] = await gradientsOn(device, shapes, run, begin);
      const worst = exact!.reduce((most, x, i) => Math.max(most, Math.abs(x - rounded![i]!)), 0);
      ok(worst > 0.01 && worst < 0.5, `other numbers are rounded: off by ${worst}`);
    }
    device.close();
  });
}

test('any number of threads gives the same bits, and so does either form of the tile', async () => {
  const results: string[] = [];
  for (const threads of [1, 2, 3]) {
    const device = await createWasmDevice({
      threads,
      wideVectors: threads === 2,
      ...(threads > 1 && { host: nodeThreads }),
    });
    const bits: Float32Array[] = [];
    for (const { shapes, run } of Object.values(cases)) bits.push(...(await gradientsOn(device, shapes, run, 2)));
    results.push(bits.map((values) => Buffer.from(values.buffer).toString('base64')).join());
    device.close();
  }
  ok(results[0]!.length > 10000);
  strictEqual(results[1], results[0]);
  strictEqual(results[2], results[0]);
});

for (const [cap, zLoss] of [
  [undefined, 0],
  [3, 1e-3],
] as const) {
  test(`crossEntropy${cap ? ', capped, with a penalty of the normalizer,' : ''} agrees with the reference: several chunks, ignored rows, a vocabulary that fills no tile`, async () => {
    const device = await createWasmDevice();
    const random = new Random(3);
    const [N, V, D] = [150, 70001, 3];
    const labels_N = Int32Array.from({ length: N }, (_, n) => (n % 7 === 3 ? -100 : random.below(V)));
    const weights_N = Float64Array.from({ length: N }, () => random.uniform());
    const numbers = [N * D, V * D].map((count) => Float32Array.from({ length: count }, () => random.normal()));
    const on = (target: Device) => {
      const [x, head] = [target.scratch([N, D]), target.scratch([V, D])];
      const gradients = [target.scratch([N, D]), target.scratch([V, D])].map((tensor) => ({ tensor, isEmpty: true }));
      target.write(x, numbers[0]!);
      target.write(head, numbers[1]!);
      const losses = target.backward.crossEntropy(gradients[0]!, gradients[1]!, x, head, labels_N, weights_N, {
        cap,
        zLoss,
      });
      return Promise.all(
        [losses, ...gradients.map(({ tensor }) => tensor)].map((tensor) => readDoubles(target, tensor)),
      );
    };
    const expected = await on(reference);
    for (const [i, actual] of (await on(device)).entries()) {
      const scale = expected[i]!.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      assertClose(`result ${i}`, actual, expected[i]!, { atol: 4e-6 * scale });
    }
    device.close();
  });
}

test('keep moves tensors down in the order of their making, whatever order they are asked for in', async () => {
  const device = await createWasmDevice();
  const sizes = [100, 5000, 9_000_000, 17, 12_000_000, 300];
  const mark = device.mark();
  const made = sizes.map((size, i) => {
    const tensor = device.scratch([size]);
    device.fill(tensor, i + 1);
    return tensor;
  });
  const kept = device.keep(mark, [made[4]!, made[1]!, made[3]!]);
  for (const [i, value] of [5, 2, 4].entries()) ok((await device.read(kept[i]!)).every((x) => x === value));
  strictEqual((await device.read(kept[0]!)).length, sizes[4]);
  device.close();
});
