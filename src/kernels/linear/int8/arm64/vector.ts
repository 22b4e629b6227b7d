/**
 * Matrix-vector products as machine code of AArch64 with dot product instructions: the task linearVector (../kernel.ts), with the same
 * bits. One group of panels after the other (`streams` is not looked at), its sums in registers.
 */
import { at, type Code, type VectorRegister, x1, x2, x3, x4, x5, x6, x10 } from '../../../native/arm64/code.ts';
import { countDown, eachBelow, enter, increase } from '../../../native/arm64/frame.ts';
import { QUANTIZED_GROUP_PANELS } from '../../../tasks.ts';
import type { Task } from '../../../writer/task.ts';
import { blockBytes, headBytes, type Packing } from '../packing.ts';
import { Blocks, bothRows, type Group, overHeads, type Rows, tileOf, toGroup } from './blocks.ts';
import { storePanel } from './store-panel.ts';

const one = tileOf(1);
const group: Group = { w: x1, head: x2, levels: x6, blocks: x5 };
const [TILE, DONE] = [x3, x4];

/** Sums of products of four rows: of the columns of either half. */
const T = (rows: Rows, half: number): VectorRegister => 2 * rows + half;
/** The activations of either half. */
const X: readonly VectorRegister[] = [4, 5];
const Q: readonly VectorRegister[] = [16, 17];
const DX = 18;
/** Of either half, what T begins with; or f32(Σ q_x), where there are minima. */
const X_SUMS: readonly VectorRegister[] = [19, 20];
const sumOf = (panel: number, rows: Rows): VectorRegister => 24 + 2 * panel + rows;

export function writeVector(code: Code, packing: Packing, task: Task): void {
  const blocks = new Blocks(code, packing);
  const panels = Array.from({ length: QUANTIZED_GROUP_PANELS }, (_, panel) => panel);
  const frame = enter(code, task);
  eachBelow(code, frame, 'first', 'last', () => {
    toGroup(code, frame, packing, group);
    blocks.constants(group.levels);
    const sums = panels.flatMap((panel) => bothRows.map((rows) => sumOf(panel, rows)));
    for (const sum of sums) code.three('xor', sum, sum, sum);
    frame.get(TILE, 'x');
    code.moveNumber(DONE, 0);
    countDown(code, group.blocks, () => {
      overHeads(code, packing, group, DONE);
      readTile(code, blocks);
      for (const panel of panels) {
        for (const rows of bothRows) grow(code, blocks, panel, rows);
        code.addNumber(group.w, group.w, blockBytes(packing));
      }
      code.addNumber(TILE, TILE, one.bytes);
      code.addNumber(DONE, DONE, 1);
    });
    frame.get(x10, 'scratch');
    sums.forEach((sum, i) => {
      code.moveBytes('storeVector', sum, at(x10, 16 * i));
    });
    frame.get(x3, 'y');
    for (const panel of panels) storePanel(code, frame, { panel, from: x10, y: x3 });
    increase(code, frame, 'first', QUANTIZED_GROUP_PANELS);
  });
  frame.leave();
}

/** The block of activations that the blocks of all panels are multiplied by. */
function readTile(code: Code, blocks: Blocks): void {
  X.forEach((half, i) => {
    code.moveBytes('loadVector', half, at(TILE, 16 * i));
  });
  code.moveBytes('loadQuarter', DX, at(TILE, one.scales));
  for (const half of blocks.halves) {
    const sum = X_SUMS[half]!;
    if (blocks.packing.minima) blocks.floatOfX(sum, TILE, one.sums, half);
    else if (blocks.offset > 0) blocks.start(sum, TILE, one.sums, half);
  }
}

/** The sums of four rows of a panel grow by a block. */
function grow(code: Code, blocks: Blocks, panel: number, rows: Rows): void {
  const { packing, halves, offset } = blocks;
  for (const half of [0, 1]) {
    const [sum, hasStart] = [T(rows, half), offset > 0 && half < halves.length];
    if (hasStart) code.moveVector(sum, X_SUMS[half]!);
    else code.three('xor', sum, sum, sum);
  }
  const half = (k: number) => k >> 2;
  blocks.quants(
    group.w,
    rows,
    (k) => Q[half(k)]!,
    (k) => code.dotBytes(T(rows, half(k)), Q[half(k)]!, X[half(k)]!, k & 3),
  );
  if (!packing.isHalved) code.three('addInts', T(rows, 0), T(rows, 0), T(rows, 1));
  for (const half of halves) {
    blocks.scales(group.w, group.head, panel * headBytes(packing), rows, half);
    blocks.added(sumOf(panel, rows), T(rows, half), X_SUMS[half]!, DX);
  }
}
