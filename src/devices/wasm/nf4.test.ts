/** A matrix held in NF4 computes, forward and backward, what its decoded weights compute. */
import { ok } from 'node:assert/strict';
import { test } from 'node:test';
import { relativeL2 } from '../../../test/support/close.ts';
import { trainingDevices } from '../../../test/support/training.ts';
import { decodeHeld, heldBytes, holdNf4 } from '../../quant/nf4.ts';
import type { TensorSource } from '../../tensor/source.ts';
import type { Device } from '../device.ts';

function numbers(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin(1 + i * 1.7 + seed * 3.1));
}

function source(data: Float32Array, shape: readonly number[]): TensorSource {
  const columns = shape[1]!;
  return {
    name: 'w',
    dtype: 'f32',
    shape,
    readRows: (target, first, rows) =>
      target.set(new Uint8Array(data.buffer, data.byteOffset + first * columns * 4, rows * columns * 4)),
  };
}

const placed = (device: Device, data: Float32Array, shape: readonly number[]) => {
  const tensor = device.allocate(shape);
  device.write(tensor, data);
  return tensor;
};

for (const { name, create } of trainingDevices) {
  test(`NF4 on ${name}: products and gradients of the decoded weights`, async () => {
    const device = await create();
    const [N, I, O] = [5, 100, 67]; // rows that do not fill blocks of 64
    const held = holdNf4(numbers(O * I, 1));
    const decoded = new Float32Array(O * I);
    decodeHeld(held, 0, decoded);
    const before = device.memory().weights;
    const w = device.placeNf4(source(numbers(O * I, 1), [O, I]));
    if (name.startsWith('wasm')) ok(device.memory().weights - before === heldBytes(held));
    ok((heldBytes(held) * 8) / (O * I) < 4.2, 'more than 4.2 bits a weight');
    const plain = placed(device, decoded, [O, I]);
    const [x, dy] = [placed(device, numbers(N * I, 2), [N, I]), placed(device, numbers(N * O, 3), [N, O])];
    const compare = async (what: string, a: typeof x, b: typeof x) => {
      const error = relativeL2(await device.read(a), await device.read(b));
      ok(error <= 1e-6, `${what}: relative L2 error ${error}`);
    };
    for (const op of ['linear', 'linearExact'] as const)
      await compare(op, device.ops[op](x, w), device.ops[op](x, plain));
    const gradient = () => ({ tensor: device.allocate([N, I]), isEmpty: true });
    const [ofHeld, ofPlain] = [gradient(), gradient()];
    device.backward.linear(ofHeld, null, null, dy, x, w);
    device.backward.linear(ofPlain, null, null, dy, x, plain);
    await compare('dx', ofHeld.tensor, ofPlain.tensor);
    device.close();
  });
}
