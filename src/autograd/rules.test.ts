import assert from 'node:assert/strict';
import test from 'node:test';
import { assertClose } from '../../test/support/close.ts';
import { Random } from '../base/random.ts';
import { createReferenceDevice } from '../devices/reference/device.ts';
import { dataOf, referenceTensor } from '../devices/reference/tensors.ts';
import type { Gradient } from '../kernels/backward-ops.ts';
import { batchOfSequences } from '../kernels/batch.ts';
import type { BatchStatistics } from '../kernels/ops.ts';
import { elementCount, type Tensor } from '../tensor/tensor.ts';
import type { DifferentiableOp } from './rules.ts';
import { Tape } from './tape.ts';

const random = new Random(11);
const tensor = (...shape: number[]): Tensor =>
  referenceTensor(
    Float64Array.from({ length: elementCount(shape) }, () => random.normal()),
    shape,
  );
/** Two sequences of 4 and 3 tokens. */
const batch = batchOfSequences([
  [1, 2, 3, 1],
  [4, 0, 2],
]);
const frequencies = { inverse: Float64Array.of(1, 0.3), magnitude: 1.1 };
const statistics = (training: boolean): BatchStatistics => ({
  mean_D: referenceTensor(Float64Array.of(0.1, -0.2, 0.3, 0, 1), [5]),
  variance_D: referenceTensor(Float64Array.of(1, 2, 0.5, 1.5, 1), [5]),
  momentum: 0.1,
  training,
});

/** Two experts for each of three rows. */
const routes = {
  chosen_NU: referenceTensor(Float64Array.of(4, 1, 1, 0, 2, 4), [3, 2]),
  weights_NU: referenceTensor(Float64Array.of(0.7, 0.3, 0.6, 0.4, 0.9, 0.1), [3, 2]),
};

interface Case {
  readonly name: string;
  readonly inputs: readonly Tensor[];
  readonly run: (ops: Tape['ops'], ...inputs: Tensor[]) => Tensor;
}

/** At least one case for every operation: the type says so. */
const cases: { readonly [op in DifferentiableOp]: readonly Omit<Case, 'name'>[] } = {
  embed: [{ inputs: [tensor(5, 3)], run: (ops, table) => ops.embed(table!, batch.ids) }],
  linear: [
    { inputs: [tensor(4, 3), tensor(5, 3)], run: (ops, x, w) => ops.linear(x!, w!) },
    { inputs: [tensor(4, 3), tensor(5, 3), tensor(5)], run: (ops, x, w, b) => ops.linear(x!, w!, b) },
    { inputs: [tensor(4, 4)], run: (ops, x) => ops.linear(x!, x!) },
  ],
  linearSum: [
    {
      inputs: [tensor(4, 3), tensor(5, 3), tensor(4, 2), tensor(5, 2)],
      run: (ops, x, w, low, b) => ops.linearSum(x!, w!, low!, b!),
    },
    {
      inputs: [tensor(4, 3), tensor(5, 3), tensor(2, 3), tensor(5, 2), tensor(5)],
      run: (ops, x, w, a, b, bias) => ops.linearSum(x!, w!, ops.linear(x!, a!), b!, bias),
    },
  ],
  rmsNorm: [{ inputs: [tensor(4, 5), tensor(5)], run: (ops, x, gain) => ops.rmsNorm(x!, gain!, 1e-3) }],
  layerNorm: [
    {
      inputs: [tensor(4, 5), tensor(5), tensor(5)],
      run: (ops, x, gain, shift) => ops.layerNorm(x!, gain!, shift!, 1e-3),
    },
  ],
  batchNorm: [true, false].map((training) => ({
    inputs: [tensor(4, 5), tensor(5), tensor(5)],
    run: (ops, x, gain, shift) => ops.batchNorm(x!, gain!, shift!, 1e-3, statistics(training)),
  })),
  rope: [{ inputs: [tensor(7, 8)], run: (ops, x) => ops.rope(x!, ops.rotation(batch.positions, frequencies)) }],
  addSinusoids: [{ inputs: [tensor(7, 3)], run: (ops, x) => ops.addSinusoids(x!, batch.positions) }],
  attention: [
    { H: 4, K: 4, window: null },
    { H: 4, K: 2, window: null },
    { H: 4, K: 1, window: 2 },
    { H: 4, K: 2, window: null, scale: 0.4 },
    { H: 2, K: 1, window: null, scale: 1.5, cap: 2 },
    { H: 4, K: 2, window: 2, sinks: 4 },
    { H: 4, K: 2, window: 3, cap: 2, dropout: { rate: 0.3, key: 5, firstToken: 9 } },
  ].map(({ H, K, sinks = 0, ...options }) => ({
    inputs: [tensor(7, H * 2), tensor(7, K * 2), tensor(7, K * 2), ...(sinks > 0 ? [tensor(sinks)] : [])],
    run: (ops, q, k, v, sinks_H) =>
      ops.attention(q!, { k_NP: k!, v_NP: v! }, batch, { headSize: 2, ...options, sinks_H }),
  })),
  swiglu: [undefined, 0.9].map((limit) => ({
    inputs: [tensor(3, 5), tensor(3, 5)],
    run: (ops, gate, up) => ops.swiglu(gate!, up!, limit),
  })),
  geglu: (['exact', 'tanh'] as const).map((form) => ({
    inputs: [tensor(3, 5), tensor(3, 5)],
    run: (ops, gate, up) => ops.geglu(gate!, up!, form),
  })),
  relu: [{ inputs: [tensor(3, 5)], run: (ops, x) => ops.relu(x!) }],
  gelu: (['exact', 'tanh'] as const).map((form) => ({ inputs: [tensor(3, 5)], run: (ops, x) => ops.gelu(x!, form) })),
  add: [
    { inputs: [tensor(3, 5), tensor(3, 5)], run: (ops, x, y) => ops.add(x!, y!) },
    { inputs: [tensor(3, 5)], run: (ops, x) => ops.add(x!, x!) },
  ],
  route: (['chosen', 'all', 'sigmoid'] as const).map((weights) => ({
    inputs: [tensor(4, 5)],
    run: (ops, scores) => ops.route(scores!, { used: 2, weights }).weights_NU,
  })),
  routedLinear: [
    {
      inputs: [tensor(3, 4), tensor(5, 3, 4), tensor(5, 3)],
      run: (ops, x, w, b) => ops.routedLinear(x!, w!, routes, b),
    },
    { inputs: [tensor(6, 4), tensor(5, 3, 4)], run: (ops, x, w) => ops.routedLinear(x!, w!, routes) },
  ],
  mixRoutes: [
    {
      inputs: [tensor(6, 4), routes.weights_NU],
      run: (ops, x, weights_NU) => ops.mixRoutes(x!, { ...routes, weights_NU: weights_NU! }),
    },
  ],
  spreadRoutes: [
    {
      inputs: [tensor(3, 4), routes.weights_NU],
      run: (ops, x, weights_NU) => ops.spreadRoutes(x!, { ...routes, weights_NU: weights_NU! }),
    },
  ],
  dropout: [{ inputs: [tensor(6, 5)], run: (ops, x) => ops.dropout(x!, { rate: 0.4, key: 7, firstToken: 3 }) }],
  softcap: [{ inputs: [tensor(3, 5)], run: (ops, x) => ops.softcap(x!, 1.3) }],
  scale: [{ inputs: [tensor(3, 5)], run: (ops, x) => ops.scale(x!, -1.7) }],
  selectRows: [{ inputs: [tensor(5, 3)], run: (ops, x) => ops.selectRows(x!, Uint32Array.of(4, 1, 4)) }],
};

/** loss = ⟨output, seeds⟩; its gradient by the tape. */
function gradients({ inputs, run }: Omit<Case, 'name'>, seeds: Float64Array): Float64Array[] {
  const device = createReferenceDevice();
  const parameters = new Map<Tensor, Gradient>();
  for (const input of inputs) parameters.set(input, { tensor: device.scratch(input.shape), isEmpty: true });
  const tape = new Tape(device, parameters, 'none');
  const output = run(tape.ops, ...inputs);
  const dy = tape.gradientOf(output)!;
  device.backward.accumulate(dy, referenceTensor(seeds, output.shape), 1);
  tape.backward();
  return inputs.map((input) => Float64Array.from(dataOf(parameters.get(input)!.tensor)));
}

function centralDifferences({ inputs, run }: Omit<Case, 'name'>, seeds: Float64Array): Float64Array[] {
  const ops = createReferenceDevice().ops;
  const loss = () => {
    const y = Float64Array.from(dataOf(run(ops, ...inputs)));
    return y.reduce((sum, value, i) => sum + value * seeds[i]!, 0);
  };
  const step = 1e-5;
  return inputs.map((input) => {
    const data = dataOf(input);
    return Float64Array.from(data, (x, i) => {
      data[i] = x + step;
      const up = loss();
      data[i] = x - step;
      const down = loss();
      data[i] = x;
      return (up - down) / (2 * step);
    });
  });
}

for (const [op, list] of Object.entries(cases)) {
  for (const [i, item] of list.entries()) {
    test(`${op} ${i}: the gradient agrees with central differences in f64`, () => {
      const size = elementCount(item.run(createReferenceDevice().ops, ...item.inputs).shape);
      const seeds = Float64Array.from({ length: size }, () => random.normal());
      const expected = centralDifferences(item, seeds);
      for (const [j, actual] of gradients(item, seeds).entries()) {
        assert(expected[j]!.some((x) => x !== 0));
        assertClose(`${op} d${j}`, actual, expected[j]!, { rtol: 1e-7, atol: 1e-8 });
      }
    });
  }
}

for (const { cap, zLoss = 0 } of [{}, { cap: 1.5 }, { zLoss: 0.3 }, { cap: 1.5, zLoss: 0.3 }]) {
  test(`crossEntropy${cap ? ', capped' : ''}${zLoss ? ', with zLoss' : ''}: losses by hand, gradients against central differences, ignored rows take no part`, () => {
    const { backward, scratch } = createReferenceDevice();
    const x_ND = tensor(70, 3);
    const head_VD = tensor(6, 3);
    const labels_N = Int32Array.from({ length: 70 }, (_, n) => (n % 5 === 4 ? -100 : n % 6));
    const weights_N = Float64Array.from({ length: 70 }, () => random.normal());
    const loss = () =>
      Float64Array.from(
        dataOf(backward.crossEntropy(null, null, x_ND, head_VD, labels_N, weights_N, { cap, zLoss })),
      ).reduce((sum, value, n) => sum + value * weights_N[n % 70]!, 0);
    const dx: Gradient = { tensor: scratch([70, 3]), isEmpty: true };
    const dHead: Gradient = { tensor: scratch([6, 3]), isEmpty: true };
    const losses = dataOf(backward.crossEntropy(dx, dHead, x_ND, head_VD, labels_N, weights_N, { cap, zLoss }));
    assert.equal(losses.length, zLoss ? 140 : 70);
    assert.equal(losses[4], 0);
    const z = Array.from({ length: 6 }, (_, v) =>
      [0, 1, 2].reduce((sum, d) => sum + dataOf(x_ND)[d]! * dataOf(head_VD)[v * 3 + d]!, 0),
    );
    const bent = z.map((value) => (cap ? cap * Math.tanh(value / cap) : value));
    const lnZ = Math.log(bent.reduce((sum, value) => sum + Math.exp(value), 0));
    assert(Math.abs(losses[0]! - (lnZ - bent[0]!)) <= 1e-12);
    if (zLoss) assertClose('penalties', [losses[70]!, losses[74]!], [0.3 * lnZ ** 2, 0], { atol: 1e-12 });
    for (const [what, input, gradient] of [
      ['dx', x_ND, dx],
      ['dHead', head_VD, dHead],
    ] as const) {
      const data = dataOf(input);
      const expected = Float64Array.from(data, (value, i) => {
        data[i] = value + 1e-5;
        const up = loss();
        data[i] = value - 1e-5;
        const down = loss();
        data[i] = value;
        return (up - down) / 2e-5;
      });
      assertClose(what, dataOf(gradient.tensor), expected, { rtol: 1e-7, atol: 1e-8 });
    }
  });
}

test('packed documents do not attend across each other: a gradient at one never reaches the other', () => {
  const device = createReferenceDevice();
  const [q, k, v] = [tensor(7, 4), tensor(7, 4), tensor(7, 4)];
  const parameters = new Map([q, k, v].map((t) => [t!, { tensor: device.scratch(t!.shape), isEmpty: true }]));
  const tape = new Tape(device, parameters, 'none');
  const y = tape.ops.attention(q!, { k_NP: k!, v_NP: v! }, batch, { headSize: 2, window: null });
  const seeds = new Float64Array(28).fill(1, 16); // only the second document's rows
  device.backward.accumulate(tape.gradientOf(y)!, referenceTensor(seeds, [7, 4]), 1);
  tape.backward();
  for (const { tensor: gradient } of parameters.values()) {
    assert(
      dataOf(gradient)
        .subarray(0, 16)
        .every((x) => x === 0),
    );
    assert(
      dataOf(gradient)
        .subarray(16)
        .some((x) => x !== 0),
    );
  }
});
