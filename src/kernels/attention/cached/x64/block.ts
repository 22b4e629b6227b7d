/** A block of 32 positions in f32: scores, softmax and mix of all rows of the tile (../products.ts, ../softmax.ts). */
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
import { atLeast, atMost, atMostNumber, countDown, type Frame, unless } from '../../../native/x64/frame.ts';
import { BLOCK_POSITIONS } from '../layout.ts';
import { SCORE_BYTES } from '../products.ts';
import { FLOATS, HALF, LINE, ONE } from './registers.ts';

/** Rows that go side by side, the most first. */
const GROUPS = [8, 4, 2, 1];
/** Columns that a mix takes at a time, in vectors: with few rows more, as a sum waits for its own last step. */
const mixVectors = (rows: number): number => (rows > 4 ? 2 : 4);
const PANEL_COLUMN = 32;

const W = 16;
const X: readonly VectorRegister[] = [26, 27, 28, 29];
const BETWEEN = 30;

export class Block {
  readonly #code: Code;
  readonly #frame: Frame;
  readonly #exponential: Exponential;
  readonly #isFused: boolean;

  constructor(code: Code, frame: Frame, exponential: Exponential, isFused: boolean) {
    this.#code = code;
    this.#frame = frame;
    this.#exponential = exponential;
    this.#isFused = isFused;
  }

  write(): void {
    this.#rowsThatSee();
    this.#rowGroups((rows, advance) => {
      this.#scores(rows);
      advance();
    });
    this.#exponential.begin();
    this.#maxima();
    this.#shrink();
    this.#shares();
    this.#rowGroups((rows, advance, tooMany) => {
      this.#mix(rows, tooMany);
      advance();
    });
  }

  /** position = the first that is seen from it. Changes `between`. */
  firstVisible(position: General, between: General): void {
    const code = this.#code;
    code.addNumber(position, 1);
    this.#frame.get(between, 'window');
    atLeast(code, position, between);
    code.subtract(position, between);
  }

  /**
   * Which rows see positions of this block: from `firstSeeing` to `endSeeing` − 1, as rows are token after token; and
   * whether each of them sees all 32: `isWhole` is 1.
   */
  #rowsThatSee(): void {
    const code = this.#code;
    const frame = this.#frame;
    // r8: start, r9: position of the first row that sees something, r10: behind that of the last
    frame.get(r8, 'start');
    frame.get(r11, 'position');
    frame.get(rdx, 'heads');
    code.move(r9, r11);
    atLeast(code, r9, r8);
    code.move(rax, r9);
    code.subtract(rax, r11);
    code.multiply(rax, rdx);
    frame.keep('firstSeeing', rax);
    frame.get(rcx, 'window');
    code.add(rcx, r8);
    code.move(rax, rcx);
    code.addNumber(rax, BLOCK_POSITIONS - 1);
    frame.get(r10, 'positionEnd');
    atMost(code, r10, rax);
    code.move(rax, r10);
    code.subtract(rax, r11);
    code.multiply(rax, rdx);
    frame.keep('endSeeing', rax);
    code.moveNumber(rax, 0);
    code.addNumber(r8, BLOCK_POSITIONS - 1);
    code.compare(r9, r8);
    unless(code, 'below', () => {
      code.compare(rcx, r10);
      unless(code, 'below', () => code.moveNumber(rax, 1));
    });
    frame.keep('isWhole', rax);
  }

  /** All rows that see something in groups; `r` is the first of one. A group jumps to `tooMany` if it is to be a smaller one. */
  #rowGroups(write: (rows: number, advance: () => void, tooMany: Label) => void): void {
    const code = this.#code;
    const frame = this.#frame;
    const [again, out]: [Label, Label] = [{ at: null }, { at: null }];
    frame.get(rax, 'firstSeeing');
    frame.keep('r', rax);
    code.place(again);
    for (const rows of GROUPS) {
      const smaller: Label = { at: null };
      frame.get(rax, 'endSeeing');
      frame.get(rcx, 'r');
      code.subtract(rax, rcx);
      code.compareNumber(rax, rows);
      code.jumpIf('below', smaller);
      write(
        rows,
        () => {
          frame.get(rax, 'r');
          code.addNumber(rax, rows);
          frame.keep('r', rax);
          code.jump(again);
        },
        smaller,
      );
      code.place(smaller);
    }
    code.place(out);
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

  /** target = where the row's scores are. Changes `between`. */
  #toScores(target: General, between: General): void {
    this.#frame.get(target, 'r');
    this.#code.shiftLeft(target, Math.log2(SCORE_BYTES));
    this.#frame.get(between, 'scratch');
    this.#code.add(target, between);
  }

  /** 32 scores of each row = q · k. */
  #scores(rows: number): void {
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
    const panels = [rsi, rdi, rdx, rbp];
    frame.get(rcx, 'widePanelBytes');
    frame.get(rsi, 'keys');
    for (let p = 1; p < panels.length; p++) code.sum(panels[p]!, panels[p - 1]!, rcx);
    for (let sum = 0; sum < 2 * rows; sum++) code.three('xor', sum, sum, sum);
    code.moveNumber(rax, 0);
    frame.get(rcx, 'headSize');
    countDown(code, rcx, () => {
      code.loadHalves(W, at(rsi), at(rdi));
      code.loadHalves(W + 1, at(rdx), at(rbp));
      this.#growAll(rows, 2, (row) => ({ ...at(queries[row]!), index: rax }));
      for (const panel of panels) code.addNumber(panel, PANEL_COLUMN);
      code.addNumber(rax, 4);
    });
    this.#toScores(rsi, rcx);
    for (let sum = 0; sum < 2 * rows; sum++) code.storeVector(at(rsi, LINE * sum), sum);
  }

  /** The row in rax sees the positions from rcx to rdx − 1 of the block. Changes rax, rsi. */
  #seen(): void {
    const code = this.#code;
    const frame = this.#frame;
    code.shiftLeft(rax, 2);
    frame.get(rsi, 'positions');
    code.add(rax, rsi);
    code.load32(rcx, at(rax));
    code.move(rdx, rcx);
    code.addNumber(rdx, 1);
    this.firstVisible(rcx, rsi);
    frame.get(rsi, 'start');
    atLeast(code, rcx, rsi);
    code.subtract(rcx, rsi);
    atLeast(code, rdx, rsi);
    code.subtract(rdx, rsi);
    atMostNumber(code, rdx, BLOCK_POSITIONS);
  }

  /** For each row that sees something: scores · scale, −∞ where nothing is seen; `tops` = the largest of these and of m. */
  #maxima(): void {
    const code = this.#code;
    const frame = this.#frame;
    // rsi: scores, r8: m, r9: tops, r10: row
    const [first, second, top, between] = [0, 1, 2, 3] as const;
    const rows = (isWhole: boolean) => {
      frame.get(r10, 'firstSeeing');
      frame.keep('r', r10);
      this.#toScores(rsi, rax);
      code.shiftLeft(r10, 2);
      frame.get(r8, 'maxima');
      code.add(r8, r10);
      frame.get(r9, 'tops');
      code.add(r9, r10);
      frame.get(r10, 'firstSeeing');
      frame.get(r11, 'endSeeing');
      code.subtract(r11, r10);
      countDown(code, r11, () => {
        if (isWhole) for (const vector of [first, second]) code.loadVector(vector, at(rsi, LINE * vector));
        else {
          code.move(r12, rsi);
          code.move(rax, r10);
          this.#seen();
          code.move(rsi, r12);
          code.moveNumber(rax, 1);
          code.shiftLeftByRcx(rax);
          code.moveNumber(rdi, 1);
          code.move(rcx, rdx);
          code.shiftLeftByRcx(rdi);
          code.subtract(rdi, rax); // a bit for each position that is seen
          code.mask(rdi, 1);
          code.shiftRight(rdi, 16);
          code.mask(rdi, 2);
          for (const [vector, mask] of [[first, 1] as const, [second, 2] as const]) {
            code.loadEach(vector, frame.each('minusInfinity'));
            code.loadInto(vector, at(rsi, LINE * vector), mask);
          }
          code.addNumber(r10, 1);
        }
        for (const vector of [first, second]) {
          code.three('multiply', vector, vector, frame.each('scale'));
          code.storeVector(at(rsi, LINE * vector), vector);
        }
        code.three('most', top, first, eachOf(r8));
        code.three('most', top, second, top);
        code.upperHalf(between, top);
        code.three('most', top, between, top);
        code.secondQuarter(between, top);
        code.three('most', top, between, top);
        for (const lanes of [0b01_00_11_10, 0b10_11_00_01]) {
          code.permute(between, top, lanes);
          code.three('most', top, between, top);
        }
        code.storeMasked(at(r9), top, ONE);
        code.addNumber(rsi, SCORE_BYTES);
        code.addNumber(r8, 4);
        code.addNumber(r9, 4);
      });
    };
    const [partly, done]: [Label, Label] = [{ at: null }, { at: null }];
    frame.get(rax, 'isWhole');
    code.compareNumber(rax, 0);
    code.jumpIf('equal', partly);
    rows(true);
    code.jump(done);
    code.place(partly);
    rows(false);
    code.place(done);
  }

  /** 16 rows at a time: `shrinks` = e^(m − tops), which is exactly 1 where they are equal; l = l · that; m = tops. */
  #shrink(): void {
    const code = this.#code;
    const frame = this.#frame;
    const [m, top, l] = [0, 1, 2] as const;
    frame.get(rsi, 'firstSeeing');
    frame.get(rdx, 'endSeeing');
    code.subtract(rdx, rsi);
    code.shiftLeft(rsi, 2);
    frame.get(r8, 'maxima');
    code.add(r8, rsi);
    frame.get(r9, 'tops');
    code.add(r9, rsi);
    frame.get(r10, 'shrinks');
    code.add(r10, rsi);
    frame.get(r11, 'toL');
    code.add(r11, r8);
    const [again, done]: [Label, Label] = [{ at: null }, { at: null }];
    code.place(again);
    code.move(rcx, rdx);
    atMostNumber(code, rcx, FLOATS);
    code.moveNumber(rax, 1);
    code.shiftLeftByRcx(rax);
    code.addNumber(rax, -1);
    code.mask(rax, 2);
    code.loadMasked(m, at(r8), 2);
    code.loadMasked(top, at(r9), 2);
    code.loadMasked(l, at(r11), 2);
    code.storeMasked(at(r8), top, 2);
    code.three('subtract', m, m, top);
    this.#exponential.of(m, [3, 4, 5]);
    code.storeMasked(at(r10), m, 2);
    code.three('multiply', l, l, m);
    code.storeMasked(at(r11), l, 2);
    code.subtract(rdx, rcx);
    code.jumpIf('equal', done);
    for (const pointer of [r8, r9, r10, r11]) code.addNumber(pointer, LINE);
    code.jump(again);
    code.place(done);
  }

  /** For each row: scores → exp(score − m); l grows by their sum. */
  #shares(): void {
    const code = this.#code;
    const frame = this.#frame;
    const [first, second, sum, between] = [0, 1, 2, 3] as const;
    // rsi: scores, r8: m, r9: l
    frame.get(r10, 'firstSeeing');
    frame.keep('r', r10);
    this.#toScores(rsi, rax);
    frame.get(rdx, 'endSeeing');
    code.subtract(rdx, r10);
    code.shiftLeft(r10, 2);
    frame.get(r8, 'maxima');
    code.add(r8, r10);
    frame.get(r9, 'toL');
    code.add(r9, r8);
    countDown(code, rdx, () => {
      for (const vector of [first, second]) {
        code.loadVector(vector, at(rsi, LINE * vector));
        code.three('subtract', vector, vector, eachOf(r8));
      }
      this.#exponential.of(first, [4, 5, 6]);
      this.#exponential.of(second, [7, 8, 9]);
      for (const vector of [first, second]) code.storeVector(at(rsi, LINE * vector), vector);
      // eight sums, four, then the pairs of these
      code.upperHalf(between, first);
      code.three('addFloats', sum, first, between);
      code.three('addFloats', sum, sum, second);
      code.upperHalf(between, second);
      code.three('addFloats', sum, sum, between);
      code.secondQuarter(between, sum);
      code.three('addFloats', sum, sum, between);
      for (const lanes of [0b11_11_01_01, 0b10]) {
        code.permute(between, sum, lanes);
        code.three('addFloats', sum, sum, between);
      }
      code.three('addFloats', sum, sum, eachOf(r9));
      code.storeMasked(at(r9), sum, ONE);
      code.addNumber(rsi, SCORE_BYTES);
      code.addNumber(r8, 4);
      code.addNumber(r9, 4);
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
  #mix(rows: number, tooMany: Label): void {
    const code = this.#code;
    const frame = this.#frame;
    if (rows > 1) {
      frame.get(rax, 'r');
      code.addNumber(rax, rows - 1);
      this.#seen();
      code.move(r8, rcx);
      code.move(r9, rdx);
    }
    frame.get(rax, 'r');
    this.#seen();
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
    this.#toScores(r9, rax);
    code.move(r10, rcx);
    code.shiftLeft(rcx, 2);
    code.add(r9, rcx);
    code.multiply(r10, r8);
    frame.get(rax, 'values');
    code.add(r10, rax);
    frame.get(rdi, 'r');
    code.multiply(rdi, r8);
    frame.get(rax, 'out');
    code.add(rdi, rax);
    code.move(rcx, r8);
    this.#columns(mixVectors(rows), (vectors, mask) => this.#mixColumns(rows, vectors, mask));
    code.place(nothing);
  }

  #mixColumns(rows: number, vectors: number, mask: Mask): void {
    const code = this.#code;
    const eachSum = (of: (sum: VectorRegister, place: Place) => void) => {
      code.move(rax, rdi);
      for (let row = 0; row < rows; row++) {
        for (let v = 0; v < vectors; v++) of(row * vectors + v, at(rax, LINE * v));
        if (row < rows - 1) code.add(rax, r8);
      }
    };
    eachSum((sum, place) => {
      code.loadMasked(sum, place, mask);
      code.three('multiply', sum, sum, eachOf(r12, 4 * Math.floor(sum / vectors)));
    });
    this.#frame.get(r11, 'seen');
    code.move(rsi, r9);
    code.move(rdx, r10);
    countDown(code, r11, () => {
      for (let v = 0; v < vectors; v++) code.loadMasked(W + v, at(rdx, LINE * v), mask);
      this.#growAll(rows, vectors, (row) => at(rsi, SCORE_BYTES * row));
      code.addNumber(rsi, 4);
      code.add(rdx, r8);
    });
    eachSum((sum, place) => code.storeMasked(place, sum, mask));
    code.addNumber(rdi, LINE * vectors);
    code.addNumber(r10, LINE * vectors);
  }
}
