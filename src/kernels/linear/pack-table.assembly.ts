// Packing of the types whose weights are levels of a table times a scale (layout.assembly.ts, the TABLE kinds): four bits a weight, the
// number of its level. src/quant/iq describes and decodes these types one by one.
// `grid`: of the types that have one, the level of every weight of every point, a byte each (src/quant/iq/grids.ts).
import { arg, f16ToF32 } from '../simd.assembly';
import {
  FILE_IQ1_M,
  FILE_IQ1_S,
  FILE_IQ2_S,
  FILE_IQ2_XS,
  FILE_IQ2_XXS,
  FILE_IQ3_S,
  FILE_IQ3_XXS,
  FILE_IQ4_NL,
  FILE_IQ4_XS,
  FILE_MXFP4,
  FILE_TQ1_0,
  FILE_TQ2_0,
  PACK_TABLE,
  PACK_TABLE_BF16,
  PACK_TABLE_F16,
  PACK_TABLE_HALVES,
} from '../tasks';
import { blockAt, blockBytes, blockStride, headAt, headBytes, scaleAt } from './layout.assembly';

/** One row as row r of a panel, the group's `member`. False when a scale is infinite or NaN. */
export function packTable(kind: i32, group: usize, member: usize, row: usize, r: usize, blocks: usize): bool {
  const grid = arg(9);
  switch (<i32>arg(7)) {
    case FILE_IQ4_NL:
      return packBlocks(FILE_IQ4_NL, PACK_TABLE_F16, group + member * blockBytes(PACK_TABLE_F16), row, r, blocks);
    case FILE_MXFP4:
      return packBlocks(FILE_MXFP4, PACK_TABLE_BF16, group + member * blockBytes(PACK_TABLE_BF16), row, r, blocks);
    case FILE_IQ4_XS:
      return packSupers(FILE_IQ4_XS, PACK_TABLE, group, member, row, r, blocks, grid);
    case FILE_IQ3_XXS:
      return packSupers(FILE_IQ3_XXS, PACK_TABLE, group, member, row, r, blocks, grid);
    case FILE_IQ3_S:
      return packSupers(FILE_IQ3_S, PACK_TABLE, group, member, row, r, blocks, grid);
    case FILE_IQ2_XXS:
      return packSupers(FILE_IQ2_XXS, PACK_TABLE, group, member, row, r, blocks, grid);
    case FILE_IQ2_XS:
      return packSupers(FILE_IQ2_XS, PACK_TABLE_HALVES, group, member, row, r, blocks, grid);
    case FILE_IQ2_S:
      return packSupers(FILE_IQ2_S, PACK_TABLE_HALVES, group, member, row, r, blocks, grid);
    case FILE_IQ1_S:
      return packSupers(FILE_IQ1_S, PACK_TABLE, group, member, row, r, blocks, grid);
    case FILE_IQ1_M:
      return packSupers(FILE_IQ1_M, PACK_TABLE_HALVES, group, member, row, r, blocks, grid);
    case FILE_TQ1_0:
      return packSupers(FILE_TQ1_0, PACK_TABLE, group, member, row, r, blocks, grid);
    default:
      return packSupers(FILE_TQ2_0, PACK_TABLE, group, member, row, r, blocks, grid);
  }
}

/** IQ4_NL and MXFP4: blocks of 32 with scales of their own. */
@inline
function packBlocks(file: i32, kind: i32, out: usize, row: usize, r: usize, blocks: usize): bool {
  let good = true;
  let to = out + r * 4;
  const quants: usize = file == FILE_MXFP4 ? 1 : 2;
  for (let b: usize = 0; b < blocks; b++, row += quants + 16, to += blockStride(kind)) {
    const scale = to + scaleAt(kind) - r * 2;
    if (file == FILE_MXFP4) {
      const e = <u32>load<u8>(row);
      // 2^(e − 128) as bf16; from 253 on the largest weight is beyond f32
      const bits: u32 = e < 2 ? (e + 1) << 5 : (e - 1) << 7;
      store<u16>(scale, <u16>bits);
      if (e >= 253) good = false;
    } else {
      store<u16>(scale, load<u16>(row));
      if ((load<u16>(row) & 0x7c00) == 0x7c00) good = false;
    }
    for (let j: usize = 0; j < 4; j++) store<u32>(to + j * 32, load<u32>(row + quants + j * 4));
  }
  return good;
}

/** Super-blocks of 256. */
@inline
function packSupers(file: i32, kind: i32, group: usize, member: usize, row: usize, r: usize, blocks: usize, grid: usize): bool {
  let good = true;
  for (let b: usize = 0; b < blocks; b += 8, row += fileBytes(file)) {
    const bits = halfOf(file, row);
    if ((bits & 0x7c00) == 0x7c00) good = false;
    store<f32>(group + headAt(kind, b) + member * headBytes(kind) + r * 4, f16ToF32(bits) * shareOf(file));
    for (let s: usize = 0; s < 8; s++) {
      const block = group + blockAt(kind, b + s) + member * blockBytes(kind);
      for (let j: usize = 0; j < 4; j++) {
        store<u32>(block + r * 4 + j * 32, codes(file, row, s, j, grid) | (codes(file, row, s, j + 4, grid) << 4));
      }
      const scales = block + scaleAt(kind) + r * 2;
      store<i8>(scales, <i8>scaleOf(file, row, s, 0));
      store<i8>(scales, <i8>scaleOf(file, row, s, 1), 1);
    }
  }
  return good;
}

/** Bytes of one super-block in a file. */
@inline
function fileBytes(file: i32): usize {
  if (file == FILE_IQ4_XS) return 136;
  if (file == FILE_IQ3_XXS) return 98;
  if (file == FILE_IQ3_S) return 110;
  if (file == FILE_IQ2_XXS || file == FILE_TQ2_0) return 66;
  if (file == FILE_IQ2_XS) return 74;
  if (file == FILE_IQ2_S) return 82;
  if (file == FILE_IQ1_S) return 50;
  return file == FILE_IQ1_M ? 56 : 54;
}

/** The bits of d. */
@inline
function halfOf(file: i32, row: usize): u32 {
  if (file == FILE_TQ1_0) return load<u16>(row, 52);
  if (file == FILE_TQ2_0) return load<u16>(row, 64);
  if (file == FILE_IQ1_M) {
    const low = (<u32>load<u8>(row, 49) >> 4) | (<u32>load<u8>(row, 51) & 0xf0);
    return low | (((<u32>load<u8>(row, 53) >> 4) | (<u32>load<u8>(row, 55) & 0xf0)) << 8);
  }
  return load<u16>(row);
}
/** What d is multiplied by, so that scales and levels are integers. */
@inline
function shareOf(file: i32): f32 {
  if (file == FILE_IQ3_XXS) return 0.25;
  return file == FILE_IQ2_XXS || file == FILE_IQ2_XS || file == FILE_IQ2_S || file == FILE_IQ1_S || file == FILE_IQ1_M ? 0.125 : 1;
}

/** The scale of sub-block s (of its half, where halves have their own). */
@inline
function scaleOf(file: i32, row: usize, s: usize, half: usize): i32 {
  if (file == FILE_IQ4_XS) {
    const low = (<i32>load<u8>(row + 4 + (s >> 1)) >> <i32>(4 * (s & 1))) & 15;
    return (low | (((<i32>load<u16>(row, 2) >> <i32>(2 * s)) & 3) << 4)) - 32;
  }
  if (file == FILE_IQ3_XXS) return 2 * <i32>(load<u32>(row + 66 + 4 * s) >> 28) + 1;
  if (file == FILE_IQ3_S) return 2 * ((<i32>load<u8>(row + 106 + (s >> 1)) >> <i32>(4 * (s & 1))) & 15) + 1;
  if (file == FILE_IQ2_XXS) return 2 * <i32>(load<u32>(row + 6 + 8 * s) >> 28) + 1;
  if (file == FILE_IQ2_XS) return 2 * ((<i32>load<u8>(row + 66 + s) >> <i32>(4 * half)) & 15) + 1;
  if (file == FILE_IQ2_S) return 2 * ((<i32>load<u8>(row + 74 + s) >> <i32>(4 * half)) & 15) + 1;
  if (file == FILE_IQ1_S) return 2 * ((<i32>load<u16>(row + 34 + 2 * s) >> 12) & 7) + 1;
  if (file == FILE_IQ1_M) {
    const part = 2 * s + half;
    return 2 * ((<i32>load<u16>(row + 48 + 2 * (part >> 2)) >> <i32>(3 * (part & 3))) & 7) + 1;
  }
  return 1;
}

/** The levels of columns 4j … 4j + 3 of sub-block s, one a byte. */
@inline
function codes(file: i32, row: usize, s: usize, j: usize, grid: usize): u32 {
  const k = 4 * s + (j >> 1); // the eighth of 8 columns
  const half = (j & 1) * 4;
  if (file == FILE_IQ4_XS) return (load<u32>(row + 8 + 16 * s + 4 * (j & 3)) >> <u32>(j & 4)) & 0x0f0f0f0f;
  if (file == FILE_IQ3_XXS) {
    const word = load<u32>(row + 66 + 4 * s);
    return load<u32>(grid + 4 * load<u8>(row + 2 + 8 * s + j)) | negative(evenSigns(word >> <u32>(7 * (j >> 1))) >> <u32>half);
  }
  if (file == FILE_IQ3_S) {
    const index = <usize>load<u8>(row + 2 + 8 * s + j) | (((<usize>load<u8>(row + 66 + s) >> j) & 1) << 8);
    return load<u32>(grid + 4 * index) | negative(<u32>load<u8>(row + 74 + k) >> <u32>half);
  }
  if (file == FILE_IQ2_XXS) {
    const word = load<u32>(row + 6 + 8 * s);
    const signs = evenSigns(word >> <u32>(7 * (j >> 1)));
    return load<u32>(grid + 8 * <usize>load<u8>(row + 2 + 8 * s + (j >> 1)) + half) | negative(signs >> <u32>half);
  }
  if (file == FILE_IQ2_XS) {
    const word = <u32>load<u16>(row + 2 + 2 * k);
    return load<u32>(grid + 8 * (<usize>word & 511) + half) | negative(evenSigns(word >> 9) >> <u32>half);
  }
  if (file == FILE_IQ2_S) {
    const index = <usize>load<u8>(row + 2 + k) | (((<usize>load<u8>(row + 66 + s) >> (j & 6)) & 3) << 8);
    return load<u32>(grid + 8 * index + half) | negative(<u32>load<u8>(row + 34 + k) >> <u32>half);
  }
  if (file == FILE_IQ1_S) {
    const word = <usize>load<u16>(row + 34 + 2 * s);
    const index = <usize>load<u8>(row + 2 + k) | (((word >> (3 * (j >> 1))) & 7) << 8);
    return load<u32>(grid + 8 * index + half) | (<u32>(word >> 15) * 0x08080808);
  }
  if (file == FILE_IQ1_M) {
    const high = <usize>load<u8>(row + 32 + (k >> 1)) >> (4 * (k & 1));
    const index = <usize>load<u8>(row + k) | ((high & 7) << 8);
    return load<u32>(grid + 8 * index + half) | (<u32>((high >> 3) & 1) * 0x08080808);
  }
  const column = 32 * s + 4 * j;
  if (file == FILE_TQ2_0) return (load<u32>(row + 32 * (s >> 2) + 4 * j) >> <u32>(2 * (s & 3))) & 0x03030303;
  // TQ1_0: 5 digits of 32 bytes, 5 of 16, 4 of 4
  if (column < 160) return digits(load<u32>(row + 4 * j), s);
  if (column < 240) return digits(load<u32>(row + 32 + ((column - 160) & 15)), (column - 160) >> 4);
  return digits(load<u32>(row, 48), (column - 240) >> 2);
}

/** Bits 0 … 3 → 8 in bytes 0 … 3: the number of a level and 8 is that of its negative. */
@inline
function negative(signs: u32): u32 {
  return (((signs & 15) * 0x00204081) & 0x01010101) << 3;
}
/** 7 bits → 8 signs, an even number of them set. */
@inline
function evenSigns(code: u32): u32 {
  return (code & 127) | ((popcnt(code & 127) & 1) << 7);
}
/** Digit n behind the point, in base 3, of four bytes/256. */
@inline
function digits(bytes: u32, n: usize): u32 {
  let power: u32 = 1;
  for (; n > 0; n--) power *= 3;
  let out: u32 = 0;
  for (let i: u32 = 0; i < 32; i += 8) out |= ((((((bytes >> i) & 255) * power) & 255) * 3) >> 8) << i;
  return out;
}
