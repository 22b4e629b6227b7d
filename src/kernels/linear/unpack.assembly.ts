// Unpacking: one row of a packed matrix → f32, exactly the numbers that the file's format defines. For embedding rows.
import { arg, f16ToF32 } from '../simd.assembly';
import {
  PACK_BF16,
  PACK_F16,
  PACK_F32,
  PACK_Q2_K,
  PACK_Q3_K,
  PACK_Q4_K,
  PACK_Q5_K,
  PACK_Q6_K,
  PACK_Q8_0,
  PACK_TABLE,
  PACK_TABLE_BF16,
} from '../tasks';
import {
  blockAt,
  blockBytes,
  columnBytes,
  floatsAt,
  groupAt,
  hasMinPlane,
  headAt,
  headBytes,
  highAt,
  highBytes,
  isFloat,
  isTable,
  minAt,
  offsetOf,
  QUANTIZED_GROUP,
  scaleAt,
  tableAt,
  unliftAt,
} from './layout.assembly';
import { unpackColumns } from './unpack-columns.assembly';

/** Arguments: kind, packed, columns, out, ids. Unit n: out row n = matrix row ids[n]. */
export function embed(first: i32, last: i32): void {
  const kind = <i32>arg(0);
  const columns = arg(2);
  for (let n: usize = first; n < <usize>last; n++) {
    const row: usize = load<u32>(arg(4) + (n << 2));
    unpackRow(kind, arg(1), row >> 3, row & 7, columns, arg(3) + n * columns * 4);
  }
}

/** Arguments: kind, packed, columns, out, row count. Unit = one panel: out gets it packed as f32. */
export function unpackPanels(first: i32, last: i32): void {
  const kind = <i32>arg(0);
  const columns = arg(2);
  for (let panel: usize = first; panel < <usize>last; panel++) {
    unpackColumns(kind, arg(1), panel, columns, 0, columns, arg(3) + floatsAt(PACK_F32, columns, panel), columnBytes(PACK_F32));
  }
}

/** Writes row r of a panel of the matrix at w as f32. */
function unpackRow(kind: i32, w: usize, panel: usize, r: usize, columns: usize, out: usize): void {
  let at = w + (isFloat(kind) ? floatsAt(kind, columns, panel) : groupAt(kind, columns, panel));
  const end = out + columns * 4;
  if (kind == PACK_F32) {
    for (at += r * 4; out < end; out += 4, at += columnBytes(PACK_F32)) store<f32>(out, load<f32>(at));
  } else if (kind == PACK_F16) {
    const unlift = load<f32>(w + unliftAt(columns, panel)) * reinterpret<f32>(0x07800000); // ·2⁻¹¹²: f16ToF32 has done that part
    for (at += r * 2; out < end; out += 4, at += columnBytes(PACK_F16)) store<f32>(out, f16ToF32(load<u16>(at)) * unlift);
  } else if (kind == PACK_BF16) {
    for (at += r * 2; out < end; out += 4, at += columnBytes(PACK_BF16)) store<u32>(out, <u32>load<u16>(at) << 16);
  } else {
    const blocks = columns >> 5;
    for (let b: usize = 0; b < blocks; b++) unpackBlock(kind, at, panel % QUANTIZED_GROUP, r, b, at + tableAt(kind, columns), out + b * 128);
  }
}

/** value = scale · (quant − offset) − minimum, with scale and minimum of each half block. */
function unpackBlock(kind: i32, group: usize, member: usize, r: usize, b: usize, table: usize, out: usize): void {
  let scale0: f32, scale1: f32;
  let min0: f32 = 0;
  let min1: f32 = 0;
  const block = group + blockAt(kind, b) + member * blockBytes(kind);
  const scales = block + scaleAt(kind) + r * 2;
  const minima = block + minAt(kind) + r * 2;
  if (kind < PACK_Q2_K) {
    const bits = <u32>load<u16>(scales);
    scale0 = scale1 = kind == PACK_TABLE_BF16 ? reinterpret<f32>(bits << 16) : f16ToF32(bits);
    if (hasMinPlane(kind)) min0 = min1 = -f16ToF32(load<u16>(minima));
  } else {
    const head = group + headAt(kind, b) + member * headBytes(kind) + r * 4;
    const d = load<f32>(head);
    if (kind == PACK_Q4_K || kind == PACK_Q5_K) {
      scale0 = scale1 = d * <f32>load<u8>(scales);
      min0 = min1 = load<f32>(head, 32) * <f32>load<u8>(scales, 1);
    } else if (kind == PACK_Q2_K) {
      scale0 = d * <f32>load<u8>(scales);
      scale1 = d * <f32>load<u8>(scales, 1);
      const dmin = load<f32>(head, 32);
      min0 = dmin * <f32>load<u8>(minima);
      min1 = dmin * <f32>load<u8>(minima, 1);
    } else {
      scale0 = d * <f32>load<i8>(scales);
      scale1 = kind == PACK_TABLE ? scale0 : d * <f32>load<i8>(scales, 1);
    }
  }
  const offset = offsetOf(kind);
  for (let column: usize = 0; column < 32; column++, out += 4) {
    const code = quantAt(kind, block, r, column);
    const quant = <f32>(isTable(kind) ? <i32>load<i8>(table + code) : <i32>code - offset);
    store<f32>(out, column < 16 ? scale0 * quant - min0 : scale1 * quant - min1);
  }
}

@inline
function quantAt(kind: i32, block: usize, r: usize, column: usize): u32 {
  const c = column & 3;
  const g = column >> 2;
  if (kind == PACK_Q8_0) return load<u8>(block + g * 32 + r * 4 + c);
  const low = (load<u8>(block + (g & 3) * 32 + r * 4 + c) >> <u8>(g & 4)) & 15;
  if (highBytes(kind) == 0) return low;
  const high = block + highAt(kind) + r * 4 + c;
  if (kind == PACK_Q6_K) return low | (((load<u8>(high + (g >> 2) * 32) >> <u8>(2 * (g & 3))) & 3) << 4);
  return low | (((load<u8>(high) >> <u8>g) & 1) << 4);
}
