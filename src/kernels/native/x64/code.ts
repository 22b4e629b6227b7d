/**
 * Machine code of x86-64 as bytes: the instructions that kernels need, of whole numbers and of vectors of 512 or of 256 bits, and jumps
 * between them. The same names write either: EVEX, or VEX, which has registers 0…15, no masks and no operands that fill all lanes.
 * Operands go as in Intel's manuals, the target first. Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, §2.
 */
import { assert } from '../../../base/assert.ts';

/** A register of 64 bits, by its number. */
export type General = number & { readonly general?: never };
/** One of the vector registers 0…31; of 256 bits 0…15. */
export type VectorRegister = number & { readonly vector?: never };

export const rax = 0;
export const rcx = 1;
export const rdx = 2;
export const rbx = 3;
export const rsp = 4;
export const rbp = 5;
export const rsi = 6;
export const rdi = 7;
export const [r8, r9, r10, r11, r12, r13, r14, r15] = [8, 9, 10, 11, 12, 13, 14, 15] as const;

/** Bytes at a register's address and so many on; `each`: 4 of them, which fill all lanes. `index`, `times`: another register is added, so many times. */
export interface Place {
  readonly base: General;
  readonly offset: number;
  readonly each?: boolean;
  readonly index?: General;
  readonly times?: 1 | 2 | 4;
}
export const at = (base: General, offset = 0): Place => ({ base, offset });
/** One number of 32 bits in all lanes. */
export const eachOf = (base: General, offset = 0): Place => ({ base, offset, each: true });

/** One of the registers that name lanes; 0 stands for all of them. */
export type Mask = 1 | 2 | 6 | 7;

/** Where a jump goes. */
export interface Label {
  at: number | null;
}

const conditions = { below: 2, aboveOrEqual: 3, equal: 4, notEqual: 5, belowOrEqual: 6 } as const;
export type Condition = keyof typeof conditions;

/** The two shifts of whole numbers by a constant, as the digit that stands for them. */
const SHIFT_LEFT = 4;
const SHIFT_RIGHT = 5;

/** How an instruction of vectors is written: its map of opcodes (0F, 0F38, 0F3A), prefix (none, 66, F3, F2), W and opcode. */
interface Opcode {
  readonly map: 1 | 2 | 3;
  readonly prefix: 0 | 1 | 2 | 3;
  readonly wide: 0 | 1;
  readonly code: number;
}
const opcode = (map: 1 | 2 | 3, prefix: 0 | 1 | 2 | 3, wide: 0 | 1, code: number): Opcode => ({
  map,
  prefix,
  wide,
  code,
});

/** target = f(first, second): vectors of whole registers, the second from memory if wanted. */
const three = {
  and: opcode(1, 1, 0, 0xdb),
  /** What the second has and the first has not. */
  andNot: opcode(1, 1, 0, 0xdf),
  or: opcode(1, 1, 0, 0xeb),
  xor: opcode(1, 1, 0, 0xef),
  addBytes: opcode(1, 1, 0, 0xfc),
  addWords: opcode(1, 1, 0, 0xfd),
  addInts: opcode(1, 1, 0, 0xfe),
  /** Σ of two products of unsigned bytes (first) and signed ones (second) a lane of 16 bits, saturated. */
  pairsOfBytes: opcode(2, 1, 0, 0x04),
  /** Σ of two products of signed 16-bit numbers a lane of 32 bits. */
  pairsOfWords: opcode(1, 1, 0, 0xf5),
  /** Bytes of the first, by the second's low four bits, in every 16 bytes. */
  pick: opcode(2, 1, 0, 0x00),
  /** target + Σ of four products of unsigned bytes (first) and signed ones (second) a lane. */
  dotBytes: opcode(2, 1, 0, 0x50),
  /** target + Σ of two products of signed 16-bit numbers a lane. */
  dotPairs: opcode(2, 1, 0, 0x52),
  addFloats: opcode(1, 0, 0, 0x58),
  multiply: opcode(1, 0, 0, 0x59),
  divide: opcode(1, 0, 0, 0x5e),
  /** The second where it is not below (above) the first, and where one is NaN. */
  least: opcode(1, 0, 0, 0x5d),
  most: opcode(1, 0, 0, 0x5f),
  /** Numbers of the second, by the first's low four bits. */
  pickFloats: opcode(2, 1, 0, 0x16),
  /** target + first · second, rounded once. */
  multiplyAdd: opcode(2, 1, 0, 0xb8),
  subtract: opcode(1, 0, 0, 0x5c),
} as const;
export type Three = keyof typeof three;

/** target = f(source) */
const two = {
  toFloats: opcode(1, 0, 0, 0x5b),
  /** 16 numbers of 16 bits in half a register become f32: of f16, and as they are. */
  widenHalves: opcode(2, 1, 0, 0x13),
  widenWords: opcode(2, 1, 0, 0x33),
  /** 32 bytes become numbers of 16 bits. */
  widenSigned: opcode(2, 1, 0, 0x20),
  widenUnsigned: opcode(2, 1, 0, 0x30),
  /** 16 bytes become numbers of 32 bits. */
  bytesToInts: opcode(2, 1, 0, 0x31),
  bytesToIntsSigned: opcode(2, 1, 0, 0x21),
} as const;
export type Two = keyof typeof two;

/** target = source shifted by a constant, in lanes of 16 or 32 bits. */
const shifts = {
  wordsLeft: { code: 0x71, digit: 6 },
  wordsRight: { code: 0x71, digit: 2 },
  intsLeft: { code: 0x72, digit: 6 },
  intsRight: { code: 0x72, digit: 2 },
  intsRightSigned: { code: 0x72, digit: 4 },
} as const;
export type Shift = keyof typeof shifts;

const comparisons = { equal: 0, different: 4, notBelow: 5 } as const;

const LOAD = opcode(1, 2, 0, 0x6f);
const STORE = opcode(1, 2, 0, 0x7f);

export class Code {
  /** Bits of a vector. */
  readonly width: 256 | 512;
  readonly #bytes: number[] = [];
  readonly #jumps: { readonly at: number; readonly to: Label }[] = [];

  constructor(width: 256 | 512 = 512) {
    this.width = width;
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** The bytes, with all jumps resolved: they may lie anywhere. */
  bytes(): Uint8Array<ArrayBuffer> {
    const bytes = Uint8Array.from(this.#bytes);
    const view = new DataView(bytes.buffer);
    for (const { at, to } of this.#jumps) {
      assert(to.at !== null, 'machine code: a jump to a label that was not placed');
      view.setInt32(at, to.at - (at + 4), true);
    }
    return bytes;
  }

  // ---- whole numbers

  move(target: General, source: General): void {
    this.#plain(0x8b, target, source);
  }
  moveNumber(target: General, value: number): void {
    this.#say(rex(0, 0, target), 0xb8 | (target & 7));
    this.#int32(value | 0);
  }
  /** 32 bits, the upper half becomes zero. */
  load32(target: General, place: Place): void {
    this.#say(rex(0, target, place.base), 0x8b);
    this.#place(target, place, 1);
  }
  load(target: General, place: Place): void {
    this.#say(rex(1, target, place.base), 0x8b);
    this.#place(target, place, 1);
  }
  store(place: Place, source: General): void {
    this.#say(rex(1, source, place.base), 0x89);
    this.#place(source, place, 1);
  }
  store32(place: Place, source: General): void {
    this.#say(rex(0, source, place.base), 0x89);
    this.#place(source, place, 1);
  }
  /** rax = rax / by, rdx = what is left; unsigned. */
  divide(by: General): void {
    this.moveNumber(rdx, 0);
    this.#say(rex(1, 0, by), 0xf7, 0xc0 | (6 << 3) | (by & 7));
  }
  /** target = the address base + index */
  sum(target: General, base: General, index: General): void {
    this.move(target, base);
    this.add(target, index);
  }
  add(target: General, source: General): void {
    this.#plain(0x03, target, source);
  }
  subtract(target: General, source: General): void {
    this.#plain(0x2b, target, source);
  }
  multiply(target: General, source: General): void {
    this.#say(rex(1, target, source), 0x0f, 0xaf, 0xc0 | ((target & 7) << 3) | (source & 7));
  }
  addNumber(target: General, value: number): void {
    this.#byNumber(0, target, value);
  }
  andNumber(target: General, value: number): void {
    this.#byNumber(4, target, value);
  }
  multiplyNumber(target: General, source: General, value: number): void {
    this.#say(rex(1, target, source), 0x69, 0xc0 | ((target & 7) << 3) | (source & 7));
    this.#int32(value);
  }
  shiftLeft(target: General, by: number): void {
    this.#say(rex(1, 0, target), 0xc1, 0xc0 | (SHIFT_LEFT << 3) | (target & 7), by);
  }
  shiftRight(target: General, by: number): void {
    this.#say(rex(1, 0, target), 0xc1, 0xc0 | (SHIFT_RIGHT << 3) | (target & 7), by);
  }
  /** By the low bits of rcx. */
  shiftLeftByRcx(target: General): void {
    this.#say(rex(1, 0, target), 0xd3, 0xc0 | (SHIFT_LEFT << 3) | (target & 7));
  }
  shiftRightByRcx(target: General): void {
    this.#say(rex(1, 0, target), 0xd3, 0xc0 | (SHIFT_RIGHT << 3) | (target & 7));
  }
  compare(a: General, b: General): void {
    this.#plain(0x3b, a, b);
  }
  compareNumber(a: General, value: number): void {
    this.#byNumber(7, a, value);
  }
  push(source: General): void {
    this.#say(rex(0, 0, source), 0x50 | (source & 7));
  }
  pop(target: General): void {
    this.#say(rex(0, 0, target), 0x58 | (target & 7));
  }
  return(): void {
    this.#say(0xc3);
  }
  /** What the processor can do: leaf rax, part rcx; into rax, rbx, rcx, rdx. */
  cpuid(): void {
    this.#say(0x0f, 0xa2);
  }
  /** Which registers the system keeps: of number rcx, into rdx and rax. */
  xgetbv(): void {
    this.#say(0x0f, 0x01, 0xd0);
  }
  /** Into the nearest cache, if it may; never fails. */
  prefetch(place: Place): void {
    this.#say(rex(0, 0, place.base, place.index), 0x0f, 0x18);
    this.#place(1, place, 1);
  }

  // ---- jumps

  place(label: Label): void {
    assert(label.at === null, 'machine code: a label placed twice');
    label.at = this.length;
  }
  jump(to: Label): void {
    this.#say(0xe9);
    this.#to(to);
  }
  jumpIf(condition: Condition, to: Label): void {
    this.#say(0x0f, 0x80 | conditions[condition]);
    this.#to(to);
  }

  // ---- vectors

  /** With a mask other lanes are zero. */
  three(
    name: Three,
    target: VectorRegister,
    first: VectorRegister,
    second: VectorRegister | Place,
    mask: Mask | 0 = 0,
  ): void {
    this.#vector(three[name], target, first, second, { mask, zero: mask ? 1 : 0 });
  }
  /** A mask register = the lanes, of all or of `among`, in which the first compares so; one is NaN: not equal, different, not below. */
  compareFloats(
    how: keyof typeof comparisons,
    mask: Mask,
    first: VectorRegister,
    second: VectorRegister | Place,
    among: Mask | 0 = 0,
  ): void {
    this.#vector(opcode(1, 0, 0, 0xc2), mask, first, second, { mask: among });
    this.#say(comparisons[how]);
  }
  /** In every 128 bits, the lanes that four times two bits of `lanes` name. */
  permute(target: VectorRegister, source: VectorRegister, lanes: number): void {
    this.#vector(opcode(3, 1, 0, 0x04), target, 0, source);
    this.#say(lanes);
  }
  /** The upper half, and the second quarter, in the lowest lanes. */
  upperHalf(target: VectorRegister | Place, source: VectorRegister): void {
    this.#vector(opcode(3, 1, 0, 0x1b), source, 0, target, { unit: 32 });
    this.#say(1);
  }
  secondQuarter(target: VectorRegister, source: VectorRegister): void {
    this.#vector(opcode(3, 1, 0, 0x19), source, 0, target);
    this.#say(1);
  }
  /** What is widened is shorter, in memory too. With a mask other lanes are zero, and what they would read is not. */
  two(name: Two, target: VectorRegister, source: VectorRegister | Place, mask: Mask | 0 = 0): void {
    const unit = name.startsWith('widen') ? 32 : name.startsWith('bytes') ? 16 : 0;
    this.#vector(two[name], target, 0, source, { unit, mask, zero: mask ? 1 : 0 });
  }
  shift(name: Shift, target: VectorRegister, source: VectorRegister, by: number): void {
    const { code, digit } = shifts[name];
    this.#vector(opcode(1, 1, 0, code), digit, target, source);
    this.#say(by);
  }
  /** target | (first & second) */
  orAnd(target: VectorRegister, first: VectorRegister, second: VectorRegister): void {
    this.#vector(opcode(3, 1, 0, 0x25), target, first, second);
    this.#say(0xf8);
  }
  moveVector(target: VectorRegister, source: VectorRegister): void {
    this.#vector(LOAD, target, 0, source);
  }
  loadVector(target: VectorRegister, place: Place): void {
    this.#vector(LOAD, target, 0, place);
  }
  storeVector(place: Place, source: VectorRegister): void {
    this.#vector(STORE, source, 0, place);
  }
  /** The lanes that a mask register names; loaded ones are zero elsewhere. */
  loadMasked(target: VectorRegister, place: Place, mask: Mask = 1): void {
    this.#vector(LOAD, target, 0, place, { mask, zero: 1 });
  }
  /** … and stay elsewhere. */
  loadInto(target: VectorRegister, place: Place, mask: Mask): void {
    this.#vector(LOAD, target, 0, place, { mask });
  }
  storeLowerHalf(place: Place, source: VectorRegister): void {
    this.#vector(STORE, source, 0, place, { bits: 256 });
  }
  storeMasked(place: Place, source: VectorRegister, mask: Mask = 1): void {
    this.#vector(STORE, source, 0, place, { mask });
  }
  /** A mask register = the low 16 bits. */
  mask(source: General, mask: Mask = 1): void {
    assert(source < 8, 'machine code: a mask from one of the first eight registers');
    this.#say(0xc5, 0xf8, 0x92, 0xc0 | (mask << 3) | source);
  }
  /** 16 numbers of 16 bits, all the same. */
  loadEachHalf(target: VectorRegister, place: Place): void {
    this.#vector(opcode(2, 1, 0, 0x79), target, 0, place, { bits: 256, unit: 2 });
  }
  /** The lanes of a mask register as bits. */
  maskBits(target: General, mask: Mask): void {
    assert(target < 8, 'machine code: a mask to one of the first eight registers');
    this.#say(0xc5, 0xf8, 0x93, 0xc0 | (target << 3) | mask);
  }
  /** One number of 32 bits, or a register's lowest, in all lanes, or in those that a mask register names: others stay. */
  loadEach(target: VectorRegister, from: Place | VectorRegister, mask: Mask | 0 = 0): void {
    // the instruction does it by itself
    const source = typeof from === 'number' ? from : { ...from, each: false as const };
    this.#vector(opcode(2, 1, 0, 0x18), target, 0, source, { unit: 4, mask });
  }
  /** 32 bytes from one place, and 32 from another. */
  loadHalves(target: VectorRegister, low: Place, high: Place): void {
    this.#vector(LOAD, target, 0, low, { bits: 256 });
    this.#vector(opcode(3, 1, 1, 0x3a), target, target, high, { unit: 32 });
    this.#say(1);
  }
  /** 16 bytes from one place, and 16 from another, in the lower half. */
  loadQuarters(target: VectorRegister, low: Place, high: Place): void {
    this.#vector(LOAD, target, 0, low, { bits: 128 });
    this.#vector(opcode(3, 1, 0, 0x38), target, target, high, { bits: 256, unit: 16 });
    this.#say(1);
  }
  /** 8 bytes from one place, and 8 from another, in the lowest quarter. */
  loadEighths(target: VectorRegister, low: Place, high: Place): void {
    this.#vector(opcode(1, 2, 1, 0x7e), target, 0, low, { bits: 128, unit: 8 });
    this.#vector(opcode(1, 1, 1, 0x16), target, target, high, { bits: 128, unit: 8 });
  }
  /** The same 16 bytes, as often as they fit. */
  loadRepeated(target: VectorRegister, place: Place): void {
    this.#vector(opcode(2, 1, 0, 0x5a), target, 0, place, { unit: 16 });
  }
  /** The low 32 bits in all lanes. */
  fill(target: VectorRegister, source: General): void {
    if (this.width === 512) this.#vector(opcode(2, 1, 0, 0x7c), target, 0, source);
    else {
      this.#vector(opcode(1, 1, 0, 0x6e), target, 0, source, { bits: 128 });
      this.#vector(opcode(2, 1, 0, 0x58), target, 0, target);
    }
  }
  /** Lanes whose byte in a register of 64 bits has its top bit, of eight: all ones, others zero. */
  lanesOf(target: VectorRegister, source: General): void {
    this.#vector(opcode(1, 1, 1, 0x6e), target, 0, source, { bits: 128 });
    this.two('bytesToIntsSigned', target, target);
  }
  /** Of 256 bits: the lanes that `lanes` has; loaded ones are zero elsewhere. */
  loadLanes(target: VectorRegister, place: Place, lanes: VectorRegister): void {
    this.#vector(opcode(2, 1, 0, 0x2c), target, lanes, place);
  }
  storeLanes(place: Place, source: VectorRegister, lanes: VectorRegister): void {
    this.#vector(opcode(2, 1, 0, 0x2e), source, lanes, place);
  }
  /** To be called before a function returns that has used vectors: older instructions are slow otherwise. */
  forgetUpperHalves(): void {
    this.#say(0xc5, 0xf8, 0x77);
  }

  /** `unit`: bytes that a short offset counts, of EVEX. */
  #vector(
    { map, prefix, wide, code }: Opcode,
    reg: number,
    first: VectorRegister,
    operand: VectorRegister | Place,
    {
      bits = this.width,
      mask = 0,
      zero = 0,
      unit = 0,
    }: { bits?: 128 | 256 | 512; mask?: number; zero?: 0 | 1; unit?: number } = {},
  ): void {
    const isPlace = typeof operand !== 'number';
    const rm = isPlace ? operand.base : operand;
    const isEach = isPlace && operand.each === true;
    const not = (bit: number) => (bit ? 0 : 1);
    const length = bits === 512 ? 2 : bits === 256 ? 1 : 0;
    const outer = (not(reg & 8) << 7) | (not(rm & 8) << 5) | map;
    const inner = (wide << 7) | ((~first & 15) << 3) | prefix;
    const isVex = this.width === 256;
    if (isVex) {
      assert((reg | first | (isPlace ? 0 : rm)) < 16 && !mask && !isEach, 'machine code: VEX cannot say that');
      this.#say(0xc4, outer | (not(isPlace ? (operand.index ?? 0) & 8 : 0) << 6), inner | (length << 2), code);
    } else {
      this.#say(
        0x62,
        outer | (not(isPlace ? (operand.index ?? 0) & 8 : rm & 16) << 6) | (not(reg & 16) << 4),
        inner | 4,
        (zero << 7) | (length << 5) | ((isEach ? 1 : 0) << 4) | (not(first & 16) << 3) | mask,
        code,
      );
    }
    if (isPlace) this.#place(reg, operand, isVex ? 1 : isEach ? 4 : unit || bits / 8);
    else this.#say(0xc0 | ((reg & 7) << 3) | (rm & 7));
  }

  // ---- pieces

  #plain(code: number, target: General, source: General): void {
    this.#say(rex(1, target, source), code, 0xc0 | ((target & 7) << 3) | (source & 7));
  }
  #byNumber(digit: number, target: General, value: number): void {
    const isShort = value >= -128 && value < 128;
    this.#say(rex(1, 0, target), isShort ? 0x83 : 0x81, 0xc0 | (digit << 3) | (target & 7));
    if (isShort) this.#say(value & 255);
    else this.#int32(value);
  }
  /** ModRM, and the offset, short where it is a small multiple of `unit`. */
  #place(reg: number, { base, offset, index, times = 1 }: Place, unit: number): void {
    const short = offset / unit;
    const isShort = Number.isInteger(short) && short >= -128 && short < 128;
    const hasIndex = index !== undefined;
    this.#say((isShort ? 0x40 : 0x80) | ((reg & 7) << 3) | (hasIndex ? rsp : base & 7));
    if (hasIndex) this.#say((Math.log2(times) << 6) | ((index & 7) << 3) | (base & 7));
    else if ((base & 7) === rsp) this.#say(0x24);
    if (isShort) this.#say(short & 255);
    else this.#int32(offset);
  }
  #to(label: Label): void {
    this.#jumps.push({ at: this.length, to: label });
    this.#int32(0);
  }
  #int32(value: number): void {
    this.#say(value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >> 24) & 255);
  }
  #say(...bytes: number[]): void {
    this.#bytes.push(...bytes);
  }
}

function rex(wide: 0 | 1, reg: number, rm: number, index = 0): number {
  return 0x40 | (wide << 3) | (((reg >> 3) & 1) << 2) | (((index >> 3) & 1) << 1) | ((rm >> 3) & 1);
}
