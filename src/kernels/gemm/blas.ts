/**
 * A system's matrix products, where they were found (layer 7 binds them): of f32 numbers, of bf16 ones, or both; sums are f32. Each makes
 * the product within one memory, for the kernels of that memory to import. Several threads call it at a time, each on its own tile.
 */
export interface Blas {
  /** For people: 'libopenblas.so.0 (OpenBLAS 0.3.21, SkylakeX kernels)'. */
  readonly description: string;
  readonly sgemm?: ((memory: WebAssembly.Memory) => Gemm) | undefined;
  readonly bgemm?: ((memory: WebAssembly.Memory) => Gemm) | undefined;
}

/** What A and B hold. */
export type BlasOperands = 'f32' | 'bf16';

export function operandsOf({ sgemm, bgemm }: Blas): readonly BlasOperands[] {
  return [...(sgemm ? (['f32'] as const) : []), ...(bgemm ? (['bf16'] as const) : [])];
}

/**
 * C [M × N] = A [M × K] · B [K × N] + beta · C. a, b, c: where they lie in the memory, in bytes. Strides in numbers: from row to row and
 * from column to column; of A's two one is 1, and of B's.
 */
export type Gemm = (
  M: number,
  N: number,
  K: number,
  a: number,
  aRow: number,
  aColumn: number,
  b: number,
  bRow: number,
  bColumn: number,
  beta: number,
  c: number,
  cRow: number,
) => void;
