/**
 * Machine code instead of WebAssembly where this processor has one of ours (native/machine-code.ts), after a look: every kernel that it
 * replaces computes something small both ways, and the bits must be the same.
 */
import { createWasmDevice } from '../../devices/wasm/device.ts';
import type { CompiledKernels } from '../../devices/wasm/modules.ts';
import { differing, linearResults } from '../../devices/wasm/self-test.ts';
import type { NativeKernels } from '../../kernels/native/kernels.ts';
import { loadNative } from './native/machine-code.ts';

export interface NativeChoice {
  /** For createWasmDevice. */
  readonly kernels: NativeKernels | null;
  /** What is to be said of it beside the kernels: null where nothing was asked for or nothing is to be had. */
  readonly note: string | null;
}

export async function nativeForThisMachine(kernels: CompiledKernels, wanted: boolean): Promise<NativeChoice> {
  const native = wanted ? loadNative({ isFused: kernels.simd !== 'plain' }) : 'not asked for';
  if (typeof native === 'string') return { kernels: null, note: null };
  const results = async (native: NativeKernels | null) =>
    linearResults(await createWasmDevice({ kernels, native, activations: 'int8' }));
  const wrong = differing(await results(null), await results(native));
  if (wrong.length === 0) return { kernels: native, note: null };
  process.emitWarning(`machine code differs from WebAssembly in ${wrong.join(', ')}; WebAssembly runs`, 'CriaWarning');
  return { kernels: null, note: 'WebAssembly (machine code failed the self-test)' };
}
