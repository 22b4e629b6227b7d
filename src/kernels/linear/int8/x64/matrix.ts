/**
 * Matrix-matrix products as machine code of x86-64 with 512-bit vectors (AVX-512 VNNI), where WebAssembly has 128 bits and an engine joins
 * two: the task linearMatrix (../kernel.ts), with the same bits.
 */
import {
  at,
  type Code,
  eachOf,
  r8,
  r9,
  r10,
  r11,
  r12,
  r13,
  r14,
  r15,
  rax,
  rbp,
  rcx,
  rdi,
  rdx,
  rsi,
} from '../../../native/x64/code.ts';
import { countDown, eachBelow, type Frame, unless } from '../../../native/x64/frame.ts';
import { enter } from '../../../native/x64/task.ts';
import { QUANTIZED_GROUP_PANELS } from '../../../tasks.ts';
import type { Task } from '../../../writer/task.ts';
import { nextGroup, storeRows } from '../../x64/rows.ts';
import { ASIDE_AT, ROW_SUM_BYTES, SUM_ROWS } from '../kernel.ts';
import { blockBytes, headBytes, type Packing } from '../packing.ts';
import { Blocks, T, X } from './blocks.ts';
import { overHeads, tileOf, toGroup } from './group.ts';

const four = tileOf(4);

/** y = W · x for N activation rows in tiles of 4. */
export function writeMatrix(code: Code, packing: Packing, task: Task): void {
  const blocks = new Blocks(code, packing);
  const frame = enter(code, task);
  blocks.constants();
  eachBelow(code, frame, 'first', 'last', () => {
    code.moveNumber(rax, 0);
    frame.keep('n', rax);
    eachBelow(code, frame, 'n', 'N', () => {
      // r15: tiles of these rows; r14: their sums; r12: the first one's block; r8: from tile to tile
      code.subtract(rcx, rax);
      code.compareNumber(rcx, SUM_ROWS);
      unless(code, 'belowOrEqual', () => code.moveNumber(rcx, SUM_ROWS));
      frame.keep('count', rcx);
      code.move(r15, rcx);
      code.addNumber(r15, 3);
      code.shiftRight(r15, 2);
      frame.get(r14, 'scratch');
      code.three('xor', T, T, T);
      code.move(rdi, r14);
      code.move(rdx, r15);
      countDown(code, rdx, () => {
        for (let i = 0; i < 4 * ROW_SUM_BYTES; i += 64) code.storeVector(at(rdi, i), T);
        code.addNumber(rdi, 4 * ROW_SUM_BYTES);
      });
      toGroup(code, frame, packing);
      blocks.levels(rcx);
      code.multiplyNumber(r8, r13, four.bytes);
      frame.get(rax, 'n');
      code.shiftRight(rax, 2);
      code.move(r12, r8);
      code.multiply(r12, rax);
      frame.get(rax, 'x');
      code.add(r12, rax);
      code.moveNumber(rbp, 0);
      countDown(code, r13, () => {
        overHeads(code, packing, rbp, [{ w: rsi, head: r11 }]);
        for (const pair of [0, 1]) {
          blocks.ahead(rsi);
          blocks.quants(rsi, 8 * pair);
          blocks.scales(rsi, r11, 2 * pair * headBytes(packing));
          blocks.keepFactors(FACTORS, pair);
          code.addNumber(rsi, 2 * blockBytes(packing));
        }
        code.move(rdi, r12);
        code.move(r10, r14);
        code.move(r9, r15);
        countDown(code, r9, () => {
          tile(code, blocks);
          code.add(rdi, r8);
          code.addNumber(r10, 4 * ROW_SUM_BYTES);
        });
        code.addNumber(r12, four.bytes);
        code.addNumber(rbp, 1);
      });
      storeAll(code, frame);
      frame.get(rax, 'n');
      code.addNumber(rax, SUM_ROWS);
      frame.keep('n', rax);
    });
    nextGroup(code, frame, QUANTIZED_GROUP_PANELS);
  });
  frame.leave();
}

/** Where scales and minima of the block wait. */
const FACTORS = at(r14, ASIDE_AT);

/** The sums at r10 += the tile at rdi × the block of the group, whose quants the registers hold: an activation is loaded once for all 32 rows. */
function tile(code: Code, blocks: Blocks): void {
  const rows = [0, 1, 2, 3].map((n) => ({ n, sums: eachOf(rdi, four.sums + 4 * n), T: [T + 2 * n, T + 2 * n + 1] }));
  const perHalf = 8 / blocks.halves;
  for (let half = 0; half < blocks.halves; half++) {
    for (const { sums, T } of rows) {
      blocks.begin(T[0]!, sums, half);
      code.moveVector(T[1]!, T[0]!);
    }
    for (let k = half * perHalf; k < (half + 1) * perHalf; k++) {
      for (const { n, T } of rows) {
        code.loadEach(X, at(rdi, 32 * n + 4 * k));
        for (const pair of [0, 1]) code.three('dotBytes', T[pair]!, 8 * pair + k, X);
      }
    }
    for (const { n, sums, T } of rows) {
      code.loadEach(X, at(rdi, four.scales + 4 * n));
      blocks.sumOfX(sums, half);
      for (const pair of [0, 1]) {
        const factors = blocks.factorsAt(FACTORS, pair, half);
        blocks.added(at(r10, n * ROW_SUM_BYTES + 64 * pair), T[pair]!, factors, X);
      }
    }
  }
}

/** The sums of `count` rows to y. */
function storeAll(code: Code, frame: Frame): void {
  frame.get(rdi, 'rows');
  code.shiftLeft(rdi, 2);
  code.move(r9, rdi);
  frame.get(rax, 'n');
  code.multiply(rdi, rax);
  frame.get(rax, 'y');
  code.add(rdi, rax);
  frame.get(rdx, 'bias');
  frame.get(r10, 'count');
  countDown(code, r10, () => {
    for (const pair of [0, 1]) {
      code.loadVector(T + 1, at(r14, 64 * pair));
      storeRows(code, frame, { source: T + 1, pair, between: T });
    }
    code.add(rdi, r9);
    code.addNumber(r14, ROW_SUM_BYTES);
  });
}
