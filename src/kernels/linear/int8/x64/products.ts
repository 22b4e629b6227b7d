/**
 * The same products as machine code of x86-64 with 512-bit vectors (AVX-512 VNNI), where WebAssembly has 128 bits and an engine joins
 * two: the tasks of ../kernel.ts, with the same bits.
 */
import {
  at,
  type Code,
  eachOf,
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
  rbp,
  rcx,
  rdi,
  rdx,
  rsi,
  type VectorRegister,
} from '../../../native/x64/code.ts';
import { countDown, eachBelow, type Frame, unless } from '../../../native/x64/frame.ts';
import { enter } from '../../../native/x64/task.ts';
import { QUANTIZED_GROUP_PANELS } from '../../../tasks.ts';
import type { Task } from '../../../writer/task.ts';
import { nextGroup, storeRows } from '../../x64/rows.ts';
import { ASIDE_AT, ROW_SUM_BYTES, SUM_ROWS } from '../kernel.ts';
import { blockBytes, hasSuperBlocks, headBytes, type Packing } from '../packing.ts';
import { Blocks, T, TABLES, X } from './blocks.ts';

/** A tile of R activation rows: where a block's scales and sums are, and how long it is (../../quantize.kernel.ts). */
const tileOf = (R: number) => ({ scales: 32 * R, sums: 36 * R, bytes: 40 * R });
const four = tileOf(4);
const one = tileOf(1);

/** The group of the panel in `first`, at rsi, its levels at rcx; a group's bytes in rdx, the blocks of a row in r13. Changes rax. */
function toGroup(code: Code, frame: Frame, packing: Packing): void {
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

/** Steps over the heads of eight blocks, which begin at `w`: `head` is where they are. `done`: blocks before this one. */
function overHeads(
  code: Code,
  blocks: Blocks,
  packing: Packing,
  done: General,
  groups: readonly Pick<Group, 'w' | 'head'>[],
): void {
  if (!hasSuperBlocks(packing)) return;
  const bytes = QUANTIZED_GROUP_PANELS * headBytes(packing);
  code.move(rax, done);
  code.andNumber(rax, 7);
  unless(code, 'notEqual', () => {
    for (const { w, head } of groups) {
      blocks.ahead(w, bytes);
      code.move(head, w);
      code.addNumber(w, bytes);
    }
  });
}

/** Where a group of four panels is, and what it has of its own in registers: of either pair a sum, and levels. */
interface Group {
  readonly w: General;
  readonly head: General;
  readonly sums: readonly VectorRegister[];
  readonly table: VectorRegister;
}
/** Groups that a matrix-vector product reads side by side, where `streams` is more than one (devices/wasm/streams.ts). */
const GROUPS: readonly [Group, Group] = [
  { w: rsi, head: r11, sums: [8, 9], table: TABLES[0]! },
  { w: r14, head: r15, sums: [10, 11], table: TABLES[1]! },
];

/** y = W · x for one activation row: the task linearVector (../kernel.ts). */
export function writeVector(code: Code, packing: Packing, task: Task): void {
  const blocks = new Blocks(code, packing);
  const frame = enter(code, task);
  blocks.constants();
  eachBelow(code, frame, 'first', 'last', () => {
    const [one, done]: [Label, Label] = [{ at: null }, { at: null }];
    code.subtract(rcx, rax);
    code.compareNumber(rcx, QUANTIZED_GROUP_PANELS);
    code.jumpIf('belowOrEqual', one);
    frame.get(rax, 'streams');
    code.compareNumber(rax, 1);
    code.jumpIf('equal', one);
    vector(code, frame, blocks, packing, GROUPS);
    code.jump(done);
    code.place(one);
    vector(code, frame, blocks, packing, [GROUPS[0]]);
    code.place(done);
  });
  frame.leave();
}

/** These groups, from the one that `first` is in, which becomes the one after them. */
function vector(code: Code, frame: Frame, blocks: Blocks, packing: Packing, groups: readonly Group[]): void {
  toGroup(code, frame, packing);
  groups.forEach(({ w, sums, table }, i) => {
    if (i > 0) {
      code.sum(w, groups[i - 1]!.w, rdx);
      code.add(rcx, rdx);
    }
    blocks.levels(rcx, table);
    for (const sum of sums) code.three('xor', sum, sum, sum);
  });
  frame.get(rdi, 'x');
  code.moveNumber(r12, 0);
  countDown(code, r13, () => {
    overHeads(code, blocks, packing, r12, groups);
    for (const { w, head, sums, table } of groups) {
      sums.forEach((sum, pair) => {
        blocks.ahead(w);
        blocks.quants(w, 0, table);
        blocks.scales(w, head, 2 * pair * headBytes(packing));
        // T of the two halves side by side, so that neither waits for its own last step
        blocks.begin(T, eachOf(rdi, one.sums), 0);
        if (packing.isHalved) blocks.begin(T + 1, eachOf(rdi, one.sums), 1);
        else code.three('xor', T + 1, T + 1, T + 1);
        for (let k = 0; k < 4; k++) {
          code.three('dotBytes', T, k, eachOf(rdi, 4 * k));
          code.three('dotBytes', T + 1, k + 4, eachOf(rdi, 4 * (k + 4)));
        }
        if (!packing.isHalved) code.three('addInts', T, T, T + 1);
        for (let half = 0; half < blocks.halves; half++) {
          blocks.sumOfX(eachOf(rdi, one.sums), half);
          blocks.added(sum, T + half, blocks.factors(half), eachOf(rdi, one.scales));
        }
        code.addNumber(w, 2 * blockBytes(packing));
      });
    }
    code.addNumber(rdi, one.bytes);
    code.addNumber(r12, 1);
  });
  frame.get(rdi, 'y');
  frame.get(rdx, 'bias');
  groups.forEach(({ sums }) => {
    sums.forEach((sum, pair) => {
      storeRows(code, frame, { source: sum, pair, between: T });
    });
    nextGroup(code, frame, QUANTIZED_GROUP_PANELS);
  });
}

/** y = W · x for N activation rows in tiles of 4: the task linearMatrix (../kernel.ts). */
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
        overHeads(code, blocks, packing, rbp, [{ w: rsi, head: r11 }]);
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
