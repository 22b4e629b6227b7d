/**
 * What the machine can do at best from WebAssembly: the denominators of `cria bench --roofline`. Not part of any model. Written like the
 * kernels they stand for: pairs of neighbouring vectors from load to store, which V8's revectorizer joins to 256 bits.
 */
import { times } from '../lanes.ts';
import { CONSTANT_BYTES, CONTROL_CONSTANTS } from '../tasks.ts';
import { body, ConstantPool, type Target } from '../writer/body.ts';
import { MEMORY, moduleOf } from '../writer/module.ts';
import { each, functionOf, storeVectors, type Variable, variable } from '../writer/statements.ts';
import { F32x4, I8x16, I16x8, I32, I32x4, type Vector } from '../writer/values.ts';

/** Bytes that stay in the cache. */
const CACHED = 4096;

function zerosOf<V extends Vector>(count: number, zero: () => V): Variable<V>[] {
  return times(count, () => variable(zero()));
}
function storeSums(out: I32, sums: readonly Variable<Vector>[]): void {
  const values = sums.map((sum) => sum.value);
  storeVectors(out, values);
}

/** Reads `bytes` (a multiple of 128) from `from` on; what was read is folded into 128 bytes at `out`, so that nothing is skipped. */
const limitRead = functionOf('limitRead', { from: I32, bytes: I32, out: I32 }, null, ({ from, bytes, out }) => {
  const sums = zerosOf(8, () => I32x4.splat(0));
  each(from, from.add(bytes), 128, (at) => {
    sums.forEach((sum, i) => {
      sum.value = sum.value.add(I32x4.load(at, 16 * i));
    });
  });
  storeSums(out, sums);
  return undefined;
});

const roundsTake = { buffer: I32, rounds: I32, out: I32 };

/** Multiply-adds of int8 in a tile of 8 rows × 4 activations: 128 each step of 32 bytes. */
const limitInt8 = functionOf('limitInt8', roundsTake, null, ({ buffer, rounds, out }) => {
  const grow = (x: I8x16, w: I8x16, sum: I32x4) =>
    body().target.hasDot ? x.dotAdd(w, sum) : sum.as(I16x8).add(x.dotPairs(w)).as(I32x4);
  each(0, rounds, 1, () => {
    const sums = zerosOf(8, () => I32x4.splat(0));
    each(buffer, buffer.add(CACHED), 32, (at) => {
      const weights = times(2, (i) => I8x16.load(at, 16 * i));
      const activations = times(4, (i) => I8x16.loadSplat(at, 4 * i));
      sums.forEach((sum, i) => {
        sum.value = grow(activations[i >> 1]!, weights[i & 1]!, sum.value);
      });
    });
    storeSums(out, sums);
  });
  return undefined;
});

/** Multiply-adds of f32 in a tile of 4 × 16: 64 each step of 64 bytes. */
const limitF32 = functionOf('limitF32', roundsTake, null, ({ buffer, rounds, out }) => {
  each(0, rounds, 1, () => {
    const sums = zerosOf(16, () => F32x4.splat(0));
    each(buffer, buffer.add(CACHED), 64, (at) => {
      const weights = times(4, (i) => F32x4.load(at, 16 * i));
      for (let row = 0; row < 4; row++) {
        const x = F32x4.loadSplat(at, 4 * row);
        for (let i = 0; i < 4; i++) {
          const sum = sums[4 * row + i]!;
          sum.value = x.mulAdd(weights[i]!, sum.value);
        }
      }
    });
    storeSums(out, sums);
  });
  return undefined;
});

/** The bytes of their module; it exports them by name. */
export function limitsModule(target: Target): Uint8Array<ArrayBuffer> {
  return moduleOf({
    target,
    exports: { limitRead: limitRead.callee, limitInt8: limitInt8.callee, limitF32: limitF32.callee },
    constants: new ConstantPool(CONTROL_CONSTANTS, CONTROL_CONSTANTS + CONSTANT_BYTES),
    memory: MEMORY,
  });
}
