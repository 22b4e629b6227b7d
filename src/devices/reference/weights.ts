import { UnsupportedError } from '../../base/errors.ts';
import { bf16ToF32, f16ToF32 } from '../../base/f16.ts';
import type { TensorSource } from '../../tensor/source.ts';

/** The weights of a tensor as f32. */
export function decodeWeight(source: TensorSource, bytes: Uint8Array): Float32Array {
  if (source.dtype === 'f32') return new Float32Array(bytes.buffer);
  const halves = { f16: f16ToF32, bf16: bf16ToF32 };
  if (source.dtype === 'f16' || source.dtype === 'bf16') {
    return Float32Array.from(new Uint16Array(bytes.buffer), halves[source.dtype]);
  }
  throw new UnsupportedError('device.dtype', `${source.name}: the reference device cannot decode ${source.dtype} yet`);
}
