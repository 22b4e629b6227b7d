/**
 * Machine code at run time: bytes that this process writes (kernels/native) are put into memory of their own, which is then made
 * executable and can no longer be written (executable.ts), and called through FFI. Linux on x86-64 and AArch64; which instructions it is
 * written with, the processor decides (processor.ts). Sources: System V ABI for x86-64; Procedure Call Standard for the Arm 64-bit
 * Architecture.
 */
import {
  type Architecture,
  type NativeKernels,
  type NativeWay,
  nativeCode,
  nativeWays,
} from '../../../kernels/native/kernels.ts';
import { Code } from '../../../kernels/native/x64/code.ts';
import { writeInt8Limit } from '../../../kernels/native/x64/limit.ts';
import { placeCode } from './executable.ts';
import { ffi, findFfi, noFfi } from './ffi.ts';
import { nativeAt } from './placed-code.ts';
import { type Feature, featuresWithout, lackingFor } from './processor.ts';

export interface LoadedNative extends NativeKernels {
  /** What was placed. */
  readonly code: Uint8Array;
  /** Why it is not written in a better way, in words; null where there is none. */
  readonly notBetter: string | null;
}

interface NativeChoices {
  /** Multiply-adds of floats round once, as in the WebAssembly beside them. */
  readonly isFused?: boolean;
  /** What the processor is taken not to have. */
  readonly without?: ReadonlySet<Feature>;
}

/** The kernels as machine code or, in words, why they are not to be had. Throws as featuresWithout does. */
export function loadNative({
  isFused = true,
  without = featuresWithout(process.env),
}: NativeChoices = {}): LoadedNative | string {
  if (process.platform !== 'linux' || !Object.hasOwn(nativeWays, process.arch))
    return `there is none for ${process.platform} on ${process.arch}`;
  if (findFfi() === null) return noFfi;
  try {
    const lacks: string[] = [];
    for (const way of nativeWays[process.arch as Architecture]) {
      const lack = lackingFor(way, without);
      if (lack === null) return placed(way, isFused, lacks.join('; ') || null);
      lacks.push(lack);
    }
    return lacks.at(-1)!;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function placed(way: NativeWay, isFused: boolean, notBetter: string | null): LoadedNative {
  const { bytes, entries } = nativeCode({ way, isFused });
  return { ...nativeAt({ address: Number(placeCode(bytes)), way, entries }), code: bytes, notBetter };
}

/** A measure of the processor: does so many rounds of LIMIT_ROUND multiply-adds. To be called where loadNative gives kernels of AVX-512. */
export function nativeInt8Limit(): (rounds: number) => void {
  const code = new Code();
  writeInt8Limit(code);
  const run = ffi().decode(placeCode(code.bytes()), ffi().proto('void (int64 rounds)'));
  return (rounds) => void run(rounds);
}
