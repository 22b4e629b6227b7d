/** Where products find a group of panels and the activations: alike for vectors of all widths. */
import { at, type Code, type General, r13, rax, rcx, rdx, rsi } from '../../../native/x64/code.ts';
import { type Frame, unless } from '../../../native/x64/frame.ts';
import { QUANTIZED_GROUP_PANELS } from '../../../tasks.ts';
import { blockBytes, hasSuperBlocks, headBytes, type Packing } from '../packing.ts';

/** A tile of R activation rows: where a block's scales and sums are, and how long it is (../../quantize.kernel.ts). */
export const tileOf = (R: number) => ({ scales: 32 * R, sums: 36 * R, bytes: 40 * R });

/**
 * How far ahead of its use a weight is asked for, in bytes: what memory sends while a line is waited for. Half of it is less than
 * the processor asks for by itself, and hinders that (Zen 5: 0.8 × the speed).
 */
const AHEAD = 4096;
const LINE = 64;

/** Asks for the lines that follow, as many as so many bytes at `w` are: all are asked for where all are gone over. */
export function ahead(code: Code, w: General, bytes: number): void {
  for (let line = 0; line < bytes; line += LINE) code.prefetch(at(w, AHEAD + line));
}

/** The group of the panel in `first`, at rsi, its levels at rcx; a group's bytes in rdx, the blocks of a row in r13. Changes rax. */
export function toGroup(code: Code, frame: Frame, packing: Packing): void {
  const perBlock = QUANTIZED_GROUP_PANELS * blockBytes(packing);
  frame.get(r13, 'columns');
  code.shiftRight(r13, 5);
  code.multiplyNumber(rcx, r13, perBlock);
  if (hasSuperBlocks(packing)) {
    code.move(rax, r13);
    code.shiftRight(rax, 3);
    code.multiplyNumber(rax, rax, QUANTIZED_GROUP_PANELS * headBytes(packing));
    code.add(rcx, rax);
  }
  code.move(rdx, rcx);
  if (packing.isTable) code.addNumber(rdx, 16);
  frame.get(rsi, 'first');
  code.shiftRight(rsi, 2);
  code.multiply(rsi, rdx);
  frame.get(rax, 'w');
  code.add(rsi, rax);
  code.add(rcx, rsi);
}

/** Where the next blocks of a group are, and their heads. */
export interface Group {
  readonly w: General;
  readonly head: General;
}

/** Steps over the heads of eight blocks, which begin at `w`: `head` is where they are. `done`: blocks before this one. */
export function overHeads(code: Code, packing: Packing, done: General, groups: readonly Group[]): void {
  if (!hasSuperBlocks(packing)) return;
  const bytes = QUANTIZED_GROUP_PANELS * headBytes(packing);
  code.move(rax, done);
  code.andNumber(rax, 7);
  unless(code, 'notEqual', () => {
    for (const { w, head } of groups) {
      ahead(code, w, bytes);
      code.move(head, w);
      code.addNumber(w, bytes);
    }
  });
}
