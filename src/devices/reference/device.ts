/**
 * The reference device: every operation as its room's obvious loops, in f64, over weights, parameters and moments of f32. It is the
 * specification, and the oracle that the other devices are tested against; it is for small models only.
 */
import { adamW } from '../../kernels/adamw/reference.ts';
import { muon } from '../../kernels/muon/reference.ts';
import { KV_BLOCK_TOKENS } from '../../kernels/ops.ts';
import { decodeHeld, holdNf4 } from '../../quant/nf4.ts';
import { readWeights } from '../../quant/rows.ts';
import { columnCount, elementCount, rowCount } from '../../tensor/tensor.ts';
import { copied, type Device } from '../device.ts';
import { referenceBackward, referenceTrainingOps } from './backward.ts';
import { dataOf, type ReferenceKvStore, referenceTensor } from './tensors.ts';

export function createReferenceDevice(): Device {
  let weightBytes = 0;
  let allocatedBytes = 0;
  let cacheBytes = 0;
  return {
    kind: 'reference',
    ops: referenceTrainingOps,
    backward: referenceBackward,
    description: 'reference (f64 loops, one thread; the specification, not for speed)',

    placeWeight(source) {
      const data = readWeights(source);
      weightBytes += data.byteLength;
      return referenceTensor(data, source.shape);
    },
    placeNf4(source) {
      const held = holdNf4(readWeights(source));
      const data = new Float32Array(held.length);
      decodeHeld(held, 0, data);
      weightBytes += data.byteLength;
      return referenceTensor(data, source.shape);
    },
    allocate(shape) {
      allocatedBytes += elementCount(shape) * 4;
      return referenceTensor(new Float32Array(elementCount(shape)), shape);
    },
    scratch: (shape) => referenceTensor(new Float64Array(elementCount(shape)), shape),
    reshape: (tensor, shape) => referenceTensor(dataOf(tensor), shape),
    write: (tensor, numbers, from = 0) => dataOf(tensor).set(numbers, from),
    fill: (tensor, value) => void dataOf(tensor).fill(value),
    copy: (to, from) => dataOf(to).set(dataOf(from)),
    async read(tensor, from = 0, count = elementCount(tensor.shape) - from, into) {
      return copied(dataOf(tensor).subarray(from, from + count), into);
    },

    createKvStore(options) {
      const P = options.kvHeadCount * options.headSize;
      const plane = () =>
        Array.from({ length: options.layerCount }, () => new Float64Array(options.blockCount * KV_BLOCK_TOKENS * P));
      const store: ReferenceKvStore = { ...options, blockTokens: KV_BLOCK_TOKENS, keys: plane(), values: plane() };
      cacheBytes += 2 * options.layerCount * options.blockCount * KV_BLOCK_TOKENS * P * 8;
      return store;
    },
    copyKvBlock(store, from, to) {
      const { keys, values, blockTokens, kvHeadCount, headSize } = store as ReferenceKvStore;
      const size = blockTokens * kvHeadCount * headSize;
      for (const plane of [...keys, ...values]) plane.copyWithin(to * size, from * size, (from + 1) * size);
    },

    async readKvBlock(store, block) {
      const parts = blockOf(store as ReferenceKvStore, block);
      const numbers = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
      parts.forEach((part, i) => {
        numbers.set(part, i * part.length);
      });
      return new Uint8Array(numbers.buffer);
    },
    writeKvBlock(store, block, bytes) {
      const numbers = new Float64Array(bytes.slice().buffer);
      blockOf(store as ReferenceKvStore, block).forEach((part, i) => {
        part.set(numbers.subarray(i * part.length, (i + 1) * part.length));
      });
    },

    // Arrays are garbage-collected; there is no arena to release.
    mark: () => 0,
    release: () => {},
    keep: (_mark, tensors) => [...tensors],

    sumSquares(tensors) {
      const sums = tensors.map((tensor) => {
        let sum = 0;
        for (const x of dataOf(tensor)) sum += x * x;
        return sum;
      });
      return referenceTensor(Float64Array.from(sums), [tensors.length]);
    },
    adamW: (parameter, gradient, { m, v }, from, step) =>
      adamW(dataOf(parameter), dataOf(gradient), dataOf(m), dataOf(v), from, step),
    blend(to, factor, source, other) {
      const [target, from] = [dataOf(to), dataOf(source)];
      for (let i = 0; i < target.length; i++) target[i] = factor * target[i]! + other * from[i]!;
    },
    muon: (parameter, gradient, m, step) => {
      const [rows, columns] = [rowCount(parameter.shape), columnCount(parameter.shape)];
      muon(dataOf(parameter), dataOf(gradient), dataOf(m), rows, columns, step);
    },

    memory: () => ({ weights: weightBytes, allocated: allocatedBytes, cache: cacheBytes, arena: 0 }),
    close: () => {},
  };
}

/** A block's part of each layer's keys, then of each layer's values. */
function blockOf(
  { keys, values, blockTokens, kvHeadCount, headSize }: ReferenceKvStore,
  block: number,
): Float64Array[] {
  const size = blockTokens * kvHeadCount * headSize;
  return [...keys, ...values].map((plane) => plane.subarray(block * size, (block + 1) * size));
}
