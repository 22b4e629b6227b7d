/**
 * A block of a panel, 8 rows, in registers of 128 bits, four rows each: its quants, its scales, and what a sum gains by it. The steps are
 * those of ../block-sums.ts, in the same order, so the bits are the same. Quants go in as signed bytes: those of eight bits and the
 * levels of tables as they are meant, others with their offset, which comes off by the sum of the activations.
 */
import { at, type Code, type General, type VectorRegister, x8, x9 } from '../../../native/arm64/code.ts';
import type { Frame } from '../../../native/arm64/frame.ts';
import { QUANTIZED_GROUP_PANELS } from '../../../tasks.ts';
import { blockBytes, hasSuperBlocks, headBytes, highAt, minAt, type Packing, scaleAt } from '../packing.ts';

/** Between `constants` and the last quants: the mask of nibbles; that of high bits, the levels, or what makes quants of eight bits signed. */
const [NIBBLE, MORE] = [6, 7] as const;
const PLANES: readonly VectorRegister[] = [8, 9];
const [PACKED, BETWEEN, WORDS] = [10, 11, 13] as const;
/** What `scales` gives. */
export const [SCALE, MINIMUM] = [12, 14] as const;

/** Rows 0…3 or rows 4…7 of a panel. */
export type Rows = 0 | 1;
export const bothRows: readonly Rows[] = [0, 1];

/** A tile of R activation rows: where a block's scales and sums are, and how long it is (../../quantize.kernel.ts). */
export const tileOf = (R: number) => ({ scales: 32 * R, sums: 36 * R, bytes: 40 * R });

export class Blocks {
  readonly packing: Packing;
  readonly halves: readonly number[];
  /** What the sum of the activations takes off a sum. */
  readonly offset: number;
  readonly #code: Code;

  constructor(code: Code, packing: Packing) {
    this.#code = code;
    this.packing = packing;
    this.halves = packing.isHalved ? [0, 1] : [0];
    this.offset = packing.isTable || packing.lowBytes === 256 ? 0 : packing.offset;
  }

  /** `levels`: where those of the group are. */
  constants(levels: General): void {
    const { highBytes, isTable, lowBytes } = this.packing;
    this.#code.fillBytes(NIBBLE, 0x0f);
    if (isTable) this.#code.moveBytes('loadVector', MORE, at(levels));
    else if (lowBytes === 256) this.#code.fillBytes(MORE, 0x80);
    else if (highBytes > 0) this.#code.fillBytes(MORE, highBytes === 64 ? 0x30 : 0x10);
  }

  /** Quants of four rows, of the columns 4k … 4k + 3 to the register that `target` names; `then` goes on with them. */
  quants(w: General, rows: Rows, target: (k: number) => VectorRegister, then: (k: number) => void = () => {}): void {
    const code = this.#code;
    const { lowBytes, highBytes } = this.packing;
    const load = (register: VectorRegister, offset: number) =>
      code.moveBytes('loadVector', register, at(w, offset + 16 * rows));
    PLANES.slice(0, highBytes / 32).forEach((plane, i) => {
      load(plane, highAt(this.packing) + 32 * i);
    });
    for (let low = 0; low < 4; low++) {
      if (lowBytes === 128) load(PACKED, 32 * low);
      for (const k of [low, low + 4]) {
        if (lowBytes === 256) {
          load(target(k), 32 * k);
          code.three('xor', target(k), target(k), MORE);
        } else {
          if (k < 4) code.three('and', target(k), PACKED, NIBBLE);
          else code.shift('bytesRight', target(k), PACKED, 4);
          this.#ofNibbles(target(k), k);
        }
        then(k);
      }
    }
  }
  #ofNibbles(target: VectorRegister, k: number): void {
    const code = this.#code;
    const { highBytes, isTable } = this.packing;
    if (isTable) code.three('pick', target, MORE, target);
    if (highBytes === 0) return;
    const plane = PLANES[highBytes === 64 ? k >> 2 : 0]!;
    const place = highBytes === 64 ? 2 * (k & 3) : k;
    if (place < 4) code.shift('bytesLeft', BETWEEN, plane, 4 - place);
    if (place > 4) code.shift('bytesRight', BETWEEN, plane, place - 4);
    code.three('and', BETWEEN, place === 4 ? plane : BETWEEN, MORE);
    code.three('or', target, target, BETWEEN);
  }

  /** SCALE and, where there are such, MINIMUM of four rows and a half, as f32. `head`: of the panel's super-block. */
  scales(w: General, head: General, headOffset: number, rows: Rows, half: number): void {
    const { packing } = this;
    if (!hasSuperBlocks(packing)) {
      this.#own(SCALE, w, scaleAt(packing) + 8 * rows);
      if (packing.minima) this.#own(MINIMUM, w, minAt(packing) + 8 * rows);
      return;
    }
    const by = (offset: number) => at(head, headOffset + offset + 16 * rows);
    const scaleWords = scaleAt(packing) + 8 * rows;
    this.#scaled(SCALE, at(w, scaleWords), half, by(0));
    if (packing.minima === 'beside') this.#scaled(MINIMUM, at(w, scaleWords), 1, by(32));
    if (packing.minima === 'own') this.#scaled(MINIMUM, at(w, minAt(packing) + 8 * rows), half, by(32));
  }
  /** target = four f16 or bf16 as f32 */
  #own(target: VectorRegister, w: General, offset: number): void {
    this.#code.moveBytes('loadLowerHalf', target, at(w, offset));
    this.#code.two(this.packing.scale === 'f16' ? 'widenHalves' : 'widenToUpper', target, target);
  }
  /** target = the first or the second byte of each of four pairs × the f32 at `by` */
  #scaled(target: VectorRegister, pairs: ReturnType<typeof at>, which: number, by: ReturnType<typeof at>): void {
    const code = this.#code;
    code.moveBytes('loadLowerHalf', WORDS, pairs);
    code.two(this.packing.scale === 'signed' ? 'widenSigned' : 'widenUnsigned', WORDS, WORDS);
    if (which === 0) code.shift('intsLeft', WORDS, WORDS, 16);
    code.shift('intsRightSigned', WORDS, WORDS, 16);
    code.two('toFloats', WORDS, WORDS);
    code.moveBytes('loadVector', target, by);
    code.three('multiply', target, target, WORDS);
  }

  /** target = `factor` · Σ q_x of a half in all lanes; a tile's pair of sums is at `offset`. Changes x8, x9. */
  sumOfX(target: VectorRegister, tile: General, offset: number, half: number, factor: number): void {
    const code = this.#code;
    code.moveBytes('loadSigned16', x8, at(tile, offset + 2 * half));
    if (!this.packing.isHalved) {
      code.moveBytes('loadSigned16', x9, at(tile, offset + 2));
      code.add(x8, x8, x9);
    }
    if (factor !== 1) {
      code.moveNumber(x9, factor);
      code.multiply(x8, x8, x9);
    }
    code.fill(target, x8);
  }
  /** What T begins with: −offset · Σ q_x. */
  start(target: VectorRegister, tile: General, offset: number, half: number): void {
    if (this.offset === 0) this.#code.three('xor', target, target, target);
    else this.sumOfX(target, tile, offset, half, -this.offset);
  }
  /** What minima are multiplied by: f32(Σ q_x). */
  floatOfX(target: VectorRegister, tile: General, offset: number, half: number): void {
    if (!this.packing.minima) return;
    this.sumOfX(target, tile, offset, half, 1);
    this.#code.two('toFloats', target, target);
  }

  /** sum = sum + (f32(T) · SCALE − MINIMUM · f32(Σ q_x)) · dx, which is a register's first lane. Changes T, MINIMUM. */
  added(sum: VectorRegister, T: VectorRegister, xSum: VectorRegister, dx: VectorRegister): void {
    const code = this.#code;
    code.two('toFloats', T, T);
    code.three('multiply', T, T, SCALE);
    if (this.packing.minima) {
      code.three('multiply', MINIMUM, MINIMUM, xSum);
      // a minimum of a block's own is added, one of a super-block is taken off
      code.three(hasSuperBlocks(this.packing) ? 'subtract' : 'addFloats', T, T, MINIMUM);
    }
    code.multiplyByLane(T, T, dx, 0);
    code.three('addFloats', sum, sum, T);
  }
}

/** Where the group of a product is found; none of these is changed by what is in this file but by `overHeads`. */
export interface Group {
  /** Its next block, and the head of that block's super-block. */
  readonly w: General;
  readonly head: General;
  readonly levels: General;
  /** Blocks in a row. */
  readonly blocks: General;
}

/** The group of the panel in `first`. Changes x8, x9. */
export function toGroup(code: Code, frame: Frame, packing: Packing, { w, levels, blocks }: Group): void {
  const bytesOf = (count: General, bytes: number) => {
    code.moveNumber(x8, QUANTIZED_GROUP_PANELS * bytes);
    code.multiply(x9, count, x8);
  };
  frame.get(blocks, 'columns');
  code.shiftRight(blocks, blocks, 5);
  bytesOf(blocks, blockBytes(packing));
  code.move(levels, x9);
  if (hasSuperBlocks(packing)) {
    code.shiftRight(x9, blocks, 3);
    bytesOf(x9, headBytes(packing));
    code.add(levels, levels, x9);
  }
  code.addNumber(x9, levels, packing.isTable ? 16 : 0);
  frame.get(x8, 'first');
  code.shiftRight(x8, x8, Math.log2(QUANTIZED_GROUP_PANELS));
  code.multiply(x8, x8, x9);
  frame.get(w, 'w');
  code.add(w, w, x8);
  code.add(levels, levels, w);
}

/** Steps over the heads of eight blocks, where they are next. `done`: blocks before this one. Changes x8. */
export function overHeads(code: Code, packing: Packing, { w, head }: Group, done: General): void {
  if (!hasSuperBlocks(packing)) return;
  const after = { at: null };
  code.lowBits(x8, done, 3);
  code.jumpUnlessZero(x8, after);
  code.move(head, w);
  code.addNumber(w, w, QUANTIZED_GROUP_PANELS * headBytes(packing));
  code.place(after);
}
