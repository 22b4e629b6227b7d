/**
 * The same product as machine code of x86-64 with 512-bit vectors (AVX-512): the task of ../kernel.ts, with the same bits. A tile is two
 * panels of A (12 rows) × two of B (32 columns): 24 sums in registers.
 */

import { maskOf } from '../../linear/x64/rows.ts';
import {
  at,
  type Code,
  type Label,
  r8,
  r9,
  r10,
  r11,
  r12,
  r13,
  r14,
  rax,
  rcx,
  rdi,
  rdx,
  rsi,
  type VectorRegister,
} from '../../native/x64/code.ts';
import { atMostNumber, countDown, eachBelow, type Frame, increase, unless } from '../../native/x64/frame.ts';
import { enter } from '../../native/x64/task.ts';
import { BLOCK_COLUMNS, BLOCK_ROWS, TILE_COLUMNS, TILE_ROWS } from '../../training-tasks.ts';
import type { Task } from '../../writer/task.ts';
import { DEPTH } from '../kernel.ts';

const VECTORS = 2;
const W = 24;
const X: readonly VectorRegister[] = [26, 27, 28, 29];
const BETWEEN = 30;

/** `isFused`: multiply-adds round once, as in the relaxed builds. */
export function writeGemm(code: Code, task: Task, isFused: boolean): void {
  const frame = enter(code, task);
  eachBelow(code, frame, 'first', 'last', () => {
    toBlock(code, frame);
    code.moveNumber(rax, 0);
    frame.keep('k', rax);
    eachBelow(code, frame, 'k', 'K', () => {
      code.subtract(rcx, rax);
      atMostNumber(code, rcx, DEPTH);
      frame.keep('count', rcx);
      frame.get(rcx, 'adds');
      code.add(rcx, rax);
      frame.keep('add', rcx); // not 0 where C is added to
      frame.get(rax, 'column');
      frame.keep('j', rax);
      eachBelow(code, frame, 'j', 'columnEnd', () => {
        columnMasks(code);
        frame.get(rax, 'row');
        frame.keep('i', rax);
        eachBelow(code, frame, 'i', 'rowEnd', () => {
          code.subtract(rcx, rax);
          code.move(r14, rcx); // rows that there are
          const [few, done]: [Label, Label] = [{ at: null }, { at: null }];
          code.compareNumber(r14, TILE_ROWS);
          code.jumpIf('belowOrEqual', few);
          tile(code, frame, 2, isFused);
          code.jump(done);
          code.place(few);
          tile(code, frame, 1, isFused);
          code.place(done);
          increase(code, frame, 'i', 2 * TILE_ROWS);
        });
        increase(code, frame, 'j', VECTORS * TILE_COLUMNS);
      });
      increase(code, frame, 'k', DEPTH);
    });
    increase(code, frame, 'first', 1);
  });
  frame.leave();
}

/** The block of C of the unit in rax: `row` to `rowEnd`, `column` to `columnEnd`. */
function toBlock(code: Code, frame: Frame): void {
  frame.get(rcx, 'N');
  code.addNumber(rcx, BLOCK_COLUMNS - 1);
  code.shiftRight(rcx, Math.log2(BLOCK_COLUMNS));
  code.divide(rcx);
  code.multiplyNumber(rax, rax, BLOCK_ROWS);
  code.shiftLeft(rdx, Math.log2(BLOCK_COLUMNS));
  for (const [name, from, length, end] of [
    ['row', rax, BLOCK_ROWS, 'M'],
    ['column', rdx, BLOCK_COLUMNS, 'N'],
  ] as const) {
    frame.keep(name, from);
    frame.get(rcx, end);
    code.subtract(rcx, from);
    atMostNumber(code, rcx, length);
    code.add(rcx, from);
    frame.keep(`${name}End`, rcx);
  }
}

/** Masks 1 and 2: the columns of the two panels from rax on, where rcx ends them; r13: how many there are. Changes rax, rcx. */
function columnMasks(code: Code): void {
  code.subtract(rcx, rax);
  code.move(r13, rcx);
  maskOf(code, rcx, 1);
  code.move(rcx, r13);
  code.compareNumber(rcx, TILE_COLUMNS);
  unless(code, 'aboveOrEqual', () => code.moveNumber(rcx, TILE_COLUMNS));
  code.addNumber(rcx, -TILE_COLUMNS);
  maskOf(code, rcx, 2);
}

/** One or two panels of A × two panels of B, over `count` steps. */
function tile(code: Code, frame: Frame, panels: 1 | 2, isFused: boolean): void {
  // r8, r9: panels of A; r10, r11: of B, twice the same where there is no second
  const toPanel = (index: string, width: number, start: string) => {
    frame.get(rax, index);
    frame.get(rcx, 'K');
    code.multiply(rax, rcx);
    frame.get(rdx, 'k');
    code.multiplyNumber(rdx, rdx, width);
    code.add(rax, rdx);
    code.shiftLeft(rax, 2);
    frame.get(rdx, start);
    code.add(rax, rdx);
    code.multiplyNumber(rcx, rcx, 4 * width); // to the next panel
  };
  toPanel('i', TILE_ROWS, 'a');
  code.move(r8, rax);
  code.sum(r9, rax, rcx);
  toPanel('j', TILE_COLUMNS, 'b');
  code.move(r10, rax);
  code.move(r11, rax);
  code.compareNumber(r13, TILE_COLUMNS);
  unless(code, 'belowOrEqual', () => code.add(r11, rcx));

  const rows = panels * TILE_ROWS;
  const sums = rows * VECTORS;
  for (let sum = 0; sum < sums; sum++) code.three('xor', sum, sum, sum);
  frame.get(rcx, 'count');
  countDown(code, rcx, () => {
    code.loadVector(W, at(r10));
    code.loadVector(W + 1, at(r11));
    for (let row = 0; row < rows; row++) {
      const x = X[row % X.length]!;
      code.loadEach(x, at(row < TILE_ROWS ? r8 : r9, 4 * (row % TILE_ROWS)));
      for (let v = 0; v < VECTORS; v++) {
        const sum = row * VECTORS + v;
        if (isFused) code.three('multiplyAdd', sum, x, W + v);
        else {
          code.three('multiply', BETWEEN, x, W + v);
          code.three('addFloats', sum, sum, BETWEEN);
        }
      }
    }
    for (const [panel, width] of [
      [r8, TILE_ROWS],
      [r9, TILE_ROWS],
      [r10, TILE_COLUMNS],
      [r11, TILE_COLUMNS],
    ] as const) {
      if (panel !== r9 || panels === 2) code.addNumber(panel, 4 * width);
    }
  });

  frame.get(rdi, 'cRow');
  frame.get(rsi, 'i');
  code.multiply(rsi, rdi);
  frame.get(rax, 'j');
  code.shiftLeft(rax, 2);
  code.add(rsi, rax);
  frame.get(rax, 'c');
  code.add(rsi, rax);
  frame.get(r12, 'add');
  const out: Label = { at: null };
  for (let row = 0; row < rows; row++) {
    if (row > 0) {
      code.compareNumber(r14, row);
      code.jumpIf('belowOrEqual', out);
    }
    code.compareNumber(r12, 0);
    unless(code, 'equal', () => {
      for (const [v, mask] of [
        [0, 1],
        [1, 2],
      ] as const) {
        code.loadMasked(W + v, at(rsi, 64 * v), mask);
        code.three('addFloats', row * VECTORS + v, row * VECTORS + v, W + v);
      }
    });
    code.storeMasked(at(rsi), row * VECTORS, 1);
    code.storeMasked(at(rsi, 64), row * VECTORS + 1, 2);
    code.add(rsi, rdi);
  }
  code.place(out);
}
