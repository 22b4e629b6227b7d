import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { createReferenceDevice } from '../devices/reference/device.ts';
import { dataOf, referenceTensor } from '../devices/reference/tensors.ts';
import type { Gradient } from '../kernels/backward-ops.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Tape } from './tape.ts';

const vector = (...numbers: number[]): Tensor => referenceTensor(Float64Array.from(numbers), [1, numbers.length]);

/** d(Σ weights · f(p)) / dp for a sum of terms that share the memory of their gradients, and how often gradients were summed up. */
function gradient(f: (ops: Tape['ops'], p: Tensor) => Tensor, weights: readonly number[]) {
  const device = createReferenceDevice();
  let sums = 0;
  const counting = {
    ...device,
    backward: {
      ...device.backward,
      accumulate(dx: Gradient, dy: Tensor, factor: number) {
        sums++;
        device.backward.accumulate(dx, dy, factor);
      },
    },
  };
  const p = vector(1, -2, 3);
  const place: Gradient = { tensor: vector(0, 0, 0), isEmpty: true };
  const tape = new Tape(counting, new Map([[p, place]]), 'none');
  const y = f(tape.ops, p);
  const dy = tape.gradientOf(y)!;
  dataOf(dy.tensor).set(weights);
  dy.isEmpty = false;
  tape.backward();
  return { gradient: Array.from(dataOf(place.tensor)), sums };
}

test('terms of a sum that nothing else reads are given its gradient, not a copy', () => {
  const { gradient: of, sums } = gradient(
    (ops, p) => ops.add(ops.scale(p, 2), ops.add(ops.scale(p, 3), ops.scale(p, 5))),
    [1, 10, 100],
  );
  deepStrictEqual(of, [10, 100, 1000]);
  strictEqual(sums, 3); // of the scales; the five terms and sums cost nothing
});

test('a term that something else reads, or that comes twice, has a gradient of its own', () => {
  const twice = gradient(
    (ops, p) => {
      const x = ops.scale(p, 2);
      return ops.add(x, x);
    },
    [1, 10, 100],
  );
  deepStrictEqual(twice.gradient, [4, 40, 400]);
  const read = gradient(
    (ops, p) => {
      const x = ops.scale(p, 2);
      return ops.add(ops.add(x, ops.scale(x, 7)), ops.relu(x));
    },
    [1, 10, 100],
  );
  deepStrictEqual(read.gradient, [2 * (1 + 7 + 1), 20 * (1 + 7), 200 * (1 + 7 + 1)]);
});
