// How a packed matrix lies in memory. Eight rows make a panel; a panel is contiguous and holds, block of 32 columns after block:
//
//   quants   the low bits (and, where a type has more than four, the high bits in a plane of their own)
//   scales   per block or per super-block of 256 columns
//
// Within a block, 4 bytes of each of the 8 rows lie side by side ("group"): group g holds columns 4g … 4g+3, so that one
// load32_splat of 4 activations meets 4 rows per v128, and a pair of v128 meets all 8. In a nibble plane the low nibbles hold
// groups 0…3 and the high nibbles groups 4…7; high-bit planes hold, in bit j of byte c, column 4j + c.
//
//   kind    low plane       high plane          scales per block (8 rows)     per super-block
//   Q8_0    256 B bytes     –                   d f16                         –        stored as value + 128
//   Q4_0    128 B nibbles   –                   d f16                         –
//   Q4_1    128 B nibbles   –                   d f16, m f16                  –
//   Q5_0/1  128 B nibbles   32 B (1 bit)        d f16 (, m f16)               –
//   Q2_K    128 B nibbles   –                   (sc0, sc1) u8, (m0, m1) u8    d, dmin f16
//   Q3_K    128 B nibbles   –                   (sc0, sc1) i8                 d f16
//   Q4_K    128 B nibbles   –                   (sc, m) u8                    d, dmin f16
//   Q5_K    128 B nibbles   32 B (1 bit)        (sc, m) u8                    d, dmin f16
//   Q6_K    128 B nibbles   64 B (2 bits)       (sc0, sc1) i8                 d f16
//   f32     32 B a column; f16, bf16: 16 B a column; f16 ends with the panel's power of two
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
} from '../tasks';

@inline
export function isSuper(kind: i32): bool {
  return kind >= PACK_Q2_K;
}

/** Bytes of the low plane of one block of 8 rows × 32 columns. */
@inline
export function lowBytes(kind: i32): usize {
  return kind == PACK_Q8_0 ? 256 : 128;
}
@inline
export function highBytes(kind: i32): usize {
  if (kind == PACK_Q6_K) return 64;
  return kind == PACK_Q5_0 || kind == PACK_Q5_1 || kind == PACK_Q5_K ? 32 : 0;
}
/** The second scale plane: minima. */
@inline
export function hasMinPlane(kind: i32): bool {
  return kind == PACK_Q4_1 || kind == PACK_Q5_1 || kind == PACK_Q2_K;
}
@inline
export function hasSuperMin(kind: i32): bool {
  return kind == PACK_Q2_K || kind == PACK_Q4_K || kind == PACK_Q5_K;
}

@inline
export function hasMinima(kind: i32): bool {
  return hasMinPlane(kind) || hasSuperMin(kind);
}

// Places of the planes from the start of a panel of `blocks` blocks.
@inline
export function highAt(kind: i32, blocks: usize): usize {
  return blocks * lowBytes(kind);
}
@inline
export function scaleAt(kind: i32, blocks: usize): usize {
  return highAt(kind, blocks) + blocks * highBytes(kind);
}
@inline
export function minAt(kind: i32, blocks: usize): usize {
  return scaleAt(kind, blocks) + blocks * 16;
}
@inline
export function superAt(kind: i32, blocks: usize): usize {
  return minAt(kind, blocks) + (hasMinPlane(kind) ? blocks * 16 : 0);
}
@inline
export function superMinAt(kind: i32, blocks: usize): usize {
  return superAt(kind, blocks) + (blocks >> 3) * 16;
}

/** Bytes of one panel: 8 rows of `columns`. */
export function panelBytes(kind: i32, columns: usize): usize {
  if (kind == PACK_F32) return columns * 32;
  if (kind == PACK_F16) return columns * 16 + 16;
  if (kind == PACK_BF16) return columns * 16;
  const blocks = columns >> 5;
  let bytes = superAt(kind, blocks);
  if (isSuper(kind)) bytes += (blocks >> 3) * (hasSuperMin(kind) ? 32 : 16);
  return bytes;
}

/** What is taken off every quantized value. */
@inline
export function offsetOf(kind: i32): i32 {
  if (kind == PACK_Q8_0) return 128;
  if (kind == PACK_Q5_0) return 16;
  if (kind == PACK_Q6_K) return 32;
  if (kind == PACK_Q3_K) return 4;
  return hasMinPlane(kind) || hasSuperMin(kind) ? 0 : 8;
}
