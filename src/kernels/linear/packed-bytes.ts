/** What a packed matrix takes in memory, for callers outside of the kernels. */
import { FLOAT_GROUP_PANELS, QUANTIZED_GROUP_PANELS } from '../tasks.ts';
import { columnBytes, floatPackings, powersBytes } from './floats/packing.ts';
import { blockBytes, headBytes, packings, tableBytes } from './int8/packing.ts';

/** Of a group of panels: its bytes, and how many panels it has. */
function groupOf(kind: number, columns: number): { readonly bytes: number; readonly panels: number } {
  const float = floatPackings.find((each) => each.kind === kind);
  if (float) return { bytes: columns * columnBytes(float) + powersBytes(float), panels: FLOAT_GROUP_PANELS };
  const packing = packings.find((each) => each.kind === kind)!;
  const panel = (columns / 32) * blockBytes(packing) + Math.floor(columns / 256) * headBytes(packing);
  return { bytes: QUANTIZED_GROUP_PANELS * panel + tableBytes(packing), panels: QUANTIZED_GROUP_PANELS };
}

export function packedBytes(kind: number, rows: number, columns: number): number {
  const { bytes, panels } = groupOf(kind, columns);
  return bytes * Math.ceil(rows / (8 * panels));
}

export function panelBytes(kind: number, columns: number): number {
  const { bytes, panels } = groupOf(kind, columns);
  return bytes / panels;
}
