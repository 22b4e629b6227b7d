import { assert } from '../../base/assert.ts';
import type { Floats } from '../../tensor/tensor.ts';

/**
 * Looks up one row of a table per id: y_nd = table_{ids_n, d}.
 *
 * Shapes   y_ND, table_VD, ids_N
 * Source   LLaMA's token embedding; the same lookup serves learned positions.
 */
export function embed(y_ND: Floats, table_VD: Floats, ids_N: Uint32Array, D: number): void {
  const V = table_VD.length / D;
  assert(y_ND.length === ids_N.length * D, `embed: y holds ${y_ND.length} floats, expected N·D = ${ids_N.length}·${D}`);
  for (let n = 0; n < ids_N.length; n++) {
    const id = ids_N[n]!;
    assert(id < V, `embed: id ${id} at row ${n} is outside the table of ${V} rows`);
    y_ND.set(table_VD.subarray(id * D, (id + 1) * D), n * D);
  }
}
