/**
 * Matrix-vector products with 256-bit vectors: a panel a register. With an instruction for four products a lane (AVX-VNNI), or without
 * (AVX2): there a product of bytes gives pairs as 16-bit numbers, of which so many are added up before they are widened as the type's
 * largest quant leaves room for; quants of eight bits go in as two nibbles, as a single pair of them would be too large. Whole numbers
 * all the same, so the bits are those of ../block-sums.ts.
 */
import {
  at,
  type Code,
  type General,
  type Place,
  r8,
  rax,
  rdi,
  type VectorRegister,
} from '../../../native/x64/code.ts';
import type { Frame } from '../../../native/x64/frame.ts';
import { QUANTIZED_GROUP_PANELS } from '../../../tasks.ts';
import { storePanel } from '../../x64/rows.ts';
import { blockBytes, hasSuperBlocks, headBytes, highAt, minAt, type Packing, scaleAt } from '../packing.ts';
import { ahead, type Group } from './group.ts';
import { one, type VectorSums } from './vector.ts';

/** Sums of products, of groups of columns 0…3 and 4…7. */
const T: readonly [VectorRegister, VectorRegister] = [0, 1];
/** … as 16-bit numbers; where quants are split of their low and of their high nibbles. */
const WORDS: readonly [VectorRegister, VectorRegister] = [2, 3];
const Q = 4;
const PACKED = 5;
const X = 6;
const BETWEEN = 7;
const PLANES: readonly VectorRegister[] = [8, 9];
/** Of the tile: its scale, and of either half Σ q_x as f32 where there are minima, elsewhere −offset · Σ q_x. */
const DX = 10;
const X_SUMS: readonly [VectorRegister, VectorRegister] = [11, 12];
const NIBBLE = 13;
const HIGH_MASK = 14;
const TABLES: readonly [VectorRegister, VectorRegister] = [14, 15];
/** Once the quants are done with: */
const [SUM, SCALE_WORDS, MINIMUM_WORDS, SCALE, PRODUCT] = [2, 4, 5, 8, 9];

/** In the scratch, at r8: the sums, either group's levels (where they are split low nibbles, then high ones), and vectors that are always the same. */
const TABLES_AT = 2 * QUANTIZED_GROUP_PANELS * 32;
const ONES = at(r8, TABLES_AT + 128);
const SIXTEENS = at(r8, TABLES_AT + 160);

/** The largest quant that goes in. */
function largestOf({ isTable, offset, lowBytes, highBytes }: Packing): number {
  if (isTable) return 2 * offset - 1;
  return lowBytes === 256 ? 255 : highBytes === 64 ? 63 : highBytes === 32 ? 31 : 15;
}
/** Products of pairs, with activations down to −128, that 16 bits have room for. */
const roomFor = (largest: number): number => Math.floor(2 ** 15 / (2 * 128 * largest));

export class Sums256 implements VectorSums {
  readonly #code: Code;
  readonly #frame: Frame;
  readonly #packing: Packing;
  readonly #hasDot: boolean;
  readonly #isSplit: boolean;
  readonly #room: number;
  /** High nibbles go in where they are, 16-fold: one instruction less for every 32 bytes. */
  readonly #is16fold: boolean;
  readonly #halves: readonly number[];

  constructor(code: Code, frame: Frame, packing: Packing, hasDot: boolean) {
    const largest = largestOf(packing);
    this.#code = code;
    this.#frame = frame;
    this.#packing = packing;
    this.#hasDot = hasDot;
    this.#isSplit = !hasDot && roomFor(largest) === 0;
    this.#room = roomFor(this.#isSplit ? 15 : largest);
    this.#is16fold = hasDot && !packing.isTable && largest === 15;
    this.#halves = packing.isHalved ? [0, 1] : [0];
  }

  constants(): void {
    const { highBytes, offset, isHalved, minima } = this.#packing;
    this.#frame.get(r8, 'scratch');
    this.#fill(NIBBLE, 0x0f0f0f0f);
    if (highBytes > 0) this.#fill(HIGH_MASK, highBytes === 64 ? 0x30303030 : 0x10101010);
    for (const [place, words] of [
      [ONES, 0x00010001],
      [SIXTEENS, 0x00100010],
    ] as const) {
      this.#fill(X, words);
      this.#code.storeVector(place, X);
    }
    const factor = (minima ? 1 : -offset) & 0xffff;
    for (const half of this.#halves)
      this.#frame.keepNumber(`factor ${half}`, isHalved ? factor << (16 * half) : factor * 0x10001);
  }
  #fill(target: VectorRegister, value: number): void {
    this.#code.moveNumber(rax, value);
    this.#code.fill(target, rax);
  }

  #sumAt(group: number, panel: number): Place {
    return at(r8, 32 * (QUANTIZED_GROUP_PANELS * group + panel));
  }
  #tableAt(group: number, part: number): Place {
    return at(r8, TABLES_AT + 64 * group + 32 * part);
  }

  begin(group: number, levels: General): void {
    const code = this.#code;
    code.three('xor', T[0], T[0], T[0]);
    for (let panel = 0; panel < QUANTIZED_GROUP_PANELS; panel++) code.storeVector(this.#sumAt(group, panel), T[0]);
    if (!this.#packing.isTable) return;
    this.#fill(BETWEEN, this.#packing.offset * 0x01010101);
    code.loadRepeated(Q, at(levels));
    code.three('addBytes', Q, Q, BETWEEN);
    if (this.#isSplit) this.#split(Q);
    else code.moveVector(BETWEEN, Q);
    code.storeVector(this.#tableAt(group, 0), BETWEEN);
    if (this.#isSplit) code.storeVector(this.#tableAt(group, 1), Q);
  }
  /** BETWEEN = low nibbles, source = its high ones. */
  #split(source: VectorRegister): void {
    this.#code.three('and', BETWEEN, source, NIBBLE);
    this.#high(source, source);
  }
  #high(target: VectorRegister, source: VectorRegister): void {
    this.#code.shift('wordsRight', target, source, 4);
    this.#code.three('and', target, target, NIBBLE);
  }

  tile(): void {
    const code = this.#code;
    const { offset, minima } = this.#packing;
    code.loadEach(DX, at(rdi, one.scales));
    if (offset === 0 && !minima) return;
    for (const half of this.#halves) {
      const sums = X_SUMS[half]!;
      code.loadEach(X, at(rdi, one.sums));
      code.loadEach(sums, this.#frame.each(`factor ${half}`));
      code.three('pairsOfWords', sums, sums, X);
      if (minima) code.two('toFloats', sums, sums);
    }
  }

  block(group: number, { w, head }: Group): void {
    const code = this.#code;
    const packing = this.#packing;
    if (packing.isTable) {
      for (const part of this.#isSplit ? [0, 1] : [0]) code.loadVector(TABLES[part]!, this.#tableAt(group, part));
    }
    for (let panel = 0; panel < QUANTIZED_GROUP_PANELS; panel++) {
      if (panel % 2 === 0) ahead(code, w, 2 * blockBytes(packing));
      this.#products(w);
      this.#added(this.#sumAt(group, panel), w, at(head, panel * headBytes(packing)));
      code.addNumber(w, blockBytes(packing));
    }
  }

  // ---- T

  #products(w: General): void {
    const code = this.#code;
    const { lowBytes, highBytes } = this.#packing;
    PLANES.slice(0, highBytes / 32).forEach((plane, i) => {
      code.loadVector(plane, at(w, highAt(this.#packing) + 32 * i));
    });
    if (this.#hasDot) this.#start();
    for (let k = 0; k < 4; k++) {
      if (lowBytes === 128) code.loadVector(PACKED, at(w, 32 * k));
      for (const half of [0, 1] as const) {
        const column = k + 4 * half;
        code.loadEach(X, at(rdi, 4 * column));
        if (lowBytes === 256) code.loadVector(Q, at(w, 32 * column));
        else this.#nibbles(half);
        if (highBytes > 0) this.#highBits(column);
        if (this.#hasDot) code.three('dotBytes', T[half], Q, X);
        else if (this.#isSplit) this.#growSplit(column);
        else this.#grow(half, k);
      }
    }
    if (this.#hasDot) this.#end();
    else this.#endOfPairs();
  }

  /** Q = quants of the groups 0…3 (half 0) or 4…7 out of PACKED, but for high bits, and but for tables that are split. */
  #nibbles(half: 0 | 1): void {
    const code = this.#code;
    if (half === 0) code.three('and', Q, PACKED, NIBBLE);
    else if (this.#is16fold) code.three('andNot', Q, NIBBLE, PACKED);
    else this.#high(Q, PACKED);
    if (this.#packing.isTable && !this.#isSplit) code.three('pick', Q, TABLES[0], Q);
  }

  #highBits(column: number): void {
    const code = this.#code;
    const hasTwo = this.#packing.highBytes === 64;
    const plane = PLANES[hasTwo ? column >> 2 : 0]!;
    const place = hasTwo ? 2 * (column & 3) : column;
    if (place < 4) code.shift('wordsLeft', BETWEEN, plane, 4 - place);
    if (place > 4) code.shift('wordsRight', BETWEEN, plane, place - 4);
    code.three('and', BETWEEN, place === 4 ? plane : BETWEEN, HIGH_MASK);
    code.three('or', Q, Q, BETWEEN);
  }

  /** What T begins with, where products are added to it. */
  #start(): void {
    const code = this.#code;
    const { offset } = this.#packing;
    for (const half of [0, 1] as const) {
      const begins = offset > 0 && half < this.#halves.length;
      if (!begins) code.three('xor', T[half], T[half], T[half]);
      else if (half === 1 && this.#is16fold) code.shift('intsLeft', T[1], X_SUMS[1], 4);
      else code.moveVector(T[half], X_SUMS[half]);
    }
  }
  #end(): void {
    if (this.#is16fold) this.#code.shift('intsRightSigned', T[1], T[1], 4);
    if (!this.#packing.isHalved) this.#code.three('addInts', T[0], T[0], T[1]);
  }

  /** Products of Q and X to the 16-bit sums of a half, and those to T once there is room for no more. */
  #grow(half: 0 | 1, k: number): void {
    const code = this.#code;
    const words = WORDS[half];
    const inRun = k % this.#room;
    code.three('pairsOfBytes', inRun === 0 ? words : Q, Q, X);
    if (inRun > 0) code.three('addWords', words, words, Q);
    if (inRun !== this.#room - 1) return;
    if (k < this.#room) code.three('pairsOfWords', T[half], words, ONES);
    else {
      code.three('pairsOfWords', words, words, ONES);
      code.three('addInts', T[half], T[half], words);
    }
  }
  #growSplit(column: number): void {
    const code = this.#code;
    if (this.#packing.isTable) {
      code.three('pick', BETWEEN, TABLES[0], Q);
      code.three('pick', Q, TABLES[1], Q);
    } else this.#split(Q);
    [BETWEEN, Q].forEach((part, i) => {
      const words = WORDS[i]!;
      const isFirst = column === 0;
      code.three('pairsOfBytes', isFirst ? words : part, part, X);
      if (!isFirst) code.three('addWords', words, words, part);
    });
  }
  #endOfPairs(): void {
    const code = this.#code;
    const { isHalved, offset } = this.#packing;
    if (this.#isSplit) {
      code.three('pairsOfWords', T[0], WORDS[0], ONES);
      code.three('pairsOfWords', T[1], WORDS[1], SIXTEENS);
    } else if (this.#room >= 8) {
      // all of the block is in 16-bit sums yet
      if (!isHalved) code.three('addWords', WORDS[0], WORDS[0], WORDS[1]);
      for (const half of this.#halves) code.three('pairsOfWords', T[half]!, WORDS[half]!, ONES);
    }
    if (!isHalved && (this.#isSplit || this.#room < 8)) code.three('addInts', T[0], T[0], T[1]);
    if (offset > 0) for (const half of this.#halves) code.three('addInts', T[half]!, T[half]!, X_SUMS[half]!);
  }

  // ---- the sums of floats

  /** sum = sum + (f32(T) · a − b · f32(Σ q_x)) · dx, half after half. */
  #added(sum: Place, w: General, head: Place): void {
    const code = this.#code;
    const packing = this.#packing;
    const hasHead = hasSuperBlocks(packing);
    if (hasHead) {
      const widen = packing.scale === 'signed' ? 'widenSigned' : 'widenUnsigned';
      code.two(widen, SCALE_WORDS, at(w, scaleAt(packing)));
      if (packing.minima === 'own') code.two('widenUnsigned', MINIMUM_WORDS, at(w, minAt(packing)));
    }
    code.loadVector(SUM, sum);
    for (const half of this.#halves) {
      code.two('toFloats', T[half]!, T[half]!);
      if (hasHead) this.#scaled(SCALE_WORDS, half, head);
      else this.#own(at(w, scaleAt(packing)));
      code.three('multiply', T[half]!, T[half]!, SCALE);
      if (packing.minima) {
        const ofHead = at(head.base, head.offset + 32);
        if (packing.minima === 'beside') this.#scaled(SCALE_WORDS, 1, ofHead);
        else if (hasHead) this.#scaled(MINIMUM_WORDS, half, ofHead);
        else this.#own(at(w, minAt(packing)));
        code.three('multiply', PRODUCT, SCALE, X_SUMS[half]!);
        // a minimum of a block's own is added, one of a super-block is taken off
        code.three(hasHead ? 'subtract' : 'addFloats', T[half]!, T[half]!, PRODUCT);
      }
      code.three('multiply', T[half]!, T[half]!, DX);
      code.three('addFloats', SUM, SUM, T[half]!);
    }
    code.storeVector(sum, SUM);
  }
  /** SCALE = the first or second number of each pair of 16-bit ones × the f32 at `by` */
  #scaled(words: VectorRegister, which: number, by: Place): void {
    const code = this.#code;
    if (which === 0) code.shift('intsLeft', SCALE, words, 16);
    code.shift('intsRightSigned', SCALE, which === 0 ? SCALE : words, 16);
    code.two('toFloats', SCALE, SCALE);
    code.three('multiply', SCALE, SCALE, by);
  }
  /** SCALE = eight f16 or bf16 as f32 */
  #own(place: Place): void {
    const code = this.#code;
    if (this.#packing.scale === 'f16') code.two('widenHalves', SCALE, place);
    else {
      code.two('widenWords', SCALE, place);
      code.shift('intsLeft', SCALE, SCALE, 16);
    }
  }

  store(group: number): void {
    for (let panel = 0; panel < QUANTIZED_GROUP_PANELS; panel++) {
      this.#code.loadVector(SUM, this.#sumAt(group, panel));
      storePanel(this.#code, this.#frame, { source: SUM, panel, lanes: X, between: BETWEEN });
    }
  }
}
