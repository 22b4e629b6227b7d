// `linear` over int8 activations: y_no = Σ_i w_oi · x_ni, where both come as integers with scales (layout.assembly.ts, quantize.assembly.ts).
//
// Within a block of 32 columns everything is integer and exact: T = Σ q_w·q_x (each sub-block's part times its scale), less offset · Σq_x.
// Then, block after block, with plain multiplications and additions (never fused):
//
//   acc = acc + f32(T) · (d · dx)          and where the type has minima        acc = acc − f32(m · Σq_x) · (dmin · dx)
//
// So one activation row (gemv) and four (gemm), any thread count, relaxed and plain SIMD: the same bits.
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
} from '../tasks';
import { expand, formOf } from './expand.assembly';
import { gemmTile } from './gemm.assembly';
import { gemv, gemvQ8_0 } from './gemv.assembly';
import { panelBytes } from './layout.assembly';
import { storeEight } from './pieces.assembly';

/**
 * Arguments: 0 kind, 1 packed w, 2 columns, 3 rows of w (O), 4 x (tiles), 5 N, 6 rows of a tile, 7 y, 8 bias (0: none),
 * 9 scratch, 10 scratch bytes a thread (N = 1: 256, else an expanded pair). Unit = one panel.
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
function runQ8_0(first: i32, last: i32, thread: i32): void {
  panels(PACK_Q8_0, first, last, thread);
}

@inline
function panels(kind: i32, first: i32, last: i32, thread: i32): void {
  if (arg(5) == 1) vector(kind, first, last, thread);
  else matrix(kind, first, last, thread);
}

/** Panels that are read side by side at one activation row (gemv.assembly.ts says why). */
const STREAMS: usize = 8;

@inline
function vector(kind: i32, first: i32, last: i32, thread: i32): void {
  const blocks = arg(2) >> 5;
  const bytes = panelBytes(kind, arg(2));
  const sums = arg(9) + <usize>thread * arg(10);
  for (let panel: usize = first; panel < <usize>last; panel += STREAMS) {
    const count = min(STREAMS, <usize>last - panel);
    memory.fill(sums, 0, count * 32);
    const w = arg(1) + panel * bytes;
    if (kind == PACK_Q8_0) gemvQ8_0(w, arg(4), blocks, count, bytes, sums);
    else gemv(kind, w, arg(4), blocks, count, bytes, sums);
    for (let i: usize = 0; i < count; i++) {
      const at = panel + i;
      const bias = arg(8) == 0 ? 0 : arg(8) + at * 32;
      const rows = <i32>arg(3) - <i32>at * 8;
      storeEight(v128.load(sums + i * 32), v128.load(sums + i * 32, 16), arg(7) + at * 32, bias, rows);
    }
  }
}

@inline
function matrix(kind: i32, first: i32, last: i32, thread: i32): void {
  const blocks = arg(2) >> 5;
  const O = arg(3);
  const N = arg(5);
  const bytes = panelBytes(kind, arg(2));
  const p = arg(9) + <usize>thread * arg(10);
  for (let panel: usize = first; panel < <usize>last; panel += 2) {
    const w = arg(1) + panel * bytes;
    const rows = <i32>O - <i32>panel * 8;
    let y = arg(7) + panel * 32;
    const bias = arg(8) == 0 ? 0 : arg(8) + panel * 32;
    const isPair = panel + 1 < <usize>last;
    expand(kind, p, w, blocks);
    if (isPair) expand(kind, p + 32, w + bytes, blocks);
    const wanted = isPair ? rows : min(rows, 8);
    let x = arg(4);
    for (let n: usize = 0; n < N; n += 4, x += blocks * 160, y += 16 * O) {
      tile(formOf(kind), p, x, blocks, y, O * 4, N - n, bias, wanted);
    }
  }
}

// One function a form.
@inline
function tile(
  form: i32,
  w: usize,
  x: usize,
  blocks: usize,
  y: usize,
  yRow: usize,
  lanes: usize,
  bias: usize,
  rows: i32,
): void {
  if (form == PACK_Q4_0) tileQ4_0(w, x, blocks, y, yRow, lanes, bias, rows);
  else if (form == PACK_Q8_0) tileQ8_0(w, x, blocks, y, yRow, lanes, bias, rows);
  else if (form == PACK_Q4_K) tileQ4_K(w, x, blocks, y, yRow, lanes, bias, rows);
  else if (form == PACK_Q6_K) tileQ6_K(w, x, blocks, y, yRow, lanes, bias, rows);
  else tileQ5_K(w, x, blocks, y, yRow, lanes, bias, rows);
}
function tileQ4_0(
  w: usize,
  x: usize,
  blocks: usize,
  y: usize,
  yRow: usize,
  lanes: usize,
  bias: usize,
  rows: i32,
): void {
  gemmTile(PACK_Q4_0, w, x, blocks, y, yRow, lanes, bias, rows);
}
function tileQ8_0(
  w: usize,
  x: usize,
  blocks: usize,
  y: usize,
  yRow: usize,
  lanes: usize,
  bias: usize,
  rows: i32,
): void {
  gemmTile(PACK_Q8_0, w, x, blocks, y, yRow, lanes, bias, rows);
}
function tileQ4_K(
  w: usize,
  x: usize,
  blocks: usize,
  y: usize,
  yRow: usize,
  lanes: usize,
  bias: usize,
  rows: i32,
): void {
  gemmTile(PACK_Q4_K, w, x, blocks, y, yRow, lanes, bias, rows);
}
function tileQ6_K(
  w: usize,
  x: usize,
  blocks: usize,
  y: usize,
  yRow: usize,
  lanes: usize,
  bias: usize,
  rows: i32,
): void {
  gemmTile(PACK_Q6_K, w, x, blocks, y, yRow, lanes, bias, rows);
}
function tileQ5_K(
  w: usize,
  x: usize,
  blocks: usize,
  y: usize,
  yRow: usize,
  lanes: usize,
  bias: usize,
  rows: i32,
): void {
  gemmTile(PACK_Q5_K, w, x, blocks, y, yRow, lanes, bias, rows);
}
