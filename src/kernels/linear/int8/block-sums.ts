/**
 * What matrix-vector and matrix-matrix products over int8 activations do with a block of 32 columns, type by type. Integer and exact:
 *
 *   T = Σ (q_w − offset) · q_x     over the block, or over each half of it where a half has a scale of its own
 *
 * then, block after block (and half after half), with plain multiplications and additions, never fused:
 *
 *   acc = acc + (f32(T) · a − b · f32(Σ q_x)) · dx     a = d, or d · sub-scale     b = minimum, where the type has one
 *
 * A sum grows by four products a lane at a time. Where the engine has an instruction for that (hasDot), it is i32 from the start, and
 * quants of 8 bits go in as they are. Elsewhere they go in as nibbles, low ones and then high ones ("split"), and what has no more than 4
 * bits grows i16 sums ("narrow"), which 8 groups of 2·15·127 fit. Levels of a table go in with the offset added: i8 as 0…255, small
 * ones as 0…127.
 */
import { kept, zeros } from '../../lanes.ts';
import { body } from '../../writer/body.ts';
import { F32x4, I8x16, I16x8, type I32, I32x4 } from '../../writer/values.ts';
import { hasSuperBlocks, minAt, type Packing, scaleAt } from './packing.ts';

/** A sum that grows; of narrow ones the lanes are i16. */
export type Sum = I32x4;

/** The sums of one kind of blocks, with the constants that they need; to be made once in a kernel, outside its loops. */
export class BlockSums {
  readonly packing: Packing;
  readonly isSplit: boolean;
  readonly #hasDot: boolean;
  readonly #isNarrow: boolean;
  readonly #nibble = kept(I8x16.splat(15));
  readonly #ones = kept(I16x8.splat(1));
  readonly #sixteens = kept(I16x8.splat(16));
  readonly #highMask: I8x16;
  readonly #minusOffset: readonly I16x8[];
  readonly #plusOne: readonly I16x8[];
  readonly #f16Bits = kept(I32x4.splat(0x8fffe000 | 0));
  /** 2¹¹², the difference of the exponents' biases of f32 and f16. */
  readonly #f16Power = kept(I32x4.splat(0x77800000)).as(F32x4);

  constructor(packing: Packing) {
    const { target } = body();
    this.packing = packing;
    this.#hasDot = target.hasDot;
    this.isSplit = !target.hasDot && packing.offset === 128;
    this.#isNarrow = !target.hasDot && (packing.isTable ? this.isSplit : packing.highBytes === 0);
    this.#highMask = kept(I8x16.splat(packing.highBytes === 64 ? 0x30 : 0x10));
    this.#minusOffset = [0, 1].map((half) => this.#picker(half, -packing.offset));
    this.#plusOne = [0, 1].map((half) => this.#picker(half, 1));
  }

  /** Picks, by I16x8.dot, `factor` × the sum of a block's activations out of (first half, second half): the whole, or one half. */
  #picker(half: number, factor: number): I16x8 {
    if (!this.packing.isHalved) return kept(I16x8.splat(factor));
    return kept(I32x4.splat(half === 0 ? factor & 0xffff : factor << 16)).as(I16x8);
  }

  // ---- T

  /** −offset · Σ q_x. `sums`: Σ q_x of the first and of the second half, i16. */
  start(sums: I16x8, half = 0): I32x4 {
    return this.packing.offset === 0 ? zeros(I32x4) : sums.dot(this.#minusOffset[half]!);
  }
  /** What a sum grows from when T is to begin with `start`. */
  begin(start: I32x4): Sum {
    return this.#isNarrow ? zeros(I32x4) : start;
  }
  /** sum + four products a lane: of i8 (x) and of 0…127 (quants; with hasDot 0…255). */
  step(x: I8x16, quants: I8x16, sum: Sum): Sum {
    if (this.#hasDot) return x.dotAdd(quants, sum);
    const products = x.dotPairs(quants);
    if (this.#isNarrow) return sum.as(I16x8).add(products).as(I32x4);
    return sum.add(products.dot(I16x8.splat(1)));
  }
  /** T, of a sum that began with `begin(start)`. `times16`: its quants were high nibbles of split ones. */
  end(sum: Sum, start: I32x4, times16 = false): I32x4 {
    return this.#isNarrow
      ? sum
          .as(I16x8)
          .dot(times16 ? this.#sixteens : this.#ones)
          .add(start)
      : sum;
  }

  // ---- quants

  /** The levels at `at`, with the offset added. */
  wholeLevels(at: I32): I8x16 {
    return I8x16.load(at).add(I8x16.splat(this.packing.offset));
  }
  /** … and where they are split the low or the high half of every level. */
  levels(at: I32, high: boolean): I8x16 {
    const whole = this.wholeLevels(at);
    if (!this.isSplit) return whole;
    return (high ? whole.as(I16x8).shr(4).as(I8x16) : whole).and(I8x16.splat(15));
  }

  #low(packed: I8x16): I8x16 {
    return packed.and(this.#nibble);
  }
  #high(packed: I8x16): I8x16 {
    return packed.as(I16x8).shr(4).as(I8x16).and(this.#nibble);
  }

  /**
   * Group g (0…7: of four columns) of a block, out of the bytes that hold it. `plane`: of high bits, where a quant has two the half that
   * holds the group; of table types the levels.
   */
  quants(packed: I8x16, plane: I8x16, g: number): I8x16 {
    const { lowBytes, highBytes, isTable } = this.packing;
    if (lowBytes === 256) return packed;
    const nibbles = g < 4 ? this.#low(packed) : this.#high(packed);
    if (isTable) return plane.pick(nibbles);
    return highBytes === 0 ? nibbles : nibbles.or(this.#highBits(plane, g));
  }

  /** Group k; where quants are split, one part of it: `plane` is then the levels' part. */
  part(packed: I8x16, plane: I8x16, k: number, isHigh: boolean): I8x16 {
    if (!this.isSplit) return this.quants(packed, plane, k);
    if (this.packing.isTable) return plane.pick(k < 4 ? this.#low(packed) : this.#high(packed));
    return isHigh ? this.#high(packed) : this.#low(packed);
  }

  /** High nibbles, 16-fold. */
  highInPlace(packed: I8x16): I8x16 {
    return packed.andNot(this.#nibble);
  }

  /** The high bits of group g, moved to where they belong. */
  #highBits(plane: I8x16, g: number): I8x16 {
    const place = this.packing.highBytes === 64 ? 2 * (g & 3) : g;
    const wide = plane.as(I16x8);
    return (place < 4 ? wide.shl(4 - place) : wide.shr(place - 4)).as(I8x16).and(this.#highMask);
  }

  // ---- scales

  /** f32(Σ q_x), where there are minima. */
  sumOfX(sums: I16x8, half = 0): F32x4 {
    return sums.dot(this.#plusOne[half]!).toF32x4();
  }

  /** Four of a block's own scales or, 16 bytes on, minima, as f32. Packing refuses what is not finite. */
  blockScale(at: I32, offset: number): F32x4 {
    const wide = I32x4.loadHalves(at, offset);
    if (this.packing.scale === 'bf16') return wide.shl(16).as(F32x4);
    return wide.shl(13).and(this.#f16Bits).as(F32x4).mul(this.#f16Power);
  }

  /** A block's whole-numbered scales of four rows, as i16 pairs, and those of its minima. `w`: the block; `rows`: 0 or 1. */
  scaleWords(w: I32, rows: number): I32x4 {
    const at = scaleAt(this.packing) + 8 * rows;
    return (this.packing.scale === 'signed' ? I16x8.loadSigned(w, at) : I16x8.loadUnsigned(w, at)).as(I32x4);
  }
  minimumWords(w: I32, rows: number, scales: I32x4): I32x4 {
    return this.packing.minima === 'beside' ? scales : I16x8.loadUnsigned(w, minAt(this.packing) + 8 * rows).as(I32x4);
  }

  /** a, of d and the words of the scales. */
  scale(d: F32x4, words: I32x4, half: number): F32x4 {
    return hasSuperBlocks(this.packing) ? d.mul(asFloat(words, half)) : d;
  }
  /** b, of dmin (or of a block's own minimum) and the words of the minima; null where there are none. */
  minimum(dmin: F32x4, words: I32x4, half: number): F32x4 | null {
    const { minima } = this.packing;
    if (minima === null) return null;
    if (!hasSuperBlocks(this.packing)) return dmin.neg();
    return dmin.mul(asFloat(words, minima === 'beside' ? 1 : half));
  }

  /** acc + what a block (or half) adds. */
  added(acc: F32x4, T: I32x4, a: F32x4, b: F32x4 | null, sumOfX: F32x4, dx: F32x4): F32x4 {
    const product = T.toF32x4().mul(a);
    return acc.add((b ? product.sub(b.mul(sumOfX)) : product).mul(dx));
  }
}

/** The first or the second of four i16 pairs. */
function asFloat(pairs: I32x4, which: number): F32x4 {
  return (which === 0 ? pairs.shl(16) : pairs).shrSigned(16).toF32x4();
}
