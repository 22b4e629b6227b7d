/** A system's matrix product, where one was found (layer 7 binds it). It is called by several threads at a time, each on its own tile. */
export interface Blas {
  /** For people: 'libopenblas.so.0 (OpenBLAS 0.3.21, SkylakeX kernels)'. */
  readonly description: string;
  /** What A and B hold; sums and C are f32. */
  readonly operands: BlasOperands;
  /** Products of bf16, beside those of f32: for matrices that are quantized anyway. */
  readonly half?: Blas | undefined;
  /** The product within one memory, for the kernels of that memory to import. */
  sgemm(memory: WebAssembly.Memory): Sgemm;
}

export type BlasOperands = 'f32' | 'bf16';

/**
 * C [M × N] = A [M × K] · B [K × N] + beta · C. a, b, c: where they lie in the memory, in bytes. Strides in numbers: from row to row and
 * from column to column; of A's two one is 1, and of B's.
 */
export type Sgemm = (
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
