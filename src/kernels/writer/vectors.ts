/** The vectors of kernels: 128 bits, seen as lanes of one type; `as` sees the same bits as lanes of another. */
import { body, type Item, say } from './body.ts';
import { F32, F64, I32, real, sayAt, Value, type ValueClass, whole } from './scalars.ts';

/** 128 bits. */
export abstract class Vector extends Value {
  static readonly type = 'v128';

  /** The same bits as lanes of another type. */
  as<V extends Vector>(lanes: ValueClass<V>): V {
    return new lanes(this.item);
  }
}

/** What lanes of every type can do, for a class of lanes. */
abstract class Lanes<Self extends Vector> extends Vector {
  abstract like(item: Item): Self;

  and(other: Vector): Self {
    return this.with('v128.and', other);
  }
  /** this and not other */
  andNot(other: Vector): Self {
    return this.with('v128.andnot', other);
  }
  or(other: Vector): Self {
    return this.with('v128.or', other);
  }
  xor(other: Vector): Self {
    return this.with('v128.xor', other);
  }
  /** Bits of this where those of the condition are set, else the other's. */
  where(condition: Vector, other: Self): Self {
    return this.like(say('v128.bitselect', [this.item, other.item, condition.item]));
  }
  /** Whether any bit is set. */
  any(): I32 {
    return new I32(say('v128.any_true', [this.item]));
  }
  protected with(name: string, other: Vector): Self {
    return this.like(say(name, [this.item, other.item]));
  }
  protected by(name: string, bits: I32 | number): Self {
    return this.like(say(name, [this.item, whole(bits)]));
  }
}

export class I8x16 extends Lanes<I8x16> {
  like(item: Item): I8x16 {
    return new I8x16(item);
  }
  static splat(value: I32 | number): I8x16 {
    return new I8x16(say('i8x16.splat', [whole(value)]));
  }
  static load(at: I32, offset = 0): I8x16 {
    return new I8x16(sayAt('v128.load', at, offset));
  }
  /** Four bytes, four times. */
  static loadSplat(at: I32, offset = 0): I8x16 {
    return new I8x16(sayAt('v128.load32_splat', at, offset));
  }
  add(other: I8x16): I8x16 {
    return this.with('i8x16.add', other);
  }
  sub(other: I8x16): I8x16 {
    return this.with('i8x16.sub', other);
  }
  /** Unsigned. */
  shr(bits: I32 | number): I8x16 {
    return this.by('i8x16.shr_u', bits);
  }
  /** The first or the last eight, with their sign. */
  widenLow(): I16x8 {
    return new I16x8(say('i16x8.extend_low_i8x16_s', [this.item]));
  }
  widenHigh(): I16x8 {
    return new I16x8(say('i16x8.extend_high_i8x16_s', [this.item]));
  }
  shuffle(other: I8x16, ...lanes: number[]): I8x16 {
    return new I8x16(say('i8x16.shuffle', [this.item, other.item], lanes));
  }
  /**
   * Sixteen products of i8 (this) and 0…127 (other), added in neighbouring pairs. Exact while 2·127·max(other) < 2¹⁵, which holds there,
   * so that the relaxed instruction and the plain form agree.
   */
  dotPairs(other: I8x16): I16x8 {
    if (body().target.isRelaxed) return new I16x8(say('i16x8.relaxed_dot_i8x16_i7x16_s', [this.item, other.item]));
    const low = new I16x8(say('i16x8.extmul_low_i8x16_s', [this.item, other.item]));
    const high = new I16x8(say('i16x8.extmul_high_i8x16_s', [this.item, other.item]));
    const halves = (odd: number) =>
      [0, 2, 4, 6, 8, 10, 12, 14].flatMap((lane) => [2 * (lane + odd), 2 * (lane + odd) + 1]);
    const [bytes, more] = [low.as(I8x16), high.as(I8x16)];
    return bytes
      .shuffle(more, ...halves(0))
      .as(I16x8)
      .add(bytes.shuffle(more, ...halves(1)).as(I16x8));
  }
  /** sum + products of i8 (this) and 0…255 (other), four to a lane; where the target has such an instruction. */
  dotAdd(other: I8x16, sum: I32x4): I32x4 {
    return new I32x4(say('i32x4.relaxed_dot_i8x16_i7x16_add_s', [this.item, other.item, sum.item]));
  }
  /** The bytes of this that `places` (0…15) name; of others nothing is promised. */
  pick(places: I8x16): I8x16 {
    return this.with(body().target.isRelaxed ? 'i8x16.relaxed_swizzle' : 'i8x16.swizzle', places);
  }
}

export class I16x8 extends Lanes<I16x8> {
  like(item: Item): I16x8 {
    return new I16x8(item);
  }
  static splat(value: I32 | number): I16x8 {
    return new I16x8(say('i16x8.splat', [whole(value)]));
  }
  static load(at: I32, offset = 0): I16x8 {
    return new I16x8(sayAt('v128.load', at, offset));
  }
  /** Eight bytes, widened. */
  static loadSigned(at: I32, offset = 0): I16x8 {
    return new I16x8(sayAt('v128.load8x8_s', at, offset));
  }
  static loadUnsigned(at: I32, offset = 0): I16x8 {
    return new I16x8(sayAt('v128.load8x8_u', at, offset));
  }
  add(other: I16x8): I16x8 {
    return this.with('i16x8.add', other);
  }
  sub(other: I16x8): I16x8 {
    return this.with('i16x8.sub', other);
  }
  mul(other: I16x8): I16x8 {
    return this.with('i16x8.mul', other);
  }
  shl(bits: I32 | number): I16x8 {
    return this.by('i16x8.shl', bits);
  }
  /** Unsigned. */
  shr(bits: I32 | number): I16x8 {
    return this.by('i16x8.shr_u', bits);
  }
  shrSigned(bits: I32 | number): I16x8 {
    return this.by('i16x8.shr_s', bits);
  }
  max(other: I16x8): I16x8 {
    return this.with('i16x8.max_s', other);
  }
  gt(other: I16x8): I16x8 {
    return this.with('i16x8.gt_s', other);
  }
  /** The first or the last four, with their sign. */
  widenLow(): I32x4 {
    return new I32x4(say('i32x4.extend_low_i16x8_s', [this.item]));
  }
  widenHigh(): I32x4 {
    return new I32x4(say('i32x4.extend_high_i16x8_s', [this.item]));
  }
  /** Products added in neighbouring pairs. */
  dot(other: I16x8): I32x4 {
    return new I32x4(say('i32x4.dot_i16x8_s', [this.item, other.item]));
  }
  /** This and the other, narrowed with saturation. */
  narrow(other: I16x8): I8x16 {
    return new I8x16(say('i8x16.narrow_i16x8_s', [this.item, other.item]));
  }
}

export class I32x4 extends Lanes<I32x4> {
  like(item: Item): I32x4 {
    return new I32x4(item);
  }
  static splat(value: I32 | number): I32x4 {
    return new I32x4(say('i32x4.splat', [whole(value)]));
  }
  static load(at: I32, offset = 0): I32x4 {
    return new I32x4(sayAt('v128.load', at, offset));
  }
  /** The same in every lane, out of memory: cheaper than a literal that is used often. */
  static constant(value: number): I32x4 {
    return new I32x4(loadConstant(body().constants.place(value)));
  }
  /** One word, four times. */
  static loadSplat(at: I32, offset = 0): I32x4 {
    return new I32x4(sayAt('v128.load32_splat', at, offset));
  }
  /** Four halves, widened with their sign. */
  static loadHalves(at: I32, offset = 0): I32x4 {
    return new I32x4(sayAt('v128.load16x4_s', at, offset));
  }
  /** … and without. */
  static loadUnsignedHalves(at: I32, offset = 0): I32x4 {
    return new I32x4(sayAt('v128.load16x4_u', at, offset));
  }
  add(other: I32x4): I32x4 {
    return this.with('i32x4.add', other);
  }
  sub(other: I32x4): I32x4 {
    return this.with('i32x4.sub', other);
  }
  mul(other: I32x4): I32x4 {
    return this.with('i32x4.mul', other);
  }
  max(other: I32x4): I32x4 {
    return this.with('i32x4.max_s', other);
  }
  /** Unsigned. */
  ge(other: I32x4): I32x4 {
    return this.with('i32x4.ge_u', other);
  }
  shl(bits: I32 | number): I32x4 {
    return this.by('i32x4.shl', bits);
  }
  /** Unsigned. */
  shr(bits: I32 | number): I32x4 {
    return this.by('i32x4.shr_u', bits);
  }
  shrSigned(bits: I32 | number): I32x4 {
    return this.by('i32x4.shr_s', bits);
  }
  lane(index: number): I32 {
    return new I32(say('i32x4.extract_lane', [this.item], [index]));
  }
  /** With another number in one lane. */
  insert(index: number, value: I32 | number): I32x4 {
    return new I32x4(say('i32x4.replace_lane', [this.item, whole(value)], [index]));
  }
  shuffle(other: I32x4, ...lanes: number[]): I32x4 {
    return new I32x4(say('i8x16.shuffle', [this.item, other.item], lanes.flatMap(wordBytes)));
  }
  narrow(other: I32x4): I16x8 {
    return new I16x8(say('i16x8.narrow_i32x4_s', [this.item, other.item]));
  }
  toF32x4(): F32x4 {
    return new F32x4(say('f32x4.convert_i32x4_s', [this.item]));
  }
}

export class F32x4 extends Lanes<F32x4> {
  like(item: Item): F32x4 {
    return new F32x4(item);
  }
  static splat(value: F32 | number): F32x4 {
    return new F32x4(say('f32x4.splat', [real(value)]));
  }
  /** The same in every lane, out of memory: cheaper than a literal that is used often. */
  static constant(value: number): F32x4 {
    return new F32x4(loadConstant(body().constants.placeF32(value)));
  }
  static load(at: I32, offset = 0): F32x4 {
    return new F32x4(sayAt('v128.load', at, offset));
  }
  static loadSplat(at: I32, offset = 0): F32x4 {
    return new F32x4(sayAt('v128.load32_splat', at, offset));
  }
  add(other: F32x4): F32x4 {
    return this.with('f32x4.add', other);
  }
  sub(other: F32x4): F32x4 {
    return this.with('f32x4.sub', other);
  }
  mul(other: F32x4): F32x4 {
    return this.with('f32x4.mul', other);
  }
  div(other: F32x4): F32x4 {
    return this.with('f32x4.div', other);
  }
  /** The smaller lane, of this where the other is NaN. */
  pmin(other: F32x4): F32x4 {
    return this.with('f32x4.pmin', other);
  }
  pmax(other: F32x4): F32x4 {
    return this.with('f32x4.pmax', other);
  }
  lt(other: F32x4): I32x4 {
    return new I32x4(say('f32x4.lt', [this.item, other.item]));
  }
  le(other: F32x4): I32x4 {
    return new I32x4(say('f32x4.le', [this.item, other.item]));
  }
  ge(other: F32x4): I32x4 {
    return new I32x4(say('f32x4.ge', [this.item, other.item]));
  }
  neg(): F32x4 {
    return new F32x4(say('f32x4.neg', [this.item]));
  }
  abs(): F32x4 {
    return new F32x4(say('f32x4.abs', [this.item]));
  }
  sqrt(): F32x4 {
    return new F32x4(say('f32x4.sqrt', [this.item]));
  }
  /** this · factor + added; fused where the target fuses, so that builds may differ in the last bit. */
  mulAdd(factor: F32x4, added: F32x4): F32x4 {
    if (!body().target.isRelaxed) return this.mul(factor).add(added);
    return new F32x4(say('f32x4.relaxed_madd', [this.item, factor.item, added.item]));
  }
  lane(index: number): F32 {
    return new F32(say('f32x4.extract_lane', [this.item], [index]));
  }
  shuffle(other: F32x4, ...lanes: number[]): F32x4 {
    return new F32x4(say('i8x16.shuffle', [this.item, other.item], lanes.flatMap(wordBytes)));
  }
  /** The first two lanes, widened. */
  toF64x2(): F64x2 {
    return new F64x2(say('f64x2.promote_low_f32x4', [this.item]));
  }
  /** The four lanes added in a fixed order. */
  sum(): F32 {
    return this.lane(0)
      .add(this.lane(1))
      .add(this.lane(2).add(this.lane(3)));
  }
}

export class F64x2 extends Lanes<F64x2> {
  like(item: Item): F64x2 {
    return new F64x2(item);
  }
  static splat(value: F64 | number): F64x2 {
    return new F64x2(say('f64x2.splat', [F64.of(value).item]));
  }
  add(other: F64x2): F64x2 {
    return this.with('f64x2.add', other);
  }
  mul(other: F64x2): F64x2 {
    return this.with('f64x2.mul', other);
  }
  lane(index: number): F64 {
    return new F64(say('f64x2.extract_lane', [this.item], [index]));
  }
}

const wordBytes = (lane: number): number[] => [4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3];

/** Once in a block, and not where a block around it has it: V8 joins nothing that loads a constant twice. */
function loadConstant(address: number): Item {
  const { current } = body();
  const item = current.find(address) ?? I32x4.loadSplat(I32.of(address)).item;
  current.loaded.set(address, item);
  return item;
}
