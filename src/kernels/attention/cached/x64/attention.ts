/**
 * Attention over the cache as machine code of x86-64 with 512-bit vectors (AVX-512): the tasks of ../kernel.ts without caps and sinks, with
 * the same bits, as every sum takes the same steps. The frame keeps the arguments and what a tile, a split and a block are, by name.
 */

import { maskOf } from '../../../linear/x64/rows.ts';
import { at, type Code, type Label, r8, r9, r10, r11, rax, rbx, rcx, rdi, rdx, rsi } from '../../../native/x64/code.ts';
import { Exponential } from '../../../native/x64/exp.ts';
import {
  atLeast,
  atMost,
  atMostNumber,
  countDown,
  eachBelow,
  type Frame,
  increase,
  unless,
} from '../../../native/x64/frame.ts';
import { enter } from '../../../native/x64/task.ts';
import type { KvType } from '../../../ops.ts';
import { SPLIT_BLOCKS, TILE_HEADS } from '../../../tasks.ts';
import type { Task } from '../../../writer/task.ts';
import { BLOCK_POSITIONS } from '../layout.ts';
import { SCORE_BYTES } from '../products.ts';
import { Block } from './block.ts';
import { askForNext, chunkOf } from './chunk.ts';
import { HALF, LINE, ONE } from './registers.ts';
import { Widening } from './widen.ts';

const BLOCK_BITS = Math.log2(BLOCK_POSITIONS);
const SPLIT_BITS = BLOCK_BITS + Math.log2(SPLIT_BLOCKS);
/** Bits of −∞. */
const MINUS_INFINITY = 0xff800000 | 0;

/** `isFused`: multiply-adds round once, as in the relaxed builds. */
export function writeAttention(code: Code, type: KvType, task: Task, isFused: boolean): void {
  new Attention(code, type, enter(code, task), isFused).write();
}

class Attention {
  readonly #code: Code;
  readonly #frame: Frame;
  readonly #exponential: Exponential;
  readonly #block: Block;
  readonly #widening: Widening | null;

  constructor(code: Code, type: KvType, frame: Frame, isFused: boolean) {
    this.#code = code;
    this.#frame = frame;
    this.#exponential = new Exponential(code, frame);
    this.#block = new Block(code, frame, this.#exponential, isFused);
    this.#widening = type === 'f32' ? null : new Widening(code, frame, type);
  }

  write(): void {
    const code = this.#code;
    const frame = this.#frame;
    this.#constants();
    eachBelow(code, frame, 'first', 'last', () => {
      this.#toTile();
      this.#rowsOfTile();
      eachBelow(code, frame, 'split', 'splitEnd', () => {
        this.#toPart();
        this.#attendSplit();
        const done: Label = { at: null };
        this.#ifShared(done);
        frame.get(rax, 'split');
        frame.get(rcx, 'firstSplit');
        code.compare(rax, rcx);
        code.jumpIf('equal', done);
        this.#fold();
        code.place(done);
        increase(code, frame, 'split', 1);
      });
      const done: Label = { at: null };
      this.#ifShared(done);
      this.#finish();
      code.place(done);
      increase(code, frame, 'first', 1);
    });
    frame.leave();
  }

  /** To `there` if splits are units of their own. Changes rax. */
  #ifShared(there: Label): void {
    this.#frame.get(rax, 'splits');
    this.#code.compareNumber(rax, 0);
    this.#code.jumpIf('notEqual', there);
  }

  /** Masks, and what does not change from unit to unit. */
  #constants(): void {
    const code = this.#code;
    const frame = this.#frame;
    code.moveNumber(rax, 1);
    code.mask(rax, ONE);
    code.moveNumber(rax, 0xff);
    code.mask(rax, HALF);
    frame.keepNumber('minusInfinity', MINUS_INFINITY);
    frame.get(rdx, 'paddedSize');
    code.shiftLeft(rdx, 2);
    frame.keep('stride', rdx);
    frame.get(rcx, 'tileRows');
    code.multiply(rdx, rcx);
    frame.keep('toMaxima', rdx);
    code.shiftLeft(rcx, 2);
    frame.keep('toL', rcx);
    code.add(rdx, rcx);
    code.add(rdx, rcx);
    frame.keep('partBytes', rdx);
    // scratch: scores, positions, queries, a block as f32, two partial results (../kernel.ts)
    code.multiplyNumber(rsi, rcx, SCORE_BYTES / 4);
    frame.get(rax, 'scratch');
    code.add(rsi, rax);
    frame.keep('positions', rsi);
    code.add(rsi, rcx);
    frame.keep('queries', rsi);
    code.add(rsi, rcx);
    frame.keep('wide', rsi);
    frame.get(rax, 'paddedSize');
    code.multiplyNumber(rax, rax, 4 * 2 * BLOCK_POSITIONS);
    code.add(rsi, rax);
    frame.keep('total', rsi);
    // behind the partial results: the largest score of each row so far, and what its sums shrink by
    frame.get(rax, 'partBytes');
    code.add(rsi, rax);
    code.add(rsi, rax);
    frame.keep('tops', rsi);
    code.add(rsi, rcx);
    frame.keep('shrinks', rsi);
    frame.get(rax, 'headSize');
    code.shiftLeft(rax, 5);
    frame.keep('widePanelBytes', rax);
    // no window: one that nobody gets out of
    frame.get(rax, 'window');
    code.compareNumber(rax, 0);
    unless(code, 'notEqual', () => code.moveNumber(rax, 0x7fffffff));
    frame.keep('window', rax);
    this.#widening?.constants();
  }

  /** The tile of the unit in `first`, and the splits to go through. */
  #toTile(): void {
    const code = this.#code;
    const frame = this.#frame;
    frame.get(rax, 'first');
    frame.get(rcx, 'splits');
    code.moveNumber(rdx, 0);
    code.compareNumber(rcx, 0);
    unless(code, 'equal', () => code.divide(rcx));
    frame.keep('own', rdx);
    frame.get(rcx, 'headGroups');
    code.divide(rcx);
    code.shiftLeft(rdx, Math.log2(TILE_HEADS));
    code.move(r8, rdx);
    frame.get(rcx, 'kvHeads');
    code.divide(rcx);
    frame.keep('head', rdx);
    frame.get(rcx, 'groupHeads');
    code.multiply(rdx, rcx);
    code.add(rdx, r8);
    frame.keep('firstHead', rdx);
    code.subtract(rcx, r8);
    atMostNumber(code, rcx, TILE_HEADS);
    frame.keep('heads', rcx);

    code.shiftLeft(rax, 4);
    frame.get(rdx, 'tiles');
    code.add(rax, rdx);
    code.load32(r8, at(rax));
    frame.keep('firstRow', r8);
    code.load32(r9, at(rax, 4));
    frame.keep('tokens', r9);
    code.multiply(rcx, r9);
    frame.keep('rows', rcx);
    code.load32(r10, at(rax, 8));
    frame.keep('position', r10);
    code.load32(r11, at(rax, 12));
    code.add(r11, rbx);
    frame.keep('table', r11);

    code.add(r9, r10);
    frame.keep('positionEnd', r9);
    code.addNumber(r9, -1);
    code.shiftRight(r9, SPLIT_BITS);
    code.addNumber(r9, 1);
    this.#block.firstVisible(r10, rsi);
    frame.keep('firstVisible', r10);
    code.shiftRight(r10, SPLIT_BITS);
    frame.get(rax, 'splits');
    code.compareNumber(rax, 0);
    unless(code, 'equal', () => {
      frame.get(rax, 'own');
      atLeast(code, r10, rax);
      code.addNumber(rax, 1);
      atMost(code, r9, rax);
    });
    frame.keep('split', r10);
    frame.keep('firstSplit', r10);
    frame.keep('splitEnd', r9);
  }

  /** Each row's position, and where its query lies, from the start of the memory: token after token, heads side by side. */
  #rowsOfTile(): void {
    const code = this.#code;
    const frame = this.#frame;
    frame.get(r10, 'headSize');
    code.shiftLeft(r10, 2); // from head to head
    frame.get(r11, 'kvHeads');
    frame.get(rax, 'groupHeads');
    code.multiply(r11, rax);
    code.multiply(r11, r10); // from token to token
    frame.get(r8, 'firstRow');
    code.multiply(r8, r11);
    frame.get(rax, 'firstHead');
    code.multiply(rax, r10);
    code.add(r8, rax);
    frame.get(rax, 'q');
    code.add(r8, rax);
    code.subtract(r8, rbx);
    frame.get(rsi, 'positions');
    frame.get(rdi, 'queries');
    frame.get(r9, 'position');
    frame.get(rcx, 'tokens');
    countDown(code, rcx, () => {
      frame.get(rdx, 'heads');
      code.move(rax, r8);
      countDown(code, rdx, () => {
        code.store32(at(rsi), r9);
        code.store32(at(rdi), rax);
        code.add(rax, r10);
        code.addNumber(rsi, 4);
        code.addNumber(rdi, 4);
      });
      code.add(r8, r11);
      code.addNumber(r9, 1);
    });
  }

  /** `out`: where this split's result goes, which begins with zeros, and maxima of −∞. */
  #toPart(): void {
    const code = this.#code;
    const frame = this.#frame;
    frame.get(rdx, 'partBytes');
    frame.get(rdi, 'total');
    frame.get(rcx, 'splits');
    const [own, chosen]: [Label, Label] = [{ at: null }, { at: null }];
    code.compareNumber(rcx, 0);
    code.jumpIf('equal', own);
    frame.get(rdi, 'first');
    code.multiply(rdi, rdx);
    frame.get(rax, 'partials');
    code.add(rdi, rax);
    code.jump(chosen);
    code.place(own);
    frame.get(rcx, 'firstSplit');
    code.compare(rax, rcx);
    unless(code, 'equal', () => code.add(rdi, rdx));
    code.place(chosen);
    frame.keep('out', rdi);
    frame.get(rax, 'toMaxima');
    code.add(rax, rdi);
    frame.keep('maxima', rax);

    // tiles have 8 or 32 rows, and a row an even number of words: whole lines
    code.three('xor', 0, 0, 0);
    code.move(rsi, rdi);
    code.shiftRight(rdx, Math.log2(LINE));
    countDown(code, rdx, () => {
      code.storeVector(at(rsi), 0);
      code.addNumber(rsi, LINE);
    });
    frame.get(rax, 'toMaxima');
    code.add(rdi, rax);
    frame.get(rcx, 'rows');
    frame.get(rax, 'minusInfinity');
    countDown(code, rcx, () => {
      code.store32(at(rdi), rax);
      code.addNumber(rdi, 4);
    });
  }

  /** One split of the tile, block after block. */
  #attendSplit(): void {
    const code = this.#code;
    const frame = this.#frame;
    frame.get(rax, 'split');
    code.shiftLeft(rax, Math.log2(SPLIT_BLOCKS));
    code.move(rcx, rax);
    code.addNumber(rcx, SPLIT_BLOCKS);
    frame.get(rdx, 'firstVisible');
    code.shiftRight(rdx, BLOCK_BITS);
    atLeast(code, rax, rdx);
    frame.keep('b', rax);
    frame.get(rdx, 'positionEnd');
    code.addNumber(rdx, BLOCK_POSITIONS - 1);
    code.shiftRight(rdx, BLOCK_BITS);
    atMost(code, rcx, rdx);
    frame.keep('bEnd', rcx);
    eachBelow(code, frame, 'b', 'bEnd', () => {
      chunkOf(code, frame);
      frame.keep('chunk', rsi);
      frame.get(rcx, 'keyPanelBytes');
      code.shiftLeft(rcx, 2);
      code.sum(rdi, rsi, rcx);
      frame.keep('chunkValues', rdi);
      code.shiftLeft(rax, BLOCK_BITS);
      frame.keep('start', rax);
      if (this.#widening === null) {
        frame.keep('keys', rsi);
        frame.keep('values', rdi);
      } else {
        frame.get(rcx, 'positionEnd');
        code.subtract(rcx, rax);
        atMostNumber(code, rcx, BLOCK_POSITIONS);
        frame.keep('count', rcx);
        frame.get(rsi, 'wide');
        frame.keep('keys', rsi);
        frame.get(rcx, 'widePanelBytes');
        code.shiftLeft(rcx, 2);
        code.add(rsi, rcx);
        frame.keep('values', rsi);
        this.#widening.write();
      }
      askForNext(code, frame);
      this.#block.write();
      increase(code, frame, 'b', 1);
    });
  }

  /** total ← total and then the part behind it, as if its keys had come later (../softmax.ts). */
  #fold(): void {
    const code = this.#code;
    const frame = this.#frame;
    this.#exponential.begin();
    // r8, r9: the rows; rdi, rsi: their m; r10: to l; r11: how far apart both results are
    frame.get(r8, 'total');
    frame.get(r11, 'partBytes');
    frame.get(rax, 'toMaxima');
    code.sum(rdi, r8, rax);
    frame.get(r10, 'toL');
    frame.get(rax, 'rows');
    frame.keep('left', rax);
    const again: Label = { at: null };
    code.place(again);
    const next: Label = { at: null };
    code.sum(r9, r8, r11);
    code.sum(rsi, rdi, r11);
    frame.get(rcx, 'minusInfinity');
    code.load32(rax, at(rsi));
    code.compare(rax, rcx);
    code.jumpIf('equal', next);
    const both: Label = { at: null };
    code.load32(rdx, at(rdi));
    code.compare(rdx, rcx);
    code.jumpIf('notEqual', both);
    code.store32(at(rdi), rax);
    code.sum(rax, rsi, r10);
    code.load32(rax, at(rax));
    code.sum(rdx, rdi, r10);
    code.store32(at(rdx), rax);
    this.#eachOfRow((offset, mask) => {
      code.loadMasked(2, at(r9, offset), mask);
      code.storeMasked(at(r8, offset), 2, mask);
    });
    code.jump(next);
    code.place(both);
    code.loadEach(0, at(rdi));
    code.loadEach(1, at(rsi));
    code.three('most', 2, 0, 1);
    code.storeMasked(at(rdi), 2, ONE);
    for (const m of [0, 1]) {
      code.three('subtract', m, m, 2);
      this.#exponential.of(m, [3, 4, 5]);
    }
    code.sum(rdx, rdi, r10);
    code.loadEach(2, at(rdx));
    code.three('multiply', 2, 2, 0);
    code.sum(rax, rsi, r10);
    code.loadEach(3, at(rax));
    code.three('multiply', 3, 3, 1);
    code.three('addFloats', 2, 2, 3);
    code.storeMasked(at(rdx), 2, ONE);
    this.#eachOfRow((offset, mask) => {
      code.loadMasked(2, at(r8, offset), mask);
      code.loadMasked(3, at(r9, offset), mask);
      code.three('multiply', 2, 2, 0);
      code.three('multiply', 3, 3, 1);
      code.three('addFloats', 2, 2, 3);
      code.storeMasked(at(r8, offset), 2, mask);
    });
    code.place(next);
    frame.get(rax, 'stride');
    code.sum(r8, r8, rax);
    code.addNumber(rdi, 4);
    frame.get(rax, 'left');
    code.addNumber(rax, -1);
    frame.keep('left', rax);
    code.jumpIf('notEqual', again);
  }

  /** A row of E' numbers, 16 at a time and then 8, at r8 and r9, which are put back. Changes rcx, k1. */
  #eachOfRow(write: (offset: number, mask: 1) => void): void {
    const code = this.#code;
    const frame = this.#frame;
    frame.keep('row', r8);
    frame.keep('otherRow', r9);
    const [again, done]: [Label, Label] = [{ at: null }, { at: null }];
    frame.get(rcx, 'paddedSize');
    frame.keep('numbers', rcx);
    code.place(again);
    frame.get(rcx, 'numbers');
    code.compareNumber(rcx, 0);
    code.jumpIf('equal', done);
    maskOf(code, rcx, 1);
    write(0, 1);
    code.addNumber(r8, LINE);
    code.addNumber(r9, LINE);
    frame.get(rax, 'numbers');
    frame.get(rcx, 'numbers');
    atMostNumber(code, rcx, 16);
    code.subtract(rax, rcx);
    frame.keep('numbers', rax);
    code.jump(again);
    code.place(done);
    frame.get(r8, 'row');
    frame.get(r9, 'otherRow');
  }

  /** mix = o / l. */
  #finish(): void {
    const code = this.#code;
    const frame = this.#frame;
    frame.get(rsi, 'total');
    frame.get(rdi, 'toMaxima');
    code.add(rdi, rsi);
    frame.get(rax, 'toL');
    code.add(rdi, rax);
    frame.get(r8, 'queries');
    frame.get(r9, 'mix');
    frame.get(rax, 'q');
    code.subtract(r9, rax);
    code.add(r9, rbx); // from a query's offset to its mix
    frame.get(r10, 'stride');
    frame.get(r11, 'rows');
    countDown(code, r11, () => {
      code.loadEach(0, at(rdi));
      code.load32(rdx, at(r8));
      code.add(rdx, r9);
      frame.get(rax, 'headSize');
      frame.keep('numbers', rax);
      frame.keep('row', rsi);
      const [again, done]: [Label, Label] = [{ at: null }, { at: null }];
      code.place(again);
      frame.get(rcx, 'numbers');
      code.compareNumber(rcx, 0);
      code.jumpIf('equal', done);
      maskOf(code, rcx, 1);
      code.loadMasked(1, at(rsi), 1);
      code.three('divide', 1, 1, 0);
      code.storeMasked(at(rdx), 1, 1);
      code.addNumber(rsi, LINE);
      code.addNumber(rdx, LINE);
      frame.get(rax, 'numbers');
      frame.get(rcx, 'numbers');
      atMostNumber(code, rcx, 16);
      code.subtract(rax, rcx);
      frame.keep('numbers', rax);
      code.jump(again);
      code.place(done);
      frame.get(rsi, 'row');
      code.add(rsi, r10);
      code.addNumber(rdi, 4);
      code.addNumber(r8, 4);
    });
  }
}
