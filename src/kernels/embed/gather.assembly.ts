// y_n = table_{ids_n}. Arguments: y, table, ids (u32), D. Unit = one row.
import { arg } from '../simd.assembly';

export function gatherRows(first: i32, last: i32): void {
  const bytes = arg(3) * 4;
  for (let n: usize = first; n < <usize>last; n++) {
    memory.copy(arg(0) + n * bytes, arg(1) + <usize>load<u32>(arg(2) + n * 4) * bytes, bytes);
  }
}
