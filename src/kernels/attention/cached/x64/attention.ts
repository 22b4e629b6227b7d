/**
 * Attention over the cache as machine code of x86-64 with 512-bit vectors (AVX-512): the tasks of ../kernel.ts without caps and sinks, with
 * the same bits, as every sum takes the same steps. The frame keeps the arguments and what a tile, a split and a block are, by name.
 */

import {
  at,
  type Code,
  type General,
  type Label,
  r8,
  r9,
  r10,
  r11,
  rax,
  rbx,
  rcx,
  rdi,
  rdx,
  rsi,
} from '../../../native/x64/code.ts';
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
import { askForNext, chunkOf, keepNext } from './chunk.ts';
import { Dots } from './dots.ts';
import { HALF, LINE, ONE } from './registers.ts';
import { Results } from './results.ts';
import { Rows } from './rows.ts';
import { MOST_ROWS, RUN_COLUMNS } from './stored.ts';
import { Widening } from './widen.ts';

const BLOCK_BITS = Math.log2(BLOCK_POSITIONS);
const SPLIT_BITS = BLOCK_BITS + Math.log2(SPLIT_BLOCKS);
/** Bits of −∞. */
const MINUS_INFINITY = 0xff800000 | 0;

/** `isFused`: multiply-adds round once, as in the relaxed builds. */
export function writeAttention(code: Code, type: KvType, task: Task, isFused: boolean): void {
  new Attention(code, type, enter(code, task), isFused).write();
}

/** Folds the splits that were units of their own. */
export function writeCombine(code: Code, task: Task): void {
  new Attention(code, 'f32', enter(code, task), true).writeCombine();
}

class Attention {
  readonly #code: Code;
  readonly #frame: Frame;
  readonly #exponential: Exponential;
  readonly #rows: Rows;
  readonly #block: Block;
  readonly #widening: Widening | null;
  readonly #dots: Dots | null;
  readonly #results: Results;

  constructor(code: Code, type: KvType, frame: Frame, isFused: boolean) {
    this.#code = code;
    this.#frame = frame;
    this.#exponential = new Exponential(code, frame);
    this.#rows = new Rows(code, frame);
    this.#dots = Dots.for(code, frame, type, this.#rows);
    const parts = { rows: this.#rows, exponential: this.#exponential, dots: this.#dots, isFused };
    this.#block = new Block(code, frame, type, parts);
    this.#results = new Results(code, frame, this.#exponential);
    this.#widening = type === 'f32' ? null : new Widening(code, frame, type);
  }

  write(): void {
    const code = this.#code;
    const frame = this.#frame;
    this.#constants();
    eachBelow(code, frame, 'first', 'last', () => {
      frame.get(rax, 'first');
      frame.get(rcx, 'splits');
      code.moveNumber(rdx, 0);
      code.compareNumber(rcx, 0);
      unless(code, 'equal', () => code.divide(rcx));
      frame.keep('own', rdx);
      this.#toTile();
      this.#ownSplit();
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
        frame.get(r8, 'total');
        frame.get(r9, 'out');
        this.#results.fold();
        code.place(done);
        increase(code, frame, 'split', 1);
      });
      const done: Label = { at: null };
      this.#ifShared(done);
      frame.get(rsi, 'total');
      this.#results.finish();
      code.place(done);
      increase(code, frame, 'first', 1);
    });
    frame.leave();
  }

  writeCombine(): void {
    const code = this.#code;
    const frame = this.#frame;
    this.#constants();
    eachBelow(code, frame, 'first', 'last', () => {
      frame.get(rax, 'first');
      this.#toTile();
      this.#rowsOfTile();
      // total: the part of the first split
      frame.get(r8, 'first');
      frame.get(rax, 'splits');
      code.multiply(r8, rax);
      frame.get(rax, 'firstSplit');
      code.add(r8, rax);
      frame.get(rax, 'partBytes');
      code.multiply(r8, rax);
      frame.get(rax, 'partials');
      code.add(r8, rax);
      frame.keep('total', r8);
      frame.keep('out', r8);
      increase(code, frame, 'split', 1);
      eachBelow(code, frame, 'split', 'splitEnd', () => {
        frame.get(r9, 'out');
        frame.get(rax, 'partBytes');
        code.add(r9, rax);
        frame.keep('out', r9);
        frame.get(r8, 'total');
        this.#results.fold();
        increase(code, frame, 'split', 1);
      });
      frame.get(rsi, 'total');
      this.#results.finish();
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
    code.add(rsi, rcx);
    frame.keep('patterns', rsi);
    frame.get(rax, 'headSize');
    code.shiftLeft(rax, 5);
    frame.keep('widePanelBytes', rax);
    // no window: one that nobody gets out of
    frame.get(rax, 'window');
    code.compareNumber(rax, 0);
    unless(code, 'notEqual', () => code.moveNumber(rax, 0x7fffffff));
    frame.keep('window', rax);
    this.#widening?.constants();
    this.#dots?.constants();
  }

  /** The tile rax, of which each head and group counts, and the splits to go through. */
  #toTile(): void {
    const code = this.#code;
    const frame = this.#frame;
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
    this.#chooseWay(rcx);

    code.add(r9, r10);
    frame.keep('positionEnd', r9);
    code.addNumber(r9, -1);
    code.shiftRight(r9, SPLIT_BITS);
    code.addNumber(r9, 1);
    this.#rows.firstVisible(r10, rsi);
    frame.keep('firstVisible', r10);
    code.shiftRight(r10, SPLIT_BITS);
    frame.keep('split', r10);
    frame.keep('firstSplit', r10);
    frame.keep('splitEnd', r9);
  }

  /** Where splits are units: of the splits only this unit's. */
  #ownSplit(): void {
    const code = this.#code;
    const frame = this.#frame;
    frame.get(rax, 'splits');
    code.compareNumber(rax, 0);
    unless(code, 'equal', () => {
      frame.get(rax, 'own');
      frame.get(r10, 'firstSplit');
      atLeast(code, r10, rax);
      frame.keep('split', r10);
      frame.keep('firstSplit', r10);
      code.addNumber(rax, 1);
      frame.get(r9, 'splitEnd');
      atMost(code, r9, rax);
      frame.keep('splitEnd', r9);
    });
  }

  /** `isDirect`: 1 if keys and values are widened in registers, as rows are few and columns whole runs. Changes rax, rdx. */
  #chooseWay(rows: General): void {
    if (this.#widening === null) return;
    const code = this.#code;
    const frame = this.#frame;
    code.moveNumber(rax, 0);
    code.compareNumber(rows, MOST_ROWS + 1);
    unless(code, 'aboveOrEqual', () => {
      frame.get(rdx, 'headSize');
      code.andNumber(rdx, RUN_COLUMNS - 1);
      unless(code, 'notEqual', () => code.moveNumber(rax, 1));
    });
    frame.keep('isDirect', rax);
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
        keepNext(code, frame);
        askForNext(code, frame);
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
        keepNext(code, frame);
        frame.get(rax, 'isDirect');
        code.compareNumber(rax, 0);
        unless(code, 'notEqual', () => {
          this.#widening!.write();
          askForNext(code, frame);
        });
      }
      this.#block.write();
      increase(code, frame, 'b', 1);
    });
  }
}
