/** System libraries that Cria can use through FFI, where they are installed. */
import { ffi } from './ffi.ts';

/** File names to try, in this order. */
export const nativeCandidates = {
  blas:
    {
      linux: ['libopenblas.so.0', 'libopenblas.so', 'libmkl_rt.so.2', 'libblis.so.4', 'libcblas.so.3', 'libblas.so.3'],
      darwin: ['/System/Library/Frameworks/Accelerate.framework/Accelerate', 'libopenblas.dylib'],
      win32: ['libopenblas.dll', 'openblas.dll', 'mkl_rt.2.dll'],
    }[process.platform as string] ?? [],
  onednn:
    { linux: ['libdnnl.so.3', 'libdnnl.so.2'], darwin: ['libdnnl.dylib'], win32: ['dnnl.dll'] }[
      process.platform as string
    ] ?? [],
  mpi:
    {
      linux: ['libmpi.so.40', 'libmpi.so', 'libmpi.so.12'],
      darwin: ['libmpi.dylib'],
    }[process.platform as string] ?? [],
} as const satisfies Record<string, readonly string[]>;

/** The name under which MPI loads here, or null. CRIA_MPI_LIBRARY names one that is elsewhere. */
export function findMpiLibrary(env: Readonly<Record<string, string | undefined>> = process.env): string | null {
  const named = env.CRIA_MPI_LIBRARY;
  for (const candidate of named ? [named] : nativeCandidates.mpi) {
    try {
      ffi().load(candidate).func('void MPI_Init()');
      return candidate;
    } catch {
      // not here, or without the symbol: the next one may do
    }
  }
  return null;
}
