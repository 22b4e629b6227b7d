import { f16ToF32, f32ToF16 } from '../../base/f16.ts';
import type { KvType } from '../../kernels/ops.ts';
import type { Floats } from '../../tensor/tensor.ts';

/**
 * A row of keys or values as a cache of the given type gives it back.
 *
 *   f32   rounded to f32          f16   rounded to f16
 *   q8_0  groups of 32 within a head (the last one may be shorter): scale = f16(max|x| / 127), x ≈ scale · round(x / scale)
 *   q4_0  the same groups: scale = f16(m / −8), m the number of largest magnitude, x ≈ scale · (q − 8) with q = ⌊x / scale + 8.5⌋ in 0 … 15
 */
export function roundToCache(type: KvType, row: Floats, headSize: number): Float64Array {
  if (type === 'f32') return Float64Array.from(row, Math.fround);
  if (type === 'f16') return Float64Array.from(row, (x) => f16ToF32(f32ToF16(x)));
  const out = new Float64Array(row.length);
  for (let head = 0; head < row.length; head += headSize) {
    for (let start = head; start < head + headSize; start += 32) {
      const end = Math.min(start + 32, head + headSize);
      let extreme = 0;
      for (let i = start; i < end; i++) if (!(Math.abs(row[i]!) <= Math.abs(extreme))) extreme = row[i]!;
      const scale = f16ToF32(f32ToF16(type === 'q8_0' ? Math.abs(extreme) / 127 : extreme / -8));
      for (let i = start; i < end; i++) out[i] = scale === 0 ? 0 : scale * inSteps(type, row[i]! / scale);
    }
  }
  return out;
}

function inSteps(type: 'q8_0' | 'q4_0', x: number): number {
  if (type === 'q8_0') return Math.max(-127, Math.min(127, Math.round(x)));
  return Math.max(0, Math.min(15, Math.floor(x + 8.5))) - 8;
}
