/** A system's matrix product, where one was found (layer 7 binds it). Row-major, as CBLAS: C ← op(A) · op(B) + beta · C. */
export interface Blas {
  /** For people: 'libopenblas.so.0, 2 threads'. */
  readonly description: string;
  sgemm(call: BlasCall): void;
}

export interface BlasCall {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly a: Float32Array;
  /** A is stored K × M. */
  readonly transposeA: boolean;
  readonly aStride: number;
  readonly b: Float32Array;
  /** B is stored N × K. */
  readonly transposeB: boolean;
  readonly bStride: number;
  readonly beta: 0 | 1;
  readonly c: Float32Array;
  readonly cStride: number;
}
