/** System libraries that Cria can use through koffi, where they are installed. */
import koffi from 'koffi';

interface NativeLibrary {
  /** File names to try, in this order; the first that loads and holds the symbol is used. */
  readonly candidates: readonly string[];
  readonly symbol: string;
}

export const nativeLibraries = {
  blas: {
    candidates:
      {
        linux: [
          'libopenblas.so.0',
          'libopenblas.so',
          'libmkl_rt.so.2',
          'libblis.so.4',
          'libcblas.so.3',
          'libblas.so.3',
        ],
        darwin: ['/System/Library/Frameworks/Accelerate.framework/Accelerate', 'libopenblas.dylib'],
        win32: ['libopenblas.dll', 'openblas.dll', 'mkl_rt.2.dll'],
      }[process.platform as string] ?? [],
    symbol: 'cblas_sgemm',
  },
  mpi: {
    candidates:
      {
        linux: ['libmpi.so.40', 'libmpi.so', 'libmpi.so.12'],
        darwin: ['libmpi.dylib'],
      }[process.platform as string] ?? [],
    symbol: 'MPI_Init',
  },
} as const satisfies Record<string, NativeLibrary>;

/** The name under which a library loads here, or null. CRIA_BLAS_LIBRARY and CRIA_MPI_LIBRARY name one that is elsewhere. */
export function findNativeLibrary(
  kind: keyof typeof nativeLibraries,
  env: Readonly<Record<string, string | undefined>> = process.env,
): string | null {
  const { candidates, symbol } = nativeLibraries[kind];
  const named = env[`CRIA_${kind.toUpperCase()}_LIBRARY`];
  for (const candidate of named ? [named] : candidates) {
    try {
      koffi.load(candidate).func(`void ${symbol}()`);
      return candidate;
    } catch {
      // not here, or without the symbol: the next one may do
    }
  }
  return null;
}
