/** e^x of 16 numbers that are not above 0, by the steps of ../../lanes.ts: the same bits. */
import { expCoefficients, LN2_HIGH, LN2_LOW } from '../../lanes.ts';
import type { Code, Mask, VectorRegister } from './code.ts';
import type { Frame } from './frame.ts';

const floatBits = (value: number): number => new Int32Array(Float32Array.of(value).buffer)[0]!;

const MASK: Mask = 1;
const floats = {
  lowest: -86,
  log2e: Math.LOG2E,
  magic: 12582912,
  one: 1,
  high: LN2_HIGH,
  low: LN2_LOW,
  ...Object.fromEntries(expCoefficients.map((value, i) => [`coefficient${i}`, value])),
};
const [firstCoefficient, ...coefficients] = expCoefficients.map((_, i) => `coefficient${i}`);
const constants = { ...Object.fromEntries(Object.entries(floats).map(([k, x]) => [k, floatBits(x)])), bias: 127 };
/** Where they are while `of` is used. */
const REGISTERS: readonly VectorRegister[] = [18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31];

export class Exponential {
  readonly #code: Code;
  readonly #frame: Frame;

  /** Keeps its constants in the frame. */
  constructor(code: Code, frame: Frame) {
    this.#code = code;
    this.#frame = frame;
    for (const [name, bits] of Object.entries(constants)) frame.keepNumber(`exp ${name}`, bits);
  }

  /** To be called before `of`: takes the vector registers from 18 on, but for 22. */
  begin(): void {
    for (const name of Object.keys(constants)) this.#code.loadEach(this.#at(name), this.#frame.each(`exp ${name}`));
  }

  #at(name: string): VectorRegister {
    return REGISTERS[Object.keys(constants).indexOf(name)]!;
  }

  /** x = e^x. Changes three registers more, and mask register 1. */
  of(x: VectorRegister, [r, shifted, between]: readonly [VectorRegister, VectorRegister, VectorRegister]): void {
    const code = this.#code;
    const c = (name: string) => this.#at(name);
    code.compareFloats('notBelow', MASK, x, c('lowest'));
    code.three('most', r, c('lowest'), x);
    code.three('multiply', shifted, r, c('log2e'));
    code.three('addFloats', shifted, shifted, c('magic'));
    code.three('subtract', between, shifted, c('magic'));
    for (const part of ['high', 'low']) {
      code.three('multiply', x, between, c(part));
      code.three('subtract', r, r, x);
    }
    code.three('multiply', x, r, c(firstCoefficient!));
    coefficients.forEach((name, i) => {
      if (i > 0) code.three('multiply', x, x, r);
      code.three('addFloats', x, x, c(name));
    });
    code.three('multiply', between, r, r);
    code.three('multiply', x, x, between);
    code.three('addFloats', x, x, r);
    code.three('addFloats', x, x, c('one'));
    // the exponent of 2ⁿ: in range, as x is between −86 and 0
    code.three('addInts', shifted, shifted, c('bias'));
    code.shift('intsLeft', shifted, shifted, 23);
    code.three('multiply', x, x, shifted, MASK);
  }
}
