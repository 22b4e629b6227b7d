/** A block of an f16, q8_0 or q4_0 cache → f32 (../widen.ts), from `chunk` to `wide`. */
import {
  at,
  type Code,
  type General,
  type Label,
  type Mask,
  type Place,
  r8,
  r9,
  r10,
  r11,
  rax,
  rcx,
  rdi,
  rdx,
  rsi,
  type VectorRegister,
} from '../../../native/x64/code.ts';
import { atMostNumber, countDown, type Frame, unless } from '../../../native/x64/frame.ts';
import type { KvType } from '../../../ops.ts';
import { PANEL_POSITIONS } from '../layout.ts';
import { HALF, LEVELS, LINE } from './registers.ts';

const SCALE = 21;
const levelBytes = [0xfbfaf9f8, 0xfffefdfc, 0x03020100, 0x07060504];
/** Vectors of f16 that are widened side by side. */
const SIDE_BY_SIDE = 4;
const SCALE_COLUMNS = 32;

export class Widening {
  readonly #code: Code;
  readonly #frame: Frame;
  readonly #type: Exclude<KvType, 'f32'>;

  constructor(code: Code, frame: Frame, type: Exclude<KvType, 'f32'>) {
    this.#code = code;
    this.#frame = frame;
    this.#type = type;
  }

  /** Changes rax, rsi and what `wide` holds. */
  constants(): void {
    if (this.#type !== 'q4_0') return;
    const code = this.#code;
    this.#frame.get(rsi, 'wide');
    levelBytes.forEach((word, i) => {
      code.moveNumber(rax, word);
      code.store32(at(rsi, 4 * i), rax);
    });
    code.two('bytesToIntsSigned', LEVELS, at(rsi));
    code.two('toFloats', LEVELS, LEVELS);
  }

  /** A panel of keys as a whole, rows of values as far as there are: `count`. */
  write(): void {
    const code = this.#code;
    const frame = this.#frame;
    // rdx: panels of keys
    frame.get(rdx, 'count');
    code.addNumber(rdx, PANEL_POSITIONS - 1);
    code.shiftRight(rdx, Math.log2(PANEL_POSITIONS));
    frame.get(rdi, 'wide');
    frame.get(rsi, 'chunk');
    if (this.#type === 'f16') {
      frame.get(rcx, 'headSize');
      code.multiply(rcx, rdx);
      code.shiftLeft(rcx, Math.log2(PANEL_POSITIONS));
      this.#halves();
      frame.get(rdi, 'values');
      frame.get(rsi, 'chunkValues');
      frame.get(rcx, 'paddedSize');
      frame.get(rax, 'count');
      code.multiply(rcx, rax);
      this.#halves();
      return;
    }
    // keys that meet integers stay as they are
    frame.get(rax, 'queryRuns');
    code.compareNumber(rax, 0);
    unless(code, 'notEqual', () =>
      countDown(code, rdx, () => {
        frame.get(rax, 'keyQuantsAt');
        code.sum(r8, rsi, rax);
        code.move(r9, rsi);
        code.move(r10, rdi);
        this.#blocks('headSize', () => this.#keys());
        frame.get(rax, 'keyPanelBytes');
        code.add(rsi, rax);
        frame.get(rax, 'widePanelBytes');
        code.add(rdi, rax);
      }),
    );
    frame.get(rdi, 'values');
    frame.get(rsi, 'chunkValues');
    frame.get(rdx, 'count');
    countDown(code, rdx, () => {
      frame.get(rax, 'valueScalesAt');
      code.move(r8, rsi);
      code.sum(r9, rsi, rax);
      code.move(r10, rdi);
      this.#blocks('paddedSize', () => this.#values());
      frame.get(rax, 'valueRowBytes');
      code.add(rsi, rax);
      frame.get(rax, 'stride');
      code.add(rdi, rax);
    });
  }

  /** rcx numbers, a multiple of 8, from rsi to rdi. Changes rax and these. */
  #halves(): void {
    const code = this.#code;
    for (const vectors of [SIDE_BY_SIDE, 1]) {
      const [again, done]: [Label, Label] = [{ at: null }, { at: null }];
      code.place(again);
      code.compareNumber(rcx, 16 * vectors);
      code.jumpIf('below', done);
      for (let v = 0; v < vectors; v++) code.two('widenHalves', v, at(rsi, 32 * v));
      for (let v = 0; v < vectors; v++) code.storeVector(at(rdi, LINE * v), v);
      code.addNumber(rsi, 32 * vectors);
      code.addNumber(rdi, LINE * vectors);
      code.addNumber(rcx, -16 * vectors);
      code.jump(again);
      code.place(done);
    }
    code.compareNumber(rcx, 0);
    unless(code, 'equal', () => {
      code.two('widenHalves', 0, at(rsi), HALF);
      code.storeMasked(at(rdi), 0, HALF);
    });
  }

  /** Columns in runs that share scales: rcx of them at a time, of as many as `name` says. Changes rax, rcx, r11. */
  #blocks(name: string, write: () => void): void {
    const code = this.#code;
    const again: Label = { at: null };
    this.#frame.get(r11, name);
    code.place(again);
    code.move(rcx, r11);
    atMostNumber(code, rcx, SCALE_COLUMNS);
    code.subtract(r11, rcx);
    write();
    code.compareNumber(r11, 0);
    code.jumpIf('notEqual', again);
  }

  /** rcx columns of 8 positions: quants at r8, scales at r9, to r10. All move on. */
  #keys(): void {
    const code = this.#code;
    code.loadRepeated(SCALE, at(r9)); // eight scales, twice
    code.two('widenHalves', SCALE, SCALE);
    code.addNumber(r9, 16);
    if (this.#type === 'q8_0') {
      this.#while(rcx, 2, () => {
        this.#bytes(at(r8), at(r10));
        code.addNumber(r8, 16);
        code.addNumber(r10, LINE);
      });
      code.compareNumber(rcx, 0);
      unless(code, 'equal', () => {
        this.#bytes(at(r8), at(r10), HALF);
        code.addNumber(r8, 8);
        code.addNumber(r10, LINE / 2);
      });
      return;
    }
    // eight columns in 32 bytes, of which 16 are two columns, and in the high nibbles those four on
    code.addNumber(rcx, 7);
    this.#while(rcx, 8, () => {
      for (const to of [0, 64]) {
        this.#nibbles(r8);
        for (const [nibble, from] of [
          [0, to],
          [1, to + 128],
        ] as const) {
          code.storeLowerHalf(at(r10, from), nibble);
          code.upperHalf(at(r10, from + 32), nibble);
        }
        code.addNumber(r8, 16);
      }
      code.addNumber(r10, 256);
    });
  }

  /** rcx columns of a row: quants at r8, scales at r9, to r10. All move on. */
  #values(): void {
    const code = this.#code;
    code.loadEachHalf(SCALE, at(r9));
    code.two('widenHalves', SCALE, SCALE);
    code.addNumber(r9, 2);
    if (this.#type === 'q8_0') {
      this.#while(rcx, 16, () => {
        this.#bytes(at(r8), at(r10));
        code.addNumber(r8, 16);
        code.addNumber(r10, LINE);
      });
      code.compareNumber(rcx, 0);
      unless(code, 'equal', () => this.#bytes(at(r8), at(r10), HALF));
      return;
    }
    this.#nibbles(r8);
    code.addNumber(r8, 16);
    for (const vector of [0, 1]) {
      const stored: Label = { at: null };
      code.compareNumber(rcx, 16);
      unless(code, 'below', () => {
        code.storeVector(at(r10), vector);
        code.addNumber(r10, LINE);
        code.addNumber(rcx, -16);
        code.jump(stored);
      });
      code.compareNumber(rcx, 0);
      unless(code, 'equal', () => {
        code.storeMasked(at(r10), vector, HALF);
        code.moveNumber(rcx, 0);
      });
      code.place(stored);
    }
  }

  /** While `counter` is at least `step`, which is taken off. */
  #while(counter: General, step: number, write: () => void): void {
    const code = this.#code;
    const [again, done]: [Label, Label] = [{ at: null }, { at: null }];
    code.place(again);
    code.compareNumber(counter, step);
    code.jumpIf('below', done);
    write();
    code.addNumber(counter, -step);
    code.jump(again);
    code.place(done);
  }

  /** 16 signed bytes, or 8 of them, times the scales. */
  #bytes(from: Place, to: Place, mask: Mask | 0 = 0): void {
    const code = this.#code;
    code.two('bytesToIntsSigned', 0, from, mask);
    code.two('toFloats', 0, 0);
    code.three('multiply', 0, 0, SCALE);
    if (mask === 0) code.storeVector(to, 0);
    else code.storeMasked(to, 0, mask);
  }

  /** Registers 0 and 1: the low and the high nibbles of 16 bytes, times the scales. */
  #nibbles(from: General): void {
    const code = this.#code;
    const numbers: readonly VectorRegister[] = [0, 1];
    code.two('bytesToInts', 0, at(from));
    code.shift('intsRight', 1, 0, 4);
    for (const it of numbers) {
      code.three('pickFloats', it, it, LEVELS);
      code.three('multiply', it, it, SCALE);
    }
  }
}
