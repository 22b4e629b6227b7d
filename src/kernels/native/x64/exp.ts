/** e^x of 16 numbers, by the steps of ../../lanes.ts: the same bits. */
import { expCoefficients, LN2_HIGH, LN2_LOW } from '../../lanes.ts';
import type { Code, Mask, VectorRegister } from './code.ts';
import type { Frame } from './frame.ts';

const floatBits = (value: number): number => new Int32Array(Float32Array.of(value).buffer)[0]!;

const LOWEST = 30;
const HIGHEST = 31;
const MASK: Mask = 1;

/** Keeps its constants in the frame. */
export class Exponential {
  readonly #code: Code;
  readonly #frame: Frame;
  readonly #names = expCoefficients.map((_, i) => `exp${i}`);

  constructor(code: Code, frame: Frame) {
    this.#code = code;
    this.#frame = frame;
    const numbers = { lowest: -86, highest: 89, log2e: Math.LOG2E, magic: 12582912, one: 1, two: 2 };
    for (const [name, value] of Object.entries({ ...numbers, high: LN2_HIGH, low: LN2_LOW })) {
      frame.keepNumber(name, floatBits(value));
    }
    expCoefficients.forEach((value, i) => {
      frame.keepNumber(this.#names[i]!, floatBits(value));
    });
    frame.keepNumber('bias', 126);
  }

  /** To be called before `of`, which needs these two registers: 30 and 31. */
  begin(): void {
    this.#code.loadEach(LOWEST, this.#frame.each('lowest'));
    this.#code.loadEach(HIGHEST, this.#frame.each('highest'));
  }

  /** x = e^x. Changes three registers more, and mask register 1. */
  of(x: VectorRegister, [r, shifted, between]: readonly [VectorRegister, VectorRegister, VectorRegister]): void {
    const code = this.#code;
    const c = (name: string) => this.#frame.each(name);
    code.compareFloats('notBelow', MASK, x, c('lowest'));
    code.three('most', r, LOWEST, x);
    code.three('least', r, HIGHEST, r);
    code.three('multiply', shifted, r, c('log2e'));
    code.three('addFloats', shifted, shifted, c('magic'));
    code.three('subtract', between, shifted, c('magic'));
    for (const part of ['high', 'low']) {
      code.three('multiply', x, between, c(part));
      code.three('subtract', r, r, x);
    }
    const [first, ...others] = this.#names;
    code.loadEach(x, c(first!));
    for (const name of others) {
      code.three('multiply', x, x, r);
      code.three('addFloats', x, x, c(name));
    }
    code.three('multiply', between, r, r);
    code.three('multiply', x, x, between);
    code.three('addFloats', x, x, r);
    code.three('addFloats', x, x, c('one'));
    code.three('addInts', shifted, shifted, c('bias'));
    code.shift('intsLeft', shifted, shifted, 23);
    code.three('multiply', x, x, shifted);
    code.three('multiply', x, x, c('two'), MASK);
  }
}
