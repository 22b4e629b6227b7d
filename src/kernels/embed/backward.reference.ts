import type { Floats } from '../../tensor/tensor.ts';

/** The gradient of a lookup adds each row to the table row that it came from: dTable[ids_n] += dy_n. Repeated ids add up. */
export function embedBackward(dTable_VD: Floats, dy_ND: Floats, ids_N: Uint32Array, D: number): void {
  for (let n = 0; n < ids_N.length; n++) {
    for (let d = 0; d < D; d++) dTable_VD[ids_N[n]! * D + d]! += dy_ND[n * D + d]!;
  }
}
