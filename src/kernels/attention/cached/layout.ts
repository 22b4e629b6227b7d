/**
 * The KV cache's memory. A block holds 32 neighbouring positions of one sequence, in a chunk for every key/value head. The chunks of one
 * head lie together, block after block, as attention reads them. A chunk:
 *
 *   keys     4 panels of 8 positions; a panel holds, column after column, the 8 positions' numbers side by side (as `linear` packs rows),
 *            so that scores of 8 positions come out of a pair of vectors without horizontal sums
 *   values   position after position, columns side by side, padded to a multiple of 8
 *
 *   type     key panel                          value row
 *   f32      32 E bytes                         4 E' bytes          E' = E rounded up to 8
 *   f16      16 E                               2 E'
 *   q8_0     16 ⌈E/32⌉ (f16 scales) + 8 E       E' + scales: 2 ⌈E/32⌉, rounded up to 4
 *   q4_0     16 ⌈E/32⌉ (f16 scales) + 32 ⌈E/8⌉  16 ⌈E/32⌉ + scales: 2 ⌈E/32⌉, rounded up to 4
 *
 * q8_0: one f16 scale per position and 32 columns, q = round(x / scale), as the block type of the same name.
 * q4_0: the same with x = scale · (q − 8), q in 0 … 15; the number of largest magnitude is −8 · scale. Of 8 columns of keys, a byte
 * holds columns i (low nibble) and i + 4 of a position; a byte of values columns i and i + 16 of 32.
 */
import type { KvType } from '../../ops.ts';

/** Positions of a block, and of a panel of keys. */
export const BLOCK_POSITIONS = 32;
export const PANEL_POSITIONS = 8;

/** Of one head's chunk of a block, in bytes; `paddedSize` are columns. */
export interface CacheLayout {
  readonly paddedSize: number;
  /** Of a panel of keys, and from its start to its numbers. */
  readonly keyPanelBytes: number;
  readonly keyQuantsAt: number;
  /** Of a row of values, and from its start to its scales. */
  readonly valueRowBytes: number;
  readonly valueScalesAt: number;
  readonly chunkBytes: number;
}

const up = (count: number, to: number): number => Math.ceil(count / to) * to;

export function cacheLayout(type: KvType, headSize: number): CacheLayout {
  const paddedSize = up(headSize, 8);
  const scales = Math.ceil(headSize / 32);
  const ofType = (): Omit<CacheLayout, 'paddedSize' | 'chunkBytes'> => {
    if (type === 'f32' || type === 'f16') {
      const bytes = type === 'f32' ? 4 : 2;
      const valueRowBytes = bytes * paddedSize;
      return { keyPanelBytes: 8 * bytes * headSize, keyQuantsAt: 0, valueRowBytes, valueScalesAt: valueRowBytes };
    }
    const keyQuantsAt = 16 * scales;
    const keyBytes = type === 'q8_0' ? 8 * headSize : 32 * Math.ceil(headSize / 8);
    const valueScalesAt = type === 'q8_0' ? paddedSize : 16 * scales;
    const valueRowBytes = valueScalesAt + up(2 * scales, 4);
    return { keyPanelBytes: keyQuantsAt + keyBytes, keyQuantsAt, valueRowBytes, valueScalesAt };
  };
  const of = ofType();
  const keys = (BLOCK_POSITIONS / PANEL_POSITIONS) * of.keyPanelBytes;
  return { ...of, paddedSize, chunkBytes: up(keys + BLOCK_POSITIONS * of.valueRowBytes, 32) };
}
