/**
 * A block of two panels, 16 rows, in 512-bit registers: its quants, its scales, and what a sum gains by it. The steps are those of
 * ../block-sums.ts, in the same order, so the bits are the same. Registers all the way through a block:
 *
 *   0…7    its quants, group by group of four columns, as unsigned bytes
 *   8…19   T of up to twelve activation rows; before that, what scales and high bits are made of
 *   20…23  scales of its halves, minima of its halves, as f32
 *   24     in between
 *   25…31  constants
 */
import { at, type Code, type General, type Place, rax, type VectorRegister } from '../../../native/x64/code.ts';
import { blockBytes, hasSuperBlocks, headBytes, highAt, minAt, type Packing, scaleAt } from '../packing.ts';

export const T = 8;
const WORDS = 14;
const PLANE = 15;
const SECOND_PLANE = 16;
const SCALE = 20;
const MINIMUM = 22;
const BETWEEN = 24;
/** Levels of a group, and of one that is read beside it. */
export const TABLES: readonly VectorRegister[] = [25, 17];
const ONE_OF_HALF = 26;
const MINUS_OFFSET = 28;
const HIGH_MASK = 30;
const NIBBLE = 31;

/**
 * How far ahead of its use a weight is asked for, in bytes: what memory sends while a line is waited for. Half of it is less than
 * the processor asks for by itself, and hinders that (Zen 5: 0.8 × the speed).
 */
const AHEAD = 4096;
const LINE = 64;

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
      if (offset > 0) this.#fill(MINUS_OFFSET + half, factors(-offset));
      if (minima) this.#fill(ONE_OF_HALF + half, factors(1));
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

  /** Quants of two panels, the first at w, as unsigned bytes. */
  quants(w: General, table = TABLES[0]!): void {
    const code = this.#code;
    const { lowBytes, highBytes, isTable } = this.#packing;
    const next = blockBytes(this.#packing);
    const both = (target: VectorRegister, from: number) => code.loadHalves(target, at(w, from), at(w, next + from));
    if (lowBytes === 256) {
      for (let k = 0; k < 8; k++) both(k, 32 * k);
      return;
    }
    for (let k = 0; k < 4; k++) {
      both(k + 4, 32 * k);
      code.three('and', k, k + 4, NIBBLE);
      code.shift('wordsRight', k + 4, k + 4, 4);
      code.three('and', k + 4, k + 4, NIBBLE);
    }
    if (isTable) for (let k = 0; k < 8; k++) code.three('pick', k, table, k);
    if (highBytes === 0) return;
    both(PLANE, highAt(this.#packing));
    if (highBytes === 64) both(SECOND_PLANE, highAt(this.#packing) + 32);
    for (let k = 0; k < 8; k++) {
      const plane = highBytes === 64 && k >= 4 ? SECOND_PLANE : PLANE;
      const place = highBytes === 64 ? 2 * (k & 3) : k;
      const moved = place === 4 ? plane : BETWEEN;
      if (place < 4) code.shift('wordsLeft', BETWEEN, plane, 4 - place);
      if (place > 4) code.shift('wordsRight', BETWEEN, plane, place - 4);
      code.orAnd(k, moved, HIGH_MASK);
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

  /** target = −offset · Σ q_x of a half, whose pair of sums is at `sums` */
  begin(target: VectorRegister, sums: Place, half: number): void {
    this.#code.three('xor', target, target, target);
    if (this.#packing.offset > 0) this.#code.three('dotPairs', target, MINUS_OFFSET + half, sums);
  }

  /** sum = sum + (f32(T) · a − b · f32(Σ q_x)) · dx, where the sum is in a register or in memory. Changes T. */
  added(sum: VectorRegister | Place, T: VectorRegister, half: number, scale: Place, sums: Place): void {
    const code = this.#code;
    code.two('toFloats', T, T);
    code.three('multiply', T, T, SCALE + half);
    if (this.#packing.minima) {
      code.three('xor', BETWEEN, BETWEEN, BETWEEN);
      code.three('dotPairs', BETWEEN, ONE_OF_HALF + half, sums);
      code.two('toFloats', BETWEEN, BETWEEN);
      code.three('multiply', BETWEEN, BETWEEN, MINIMUM + half);
      // a minimum of a block's own is added, one of a super-block is taken off
      code.three(hasSuperBlocks(this.#packing) ? 'subtract' : 'addFloats', T, T, BETWEEN);
    }
    code.three('multiply', T, T, scale);
    if (typeof sum === 'number') {
      code.three('addFloats', sum, sum, T);
    } else {
      code.three('addFloats', T, T, sum);
      code.storeVector(sum, T);
    }
  }

  /** Asks for the lines that follow, as many as so many bytes at `w` are: all are asked for where all are gone over. */
  ahead(w: General, bytes = 2 * blockBytes(this.#packing)): void {
    for (let line = 0; line < bytes; line += LINE) this.#code.prefetch(at(w, AHEAD + line));
  }
}
