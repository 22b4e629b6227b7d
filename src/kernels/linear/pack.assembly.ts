// Packing: rows as files store them → panels (layout.assembly.ts). Unit = one panel of 8 rows; rows beyond the matrix become zeros.
// Source of the file's block layouts: ggml-common.h (block_q4_0 … block_q6_K); src/quant describes and decodes them one by one.
import { arg, f16ToF32 } from '../simd.assembly';
import { packTable } from './pack-table.assembly';
import {
  PACK_BF16,
  PACK_F16,
  PACK_F32,
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
import {
  blockAt,
  blockBytes,
  blockStride,
  columnBytes,
  floatsAt,
  groupAt,
  headAt,
  headBytes,
  highAt,
  highBytes,
  isFloat,
  isSuper,
  isTable,
  minAt,
  QUANTIZED_GROUP,
  scaleAt,
  tableAt,
  unliftAt,
} from './layout.assembly';

/**
 * Arguments: kind, packed, raw, row count, columns, raw row bytes, flag (set to 1 when a scale or an f16 weight is not finite); of the
 * TABLE kinds then the type of the file, its levels and its grid (pack-table.assembly.ts).
 */
export function pack(first: i32, last: i32): void {
  const kind = <i32>arg(0);
  const columns = arg(4);
  const rawRowBytes = arg(5);
  for (let panel = first; panel < last; panel++) {
    const rows = max(0, min(8, <i32>arg(3) - panel * 8));
    const out = arg(1) + (isFloat(kind) ? floatsAt(kind, columns, panel) : groupAt(kind, columns, panel));
    const raw = arg(2) + <usize>panel * 8 * rawRowBytes;
    let good = true;
    if (kind == PACK_F32) packF32(out, raw, rows, columns);
    else if (kind == PACK_F16) good = packF16(out, arg(1) + unliftAt(columns, panel), raw, rows, columns);
    else if (kind == PACK_BF16) packBF16(out, raw, rows, columns);
    else {
      const member = panel % <i32>QUANTIZED_GROUP;
      if (isTable(kind) && member == 0) memory.copy(out + tableAt(kind, columns), arg(8), 16);
      if (rows < 8) clearPanel(kind, out, member, columns >> 5);
      for (let r = 0; r < rows; r++) {
        if (!packRow(kind, out, member, raw + <usize>r * rawRowBytes, r, columns >> 5)) good = false;
      }
    }
    if (!good) store<i32>(arg(6), 1);
  }
}

/** Columns that are packed at a time, row after row: what they are written to stays in the nearest cache. */
const STRIP: usize = 64;

function packF32(out: usize, raw: usize, rows: i32, columns: usize): void {
  for (let from: usize = 0; from < columns; from += STRIP) {
    const to = min(from + STRIP, columns);
    for (let r = 0; r < 8; r++) {
      let at = out + from * columnBytes(PACK_F32) + (r << 2);
      const row = raw + <usize>r * columns * 4;
      for (let i = from; i < to; i++, at += columnBytes(PACK_F32)) store<f32>(at, r < rows ? load<f32>(row + (i << 2)) : 0);
    }
  }
}

function packBF16(out: usize, raw: usize, rows: i32, columns: usize): void {
  for (let from: usize = 0; from < columns; from += STRIP) {
    const to = min(from + STRIP, columns);
    for (let r = 0; r < 8; r++) {
      let at = out + from * columnBytes(PACK_F16) + (r << 1);
      const row = raw + <usize>r * columns * 2;
      for (let i = from; i < to; i++, at += columnBytes(PACK_F16)) store<u16>(at, r < rows ? load<u16>(row + (i << 1)) : 0);
    }
  }
}

/**
 * f16 is widened by shifting its bits under an f32's, which gives w·2⁻¹¹² (layout of the exponents), except that subnormal numbers would
 * meet slow hardware paths. So a panel whose weights are all below 32 is stored times 2¹⁰, where f16's subnormal numbers are normal;
 * the word at `unlift` undoes it. Exact. False when a weight is infinite or NaN.
 */
function packF16(out: usize, unlift: usize, raw: usize, rows: i32, columns: usize): bool {
  let largest: u32 = 0;
  for (let r = 0; r < rows; r++) {
    const from = raw + <usize>r * columns * 2;
    for (let i: usize = 0; i < columns; i++) largest = max(largest, <u32>load<u16>(from + (i << 1)) & 0x7fff);
  }
  const lift = largest < 0x5000;
  for (let from: usize = 0; from < columns; from += STRIP) {
    const to = min(from + STRIP, columns);
    for (let r = 0; r < 8; r++) {
      let at = out + from * columnBytes(PACK_F16) + (r << 1);
      const row = raw + <usize>r * columns * 2;
      for (let i = from; i < to; i++, at += columnBytes(PACK_F16)) {
        const bits = r < rows ? <u32>load<u16>(row + (i << 1)) : 0;
        store<u16>(at, lift ? liftF16(bits) : bits);
      }
    }
  }
  store<f32>(unlift, reinterpret<f32>(lift ? 0x72800000 : 0x77800000)); // 2¹⁰² or 2¹¹²
  return largest < 0x7c00;
}

/** bits of w → bits of w·2¹⁰, for |w| < 32. */
@inline
function liftF16(bits: u32): u32 {
  const magnitude = bits & 0x7fff;
  if (magnitude >= 0x400) return bits + 0x2800;
  if (magnitude == 0) return bits;
  // subnormal m·2⁻²⁴ → m·2⁻¹⁴, with its leading one made implicit
  const shift = clz(magnitude) - 21;
  return (bits & 0x8000) | (((11 - shift) << 10) + ((magnitude << shift) & 0x3ff));
}

/** A panel of zeros: rows that the matrix does not have. */
function clearPanel(kind: i32, group: usize, member: usize, blocks: usize): void {
  for (let b: usize = 0; b < blocks; b++) {
    memory.fill(group + blockAt(kind, b) + member * blockBytes(kind), 0, blockBytes(kind));
    if (isSuper(kind)) memory.fill(group + headAt(kind, b) + member * headBytes(kind), 0, headBytes(kind));
  }
}

/** Packs one row of quantized blocks as row r of a panel, the group's `member`. False when a scale is infinite or NaN. */
function packRow(kind: i32, group: usize, member: usize, row: usize, r: usize, blocks: usize): bool {
  if (isTable(kind)) return packTable(kind, group, member, row, r, blocks);
  if (kind >= PACK_Q2_K) return packSuper(kind, group, member, row, r, blocks);
  const out = group + member * blockBytes(kind);
  if (kind == PACK_Q4_0) return packQ4_0(out, row, r, blocks);
  if (kind == PACK_Q8_0) return packQ8_0(out, row, r, blocks);
  return packSmall(kind, out, row, r, blocks);
}

@inline
export function storeScale(to: usize, bits: u16): bool {
  store<u16>(to, bits);
  return (bits & 0x7c00) != 0x7c00;
}

/** As f32: super-blocks are few, and an f16 that is subnormal takes long to widen. */
@inline
function storeWide(to: usize, bits: u16): bool {
  store<f32>(to, f16ToF32(bits));
  return (bits & 0x7c00) != 0x7c00;
}

function packQ4_0(out: usize, row: usize, r: usize, blocks: usize): bool {
  let good = true;
  let to = out + r * 4;
  for (let b: usize = 0; b < blocks; b++, row += 18, to += blockStride(PACK_Q4_0)) {
    if (!storeScale(to + scaleAt(PACK_Q4_0) - r * 2, load<u16>(row))) good = false;
    store<u32>(to, load<u32>(row, 2));
    store<u32>(to, load<u32>(row, 6), 32);
    store<u32>(to, load<u32>(row, 10), 64);
    store<u32>(to, load<u32>(row, 14), 96);
  }
  return good;
}

function packQ8_0(out: usize, row: usize, r: usize, blocks: usize): bool {
  let good = true;
  let to = out + r * 4;
  for (let b: usize = 0; b < blocks; b++, row += 34, to += blockStride(PACK_Q8_0)) {
    if (!storeScale(to + scaleAt(PACK_Q8_0) - r * 2, load<u16>(row))) good = false;
    for (let j: usize = 0; j < 8; j++) store<u32>(to + j * 32, load<u32>(row + 2 + j * 4) ^ 0x80808080);
  }
  return good;
}

/** Q4_1, Q5_0, Q5_1. */
function packSmall(kind: i32, out: usize, row: usize, r: usize, blocks: usize): bool {
  let good = true;
  const hasMin = kind != PACK_Q5_0;
  const hasHigh = kind != PACK_Q4_1;
  const highPlace: usize = hasMin ? 4 : 2;
  const quantPlace = highPlace + (hasHigh ? 4 : 0);
  let block = out;
  for (let b: usize = 0; b < blocks; b++, row += quantPlace + 16, block += blockStride(kind)) {
    if (!storeScale(block + scaleAt(kind) + r * 2, load<u16>(row))) good = false;
    if (hasMin && !storeScale(block + minAt(kind) + r * 2, load<u16>(row, 2))) good = false;
    const to = block + r * 4;
    for (let j: usize = 0; j < 4; j++) store<u32>(to + j * 32, load<u32>(row + quantPlace + j * 4));
    if (hasHigh) {
      const bits = load<u32>(row + highPlace);
      let planes: u32 = 0;
      for (let c: u32 = 0; c < 4; c++) {
        for (let j: u32 = 0; j < 8; j++) planes |= ((bits >> (4 * j + c)) & 1) << (8 * c + j);
      }
      store<u32>(to + highAt(kind), planes);
    }
  }
  return good;
}

/** Bytes of one super-block in a file. */
@inline
function fileBytes(kind: i32): usize {
  if (kind == PACK_Q2_K) return 84;
  if (kind == PACK_Q3_K) return 110;
  if (kind == PACK_Q4_K) return 144;
  return kind == PACK_Q5_K ? 176 : 210;
}

/** Q2_K … Q6_K. */
function packSuper(kind: i32, group: usize, member: usize, row: usize, r: usize, blocks: usize): bool {
  let good = true;
  const bytes = fileBytes(kind);
  for (let b: usize = 0; b < blocks; b += 8, row += bytes) {
    const dAt: usize = kind == PACK_Q2_K ? 80 : kind == PACK_Q3_K ? 108 : kind == PACK_Q6_K ? 208 : 0;
    const head = group + headAt(kind, b) + member * headBytes(kind) + r * 4;
    if (!storeWide(head, load<u16>(row + dAt))) good = false;
    if (kind == PACK_Q2_K || kind == PACK_Q4_K || kind == PACK_Q5_K) {
      if (!storeWide(head + 32, load<u16>(row + dAt, 2))) good = false;
    }
    for (let s: usize = 0; s < 8; s++) {
      let plane0: u32 = 0;
      let plane1: u32 = 0;
      const block = group + blockAt(kind, b + s) + member * blockBytes(kind);
      const to = block + r * 4;
      for (let j: usize = 0; j < 4; j++) {
        const one = superWord(kind, row, s, j);
        const two = superWord(kind, row, s, j + 4);
        store<u32>(to + j * 32, (one & 0x0f0f0f0f) | ((two & 0x0f0f0f0f) << 4));
        if (kind == PACK_Q5_K) {
          plane0 |= ((one >> 4) & 0x01010101) << <u32>j;
          plane0 |= ((two >> 4) & 0x01010101) << <u32>(j + 4);
        } else if (kind == PACK_Q6_K) {
          plane0 |= ((one >> 4) & 0x03030303) << <u32>(2 * j);
          plane1 |= ((two >> 4) & 0x03030303) << <u32>(2 * j);
        }
      }
      if (highBytes(kind) != 0) store<u32>(to + highAt(kind), plane0);
      if (kind == PACK_Q6_K) store<u32>(to + highAt(kind) + 32, plane1);
      packSuperScales(kind, row, s, block + scaleAt(kind) + r * 2, block + minAt(kind) + r * 2);
    }
  }
  return good;
}

/** Four neighbouring quantized values (columns 4j … 4j+3 of sub-block s), one a byte. */
@inline
function superWord(kind: i32, row: usize, s: usize, j: usize): u32 {
  const at = j * 4;
  if (kind == PACK_Q4_K) return (load<u32>(row + 16 + (s >> 1) * 32 + at) >> <u32>((s & 1) * 4)) & 0x0f0f0f0f;
  if (kind == PACK_Q5_K) {
    const nibbles = (load<u32>(row + 48 + (s >> 1) * 32 + at) >> <u32>((s & 1) * 4)) & 0x0f0f0f0f;
    return nibbles | (((load<u32>(row + 16 + at) >> <u32>s) & 0x01010101) << 4);
  }
  const half = s >> 2;
  const t = s & 3;
  if (kind == PACK_Q6_K) {
    const nibbles = (load<u32>(row + half * 64 + (t & 1) * 32 + at) >> <u32>((t >> 1) * 4)) & 0x0f0f0f0f;
    return nibbles | (((load<u32>(row + 128 + half * 32 + at) >> <u32>(2 * t)) & 0x03030303) << 4);
  }
  if (kind == PACK_Q2_K) return (load<u32>(row + 16 + half * 32 + at) >> <u32>(2 * t)) & 0x03030303;
  const bits = (load<u32>(row + 32 + half * 32 + at) >> <u32>(2 * t)) & 0x03030303;
  return bits | (((load<u32>(row + at) >> <u32>s) & 0x01010101) << 2);
}

@inline
function packSuperScales(kind: i32, row: usize, s: usize, scales: usize, minima: usize): void {
  if (kind == PACK_Q6_K) {
    store<u16>(scales, load<u16>(row + 192 + 2 * s));
  } else if (kind == PACK_Q2_K) {
    const both = <u32>load<u16>(row + 2 * s);
    store<u16>(scales, <u16>(both & 0x0f0f));
    store<u16>(minima, <u16>((both >> 4) & 0x0f0f));
  } else if (kind == PACK_Q3_K) {
    store<u8>(scales, <u8>scaleQ3_K(row, 2 * s));
    store<u8>(scales, <u8>scaleQ3_K(row, 2 * s + 1), 1);
  } else {
    const at = row + 4 + s;
    if (s < 4) {
      store<u8>(scales, load<u8>(at) & 63);
      store<u8>(scales, load<u8>(at, 4) & 63, 1);
    } else {
      store<u8>(scales, (load<u8>(at, 4) & 15) | ((load<u8>(at - 4) >> 6) << 4));
      store<u8>(scales, (load<u8>(at, 4) >> 4) | ((load<u8>(at) >> 6) << 4), 1);
    }
  }
}

@inline
function scaleQ3_K(row: usize, k: usize): i32 {
  const low = k < 8 ? load<u8>(row + 96 + k) & 15 : load<u8>(row + 88 + k) >> 4;
  const high = (load<u8>(row + 104 + (k & 3)) >> <u8>(2 * (k >> 2))) & 3;
  return <i32>(low | (high << 4)) - 32;
}
