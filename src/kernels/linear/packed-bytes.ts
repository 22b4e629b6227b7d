/**
 * What a packed matrix takes in memory: the sums of layout.assembly.ts for callers outside of the kernels. (A test compares them with the
 * kernels' own.)
 */
import * as tasks from '../tasks.ts';

/** Bytes of 8 rows × 32 columns, and of 8 rows × 256 columns beside them. */
interface BlockRow {
  readonly block: number;
  readonly head?: number;
}

const blocks: Readonly<Record<number, BlockRow>> = {
  [tasks.PACK_Q8_0]: { block: 256 + 16 },
  [tasks.PACK_Q4_0]: { block: 128 + 16 },
  [tasks.PACK_Q4_1]: { block: 128 + 32 },
  [tasks.PACK_Q5_0]: { block: 128 + 32 + 16 },
  [tasks.PACK_Q5_1]: { block: 128 + 32 + 32 },
  [tasks.PACK_TABLE_F16]: { block: 128 + 16 },
  [tasks.PACK_TABLE_BF16]: { block: 128 + 16 },
  [tasks.PACK_Q2_K]: { block: 128 + 32, head: 64 },
  [tasks.PACK_Q3_K]: { block: 128 + 16, head: 32 },
  [tasks.PACK_Q4_K]: { block: 128 + 16, head: 64 },
  [tasks.PACK_Q5_K]: { block: 128 + 32 + 16, head: 64 },
  [tasks.PACK_Q6_K]: { block: 128 + 64 + 16, head: 32 },
  [tasks.PACK_TABLE]: { block: 128 + 16, head: 32 },
  [tasks.PACK_TABLE_HALVES]: { block: 128 + 16, head: 32 },
};

const LEVELS_BYTES = 16;
const isTable = (kind: number) =>
  kind === tasks.PACK_TABLE_F16 || kind === tasks.PACK_TABLE_BF16 || kind >= tasks.PACK_TABLE;

export function packedBytes(kind: number, rows: number, columns: number): number {
  const row = blocks[kind];
  if (row === undefined) {
    const groups = Math.ceil(rows / (8 * tasks.FLOAT_GROUP_PANELS));
    const unlift = kind === tasks.PACK_F16 ? tasks.FLOAT_GROUP_PANELS * 16 : 0;
    return groups * (columns * tasks.FLOAT_GROUP_PANELS * 8 * (kind === tasks.PACK_F32 ? 4 : 2) + unlift);
  }
  const groups = Math.ceil(rows / (8 * tasks.QUANTIZED_GROUP_PANELS));
  const panel = (columns / 32) * row.block + Math.floor(columns / 256) * (row.head ?? 0);
  return groups * (tasks.QUANTIZED_GROUP_PANELS * panel + (isTable(kind) ? LEVELS_BYTES : 0));
}
