/**
 * Machine code instead of WebAssembly where this processor has one of ours (native/machine-code.ts), after a look: every kernel that it
 * replaces computes something small both ways, and the bits must be the same. Code that has passed here is remembered (remembered.ts).
 */
import { createLoneWasmDevice } from '../../devices/wasm/device.ts';
import { hasFusedMultiplyAdd } from '../../devices/wasm/dot-probe.ts';
import type { KernelLibrary } from '../../devices/wasm/library.ts';
import { computeByNative, differing, resultsNow } from '../../devices/wasm/self-test.ts';
import type { NativeKernels } from '../../kernels/native/kernels.ts';
import { type LoadedNative, loadNative } from './native/machine-code.ts';
import { Verdicts } from './remembered.ts';
import { warn } from './warnings.ts';

export interface NativeChoice {
  /** For createWasmDevice. */
  readonly kernels: LoadedNative | null;
  /** In words why there are none; null where there are. */
  readonly why: string | null;
  /** What is to be said of it beside the kernels: null where nothing was asked for or nothing is to be had. */
  readonly note: string | null;
}

export function nativeForThisMachine(
  kernels: KernelLibrary,
  wanted: boolean,
  { verdicts = new Verdicts(), load = loadNative } = {},
): NativeChoice {
  const native = wanted ? load({ isFused: kernels.simd !== 'plain' && hasFusedMultiplyAdd() }) : 'not asked for';
  if (typeof native === 'string') return { kernels: null, why: native, note: null };
  const key = verdicts.keyOf('native', kernels.simd, native.code);
  if (verdicts.hasPassed(key)) return { kernels: native, why: null, note: null };
  const results = (native: NativeKernels | null) => {
    const device = createLoneWasmDevice({ kernels, native, activations: 'int8' });
    return resultsNow((keep) => computeByNative(device, keep));
  };
  const wrong = differing(results(null), results(native));
  if (wrong.length === 0) {
    verdicts.pass(key);
    return { kernels: native, why: null, note: null };
  }
  const why = `machine code differs from WebAssembly in ${wrong.join(', ')}`;
  warn(`${why}; WebAssembly runs`);
  return { kernels: null, why, note: 'WebAssembly (machine code failed the self-test)' };
}
