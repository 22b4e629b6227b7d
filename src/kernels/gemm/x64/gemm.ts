/**
 * The same product as machine code of x86-64 with 512-bit vectors (AVX-512): the task of ../kernel.ts, with the same bits. A tile is two
 * panels of A (12 rows) × two of B (32 columns): 24 sums in registers; or one of either, where there is no more.
 */

import { maskOf } from '../../linear/x64/rows.ts';
import {
  at,
  type Code,
  type General,
  type Label,
  r8,
  r9,
  r10,
  r11,
  r12,
  r13,
  r14,
  r15,
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
/** How many steps ahead B is asked for, as a power of two: where it is not packed, each step is on a line far from the last. */
const AHEAD = 4;
/** Of the columns of either panel of B. */
const MASKS = [1, 2] as const;

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
          choose(code, r14, TILE_ROWS, (panels) =>
            choose(code, r13, TILE_COLUMNS, (vectors) => tile(code, frame, panels, vectors, isFused)),
          );
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

/** One panel where `count` is at most `width`, else two. */
function choose(code: Code, count: General, width: number, write: (panels: 1 | 2) => void): void {
  const [one, done]: [Label, Label] = [{ at: null }, { at: null }];
  code.compareNumber(count, width);
  code.jumpIf('belowOrEqual', one);
  write(2);
  code.jump(done);
  code.place(one);
  write(1);
  code.place(done);
}

/** Where a row of a panel lies: its register and how many of the rows in `index` are added to it. */
const ROW_PLACES: readonly (readonly [index: General, times: 1 | 2 | 4] | null)[] = [
  null,
  [rax, 1],
  [rax, 2],
  [rdx, 1],
  [rax, 4],
  [rdi, 1],
];

/** One or two panels of A × one or two of B, over `count` steps. */
function tile(code: Code, frame: Frame, panels: 1 | 2, vectors: 1 | 2, isFused: boolean): void {
  const rows = panels * TILE_ROWS;
  // C is read and written at the end: until then it has come.
  toC(code, frame);
  for (let row = 0; row < rows; row++) {
    for (let v = 0; v < vectors; v++) code.prefetch(at(rsi, 64 * v));
    code.add(rsi, rdi);
  }

  // r8, r9: panels of A; r10, r11: of B
  const toPanels = (operand: 'a' | 'b', index: string, width: number, first: General, second: General) => {
    frame.get(rax, index);
    frame.get(rcx, `${operand}Far`);
    code.multiply(rax, rcx);
    frame.get(rdx, 'k');
    frame.get(rsi, `${operand}Step`);
    code.multiply(rdx, rsi);
    code.add(rax, rdx);
    frame.get(first, operand);
    code.add(first, rax);
    code.multiplyNumber(rcx, rcx, width);
    code.sum(second, first, rcx);
  };
  toPanels('b', 'j', TILE_COLUMNS, r10, r11);
  code.move(r12, rsi); // from step to step of B
  code.move(r15, r12);
  code.shiftLeft(r15, AHEAD);
  toPanels('a', 'i', TILE_ROWS, r8, r9); // and of A: rsi
  frame.get(rax, 'aRow');
  code.multiplyNumber(rdx, rax, 3);
  code.multiplyNumber(rdi, rax, 5);

  for (let sum = 0; sum < rows * vectors; sum++) code.three('xor', sum, sum, sum);
  frame.get(rcx, 'count');
  countDown(code, rcx, () => {
    for (let v = 0; v < vectors; v++) {
      const panel = at([r10, r11][v]!);
      code.loadVector(W + v, panel);
      code.prefetch({ ...panel, index: r15 });
    }
    for (let row = 0; row < rows; row++) {
      const x = X[row % X.length]!;
      const place = at(row < TILE_ROWS ? r8 : r9);
      const [index, times] = ROW_PLACES[row % TILE_ROWS] ?? [];
      code.loadEach(x, index === undefined ? place : { ...place, index, times: times! });
      for (let v = 0; v < vectors; v++) {
        const sum = row * vectors + v;
        if (isFused) code.three('multiplyAdd', sum, x, W + v);
        else {
          code.three('multiply', BETWEEN, x, W + v);
          code.three('addFloats', sum, sum, BETWEEN);
        }
      }
    }
    for (const panel of [r8, r9].slice(0, panels)) code.add(panel, rsi);
    for (const panel of [r10, r11].slice(0, vectors)) code.add(panel, r12);
  });

  toC(code, frame);
  frame.get(r12, 'add');
  const out: Label = { at: null };
  for (let row = 0; row < rows; row++) {
    if (row > 0) {
      code.compareNumber(r14, row);
      code.jumpIf('belowOrEqual', out);
    }
    code.compareNumber(r12, 0);
    unless(code, 'equal', () => {
      for (let v = 0; v < vectors; v++) {
        code.loadMasked(W + v, at(rsi, 64 * v), MASKS[v]!);
        code.three('addFloats', row * vectors + v, row * vectors + v, W + v);
      }
    });
    for (let v = 0; v < vectors; v++) code.storeMasked(at(rsi, 64 * v), row * vectors + v, MASKS[v]!);
    code.add(rsi, rdi);
  }
  code.place(out);
}

/** The tile of C of `i` and `j` at rsi, from row to row rdi. Changes rax. */
function toC(code: Code, frame: Frame): void {
  frame.get(rdi, 'cRow');
  frame.get(rsi, 'i');
  code.multiply(rsi, rdi);
  frame.get(rax, 'j');
  code.shiftLeft(rax, 2);
  code.add(rsi, rax);
  frame.get(rax, 'c');
  code.add(rsi, rax);
}
