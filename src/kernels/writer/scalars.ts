/** The numbers of kernels. Methods are WebAssembly's instructions; a number of TypeScript stands for a constant. */
import { body, type Item, say, sayOf } from './body.ts';
import type { Type } from './instructions.ts';

export abstract class Value {
  readonly item: Item;
  constructor(item: Item) {
    this.item = item;
  }
}

export interface ValueClass<V extends Value> {
  new (item: Item): V;
  readonly type: Type;
}

function constant(type: Type, number: number): Item {
  return body().everywhere({ is: 'constant', number }, type);
}

export const whole = (value: I32 | number): Item => (typeof value === 'number' ? constant('i32', value) : value.item);
export const real = (value: F32 | number): Item => (typeof value === 'number' ? constant('f32', value) : value.item);
const double = (value: F64 | number): Item => (typeof value === 'number' ? constant('f64', value) : value.item);

/** The number of a constant, or null. */
const numberOf = (item: Item): number | null => (item.what.is === 'constant' ? item.what.number : null);
const isAdd = (item: Item): boolean => item.what.is === 'instruction' && item.what.instruction.name === 'i32.add';

/** Whole numbers of 32 bits, and addresses of bytes. */
export class I32 extends Value {
  static readonly type = 'i32';
  static of(value: I32 | number): I32 {
    return typeof value === 'number' ? new I32(constant('i32', value)) : value;
  }
  static load(at: I32, offset = 0): I32 {
    return new I32(sayAt('i32.load', at, offset));
  }
  static loadByte(at: I32, offset = 0): I32 {
    return new I32(sayAt('i32.load8_u', at, offset));
  }
  static loadSignedByte(at: I32, offset = 0): I32 {
    return new I32(sayAt('i32.load8_s', at, offset));
  }
  static loadHalf(at: I32, offset = 0): I32 {
    return new I32(sayAt('i32.load16_u', at, offset));
  }

  /** Constants join, so that what is known when the kernel is written costs nothing. */
  add(other: I32 | number): I32 {
    const added = typeof other === 'number' ? other : numberOf(other.item);
    const mine = numberOf(this.item);
    if (added === 0) return this;
    if (mine !== null && added !== null) return I32.of((mine + added) | 0);
    if (mine === 0 && typeof other !== 'number') return other;
    if (added !== null && isAdd(this.item)) {
      const [base, more] = this.item.operands;
      const before = numberOf(more!);
      if (before !== null) return new I32(base!).add((before + added) | 0);
    }
    return new I32(say('i32.add', [this.item, whole(other)]));
  }
  sub(other: I32 | number): I32 {
    return typeof other === 'number' ? this.add(-other) : new I32(say('i32.sub', [this.item, other.item]));
  }
  mul(other: I32 | number): I32 {
    const factor = typeof other === 'number' ? other : numberOf(other.item);
    const mine = numberOf(this.item);
    if (factor === 1) return this;
    if (mine !== null && factor !== null) return I32.of(Math.imul(mine, factor));
    if (factor !== null && factor > 0 && (factor & (factor - 1)) === 0) return this.shl(31 - Math.clz32(factor));
    return new I32(say('i32.mul', [this.item, whole(other)]));
  }
  /** Unsigned. */
  div(other: I32 | number): I32 {
    return this.#with('i32.div_u', other);
  }
  /** Unsigned. */
  rem(other: I32 | number): I32 {
    return this.#with('i32.rem_u', other);
  }
  and(other: I32 | number): I32 {
    return this.#with('i32.and', other);
  }
  or(other: I32 | number): I32 {
    return this.#with('i32.or', other);
  }
  xor(other: I32 | number): I32 {
    return this.#with('i32.xor', other);
  }
  shl(bits: I32 | number): I32 {
    return bits === 0 ? this : this.#with('i32.shl', bits);
  }
  /** Unsigned. */
  shr(bits: I32 | number): I32 {
    return bits === 0 ? this : this.#with('i32.shr_u', bits);
  }
  shrSigned(bits: I32 | number): I32 {
    return this.#with('i32.shr_s', bits);
  }
  eq(other: I32 | number): I32 {
    return this.#with('i32.eq', other);
  }
  ne(other: I32 | number): I32 {
    return this.#with('i32.ne', other);
  }
  /** Comparisons are unsigned, as of addresses and counts. */
  lt(other: I32 | number): I32 {
    return this.#with('i32.lt_u', other);
  }
  le(other: I32 | number): I32 {
    return this.#with('i32.le_u', other);
  }
  gt(other: I32 | number): I32 {
    return this.#with('i32.gt_u', other);
  }
  ge(other: I32 | number): I32 {
    return this.#with('i32.ge_u', other);
  }
  ltSigned(other: I32 | number): I32 {
    return this.#with('i32.lt_s', other);
  }
  geSigned(other: I32 | number): I32 {
    return this.#with('i32.ge_s', other);
  }
  /** Zeros ahead of the highest bit that is set; how many bits are set. */
  leadingZeros(): I32 {
    return new I32(say('i32.clz', [this.item]));
  }
  bitCount(): I32 {
    return new I32(say('i32.popcnt', [this.item]));
  }
  not(): I32 {
    return new I32(say('i32.eqz', [this.item]));
  }
  /** Unsigned. */
  min(other: I32 | number): I32 {
    const it = I32.of(other);
    return choose(this.lt(it), this, it);
  }
  /** Unsigned. */
  max(other: I32 | number): I32 {
    const it = I32.of(other);
    return choose(this.gt(it), this, it);
  }
  toF32(): F32 {
    return new F32(say('f32.convert_i32_u', [this.item]));
  }
  /** Of a number with a sign. */
  toF32Signed(): F32 {
    return new F32(say('f32.convert_i32_s', [this.item]));
  }
  toF64(): F64 {
    return new F64(say('f64.convert_i32_u', [this.item]));
  }
  toF64Signed(): F64 {
    return new F64(say('f64.convert_i32_s', [this.item]));
  }
  /** The number whose bits these are. */
  asF32(): F32 {
    return new F32(say('f32.reinterpret_i32', [this.item]));
  }

  #with(name: string, other: I32 | number): I32 {
    return new I32(say(name, [this.item, whole(other)]));
  }
}

export class F32 extends Value {
  static readonly type = 'f32';
  static of(value: F32 | number): F32 {
    return typeof value === 'number' ? new F32(constant('f32', value)) : value;
  }
  static load(at: I32, offset = 0): F32 {
    return new F32(sayAt('f32.load', at, offset));
  }
  add(other: F32 | number): F32 {
    return this.#with('f32.add', other);
  }
  sub(other: F32 | number): F32 {
    return this.#with('f32.sub', other);
  }
  mul(other: F32 | number): F32 {
    return this.#with('f32.mul', other);
  }
  div(other: F32 | number): F32 {
    return this.#with('f32.div', other);
  }
  sqrt(): F32 {
    return new F32(say('f32.sqrt', [this.item]));
  }
  neg(): F32 {
    return new F32(say('f32.neg', [this.item]));
  }
  abs(): F32 {
    return new F32(say('f32.abs', [this.item]));
  }
  /** To the nearest whole number, ties to even. */
  nearest(): F32 {
    return new F32(say('f32.nearest', [this.item]));
  }
  floor(): F32 {
    return new F32(say('f32.floor', [this.item]));
  }
  min(other: F32 | number): F32 {
    return this.#with('f32.min', other);
  }
  max(other: F32 | number): F32 {
    return this.#with('f32.max', other);
  }
  eq(other: F32 | number): I32 {
    return new I32(say('f32.eq', [this.item, real(other)]));
  }
  lt(other: F32 | number): I32 {
    return new I32(say('f32.lt', [this.item, real(other)]));
  }
  le(other: F32 | number): I32 {
    return new I32(say('f32.le', [this.item, real(other)]));
  }
  toF64(): F64 {
    return new F64(say('f64.promote_f32', [this.item]));
  }
  /** Towards 0; with a sign. */
  toI32(): I32 {
    return new I32(say('i32.trunc_sat_f32_s', [this.item]));
  }
  /** Its 32 bits. */
  asI32(): I32 {
    return new I32(say('i32.reinterpret_f32', [this.item]));
  }
  #with(name: string, other: F32 | number): F32 {
    return new F32(say(name, [this.item, real(other)]));
  }
}

export class F64 extends Value {
  static readonly type = 'f64';
  static of(value: F64 | number): F64 {
    return typeof value === 'number' ? new F64(constant('f64', value)) : value;
  }
  static load(at: I32, offset = 0): F64 {
    return new F64(sayAt('f64.load', at, offset));
  }
  add(other: F64 | number): F64 {
    return this.#with('f64.add', other);
  }
  sub(other: F64 | number): F64 {
    return this.#with('f64.sub', other);
  }
  mul(other: F64 | number): F64 {
    return this.#with('f64.mul', other);
  }
  div(other: F64 | number): F64 {
    return this.#with('f64.div', other);
  }
  sqrt(): F64 {
    return new F64(say('f64.sqrt', [this.item]));
  }
  /** The smaller and the larger; NaN where either is. */
  min(other: F64 | number): F64 {
    return this.#with('f64.min', other);
  }
  max(other: F64 | number): F64 {
    return this.#with('f64.max', other);
  }
  /** To the nearest whole number, ties to even. */
  nearest(): F64 {
    return new F64(say('f64.nearest', [this.item]));
  }
  /** Towards 0; with a sign. */
  toI32(): I32 {
    return new I32(say('i32.trunc_sat_f64_s', [this.item]));
  }
  toF32(): F32 {
    return new F32(say('f32.demote_f64', [this.item]));
  }
  #with(name: string, other: F64 | number): F64 {
    return new F64(say(name, [this.item, double(other)]));
  }
}

/** The first where the condition is not 0, else the second; both are computed. */
export function choose<V extends Value>(condition: I32, first: V, second: V): V {
  const { type } = first.item;
  return new (first.constructor as ValueClass<V>)(sayOf(type!, 'select', [first.item, second.item, condition.item]));
}

/** A load; a constant that is part of the address becomes part of the offset, which costs nothing. */
export function sayAt(name: string, at: I32, offset: number): Item {
  const [base, from] = split(at, offset);
  return say(name, [base.item], [from]);
}

/** An address as what is added to it when the kernel runs, and what is known before. */
export function split(at: I32, offset: number): [I32, number] {
  const number = numberOf(at.item);
  if (number !== null) return [I32.of(0), number + offset];
  if (!isAdd(at.item)) return [at, offset];
  const [base, more] = at.item.operands;
  const added = numberOf(more!);
  return added !== null && added >= 0 ? [new I32(base!), added + offset] : [at, offset];
}
