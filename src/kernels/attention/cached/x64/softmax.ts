/** The softmax of a block's scores, as ../softmax.ts has it, in three passes over all rows that see something. */
import {
  at,
  type Code,
  eachOf,
  type Label,
  r8,
  r9,
  r10,
  r11,
  r12,
  rax,
  rcx,
  rdi,
  rdx,
  rsi,
} from '../../../native/x64/code.ts';
import type { Exponential } from '../../../native/x64/exp.ts';
import { atMostNumber, countDown, type Frame } from '../../../native/x64/frame.ts';
import { SCORE_BYTES } from '../products.ts';
import { FLOATS, LINE, ONE } from './registers.ts';
import type { Rows } from './rows.ts';

export class Softmax {
  readonly #code: Code;
  readonly #frame: Frame;
  readonly #exponential: Exponential;
  readonly #rows: Rows;

  constructor(code: Code, frame: Frame, exponential: Exponential, rows: Rows) {
    this.#code = code;
    this.#frame = frame;
    this.#exponential = exponential;
    this.#rows = rows;
  }

  /** Scores → exp(score · scale − m); m and l are brought up to date, and `shrinks` is what o is to be multiplied with. */
  write(): void {
    this.#exponential.begin();
    this.#maxima();
    this.#shrink();
    this.#shares();
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
      this.#rows.toScores(rsi, rax);
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
          this.#rows.seen();
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
    this.#rows.toScores(rsi, rax);
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
}
