/** Operations under a tape, whose outputs and gradients every device must compute as the reference device does. */
import { Tape } from '../../src/autograd/tape.ts';
import { Random } from '../../src/base/random.ts';
import type { Device } from '../../src/devices/device.ts';
import type { Gradient } from '../../src/kernels/backward-ops.ts';
import { batchOfSequences } from '../../src/kernels/batch.ts';
import { elementCount, type Tensor } from '../../src/tensor/tensor.ts';

type Run = (ops: Tape['ops'], inputs: readonly Tensor[]) => Tensor;

/** Output and gradients of ⟨run(inputs), seeds⟩ on a device; gradients are begun with `begin` where it is not 0. */
export async function gradientsOn(
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

const lengths = (counts: readonly number[]) => batchOfSequences(counts.map((count) => new Uint32Array(count)));

/** Shapes at and beside the tile and block sizes of the kernels. */
export const cases: Record<string, { shapes: readonly (readonly number[])[]; run: Run }> = {};
for (const [N, I, O] of [
  [1, 1, 1],
  [3, 5, 2],
  [4, 16, 16],
  [5, 17, 31],
  [129, 7, 257],
  [127, 300, 33],
  [20, 50, 16],
  [300, 20, 62],
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
for (const [N, I, R, O] of [
  [1, 3, 1, 2],
  [37, 20, 16, 130],
  [100, 33, 40, 47],
]) {
  cases[`linear with a product of rank ${R} on top, ${N} × ${I} → ${O}`] = {
    shapes: [[N!, I!], [O!, I!], [R!, I!], [O!, R!], [O!]],
    run: (ops, [x, w, a, b, bias]) => ops.linearSum(x!, w!, ops.linear(x!, a!), b!, bias),
  };
}
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
for (const [N, D] of [
  [1, 1],
  [5, 7],
  [9, 64],
] as const) {
  cases[`dropout of ${N} × ${D}`] = {
    shapes: [[N, D]],
    run: (ops, [x]) => ops.dropout(x!, { rate: 0.3, key: 0xdeadbeef, firstToken: 4_000_000_000 }),
  };
}
for (const [counts, window, cap] of [
  [[5, 1], null, 30],
  [[100, 5], 60, 2],
] as const) {
  const batch = lengths(counts);
  const N = batch.ids.length;
  const [H, K, E] = [4, 2, 12];
  const dropout = { rate: 0.4, key: 77, firstToken: 12 };
  cases[`attention of ${counts.join(' + ')}, window ${window}, with dropout`] = {
    shapes: [
      [N, H * E],
      [N, K * E],
      [N, K * E],
    ],
    run: (ops, [q, k, v]) => ops.attention(q!, { k_NP: k!, v_NP: v! }, batch, { headSize: E, window, cap, dropout }),
  };
}
cases['swiglu within limits'] = {
  shapes: [
    [3, 7],
    [3, 7],
  ],
  run: (ops, [gate, up]) => ops.swiglu(gate!, up!, 0.8),
};
for (const weights of ['chosen', 'all', 'sigmoid'] as const) {
  cases[`routed experts, weights ${weights}`] = {
    shapes: [[7, 12], [7, 5], [5, 8, 12], [40], [5, 12, 8]],
    run: (ops, [x, scores, wUp, bias, wDown]) => {
      const routes = ops.route(scores!, { used: 2, weights });
      const hidden = ops.gelu(ops.routedLinear(x!, wUp!, routes, bias));
      return ops.mixRoutes(ops.routedLinear(hidden, wDown!, routes), routes);
    },
  };
}
cases['routed experts whose inputs are weighed'] = {
  shapes: [
    [7, 12],
    [7, 5],
    [5, 8, 12],
  ],
  run: (ops, [x, scores, w]) => {
    const routes = ops.route(scores!, { used: 2, weights: 'sigmoid' });
    const y = ops.routedLinear(ops.spreadRoutes(x!, routes), w!, routes);
    return ops.mixRoutes(y, { ...routes, weights_NU: ops.ones([7, 2], y) });
  },
};
cases['rmsNorm of every head, without gains'] = {
  shapes: [[35, 15]],
  run: (ops, [x]) => ops.rmsNorm(x!, ops.ones([5], x!), 1e-5),
};
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
