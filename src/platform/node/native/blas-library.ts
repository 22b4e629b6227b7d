/**
 * Finds the system's BLAS, and sees to it that an OpenBLAS runs kernels that suit the processor. One that is older than the processor
 * falls back to kernels of 2004 ("Prescott"), which are slower than our own; OPENBLAS_CORETYPE, read as the library loads, makes it
 * take others.
 */

import { cpuFlags } from '../machine.ts';
import { withEnvironment } from './environment.ts';
import { ffi, type NativeLibrary as Library } from './ffi.ts';
import { nativeCandidates } from './native-library.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface BlasLibrary {
  readonly library: Library;
  /** For people: 'libopenblas.so.0 (OpenBLAS 0.3.21, SkylakeX kernels)'. */
  readonly description: string;
  /** Why our own kernels are the better choice; null where they are not. */
  readonly problem: string | null;
}

/** OpenBLAS's names of x64 kernels without 256-bit vectors of fused multiply-adds. Source: OpenBLAS, driver/others/dynamic.c. */
const NARROW_CORES = new Set(
  (
    'Unknown Katmai Coppermine Northwood Prescott Banias Atom Core2 Penryn Dunnington Nehalem Athlon Opteron ' +
    'Opteron_SSE3 Barcelona Bobcat Nano Sandybridge Bulldozer Piledriver Steamroller Generic'
  )
    .toLowerCase()
    .split(' '),
);

/** What marks a library of a make that is fast; the reference BLAS and what we do not know have none of these. */
const makes = { MKL: 'MKL_Get_Max_Threads', BLIS: 'bli_info_get_version_str', ATLAS: 'ATL_buildinfo' } as const;

/** Threads that load at the same time may hold the library for each other. */
const ATTEMPTS = 5;

/**
 * The system's BLAS, or null where none is installed. CRIA_BLAS_LIBRARY names one that is elsewhere, and is taken at its word;
 * so is the user's own OPENBLAS_CORETYPE.
 */
export function openBlasLibrary(env: Environment = process.env): BlasLibrary | null {
  const named = env.CRIA_BLAS_LIBRARY;
  let inferior: BlasLibrary | null = null;
  for (const name of named ? [named] : nativeCandidates.blas) {
    const found = open(name, env);
    if (found === null) continue;
    if (found.problem === null || named) return { ...found, problem: null };
    inferior ??= found;
  }
  return inferior;
}

function open(name: string, env: Environment): BlasLibrary | null {
  let library = load(name);
  if (library === null) return null;
  const config = textOf(library, 'openblas_get_config');
  if (config === null) {
    const make = Object.keys(makes).find((key) => has(library!, makes[key as keyof typeof makes]));
    if (make || process.platform === 'darwin') {
      return { library, description: make ? `${name} (${make})` : name, problem: null };
    }
    const problem = `${name} is no OpenBLAS, MKL or BLIS: it may well be the reference BLAS, which is slower than our own kernels; CRIA_BLAS_LIBRARY=${name} uses it all the same`;
    return { library, description: `${name} (of unknown make)`, problem };
  }
  const version = /OpenBLAS (\S+)/.exec(config)?.[1] ?? 'of unknown version';
  const suited = suitedCore();
  const asFound = coreOf(library);
  let core = asFound;
  if (suited !== null && !env.OPENBLAS_CORETYPE) {
    for (let attempt = 0; attempt < ATTEMPTS && isNarrow(core); attempt++) {
      library.unload();
      if (attempt > 0) pause(attempt * 2);
      library = withEnvironment({ OPENBLAS_CORETYPE: suited }, () => load(name));
      if (library === null) return null;
      core = coreOf(library);
    }
  }
  const problem =
    suited === null || !isNarrow(core) || env.OPENBLAS_CORETYPE
      ? null
      : `${name} (OpenBLAS ${version}) runs its ${core} kernels here, which are slower than our own; OPENBLAS_CORETYPE=${suited} before the start makes it use others`;
  const chosen = core === asFound ? `${core} kernels` : `${core} kernels, chosen over its ${asFound} ones`;
  return { library, description: `${name} (OpenBLAS ${version}, ${chosen})`, problem };
}

function isNarrow(core: string): boolean {
  return NARROW_CORES.has(core.toLowerCase());
}

/** The OpenBLAS kernels for this processor, whatever its model; null where none need choosing. */
function suitedCore(): 'SkylakeX' | 'Haswell' | null {
  const flags = cpuFlags();
  const has = (...names: string[]) => names.every((name) => flags.has(name));
  if (has('avx512f', 'avx512cd', 'avx512bw', 'avx512dq', 'avx512vl')) return 'SkylakeX';
  return has('avx2', 'fma') ? 'Haswell' : null;
}

function coreOf(library: Library): string {
  return textOf(library, 'openblas_get_corename') ?? 'unnamed';
}

function load(name: string): Library | null {
  try {
    const library = ffi().load(name);
    if (has(library, 'cblas_sgemm')) return library;
    library.unload();
  } catch {
    // not here
  }
  return null;
}

function has(library: Library, symbol: string): boolean {
  try {
    library.func(`void ${symbol}()`);
    return true;
  } catch {
    return false;
  }
}

function textOf(library: Library, symbol: string): string | null {
  return has(library, symbol) ? (library.func(`const char *${symbol}()`)() as string) : null;
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
