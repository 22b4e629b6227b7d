/**
 * Matrix-vector products as machine code of x86-64: the task linearVector (../kernel.ts), with the same bits, one or two groups of panels
 * side by side. What is done with a block is the width's to say: of 512 bits below, of 256 bits in ./vector256.ts.
 */
import {
  type Code,
  eachOf,
  type General,
  type Label,
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
} from '../../../native/x64/code.ts';
import { countDown, eachBelow, type Frame } from '../../../native/x64/frame.ts';
import { enter } from '../../../native/x64/task.ts';
import { QUANTIZED_GROUP_PANELS } from '../../../tasks.ts';
import type { Task } from '../../../writer/task.ts';
import { nextGroup, storeRows } from '../../x64/rows.ts';
import { blockBytes, headBytes, type Packing } from '../packing.ts';
import { Blocks, T, TABLES } from './blocks.ts';
import { type Group, overHeads, tileOf, toGroup } from './group.ts';

/** A tile of one activation row. */
export const one = tileOf(1);

/** Groups that are read side by side, where `streams` is more than one (devices/wasm/streams.ts). */
const GROUPS: readonly [Group, Group] = [
  { w: rsi, head: r11 },
  { w: r14, head: r15 },
];

/** What a width does; `group` is 0, or 1 of the second of two side by side. rsi, rdi, rbx, rbp and r11 … r15 are not its own. */
export interface VectorSums {
  /** Once, before everything. Changes rax. */
  constants(): void;
  /** The group's sums are zeros; its levels are at `levels`. Changes rax. */
  begin(group: number, levels: General): void;
  /** Before the blocks of all groups that the tile at rdi is multiplied by. */
  tile(): void;
  /** The sums grow by a block, which begins at w: after it, w is where the next one does. */
  block(group: number, places: Group): void;
  /** y at rdi, of the group that `first` is in; the bias is at rdx. Changes rax, rcx. */
  store(group: number): void;
}

export function writeVector(code: Code, packing: Packing, task: Task, sumsOf: (frame: Frame) => VectorSums): void {
  const frame = enter(code, task);
  const sums = sumsOf(frame);
  sums.constants();
  eachBelow(code, frame, 'first', 'last', () => {
    const [one, done]: [Label, Label] = [{ at: null }, { at: null }];
    code.subtract(rcx, rax);
    code.compareNumber(rcx, QUANTIZED_GROUP_PANELS);
    code.jumpIf('belowOrEqual', one);
    frame.get(rax, 'streams');
    code.compareNumber(rax, 1);
    code.jumpIf('equal', one);
    sideBySide(code, frame, packing, sums, GROUPS);
    code.jump(done);
    code.place(one);
    sideBySide(code, frame, packing, sums, [GROUPS[0]]);
    code.place(done);
  });
  frame.leave();
}

/** These groups, from the one that `first` is in, which becomes the one after them. */
function sideBySide(code: Code, frame: Frame, packing: Packing, sums: VectorSums, groups: readonly Group[]): void {
  toGroup(code, frame, packing);
  groups.forEach(({ w }, i) => {
    if (i > 0) {
      code.sum(w, groups[i - 1]!.w, rdx);
      code.add(rcx, rdx);
    }
    sums.begin(i, rcx);
  });
  frame.get(rdi, 'x');
  code.moveNumber(r12, 0);
  countDown(code, r13, () => {
    overHeads(code, packing, r12, groups);
    sums.tile();
    for (const [i, group] of groups.entries()) sums.block(i, group);
    code.addNumber(rdi, one.bytes);
    code.addNumber(r12, 1);
  });
  frame.get(rdi, 'y');
  frame.get(rdx, 'bias');
  groups.forEach((_, i) => {
    sums.store(i);
    nextGroup(code, frame, QUANTIZED_GROUP_PANELS);
  });
}

/** With 512-bit vectors (AVX-512 VNNI): two panels a register. */
export class Sums512 implements VectorSums {
  readonly #code: Code;
  readonly #frame: Frame;
  readonly #packing: Packing;
  readonly #blocks: Blocks;

  constructor(code: Code, frame: Frame, packing: Packing) {
    this.#code = code;
    this.#frame = frame;
    this.#packing = packing;
    this.#blocks = new Blocks(code, packing);
  }
  constants(): void {
    this.#blocks.constants();
  }
  /** Of either pair of panels. */
  #sums(group: number): VectorRegister[] {
    return [0, 1].map((pair) => 8 + 2 * group + pair);
  }
  begin(group: number, levels: General): void {
    this.#blocks.levels(levels, TABLES[group]!);
    for (const sum of this.#sums(group)) this.#code.three('xor', sum, sum, sum);
  }
  tile(): void {}
  block(group: number, { w, head }: Group): void {
    const code = this.#code;
    const packing = this.#packing;
    const blocks = this.#blocks;
    this.#sums(group).forEach((sum, pair) => {
      blocks.ahead(w);
      blocks.quants(w, 0, TABLES[group]!);
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
  store(group: number): void {
    this.#sums(group).forEach((source, pair) => {
      storeRows(this.#code, this.#frame, { source, pair, between: T });
    });
  }
}
