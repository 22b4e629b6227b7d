import { ok, strictEqual } from 'node:assert/strict';
import test from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { Tape } from '../../autograd/tape.ts';
import { bf16ToF32, f32ToBf16 } from '../../base/f16.ts';
import { Random } from '../../base/random.ts';
import type { Gradient } from '../../kernels/backward-ops.ts';
import { batchOfSequences } from '../../kernels/batch.ts';
import { loadBlas } from '../../platform/node/native/blas.ts';
import { loadOneDnn } from '../../platform/node/native/onednn.ts';
import { nodeThreads } from '../../platform/node/threads.ts';
import { elementCount, type Tensor } from '../../tensor/tensor.ts';
import { type Device, readDoubles } from '../device.ts';
import { createReferenceDevice } from '../reference/device.ts';
import { createWasmDevice } from './device.ts';

type Run = (ops: Tape['ops'], inputs: readonly Tensor[]) => Tensor;

/** Output and gradients of ⟨run(inputs), seeds⟩ on a device; gradients are begun with `begin` where it is not 0. */
async function gradientsOn(
  device: Device,
  shapes: readonly (readonly number[])[],
  run: Run,
  begin: number,
  round: (x: number) => number = (x) => x,
): Promise<Float32Array[]> {
  const random = new Random(5);
  const mark = device.mark();
  const parameters = new Map<Tensor, Gradient>();
  const inputs = shapes.map((shape) => {
    const tensor = device.scratch(shape);
    device.write(
      tensor,
      Float32Array.from({ length: elementCount(shape) }, () => round(random.normal())),
    );
    const gradient = device.scratch(shape);
    device.fill(gradient, begin === 0 ? Number.NaN : begin); // what an empty gradient holds must not matter
    parameters.set(tensor, { tensor: gradient, isEmpty: begin === 0 });
    return tensor;
  });
  const tape = new Tape(device, parameters, 'none');
  const y = run(tape.ops, inputs);
  const seeds = device.scratch(y.shape);
  device.write(
    seeds,
    Float32Array.from({ length: elementCount(y.shape) }, () => round(random.normal())),
  );
  device.backward.accumulate(tape.gradientOf(y)!, seeds, 1);
  const output = Float32Array.from(await device.read(y));
  tape.backward();
  const gradients = inputs.map(async (input) => Float32Array.from(await device.read(parameters.get(input)!.tensor)));
  device.release(mark);
  return [output, ...(await Promise.all(gradients))];
}

const reference = createReferenceDevice();
const lengths = (counts: readonly number[]) => batchOfSequences(counts.map((count) => new Uint32Array(count)));

/** Shapes at and beside the tile and block sizes of the kernels. */
const cases: Record<string, { shapes: readonly (readonly number[])[]; run: Run }> = {};
for (const [N, I, O] of [
  [1, 1, 1],
  [3, 5, 2],
  [4, 16, 16],
  [5, 17, 31],
  [129, 7, 257],
  [127, 300, 33],
]) {
  cases[`linear ${N} × ${I} → ${O}`] = {
    shapes: [
      [N!, I!],
      [O!, I!],
    ],
    run: (ops, [x, w]) => ops.linear(x!, w!),
  };
}
cases['linear with bias'] = { shapes: [[9, 6], [5, 6], [5]], run: (ops, [x, w, b]) => ops.linear(x!, w!, b) };
for (const [counts, H, K, E, window] of [
  [[1], 1, 1, 2, null],
  [[31, 1, 33], 2, 1, 6, null],
  [[65], 4, 2, 16, null],
  [[130, 63], 3, 3, 20, null],
  [[129, 5], 2, 1, 8, 17],
  [[100], 1, 1, 48, 64],
  [[97, 230], 4, 2, 12, 100],
  [[300], 2, 2, 16, null],
] as const) {
  const batch = lengths(counts);
  const N = batch.ids.length;
  cases[`attention of ${counts.join(' + ')}, H ${H} K ${K} E ${E} window ${window}`] = {
    shapes: [
      [N, H * E],
      [N, K * E],
      [N, K * E],
    ],
    run: (ops, [q, k, v]) => ops.attention(q!, { k_NP: k!, v_NP: v! }, batch, { headSize: E, window }),
  };
}
for (const [counts, window, cap] of [
  [[7], null, 0.5],
  [[65, 1, 100], null, 2],
  [[130], 40, 30],
] as const) {
  const batch = lengths(counts);
  const N = batch.ids.length;
  const [H, K, E] = [4, 2, 20];
  cases[`attention of ${counts.join(' + ')}, window ${window}, scaled and capped at ${cap}`] = {
    shapes: [
      [N, H * E],
      [N, K * E],
      [N, K * E],
    ],
    run: (ops, [q, k, v]) => ops.attention(q!, { k_NP: k!, v_NP: v! }, batch, { headSize: E, window, scale: 0.4, cap }),
  };
}
cases['attention with sinks'] = {
  shapes: [[9, 12], [9, 6], [9, 6], [4]],
  run: (ops, [q, k, v, sinks_H]) =>
    ops.attention(q!, { k_NP: k!, v_NP: v! }, lengths([4, 5]), { headSize: 3, window: null, sinks_H }),
};
cases['swiglu within limits'] = {
  shapes: [
    [3, 7],
    [3, 7],
  ],
  run: (ops, [gate, up]) => ops.swiglu(gate!, up!, 0.8),
};
for (const normalized of [true, false]) {
  cases[`routed experts, ${normalized ? '' : 'not '}normalized`] = {
    shapes: [[7, 12], [7, 5], [5, 8, 12], [40], [5, 12, 8]],
    run: (ops, [x, scores, wUp, bias, wDown]) => {
      const routes = ops.route(scores!, { used: 2, normalized });
      const hidden = ops.gelu(ops.routedLinear(x!, wUp!, routes, bias));
      return ops.mixRoutes(ops.routedLinear(hidden, wDown!, routes), routes);
    },
  };
}
cases['rmsNorm of every head'] = { shapes: [[35, 15], [5]], run: (ops, [x, gain]) => ops.rmsNorm(x!, gain!, 1e-5) };
for (const [N, D] of [
  [1, 3],
  [7, 5],
  [33, 16],
  [65, 67],
]) {
  const shapes = [[N!, D!], [D!]];
  cases[`rmsNorm ${N} × ${D}`] = { shapes, run: (ops, [x, gain]) => ops.rmsNorm(x!, gain!, 1e-5) };
  cases[`layerNorm ${N} × ${D}`] = {
    shapes: [...shapes, [D!]],
    run: (ops, [x, gain, shift]) => ops.layerNorm(x!, gain!, shift!, 1e-3),
  };
}
for (const count of [1, 3, 4097]) {
  const two = [
    [1, count],
    [1, count],
  ];
  cases[`swiglu of ${count}`] = { shapes: two, run: (ops, [gate, up]) => ops.swiglu(gate!, up!) };
  cases[`geglu of ${count}`] = { shapes: two, run: (ops, [gate, up]) => ops.geglu(gate!, up!) };
  cases[`add of ${count}`] = { shapes: two, run: (ops, [x, y]) => ops.add(x!, y!) };
  cases[`scale of ${count}`] = { shapes: [[count]], run: (ops, [x]) => ops.scale(x!, -0.3) };
  cases[`softcap of ${count}`] = { shapes: [[count]], run: (ops, [x]) => ops.softcap(x!, 1.1) };
  cases[`relu and gelu of ${count}`] = { shapes: [[count]], run: (ops, [x]) => ops.gelu(ops.relu(x!)) };
}
cases.rope = {
  shapes: [[7, 12]],
  run: (ops, [x]) => {
    const frequencies = { inverse: Float64Array.of(1, 0.1, 0.01), magnitude: 1 };
    return ops.rope(x!, ops.rotation(Uint32Array.of(0, 1, 2, 3, 0, 1, 900), frequencies));
  },
};
cases['embed with repeated ids'] = {
  shapes: [[5, 7]],
  run: (ops, [table]) => ops.embed(table!, Uint32Array.of(4, 0, 4, 4)),
};
cases.selectRows = { shapes: [[5, 7]], run: (ops, [x]) => ops.selectRows(x!, Uint32Array.of(3, 1)) };

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

for (const cap of [undefined, 3]) {
  test(`crossEntropy${cap ? ', capped,' : ''} agrees with the reference: several chunks, ignored rows, a vocabulary that fills no tile`, async () => {
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
      const losses = target.backward.crossEntropy(gradients[0]!, gradients[1]!, x, head, labels_N, weights_N, cap);
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
