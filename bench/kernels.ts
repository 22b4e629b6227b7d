/**
 * Speed of the `linear` kernels alone: matrix-vector (decode) and matrix-matrix (prefill), per weight type.
 *
 *   node bench/kernels.ts [--types Q4_0,Q8_0] [--threads 1] [--rows 128] [--seconds 1] [--no-revectorize] [--simd relaxed|plain] [--native] [--blas]
 *
 * Decode walks over matrices that together exceed any cache, and so do products of at most 16 rows; its limit is the rate at which a plain
 * loop reads memory.
 */
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { fromFloats } from '../src/devices/device.ts';
import { createWasmDevice } from '../src/devices/wasm/device.ts';
import type { SimdBuild } from '../src/devices/wasm/library.ts';
import { randomFloats } from '../src/devices/wasm/testing.ts';
import { hugePages } from '../src/platform/node/engine/huge-pages.ts';
import { loadBlas } from '../src/platform/node/native/blas.ts';
import { loadNative } from '../src/platform/node/native/machine-code.ts';
import { nodeThreads } from '../src/platform/node/threads.ts';
import { rowBytes, type WeightType } from '../src/tensor/dtype.ts';
import type { Tensor } from '../src/tensor/tensor.ts';

const { values } = parseArgs({
  options: {
    types: { type: 'string', default: 'Q4_0,Q8_0,Q4_K,Q6_K,f16,f32' },
    threads: { type: 'string', default: '1' },
    rows: { type: 'string', default: '128' },
    seconds: { type: 'string', default: '1' },
    simd: { type: 'string', default: 'auto' },
    blas: { type: 'boolean', default: false },
    native: { type: 'boolean', default: false },
    'no-revectorize': { type: 'boolean', default: false },
  },
});
if (!values['no-revectorize']) setFlagsFromString('--experimental-wasm-revectorize');
const threads = Number(values.threads);
const N = Number(values.rows);
const milliseconds = Number(values.seconds) * 1000;
const [O, I] = [2048, 2048];
const BYTES = 256 * 2 ** 20;

for (const dtype of values.types.split(',') as WeightType[]) {
  const device = await createWasmDevice({
    threads,
    activations: 'int8',
    host: nodeThreads,
    prepareMemory: hugePages(),
    clock: () => performance.now(),
    simd: values.simd as 'auto' | SimdBuild,
    ...(values.native && { native: nativeKernels() }),
    ...(values.blas && { blas: loadBlas(), blasRows: () => 2 }),
  });
  const bytes = O * rowBytes(dtype, I);
  const matrices = Array.from({ length: Math.ceil(BYTES / bytes) }, () =>
    device.placeWeight({ name: dtype, dtype, shape: [O, I], readRows: (target) => void target.fill(0x11) }, null),
  );
  const decode = rate(device, 1, matrices);
  const prefill = rate(device, N, N <= 16 ? matrices : matrices.slice(0, 4));
  console.log(
    `${dtype.padEnd(5)} N = 1: ${(decode / 1e9).toFixed(2)} G weights/s, ${((decode * bytes) / O / I / 1e9).toFixed(1)} GB/s` +
      `   N = ${N}: ${((2 * prefill) / 1e9).toFixed(1)} GOP/s   (${device.description})`,
  );
  device.close();
}

/** Multiply-adds a second, best of the slices of the time given: other programs only ever take away. */
function rate(device: Awaited<ReturnType<typeof createWasmDevice>>, rows: number, matrices: readonly Tensor[]): number {
  const mark = device.mark();
  const x = fromFloats(device, randomFloats(rows * I, 1), [rows, I]);
  let best = 0;
  const end = performance.now() + 2 * milliseconds;
  while (performance.now() < end) {
    const start = performance.now();
    for (const matrix of matrices) {
      const inner = device.mark();
      device.ops.linear(x, matrix);
      device.release(inner);
    }
    best = Math.max(best, (rows * O * I * matrices.length) / ((performance.now() - start) / 1000));
  }
  device.release(mark);
  return best;
}

function nativeKernels() {
  const native = loadNative();
  if (typeof native === 'string') throw new Error(`bench: --native, but ${native}`);
  return native;
}
