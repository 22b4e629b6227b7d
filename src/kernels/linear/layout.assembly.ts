// How a packed matrix lies in memory. Eight rows make a panel, and some panels a group, which is read from its first byte to its last.
//
// Of quantized types, four panels are a group (32 rows): block of 32 columns after block, for each of the panels in turn
//
//   quants   the low bits (and, where a type has more than four, then the high bits)
//   scales   of the block
//
// and, ahead of every eight blocks, for each of the panels the scales of a super-block of 256 columns, where a type has such.
//
//   kind    low bits        high bits           scales of a block (8 rows)    of a super-block
//   Q8_0    256 B bytes     –                   d f16                         –        stored as value + 128
//   Q4_0    128 B nibbles   –                   d f16                         –
//   Q4_1    128 B nibbles   –                   d f16, m f16                  –
//   Q5_0/1  128 B nibbles   32 B (1 bit)        d f16 (, m f16)               –
//   Q2_K    128 B nibbles   –                   (sc0, sc1) u8, (m0, m1) u8    d, dmin f32
//   Q3_K    128 B nibbles   –                   (sc0, sc1) i8                 d f32
//   Q4_K    128 B nibbles   –                   (sc, m) u8                    d, dmin f32
//   Q5_K    128 B nibbles   32 B (1 bit)        (sc, m) u8                    d, dmin f32
//   Q6_K    128 B nibbles   64 B (2 bits)       (sc0, sc1) i8                 d f32
//   TABLE_F16, TABLE_BF16   128 B nibbles, –    d f16, d bf16                 –        IQ4_NL; MXFP4
//   TABLE   128 B nibbles   –                   (sc, –) i8                    d f32    IQ4_XS, IQ3, IQ2_XXS, IQ1_S, TQ
//   TABLE_HALVES            128 B nibbles, –    (sc0, sc1) i8                 d f32    IQ2_XS, IQ2_S, IQ1_M
//
// Of the TABLE kinds a nibble is the number of one of 16 levels, i8, which end every group.
//
// Of floats, eight panels are a group (64 rows): column after column. f16 ends with a power of two for each of them.
//
//   f32     256 B a column of a group
//   f16     128 B, bf16 too
import {
  PACK_BF16,
  PACK_F16,
  PACK_F32,
  PACK_Q2_K,
  PACK_Q3_K,
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
  FLOAT_GROUP_PANELS,
  QUANTIZED_GROUP_PANELS,
} from '../tasks';

/** Panels of a group. */
export const QUANTIZED_GROUP: usize = QUANTIZED_GROUP_PANELS;
export const FLOAT_GROUP: usize = FLOAT_GROUP_PANELS;

@inline
export function isSuper(kind: i32): bool {
  return kind >= PACK_Q2_K;
}

@inline
export function isTable(kind: i32): bool {
  return kind == PACK_TABLE_F16 || kind == PACK_TABLE_BF16 || kind >= PACK_TABLE;
}
/** Bytes of the levels that end a group. */
@inline
function tableBytes(kind: i32): usize {
  return isTable(kind) ? 16 : 0;
}

/** Bytes of the low bits of one block of 8 rows × 32 columns. */
@inline
export function lowBytes(kind: i32): usize {
  return kind == PACK_Q8_0 ? 256 : 128;
}
@inline
export function highBytes(kind: i32): usize {
  if (kind == PACK_Q6_K) return 64;
  return kind == PACK_Q5_0 || kind == PACK_Q5_1 || kind == PACK_Q5_K ? 32 : 0;
}
/** A block has minima of its own, after its scales. */
@inline
export function hasMinPlane(kind: i32): bool {
  return kind == PACK_Q4_1 || kind == PACK_Q5_1 || kind == PACK_Q2_K;
}
@inline
export function hasSuperMin(kind: i32): bool {
  return kind == PACK_Q2_K || kind == PACK_Q4_K || kind == PACK_Q5_K;
}

/** Where a block's high bits, scales and minima begin. */
@inline
export function highAt(kind: i32): usize {
  return lowBytes(kind);
}
@inline
export function scaleAt(kind: i32): usize {
  return lowBytes(kind) + highBytes(kind);
}
@inline
export function minAt(kind: i32): usize {
  return scaleAt(kind) + 16;
}
@inline
export function blockBytes(kind: i32): usize {
  return scaleAt(kind) + (hasMinPlane(kind) ? 32 : 16);
}

/** Bytes of a super-block's scales (and then minima), which its eight blocks follow. */
@inline
export function headBytes(kind: i32): usize {
  if (!isSuper(kind)) return 0;
  return hasSuperMin(kind) ? 64 : 32;
}
/** From block to block of a panel, and from super-block to super-block. */
@inline
export function blockStride(kind: i32): usize {
  return QUANTIZED_GROUP * blockBytes(kind);
}
@inline
function headStride(kind: i32): usize {
  return QUANTIZED_GROUP * (8 * blockBytes(kind) + headBytes(kind));
}
/** From the start of a group to block b of its first panel, and to the head of its super-block; those of the others follow. */
@inline
export function blockAt(kind: i32, b: usize): usize {
  return b * blockStride(kind) + (isSuper(kind) ? ((b >> 3) + 1) * QUANTIZED_GROUP * headBytes(kind) : 0);
}
@inline
export function headAt(kind: i32, b: usize): usize {
  return (b >> 3) * headStride(kind);
}

/** Kept as floats. */
@inline
export function isFloat(kind: i32): bool {
  return kind <= PACK_BF16;
}
/** Bytes of a number, and from column to column of a group. */
@inline
export function floatBytes(kind: i32): usize {
  return kind == PACK_F32 ? 4 : 2;
}
@inline
export function columnBytes(kind: i32): usize {
  return FLOAT_GROUP * 8 * floatBytes(kind);
}

/** Bytes of a group of `columns`, and of the part of it that a panel takes. */
@inline
export function groupBytes(kind: i32, columns: usize): usize {
  if (isFloat(kind)) return columns * columnBytes(kind) + (kind == PACK_F16 ? FLOAT_GROUP * 16 : 0);
  return QUANTIZED_GROUP * ((columns >> 5) * blockBytes(kind) + (columns >> 8) * headBytes(kind)) + tableBytes(kind);
}
/** From the start of a group to its levels. */
@inline
export function tableAt(kind: i32, columns: usize): usize {
  return groupBytes(kind, columns) - tableBytes(kind);
}
export function panelBytes(kind: i32, columns: usize): usize {
  return groupBytes(kind, columns) / groupPanels(kind);
}
@inline
export function groupPanels(kind: i32): usize {
  return isFloat(kind) ? FLOAT_GROUP : QUANTIZED_GROUP;
}
/** Bytes of a matrix: whole groups. */
export function matrixBytes(kind: i32, columns: usize, rows: usize): usize {
  const groupRows = groupPanels(kind) * 8;
  return ((rows + groupRows - 1) / groupRows) * groupBytes(kind, columns);
}
/** From the start of a matrix to the group of a panel. */
@inline
export function groupAt(kind: i32, columns: usize, panel: usize): usize {
  return (panel / groupPanels(kind)) * groupBytes(kind, columns);
}
/** From the start of an f16 matrix to a panel's power of two. */
@inline
export function unliftAt(columns: usize, panel: usize): usize {
  return groupAt(PACK_F16, columns, panel) + columns * columnBytes(PACK_F16) + (panel % FLOAT_GROUP) * 16;
}
/** From the start of a float matrix to a panel's first column. */
@inline
export function floatsAt(kind: i32, columns: usize, panel: usize): usize {
  return groupAt(kind, columns, panel) + (panel % FLOAT_GROUP) * 8 * floatBytes(kind);
}

/** What is taken off every quantized value. */
@inline
export function offsetOf(kind: i32): i32 {
  if (kind == PACK_Q8_0 || kind == PACK_TABLE_F16 || kind == PACK_TABLE) return 128;
  if (kind == PACK_TABLE_BF16 || kind == PACK_TABLE_HALVES) return 64;
  if (kind == PACK_Q5_0) return 16;
  if (kind == PACK_Q6_K) return 32;
  if (kind == PACK_Q3_K) return 4;
  return hasMinPlane(kind) || hasSuperMin(kind) ? 0 : 8;
}
