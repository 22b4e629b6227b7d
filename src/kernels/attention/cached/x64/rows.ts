/** The rows of a tile: which of them see what of a block, and where their scores are. */
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
  rcx,
  rdx,
  rsi,
} from '../../../native/x64/code.ts';
import { atLeast, atMost, atMostNumber, type Frame, unless } from '../../../native/x64/frame.ts';
import { BLOCK_POSITIONS } from '../layout.ts';
import { SCORE_BYTES } from '../products.ts';

/** Rows that go side by side, the most first. */
const GROUPS = [8, 4, 2, 1];
export class Rows {
  readonly #code: Code;
  readonly #frame: Frame;

  constructor(code: Code, frame: Frame) {
    this.#code = code;
    this.#frame = frame;
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
  thatSee(): void {
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
  inGroups(write: (rows: number, advance: () => void, tooMany: Label) => void): void {
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

  /** target = where the row's scores are. Changes `between`. */
  toScores(target: General, between: General): void {
    this.#frame.get(target, 'r');
    this.#code.shiftLeft(target, Math.log2(SCORE_BYTES));
    this.#frame.get(between, 'scratch');
    this.#code.add(target, between);
  }

  /** The row in rax sees the positions from rcx to rdx − 1 of the block. Changes rax, rsi. */
  seen(): void {
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
}
