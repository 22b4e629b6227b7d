/**
 * Machine code of AArch64 as bytes: the instructions that kernels need, of whole numbers of 64 bits and of vectors of 128 bits, and jumps
 * between them. Operands go as in Arm's manual, the target first. Source: Arm Architecture Reference Manual for A-profile, C6 and C7.
 */
import { assert } from '../../../base/assert.ts';

/** A register of 64 bits, x0…x30, or `sp`. */
export type General = number & { readonly general?: never };
/** A vector register, v0…v31; a function gives back the lower halves of 8…15 as they were. */
export type VectorRegister = number & { readonly vector?: never };

export const [x0, x1, x2, x3, x4, x5, x6, x7] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
export const [x8, x9, x10, x11, x12, x13, x14, x15] = [8, 9, 10, 11, 12, 13, 14, 15] as const;
export const sp = 31;
/** As an operand of arithmetic 31 is zero; as an address it is the stack. */
const ZERO = 31;

/** Bytes at a register's address and so many on: a multiple of what is loaded or stored. */
export interface Place {
  readonly base: General;
  readonly offset: number;
}
export const at = (base: General, offset = 0): Place => ({ base, offset });

/** Where a jump goes. */
export interface Label {
  at: number | null;
}

const conditions = { equal: 0, notEqual: 1, aboveOrEqual: 2, below: 3, above: 8, belowOrEqual: 9 } as const;
export type Condition = keyof typeof conditions;

/** Loads and stores by what they move: the opcode, and its bytes. */
const moves = {
  load: { code: 0xf9400000, bytes: 8 },
  store: { code: 0xf9000000, bytes: 8 },
  /** 32 bits, the upper half becomes zero. */
  load32: { code: 0xb9400000, bytes: 4 },
  /** 16 bits with their sign, of a number of 32 bits: the upper half becomes zero. */
  loadSigned16: { code: 0x79c00000, bytes: 2 },
  loadVector: { code: 0x3dc00000, bytes: 16 },
  storeVector: { code: 0x3d800000, bytes: 16 },
  /** The lower half or the lowest quarter of a vector; what is loaded is zero elsewhere. */
  loadLowerHalf: { code: 0xfd400000, bytes: 8 },
  storeLowerHalf: { code: 0xfd000000, bytes: 8 },
  loadQuarter: { code: 0xbd400000, bytes: 4 },
  storeQuarter: { code: 0xbd000000, bytes: 4 },
} as const;
export type Move = keyof typeof moves;

/** target = f(first, second): whole vectors. */
const three = {
  and: 0x4e201c00,
  or: 0x4ea01c00,
  xor: 0x6e201c00,
  addInts: 0x4ea08400,
  addFloats: 0x4e20d400,
  subtract: 0x4ea0d400,
  multiply: 0x6e20dc00,
  /** Bytes of the first, by the second's numbers, 0…15. */
  pick: 0x4e000000,
  /** target + the 2 × 2 products, of eight signed bytes each, of the first's halves (rows) and the second's (columns); I8MM. */
  matrixOfBytes: 0x4e80a400,
  /** Lanes of 32 bits of both in turns, of their lower or upper halves. */
  zipLower: 0x4e803800,
  zipUpper: 0x4e807800,
  /** Even or odd lanes of 32 bits, the first's and then the second's. */
  even: 0x4e801800,
  odd: 0x4e805800,
  /** The lower or the upper half of both. */
  lowerHalves: 0x4ec03800,
  upperHalves: 0x4ec07800,
} as const;
export type Three = keyof typeof three;

/** target = f(source) */
const two = {
  toFloats: 0x4e21d800,
  /** Four f16 in the lower half become f32; four numbers of 16 bits become the upper halves of numbers of 32 bits. */
  widenHalves: 0x0e217800,
  widenToUpper: 0x2e613800,
  /** Eight bytes in the lower half become numbers of 16 bits. */
  widenSigned: 0x0f08a400,
  widenUnsigned: 0x2f08a400,
} as const;
export type Two = keyof typeof two;

/** target = source shifted by a constant; the bits of a lane, and whether a right shift counts down from twice as many. */
const shifts = {
  bytesLeft: { code: 0x4f005400, lane: 8, isRight: false },
  bytesRight: { code: 0x6f000400, lane: 8, isRight: true },
  intsLeft: { code: 0x4f005400, lane: 32, isRight: false },
  intsRightSigned: { code: 0x4f000400, lane: 32, isRight: true },
} as const;
export type Shift = keyof typeof shifts;

/** Bits 21 and 11 and upwards: how instructions say which lane of 32 bits the second operand is. */
const laneOf = (lane: number): number => ((lane & 1) << 21) | ((lane >> 1) << 11);

export class Code {
  readonly #words: number[] = [];
  readonly #jumps: { readonly at: number; readonly to: Label; readonly bits: 19 | 26 }[] = [];

  /** In bytes. */
  get length(): number {
    return 4 * this.#words.length;
  }

  /** The bytes, with all jumps resolved: they may lie anywhere. */
  bytes(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.length);
    const view = new DataView(bytes.buffer);
    this.#words.forEach((word, i) => {
      view.setUint32(4 * i, word, true);
    });
    for (const { at, to, bits } of this.#jumps) {
      assert(to.at !== null, 'machine code: a jump to a label that was not placed');
      const distance = (to.at - at) / 4;
      assert(Math.abs(distance) < 2 ** (bits - 1), 'machine code: a jump too far');
      const field = (distance & (2 ** bits - 1)) << (bits === 19 ? 5 : 0);
      view.setUint32(at, (view.getUint32(at, true) | field) >>> 0, true);
    }
    return bytes;
  }

  // ---- whole numbers

  move(target: General, source: General): void {
    this.#three(0xaa000000, target, ZERO, source);
  }
  /** Any number of 32 bits, with its sign. */
  moveNumber(target: General, value: number): void {
    const [low, high] = [value & 0xffff, (value >>> 16) & 0xffff];
    const isNegative = value < 0;
    const rest = isNegative ? 0xffff : 0;
    this.#say((isNegative ? 0x92800000 : 0xd2800000) | ((low ^ rest) << 5) | target);
    if (high !== rest) this.#say(0xf2a00000 | (high << 5) | target);
  }
  add(target: General, first: General, second: General): void {
    this.#three(0x8b000000, target, first, second);
  }
  subtract(target: General, first: General, second: General): void {
    this.#three(0xcb000000, target, first, second);
  }
  multiply(target: General, first: General, second: General): void {
    this.#three(0x9b007c00, target, first, second);
  }
  /** From −4095 to 4095. */
  addNumber(target: General, source: General, value: number): void {
    const size = Math.abs(value);
    assert(size < 4096, 'machine code: a number of 12 bits to add');
    this.#say((value < 0 ? 0xd1000000 : 0x91000000) | (size << 10) | (source << 5) | target);
  }
  shiftLeft(target: General, source: General, by: number): void {
    this.#say(0xd3400000 | ((64 - by) << 16) | ((63 - by) << 10) | (source << 5) | target);
  }
  shiftRight(target: General, source: General, by: number): void {
    this.#say(0xd340fc00 | (by << 16) | (source << 5) | target);
  }
  /** The lowest bits of the source, so many. */
  lowBits(target: General, source: General, count: number): void {
    this.#say(0x92400000 | ((count - 1) << 10) | (source << 5) | target);
  }
  /** 0 ≤ value < 4096; compares unsigned. */
  compareNumber(a: General, value: number): void {
    assert(value >= 0 && value < 4096, 'machine code: a number of 12 bits to compare with');
    this.#say(0xf1000000 | (value << 10) | (a << 5) | ZERO);
  }
  compare(a: General, b: General): void {
    this.#three(0xeb000000, ZERO, a, b);
  }
  return(): void {
    this.#say(0xd65f03c0);
  }

  // ---- jumps

  place(label: Label): void {
    assert(label.at === null, 'machine code: a label placed twice');
    label.at = this.length;
  }
  jump(to: Label): void {
    this.#to(to, 26);
    this.#say(0x14000000);
  }
  jumpIf(condition: Condition, to: Label): void {
    this.#to(to, 19);
    this.#say(0x54000000 | conditions[condition]);
  }
  jumpUnlessZero(source: General, to: Label): void {
    this.#to(to, 19);
    this.#say(0xb5000000 | source);
  }

  // ---- memory

  /** Between a register, of vectors or of whole numbers, and memory. */
  moveBytes(name: Move, register: General | VectorRegister, { base, offset }: Place): void {
    const { code, bytes } = moves[name];
    const units = offset / bytes;
    assert(Number.isInteger(units) && units >= 0 && units < 4096, `machine code: ${name} from an offset of ${offset}`);
    this.#say(code | (units << 10) | (base << 5) | register);
  }

  // ---- vectors

  three(name: Three, target: VectorRegister, first: VectorRegister, second: VectorRegister): void {
    this.#three(three[name], target, first, second);
  }
  two(name: Two, target: VectorRegister, source: VectorRegister): void {
    this.#say(two[name] | (source << 5) | target);
  }
  shift(name: Shift, target: VectorRegister, source: VectorRegister, by: number): void {
    const { code, lane, isRight } = shifts[name];
    this.#say(code | ((isRight ? 2 * lane - by : lane + by) << 16) | (source << 5) | target);
  }
  moveVector(target: VectorRegister, source: VectorRegister): void {
    this.three('or', target, source, source);
  }
  /** target + Σ of four products of signed bytes a lane, the second operand's those of one lane of 32 bits; dot product instructions. */
  dotBytes(target: VectorRegister, first: VectorRegister, second: VectorRegister, lane: number): void {
    this.#three(0x4f80e000 | laneOf(lane), target, first, second);
  }
  /** target = first · a lane of the second */
  multiplyByLane(target: VectorRegister, first: VectorRegister, second: VectorRegister, lane: number): void {
    this.#three(0x4f809000 | laneOf(lane), target, first, second);
  }
  /** One byte in all. */
  fillBytes(target: VectorRegister, value: number): void {
    this.#say(0x4f00e400 | ((value >> 5) << 16) | ((value & 31) << 5) | target);
  }
  /** The low 32 bits in all lanes. */
  fill(target: VectorRegister, source: General): void {
    this.#say(0x4e040c00 | (source << 5) | target);
  }

  // ---- pieces

  #three(code: number, target: number, first: number, second: number): void {
    this.#say(code | (second << 16) | (first << 5) | target);
  }
  #to(label: Label, bits: 19 | 26): void {
    this.#jumps.push({ at: this.length, to: label, bits });
  }
  #say(word: number): void {
    this.#words.push(word >>> 0);
  }
}
