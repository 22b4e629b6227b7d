/**
 * How a packed matrix of a quantized type lies in memory. Eight rows make a panel, and four panels a group, which is read from its first
 * byte to its last: block of 32 columns after block, for each of the panels in turn
 *
 *   quants   the low bits (and, where a type has more than four, then the high bits)
 *   scales   of the block
 *
 * and, ahead of every eight blocks, for each of the panels the f32 scales of a super-block of 256 columns, where a type has such. Of table
 * types a nibble is the number of one of 16 levels, i8, which end every group.
 */
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
  QUANTIZED_GROUP_PANELS,
} from '../../tasks.ts';
import type { I32 } from '../../writer/values.ts';

export interface Packing {
  readonly kind: number;
  /** Of a type, or of several that are kept alike. */
  readonly name: string;
  /** Bytes of the low bits of a block of 8 rows × 32 columns: nibbles, or whole quants. */
  readonly lowBytes: 128 | 256;
  /** Of the plane of high bits: none, one bit, two bits a quant. */
  readonly highBytes: 0 | 32 | 64;
  /** What is taken off every quant. */
  readonly offset: number;
  /** Quants are numbers of levels. */
  readonly isTable: boolean;
  /** A scale of the block, or whole-numbered ones that an f32 of the super-block multiplies. */
  readonly scale: 'f16' | 'bf16' | 'signed' | 'unsigned';
  /** Each half of a block has a scale of its own. */
  readonly isHalved: boolean;
  /** Minima in 16 bytes of their own, in the second byte of each scale, or none. */
  readonly minima: 'own' | 'beside' | null;
}

type Choice = Partial<Omit<Packing, 'kind' | 'name' | 'offset'>>;
const nibbles = { lowBytes: 128, highBytes: 0, isTable: false, scale: 'f16', isHalved: false, minima: null } as const;
const row = (name: string, kind: number, offset: number, choice: Choice = {}): Packing => ({
  ...nibbles,
  name,
  kind,
  offset,
  ...choice,
});

/** Of every quantized kind, how it lies. */
export const packings: readonly Packing[] = [
  row('Q8_0', PACK_Q8_0, 128, { lowBytes: 256 }),
  row('Q4_0', PACK_Q4_0, 8),
  row('Q4_1', PACK_Q4_1, 0, { minima: 'own' }),
  row('Q5_0', PACK_Q5_0, 16, { highBytes: 32 }),
  row('Q5_1', PACK_Q5_1, 0, { highBytes: 32, minima: 'own' }),
  row('Q2_K', PACK_Q2_K, 0, { scale: 'unsigned', isHalved: true, minima: 'own' }),
  row('Q3_K', PACK_Q3_K, 4, { scale: 'signed', isHalved: true }),
  row('Q4_K', PACK_Q4_K, 0, { scale: 'unsigned', minima: 'beside' }),
  row('Q5_K', PACK_Q5_K, 0, { scale: 'unsigned', minima: 'beside', highBytes: 32 }),
  row('Q6_K', PACK_Q6_K, 32, { scale: 'signed', isHalved: true, highBytes: 64 }),
  row('table_f16', PACK_TABLE_F16, 128, { isTable: true }),
  row('table_bf16', PACK_TABLE_BF16, 64, { isTable: true, scale: 'bf16' }),
  row('table', PACK_TABLE, 128, { isTable: true, scale: 'signed' }),
  row('table_halves', PACK_TABLE_HALVES, 64, { isTable: true, scale: 'signed', isHalved: true }),
];

export const hasSuperBlocks = ({ scale }: Packing): boolean => scale === 'signed' || scale === 'unsigned';

/** Places within a block. */
export const highAt = ({ lowBytes }: Packing): number => lowBytes;
export const scaleAt = ({ lowBytes, highBytes }: Packing): number => lowBytes + highBytes;
export const minAt = (packing: Packing): number => scaleAt(packing) + 16;
export const blockBytes = (packing: Packing): number => scaleAt(packing) + (packing.minima === 'own' ? 32 : 16);

/** Bytes of a super-block's scales (and then minima), which its eight blocks follow. */
export function headBytes(packing: Packing): number {
  if (!hasSuperBlocks(packing)) return 0;
  return packing.minima ? 64 : 32;
}
/** From block to block of a panel, and from super-block to super-block. */
export const blockStride = (packing: Packing): number => QUANTIZED_GROUP_PANELS * blockBytes(packing);
export const headStride = (packing: Packing): number =>
  QUANTIZED_GROUP_PANELS * (8 * blockBytes(packing) + headBytes(packing));

export const tableBytes = ({ isTable }: Packing): number => (isTable ? 16 : 0);

/** From the start of a group to block b of its first panel, and to the head of its super-block; those of the others follow. */
export function blockAt(packing: Packing, b: I32): I32 {
  const at = b.mul(blockStride(packing));
  if (!hasSuperBlocks(packing)) return at;
  return at.add(
    b
      .shr(3)
      .add(1)
      .mul(QUANTIZED_GROUP_PANELS * headBytes(packing)),
  );
}
export const headAt = (packing: Packing, b: I32): I32 => b.shr(3).mul(headStride(packing));

/** From the start of a group to its levels, and to the next group. */
export function tableAt(packing: Packing, columns: I32): I32 {
  const blocks = columns.shr(5).mul(blockStride(packing));
  if (!hasSuperBlocks(packing)) return blocks;
  return blocks.add(columns.shr(8).mul(QUANTIZED_GROUP_PANELS * headBytes(packing)));
}
export const groupBytes = (packing: Packing, columns: I32): I32 => tableAt(packing, columns).add(tableBytes(packing));
