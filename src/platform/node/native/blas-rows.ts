/** From how many rows on a BLAS multiplies faster than our kernels: measured here, as it depends on both and on the processor. */
import { fromFloats } from '../../../devices/device.ts';
import { createWasmDevice } from '../../../devices/wasm/device.ts';
import type { KernelLibrary } from '../../../devices/wasm/library.ts';
import type { Blas } from '../../../kernels/gemm/blas.ts';
import type { NativeKernels } from '../../../kernels/native/kernels.ts';
import { rowBytes, type WeightType } from '../../../tensor/dtype.ts';
import type { TensorSource } from '../../../tensor/source.ts';

const [O, I] = [128, 1024];
const ROWS = [32, 64, 128, 256, 512];
const REPETITIONS = 3;
/** A BLAS that is faster by less is not worth other bits; nor is it in a whole model, where matrices are larger and threads share the memory. */
const GAIN = 1.15;

/** Types whose kernels are much alike (kernels/linear/int8/packing.ts) share a measurement. */
const measured = ['f32', 'f16', 'Q8_0', 'Q4_0', 'Q4_K', 'Q5_K', 'Q6_K'] as const satisfies readonly WeightType[];
function likeness(type: WeightType): (typeof measured)[number] {
  if (type === 'bf16') return 'f16';
  return (measured as readonly WeightType[]).includes(type) ? (type as (typeof measured)[number]) : 'Q5_K';
}

/** Takes about 0.1 s. The kernels must have been optimized. Rows by weight type; infinite where our kernels are always faster. */
export async function measureBlasRows(
  blas: Blas,
  kernels: KernelLibrary,
  native: NativeKernels | null,
): Promise<(type: WeightType) => number> {
  const device = async (blasRows: number) =>
    createWasmDevice({ kernels, native, activations: 'int8', blas, blasRows: () => blasRows });
  const [ours, theirs] = [await device(Number.POSITIVE_INFINITY), await device(1)];
  const numbers = new Float32Array(ROWS.at(-1)! * I).fill(0.5);
  const found = new Map<WeightType, number>();
  for (const type of measured) {
    const stride = rowBytes(type, I);
    const source: TensorSource = {
      name: type,
      dtype: type,
      shape: [O, I],
      readRows: (target, _, count) => void target.fill(0x11, 0, count * stride),
    };
    const run = [ours, theirs].map((target) => {
      const w = target.placeWeight(source, null);
      return (N: number): number => {
        const mark = target.mark();
        const x = fromFloats(target, numbers.subarray(0, N * I), [N, I]);
        let least = Number.POSITIVE_INFINITY;
        for (let i = 0; i < REPETITIONS; i++) {
          const inner = target.mark();
          const from = performance.now();
          target.ops.linear(x, w);
          least = Math.min(least, performance.now() - from);
          target.release(inner);
        }
        target.release(mark);
        return least;
      };
    });
    const isSlower = (N: number) => run[0]!(N) <= GAIN * run[1]!(N);
    found.set(type, ROWS[ROWS.findLastIndex(isSlower) + 1] ?? Number.POSITIVE_INFINITY);
  }
  return (type) => found.get(likeness(type))!;
}

/** 'f32, f16 from 32 rows; Q8_0 from 64; not Q4_0, which our kernels multiply faster' */
export function sayBlasRows(rows: (type: WeightType) => number): string {
  const groups = ROWS.flatMap((N) => {
    const types = measured.filter((type) => rows(type) === N);
    return types.length > 0 ? [`${types.join(', ')} from ${N} rows`] : [];
  });
  const never = measured.filter((type) => rows(type) === Number.POSITIVE_INFINITY);
  if (never.length > 0) groups.push(`not ${never.join(', ')}, which our kernels multiply faster`);
  return groups.join('; ');
}
