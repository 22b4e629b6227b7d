/**
 * How a packed matrix of floats lies in memory. Eight rows make a panel, and eight panels a group: column after column, each the numbers
 * of its 64 rows. Of f16 a group ends with a power of two for each panel, which undoes what widening by a shift of bits does to its numbers
 * (and packing did before, so that none is subnormal: ../pack.kernel.ts).
 */
import { FLOAT_GROUP_PANELS, PACK_BF16, PACK_F16, PACK_F32 } from '../../tasks.ts';
import type { I32 } from '../../writer/values.ts';

export interface FloatPacking {
  readonly kind: number;
  readonly type: 'f32' | 'f16' | 'bf16';
}

export const floatPackings: readonly FloatPacking[] = [
  { kind: PACK_F32, type: 'f32' },
  { kind: PACK_F16, type: 'f16' },
  { kind: PACK_BF16, type: 'bf16' },
];

/** From one panel's power of two to the next one's. */
export const POWER_BYTES = 16;

/** Of a panel in a column, and of a whole column. */
export const rowBytes = ({ type }: FloatPacking): number => (type === 'f32' ? 32 : 16);
export const columnBytes = (packing: FloatPacking): number => FLOAT_GROUP_PANELS * rowBytes(packing);
export const powersBytes = ({ type }: FloatPacking): number => (type === 'f16' ? FLOAT_GROUP_PANELS * POWER_BYTES : 0);

/** From the start of a group to its powers of two, and to the next group. */
export const powersAt = (packing: FloatPacking, columns: I32): I32 => columns.mul(columnBytes(packing));
export const groupBytes = (packing: FloatPacking, columns: I32): I32 =>
  powersAt(packing, columns).add(powersBytes(packing));
