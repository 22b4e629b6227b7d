/**
 * A block of two panels, 16 rows, in 512-bit registers: its quants, its scales, and what a sum gains by it. The steps are those of
 * ../block-sums.ts, in the same order, so the bits are the same. Registers all the way through a block:
 *
 *   0…15   the quants of one pair of panels or of two, group by group of four columns, as unsigned bytes
 *   16…23  T, sums of products; before that, what scales and high bits are made of
 *   18…21  scales of its halves, minima of its halves, as f32
 *   24…26  in between
 *   27…31  constants
 */
import { at, type Code, type General, type Place, rax, type VectorRegister } from '../../../native/x64/code.ts';
import { blockBytes, hasSuperBlocks, headBytes, highAt, minAt, type Packing, scaleAt } from '../packing.ts';
import { ahead } from './group.ts';

export const T = 16;
const SCALE = 18;
const MINIMUM = 20;
const WORDS = 22;
const PLANES: readonly VectorRegister[] = [22, 23];
/** Of activations. */
export const X = 24;
const OTHER = 25;
const BETWEEN = 26;
/** Levels of a group, and of one that is read beside it. */
export const TABLES: readonly VectorRegister[] = [27, 12];
/** For sums of activations: what is taken off a quant, or 1 where minima are multiplied by them. */
const FACTOR = 28;
const HIGH_MASK = 30;
const NIBBLE = 31;

/** What both products do with the blocks of one packing. */
export class Blocks {
  readonly #code: Code;
  readonly #packing: Packing;
  readonly halves: number;

  constructor(code: Code, packing: Packing) {
    this.#code = code;
    this.#packing = packing;
    this.halves = packing.isHalved ? 2 : 1;
  }

  /** The constants. Changes rax. */
  constants(): void {
    const { highBytes, offset, isHalved, minima } = this.#packing;
    this.#fill(NIBBLE, 0x0f0f0f0f);
    if (highBytes > 0) this.#fill(HIGH_MASK, highBytes === 64 ? 0x30303030 : 0x10101010);
    for (let half = 0; half < this.halves; half++) {
      const factors = (factor: number) => {
        const low = factor & 0xffff;
        if (!isHalved) return low | (low << 16);
        return half === 0 ? low : low << 16;
      };
      this.#fill(FACTOR + half, factors(minima ? 1 : -offset));
    }
  }
  #fill(target: VectorRegister, value: number): void {
    this.#code.moveNumber(rax, value);
    this.#code.fill(target, rax);
  }

  /** The levels of the group whose table is at `from`, with the offset added. Changes rax. */
  levels(from: General, table = TABLES[0]!): void {
    if (!this.#packing.isTable) return;
    this.#fill(BETWEEN, this.#packing.offset * 0x01010101);
    this.#code.loadRepeated(table, at(from));
    this.#code.three('addBytes', table, table, BETWEEN);
  }

  /** Quants of two panels, the first at w, as unsigned bytes in eight registers. */
  quants(w: General, first: VectorRegister = 0, table = TABLES[0]!): void {
    const code = this.#code;
    const { lowBytes, highBytes, isTable } = this.#packing;
    const next = blockBytes(this.#packing);
    const both = (target: VectorRegister, from: number) => code.loadHalves(target, at(w, from), at(w, next + from));
    if (lowBytes === 256) {
      for (let k = 0; k < 8; k++) both(first + k, 32 * k);
      return;
    }
    for (let k = first; k < first + 4; k++) {
      both(k + 4, 32 * (k - first));
      code.three('and', k, k + 4, NIBBLE);
      code.shift('wordsRight', k + 4, k + 4, 4);
      code.three('and', k + 4, k + 4, NIBBLE);
    }
    if (isTable) for (let k = first; k < first + 8; k++) code.three('pick', k, table, k);
    if (highBytes === 0) return;
    PLANES.slice(0, highBytes / 32).forEach((plane, i) => {
      both(plane, highAt(this.#packing) + 32 * i);
    });
    for (let k = 0; k < 8; k++) {
      const plane = PLANES[highBytes === 64 ? k >> 2 : 0]!;
      const place = highBytes === 64 ? 2 * (k & 3) : k;
      const moved = place === 4 ? plane : BETWEEN;
      if (place < 4) code.shift('wordsLeft', BETWEEN, plane, 4 - place);
      if (place > 4) code.shift('wordsRight', BETWEEN, plane, place - 4);
      code.orAnd(first + k, moved, HIGH_MASK);
    }
  }

  /** Scales and minima of two panels as f32: `w` the first panel's block, `head` its super-block's scales. */
  scales(w: General, head: General, headOffset: number): void {
    const code = this.#code;
    const packing = this.#packing;
    const next = blockBytes(packing);
    const quarters = (target: VectorRegister, from: number) =>
      code.loadQuarters(target, at(w, from), at(w, next + from));
    if (!hasSuperBlocks(packing)) {
      const own = (target: VectorRegister, from: number) => {
        quarters(target, from);
        if (packing.scale === 'f16') return code.two('widenHalves', target, target);
        code.two('widenWords', target, target);
        code.shift('intsLeft', target, target, 16);
      };
      own(SCALE, scaleAt(packing));
      if (packing.minima) own(MINIMUM, scaleAt(packing) + 16);
      return;
    }
    const ofHead = (target: VectorRegister, from: number) =>
      code.loadHalves(target, at(head, headOffset + from), at(head, headOffset + headBytes(packing) + from));
    /** target = the first or second number of each pair of 16-bit ones × `by` */
    const scaled = (target: VectorRegister, which: number, by: VectorRegister) => {
      if (which === 0) code.shift('intsLeft', target, WORDS, 16);
      code.shift('intsRightSigned', target, which === 0 ? target : WORDS, 16);
      code.two('toFloats', target, target);
      code.three('multiply', target, by, target);
    };
    quarters(WORDS, scaleAt(packing));
    code.two(packing.scale === 'signed' ? 'widenSigned' : 'widenUnsigned', WORDS, WORDS);
    ofHead(BETWEEN, 0);
    for (let half = 0; half < this.halves; half++) scaled(SCALE + half, half, BETWEEN);
    if (!packing.minima) return;
    if (packing.minima === 'own') {
      quarters(WORDS, minAt(packing));
      code.two('widenUnsigned', WORDS, WORDS);
    }
    ofHead(BETWEEN, 32);
    for (let half = 0; half < this.halves; half++) {
      scaled(MINIMUM + half, packing.minima === 'beside' ? 1 : half, BETWEEN);
    }
  }

  /** Of a half: in registers, where `scales` leaves them. */
  factors(half: number) {
    return { scale: SCALE + half, minimum: MINIMUM + half };
  }
  /** … and in memory, of either pair of panels from `base` on: two vectors a half, for which scratch has room (../kernel.ts, int8Scratch). */
  factorsAt(base: Place, pair: number, half: number) {
    const vector = (i: number) => at(base.base, base.offset + 64 * (this.halves * (2 * pair + i) + half));
    return { scale: vector(0), minimum: vector(1) };
  }
  keepFactors(base: Place, pair: number): void {
    for (let half = 0; half < this.halves; half++) {
      const [from, to] = [this.factors(half), this.factorsAt(base, pair, half)];
      this.#code.storeVector(to.scale, from.scale);
      if (this.#packing.minima) this.#code.storeVector(to.minimum, from.minimum);
    }
  }

  /** target = −offset · Σ q_x of a half, whose pair of sums is at `sums` */
  begin(target: VectorRegister, sums: Place, half: number): void {
    this.#code.three('xor', target, target, target);
    if (this.#packing.offset > 0) this.#code.three('dotPairs', target, FACTOR + half, sums);
  }

  /** Σ q_x of a half for the minima of `added`. */
  sumOfX(sums: Place, half: number): void {
    if (!this.#packing.minima) return;
    this.#code.three('xor', BETWEEN, BETWEEN, BETWEEN);
    this.#code.three('dotPairs', BETWEEN, FACTOR + half, sums);
    this.#code.two('toFloats', BETWEEN, BETWEEN);
  }

  /** sum = sum + (f32(T) · a − b · f32(Σ q_x)) · dx, where the sum is in a register or in memory. Changes T. */
  added(
    sum: VectorRegister | Place,
    T: VectorRegister,
    { scale, minimum }: { readonly [name in 'scale' | 'minimum']: VectorRegister | Place },
    dx: VectorRegister | Place,
  ): void {
    const code = this.#code;
    code.two('toFloats', T, T);
    code.three('multiply', T, T, scale);
    if (this.#packing.minima) {
      code.three('multiply', OTHER, BETWEEN, minimum);
      // a minimum of a block's own is added, one of a super-block is taken off
      code.three(hasSuperBlocks(this.#packing) ? 'subtract' : 'addFloats', T, T, OTHER);
    }
    code.three('multiply', T, T, dx);
    if (typeof sum === 'number') {
      code.three('addFloats', sum, sum, T);
    } else {
      code.three('addFloats', T, T, sum);
      code.storeVector(sum, T);
    }
  }

  /** Asks for the lines that follow two panels' blocks. */
  ahead(w: General): void {
    ahead(this.#code, w, 2 * blockBytes(this.#packing));
  }
}
