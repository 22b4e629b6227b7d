// `linear` over int8 activations: y_no = Σ_i w_oi · x_ni, where both come as integers with scales (layout.assembly.ts, quantize.assembly.ts).
//
// Within a block of 32 columns everything is integer and exact; then come f32 multiplications and additions in a fixed order, block after
// block, never fused (blocks.assembly.ts). So one activation row (gemv) and four (gemm), any thread count, relaxed and plain SIMD: the same bits.
// Cost  2·O·I·N integer operations; at N = 1 bound by reading the weights.
import { arg } from '../simd.assembly';
import {
  PACK_Q2_K,
  PACK_Q3_K,
  PACK_Q4_0,
  PACK_Q4_1,
  PACK_Q4_K,
  PACK_Q5_0,
  PACK_Q5_1,
  PACK_Q5_K,
  PACK_Q6_K,
  PACK_Q8_0,
  PACK_TABLE,
  PACK_TABLE_BF16,
  PACK_TABLE_F16,
  PACK_TABLE_HALVES,
} from '../tasks';
import { widenScales } from './blocks.assembly';
import { gemm } from './gemm.assembly';
import { gemv } from './gemv.assembly';
import { blockBytes, groupAt, groupBytes, isSuper, QUANTIZED_GROUP } from './layout.assembly';
import { storeEight } from './pieces.assembly';

/**
 * Arguments: 0 kind, 1 packed w, 2 columns, 3 rows of w (O), 4 x (tiles), 5 N, 6 rows of a tile, 7 y, 8 bias (0: none),
 * 9 scratch, 10 scratch bytes a thread (512, and 128 a block when N > 1 and blocks have scales of f16),
 * 11 groups that are read side by side when N = 1 (at most 4). Unit = one panel; threads take whole groups.
 */
export function linearQuantized(first: i32, last: i32, thread: i32): void {
  switch (<i32>arg(0)) {
    case PACK_Q4_0:
      return runQ4_0(first, last, thread);
    case PACK_Q4_1:
      return runQ4_1(first, last, thread);
    case PACK_Q5_0:
      return runQ5_0(first, last, thread);
    case PACK_Q5_1:
      return runQ5_1(first, last, thread);
    case PACK_Q2_K:
      return runQ2_K(first, last, thread);
    case PACK_Q3_K:
      return runQ3_K(first, last, thread);
    case PACK_Q4_K:
      return runQ4_K(first, last, thread);
    case PACK_Q5_K:
      return runQ5_K(first, last, thread);
    case PACK_Q6_K:
      return runQ6_K(first, last, thread);
    case PACK_TABLE_F16:
      return runTableF16(first, last, thread);
    case PACK_TABLE_BF16:
      return runTableBF16(first, last, thread);
    case PACK_TABLE:
      return runTable(first, last, thread);
    case PACK_TABLE_HALVES:
      return runTableHalves(first, last, thread);
    default:
      return runQ8_0(first, last, thread);
  }
}

// One function a type: small ones compile when a model first needs them, and engines optimize them well.
function runQ4_0(first: i32, last: i32, thread: i32): void {
  panels(PACK_Q4_0, first, last, thread);
}
function runQ4_1(first: i32, last: i32, thread: i32): void {
  panels(PACK_Q4_1, first, last, thread);
}
function runQ5_0(first: i32, last: i32, thread: i32): void {
  panels(PACK_Q5_0, first, last, thread);
}
function runQ5_1(first: i32, last: i32, thread: i32): void {
  panels(PACK_Q5_1, first, last, thread);
}
function runQ2_K(first: i32, last: i32, thread: i32): void {
  panels(PACK_Q2_K, first, last, thread);
}
function runQ3_K(first: i32, last: i32, thread: i32): void {
  panels(PACK_Q3_K, first, last, thread);
}
function runQ4_K(first: i32, last: i32, thread: i32): void {
  panels(PACK_Q4_K, first, last, thread);
}
function runQ5_K(first: i32, last: i32, thread: i32): void {
  panels(PACK_Q5_K, first, last, thread);
}
function runQ6_K(first: i32, last: i32, thread: i32): void {
  panels(PACK_Q6_K, first, last, thread);
}
function runTableF16(first: i32, last: i32, thread: i32): void {
  panels(PACK_TABLE_F16, first, last, thread);
}
function runTableBF16(first: i32, last: i32, thread: i32): void {
  panels(PACK_TABLE_BF16, first, last, thread);
}
function runTable(first: i32, last: i32, thread: i32): void {
  panels(PACK_TABLE, first, last, thread);
}
function runTableHalves(first: i32, last: i32, thread: i32): void {
  panels(PACK_TABLE_HALVES, first, last, thread);
}
function runQ8_0(first: i32, last: i32, thread: i32): void {
  panels(PACK_Q8_0, first, last, thread);
}

@inline
function panels(kind: i32, first: i32, last: i32, thread: i32): void {
  if (arg(5) == 1) vector(kind, first, last, thread);
  else matrix(kind, first, last, thread);
}

@inline
function vector(kind: i32, first: i32, last: i32, thread: i32): void {
  const blocks = arg(2) >> 5;
  const bytes = groupBytes(kind, arg(2));
  const sums = arg(9) + <usize>thread * arg(10);
  const streams = arg(11);
  const end = (<usize>last + QUANTIZED_GROUP - 1) / QUANTIZED_GROUP;
  for (let group = <usize>first / QUANTIZED_GROUP; group < end; group += streams) {
    const count = min(streams, end - group);
    memory.fill(sums, 0, count * QUANTIZED_GROUP * 32);
    gemv(kind, arg(1) + group * bytes, arg(4), blocks, count, bytes, sums);
    for (let i: usize = 0; i < count * QUANTIZED_GROUP; i++) storePanel(sums + i * 32, group * QUANTIZED_GROUP + i, 0);
  }
}

@inline
function matrix(kind: i32, first: i32, last: i32, thread: i32): void {
  const columns = arg(2);
  const blocks = columns >> 5;
  const N = arg(5);
  const sums = arg(9) + <usize>thread * arg(10);
  for (let panel: usize = first; panel < <usize>last; panel += 2) {
    const group = arg(1) + groupAt(kind, columns, panel);
    const member = panel % QUANTIZED_GROUP;
    if (!isSuper(kind)) widenScales(kind, group + member * blockBytes(kind), blocks, sums + 512);
    for (let n: usize = 0; n < N; n += 4) {
      memory.fill(sums, 0, 256);
      gemm(kind, group, member, arg(4) + n * blocks * 40, blocks, sums, sums + 512);
      for (let i: usize = 0; i < min(4, N - n); i++) {
        storePanel(sums + i * 64, panel, n + i);
        storePanel(sums + i * 64 + 32, panel + 1, n + i);
      }
    }
  }
}

/** Writes a panel's 8 sums of activation row n, as many as the matrix has rows there. */
function storePanel(sums: usize, panel: usize, n: usize): void {
  const O = arg(3);
  const bias = arg(8) == 0 ? 0 : arg(8) + panel * 32;
  const y = arg(7) + (n * O + panel * 8) * 4;
  storeEight(v128.load(sums), v128.load(sums, 16), y, bias, <i32>O - <i32>panel * 8);
}
