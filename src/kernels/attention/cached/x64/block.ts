/** A block of 32 positions: scores, softmax and mix of all rows of the tile (../products.ts, ../softmax.ts). */
import {
  at,
  type Code,
  eachOf,
  type General,
  type Label,
  type Mask,
  type Place,
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
  rbx,
  rcx,
  rdi,
  rdx,
  rsi,
  type VectorRegister,
} from '../../../native/x64/code.ts';
import type { Exponential } from '../../../native/x64/exp.ts';
import { countDown, type Frame, unless } from '../../../native/x64/frame.ts';
import type { KvType } from '../../../ops.ts';
import { SCORE_BYTES } from '../products.ts';
import type { Dots } from './dots.ts';
import { HALF, LINE, W } from './registers.ts';
import type { Rows } from './rows.ts';
import { Softmax } from './softmax.ts';
import { StoredPanels } from './stored.ts';

/** Columns that a mix takes at a time, in vectors: with few rows more, as a sum waits for its own last step. */
const mixVectors = (rows: number): number => (rows > 4 ? 2 : 4);
const PANEL_COLUMN = 32;

const X: readonly VectorRegister[] = [26, 27, 28, 29];
const BETWEEN = 30;

interface BlockParts {
  readonly rows: Rows;
  readonly exponential: Exponential;
  /** Of keys with 8-bit queries. */
  readonly dots: Dots | null;
  /** Multiply-adds round once. */
  readonly isFused: boolean;
}

export class Block {
  readonly #code: Code;
  readonly #frame: Frame;
  readonly #rows: Rows;
  readonly #softmax: Softmax;
  readonly #isFused: boolean;
  readonly #stored: StoredPanels | null;
  readonly #dots: Dots | null;

  constructor(code: Code, frame: Frame, type: KvType, { rows, exponential, dots, isFused }: BlockParts) {
    this.#code = code;
    this.#frame = frame;
    this.#rows = rows;
    this.#softmax = new Softmax(code, frame, exponential, rows);
    this.#isFused = isFused;
    this.#dots = dots;
    const growAll = (rows: number, vectors: number, number: (row: number) => Place) =>
      this.#growAll(rows, vectors, number);
    this.#stored = type === 'f32' ? null : new StoredPanels(code, frame, type, growAll);
  }

  /** Of keys and values in f32, or as they are stored where `isDirect` is 1; of keys and 8-bit queries where there are `queryRuns`. */
  write(): void {
    const stored = this.#stored;
    this.#rows.thatSee();
    if (this.#dots) {
      const dots = this.#dots;
      this.#eitherWay('queryRuns', (areIntegers) =>
        this.#inGroups((rows) => (areIntegers ? dots.scores(rows) : this.#scores(rows, null))),
      );
    } else if (stored)
      this.#eitherWay('isDirect', (isDirect) => this.#inGroups((rows) => this.#scores(rows, isDirect ? stored : null)));
    else this.#inGroups((rows) => this.#scores(rows, null));
    this.#softmax.write();
    if (stored)
      this.#eitherWay('isDirect', (isDirect) =>
        this.#inGroups((rows, tooMany) => this.#mix(rows, tooMany, isDirect ? stored : null)),
      );
    else this.#inGroups((rows, tooMany) => this.#mix(rows, tooMany, null));
  }

  #inGroups(write: (rows: number, tooMany: Label) => void): void {
    this.#rows.inGroups((rows, advance, tooMany) => {
      write(rows, tooMany);
      advance();
    });
  }

  /** Both, of which the one runs that what is kept as `name` chooses. Changes rax. */
  #eitherWay(name: string, write: (chosen: boolean) => void): void {
    const code = this.#code;
    const [other, done]: [Label, Label] = [{ at: null }, { at: null }];
    this.#frame.get(rax, name);
    code.compareNumber(rax, 0);
    code.jumpIf('notEqual', other);
    write(false);
    code.jump(done);
    code.place(other);
    write(true);
    code.place(done);
  }

  /** sum += a · b */
  #grow(sum: VectorRegister, a: VectorRegister, b: VectorRegister): void {
    const code = this.#code;
    if (this.#isFused) code.three('multiplyAdd', sum, a, b);
    else {
      code.three('multiply', BETWEEN, a, b);
      code.three('addFloats', sum, sum, BETWEEN);
    }
  }

  /** Sums of each row += the vectors W × its own number. */
  #growAll(rows: number, vectors: number, number: (row: number) => Place): void {
    for (let row = 0; row < rows; row++) {
      const x = X[row % X.length]!;
      this.#code.loadEach(x, number(row));
      for (let v = 0; v < vectors; v++) this.#grow(row * vectors + v, W + v, x);
    }
  }

  /** 32 scores of each row = q · k. */
  #scores(rows: number, stored: StoredPanels | null): void {
    const code = this.#code;
    const frame = this.#frame;
    const queries = [r8, r9, r10, r11, r12, r13, r14, r15].slice(0, rows);
    frame.get(rax, 'r');
    code.shiftLeft(rax, 2);
    frame.get(rcx, 'queries');
    code.add(rax, rcx);
    queries.forEach((query, i) => {
      code.load32(query, at(rax, 4 * i));
      code.add(query, rbx);
    });
    for (let sum = 0; sum < 2 * rows; sum++) code.three('xor', sum, sum, sum);
    if (stored) stored.scores(queries);
    else this.#wideScores(queries);
    this.#rows.toScores(rsi, rcx);
    for (let sum = 0; sum < 2 * rows; sum++) code.storeVector(at(rsi, LINE * sum), sum);
  }

  #wideScores(queries: readonly General[]): void {
    const code = this.#code;
    const frame = this.#frame;
    const panels = [rsi, rdi, rdx, rbp];
    frame.get(rcx, 'widePanelBytes');
    frame.get(rsi, 'keys');
    for (let p = 1; p < panels.length; p++) code.sum(panels[p]!, panels[p - 1]!, rcx);
    code.moveNumber(rax, 0);
    frame.get(rcx, 'headSize');
    countDown(code, rcx, () => {
      code.loadHalves(W, at(rsi), at(rdi));
      code.loadHalves(W + 1, at(rdx), at(rbp));
      this.#growAll(queries.length, 2, (row) => ({ ...at(queries[row]!), index: rax }));
      for (const panel of panels) code.addNumber(panel, PANEL_COLUMN);
      code.addNumber(rax, 4);
    });
  }

  /** What rcx says, in bytes: whole runs of so many vectors, then single ones, then the half of one. */
  #columns(vectors: number, write: (vectors: number, mask: Mask) => void): void {
    const code = this.#code;
    // all lanes
    code.moveNumber(rax, 0xffff);
    code.mask(rax, 1);
    for (const count of vectors === 1 ? [1] : [vectors, 1]) {
      const [again, done]: [Label, Label] = [{ at: null }, { at: null }];
      code.place(again);
      code.compareNumber(rcx, LINE * count);
      code.jumpIf('below', done);
      write(count, 1);
      code.addNumber(rcx, -LINE * count);
      code.jump(again);
      code.place(done);
    }
    code.compareNumber(rcx, 0);
    unless(code, 'equal', () => write(1, HALF));
  }

  /** o = o · shrink + Σ p · v of so many rows; to `tooMany` if they do not all see the same positions. */
  #mix(rows: number, tooMany: Label, stored: StoredPanels | null): void {
    const code = this.#code;
    const frame = this.#frame;
    if (rows > 1) {
      frame.get(rax, 'r');
      code.addNumber(rax, rows - 1);
      this.#rows.seen();
      code.move(r8, rcx);
      code.move(r9, rdx);
    }
    frame.get(rax, 'r');
    this.#rows.seen();
    if (rows > 1) {
      code.compare(rcx, r8);
      code.jumpIf('notEqual', tooMany);
      code.compare(rdx, r9);
      code.jumpIf('notEqual', tooMany);
    }
    const nothing: Label = { at: null };
    code.compare(rcx, rdx);
    code.jumpIf('aboveOrEqual', nothing);
    code.subtract(rdx, rcx);
    frame.keep('seen', rdx);
    // rdi: o, r8: from row to row of o and v, r9: shares, r10: v, r12: shrinks
    frame.get(r8, 'stride');
    frame.get(r12, 'shrinks');
    frame.get(rax, 'r');
    code.shiftLeft(rax, 2);
    code.add(r12, rax);
    this.#rows.toScores(r9, rax);
    if (stored) stored.toValues(rcx);
    else {
      code.move(r10, rcx);
      code.multiply(r10, r8);
      frame.get(rax, 'values');
      code.add(r10, rax);
    }
    code.shiftLeft(rcx, 2);
    code.add(r9, rcx);
    frame.get(rdi, 'r');
    code.multiply(rdi, r8);
    frame.get(rax, 'out');
    code.add(rdi, rax);
    if (stored) {
      const [vectors, all] = [2, 1] as const;
      code.moveNumber(rax, 0xffff);
      code.mask(rax, all);
      stored.mix(
        rows,
        () => this.#beginSums(rows, vectors, all),
        () => this.#endSums(rows, vectors, all),
      );
    } else {
      code.move(rcx, r8);
      this.#columns(mixVectors(rows), (vectors, mask) => this.#mixColumns(rows, vectors, mask));
    }
    code.place(nothing);
  }

  #mixColumns(rows: number, vectors: number, mask: Mask): void {
    const code = this.#code;
    this.#beginSums(rows, vectors, mask);
    this.#frame.get(r11, 'seen');
    code.move(rsi, r9);
    code.move(rdx, r10);
    countDown(code, r11, () => {
      for (let v = 0; v < vectors; v++) code.loadMasked(W + v, at(rdx, LINE * v), mask);
      this.#growAll(rows, vectors, (row) => at(rsi, SCORE_BYTES * row));
      code.addNumber(rsi, 4);
      code.add(rdx, r8);
    });
    this.#endSums(rows, vectors, mask);
    code.addNumber(r10, LINE * vectors);
  }

  /** Changes rax. */
  #eachSum(rows: number, vectors: number, write: (sum: VectorRegister, place: Place) => void): void {
    const code = this.#code;
    code.move(rax, rdi);
    for (let row = 0; row < rows; row++) {
      for (let v = 0; v < vectors; v++) write(row * vectors + v, at(rax, LINE * v));
      if (row < rows - 1) code.add(rax, r8);
    }
  }

  /** Sums = o · shrink of so many columns from rdi on. */
  #beginSums(rows: number, vectors: number, mask: Mask): void {
    const code = this.#code;
    this.#eachSum(rows, vectors, (sum, place) => {
      code.loadMasked(sum, place, mask);
      code.three('multiply', sum, sum, eachOf(r12, 4 * Math.floor(sum / vectors)));
    });
  }

  /** o = the sums; rdi moves on. */
  #endSums(rows: number, vectors: number, mask: Mask): void {
    const code = this.#code;
    this.#eachSum(rows, vectors, (sum, place) => code.storeMasked(place, sum, mask));
    code.addNumber(rdi, LINE * vectors);
  }
}
