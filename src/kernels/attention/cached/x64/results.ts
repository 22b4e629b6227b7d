/** Partial results: one is folded into another, and the last becomes the mix (../softmax.ts). */
import { maskOf } from '../../../linear/x64/rows.ts';
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
  rax,
  rbx,
  rcx,
  rdi,
  rdx,
  rsi,
} from '../../../native/x64/code.ts';
import type { Exponential } from '../../../native/x64/exp.ts';
import { atMostNumber, countDown, type Frame } from '../../../native/x64/frame.ts';
import { FLOATS, LINE } from './registers.ts';

export class Results {
  readonly #code: Code;
  readonly #frame: Frame;
  readonly #exponential: Exponential;

  constructor(code: Code, frame: Frame, exponential: Exponential) {
    this.#code = code;
    this.#frame = frame;
    this.#exponential = exponential;
  }

  /** The result at r8 ← that and then the one at r9, as if its keys had come later. Changes all else. */
  fold(): void {
    const code = this.#code;
    const frame = this.#frame;
    frame.keep('folded', r8);
    code.subtract(r9, r8);
    frame.keep('apart', r9);
    this.#factors();
    this.#eachRow();
    this.#maximaAndSums();
  }

  /** `tops`, `shrinks` = what each row of the first and of the second is multiplied by: e^(m − the larger m). */
  #factors(): void {
    const code = this.#code;
    const [m1, m2, m] = [0, 1, 2] as const;
    this.#exponential.begin();
    this.#sixteens((mask) => {
      code.loadMasked(m1, at(rdi), mask);
      code.sum(rax, rdi, r9);
      code.loadMasked(m2, at(rax), mask);
      code.three('most', m, m1, m2);
      for (const it of [m1, m2]) {
        code.three('subtract', it, it, m);
        this.#exponential.of(it, [3, 4, 5]);
      }
      code.storeMasked(at(r10), m1, mask);
      code.storeMasked(at(r11), m2, mask);
    });
  }

  /** m and l of the first, where the second has seen something. */
  #maximaAndSums(): void {
    const code = this.#code;
    const frame = this.#frame;
    const [m1, m2, l1, l2, none] = [0, 1, 2, 3, 4] as const;
    code.loadEach(none, frame.each('minusInfinity'));
    this.#sixteens((mask) => {
      code.loadMasked(m1, at(rdi), mask);
      code.sum(rax, rdi, r9);
      code.loadMasked(m2, at(rax), mask);
      frame.get(rcx, 'toL');
      code.add(rax, rcx);
      code.loadMasked(l2, at(rax), mask);
      code.three('multiply', l2, l2, at(r11));
      code.sum(rax, rdi, rcx);
      code.loadMasked(l1, at(rax), mask);
      code.three('multiply', l1, l1, at(r10));
      code.three('addFloats', l1, l1, l2);
      code.compareFloats('different', mask, m2, none, mask);
      code.three('most', m1, m1, m2);
      code.storeMasked(at(rdi), m1, mask);
      code.storeMasked(at(rax), l1, mask);
    });
  }

  /** For 16 rows after 16: rdi: to m of the first, r9: from there to the second's, r10, r11: to the factors; a mask of the rows. Changes rcx, rdx. */
  #sixteens(write: (mask: 2) => void): void {
    const code = this.#code;
    const frame = this.#frame;
    frame.get(rdi, 'folded');
    frame.get(rax, 'toMaxima');
    code.add(rdi, rax);
    frame.get(r9, 'apart');
    frame.get(r10, 'tops');
    frame.get(r11, 'shrinks');
    frame.get(rdx, 'rows');
    const [again, done]: [Label, Label] = [{ at: null }, { at: null }];
    code.place(again);
    code.move(rcx, rdx);
    maskOf(code, rcx, 2);
    write(2);
    code.compareNumber(rdx, FLOATS);
    code.jumpIf('belowOrEqual', done);
    code.addNumber(rdx, -FLOATS);
    for (const pointer of [rdi, r10, r11]) code.addNumber(pointer, LINE);
    code.jump(again);
    code.place(done);
  }

  /** o of each row: of the first alone, of the second alone, or both by their factors. */
  #eachRow(): void {
    const code = this.#code;
    const frame = this.#frame;
    // rsi, rdi: o and m of the first; r9: to the second; r10, r11: factors
    frame.get(rsi, 'folded');
    frame.get(rdi, 'toMaxima');
    code.add(rdi, rsi);
    frame.get(r9, 'apart');
    frame.get(r10, 'tops');
    frame.get(r11, 'shrinks');
    frame.get(rdx, 'rows');
    countDown(code, rdx, () => {
      const [both, next]: [Label, Label] = [{ at: null }, { at: null }];
      frame.get(rcx, 'minusInfinity');
      code.sum(rax, rdi, r9);
      code.load32(rax, at(rax));
      code.compare(rax, rcx);
      code.jumpIf('equal', next);
      code.load32(rax, at(rdi));
      code.compare(rax, rcx);
      code.jumpIf('notEqual', both);
      this.#numbers('paddedSize', rsi, (mask) => {
        code.sum(rax, rsi, r9);
        code.loadMasked(0, at(rax), mask);
        code.storeMasked(at(rsi), 0, mask);
      });
      code.jump(next);
      code.place(both);
      this.#numbers('paddedSize', rsi, (mask) => {
        code.sum(rax, rsi, r9);
        code.loadMasked(0, at(rsi), mask);
        code.loadMasked(1, at(rax), mask);
        code.three('multiply', 0, 0, eachOf(r10));
        code.three('multiply', 1, 1, eachOf(r11));
        code.three('addFloats', 0, 0, 1);
        code.storeMasked(at(rsi), 0, mask);
      });
      code.place(next);
      frame.get(rax, 'stride');
      code.add(rsi, rax);
      for (const pointer of [rdi, r10, r11]) code.addNumber(pointer, 4);
    });
  }

  /** A row of as many numbers as `size` says, 16 at a time; `pointer` moves on and is put back. Changes rax, rcx. */
  #numbers(size: string, pointer: General, write: (mask: 1) => void): void {
    const code = this.#code;
    const frame = this.#frame;
    frame.keep('rowAt', pointer);
    frame.get(rcx, size);
    frame.keep('numbers', rcx);
    const again: Label = { at: null };
    code.place(again);
    maskOf(code, rcx, 1);
    write(1);
    code.addNumber(pointer, LINE);
    frame.get(rax, 'numbers');
    frame.get(rcx, 'numbers');
    atMostNumber(code, rcx, FLOATS);
    code.subtract(rax, rcx);
    frame.keep('numbers', rax);
    code.move(rcx, rax);
    code.compareNumber(rcx, 0);
    code.jumpIf('notEqual', again);
    frame.get(pointer, 'rowAt');
  }

  /** mix = o / l of the result at rsi. */
  finish(): void {
    const code = this.#code;
    const frame = this.#frame;
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
      this.#numbers('headSize', rsi, (mask) => {
        code.loadMasked(1, at(rsi), mask);
        code.three('divide', 1, 1, 0);
        code.storeMasked(at(rdx), 1, mask);
        code.addNumber(rdx, LINE);
      });
      code.add(rsi, r10);
      code.addNumber(rdi, 4);
      code.addNumber(r8, 4);
    });
  }
}
