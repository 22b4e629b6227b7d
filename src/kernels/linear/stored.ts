/**
 * How files hold rows of quantized types, as packing reads them: four quants at a time, a byte each, and the bits of scales.
 * Source: ggml-common.h (block_q4_0 … block_iq4_xs); src/quant describes and decodes them one by one.
 */
import type { WeightType } from '../../tensor/dtype.ts';
import { times } from '../lanes.ts';
import {
  PACK_Q2_K,
  PACK_Q3_K,
  PACK_Q4_0,
  PACK_Q4_1,
  PACK_Q4_K,
  PACK_Q5_0,
  PACK_Q5_1,
  PACK_Q5_K,
  PACK_Q6_K,
  PACK_Q8_0,
  PACK_TABLE,
  PACK_TABLE_BF16,
  PACK_TABLE_F16,
  PACK_TABLE_HALVES,
} from '../tasks.ts';
import { choose, I32 } from '../writer/values.ts';

/** A block of 32 columns, or a super-block of eight of them, at `row`; s: 0 … 7; `grid`: of types that have one, the levels of its points. */
export interface Stored {
  readonly kind: number;
  /** Of a block, or of a super-block. */
  readonly bytes: number;
  /** Columns 4j … 4j + 3 of sub-block s, a byte each. */
  readonly quants: (row: I32, s: I32, j: number, grid: I32) => I32;
  /** Where nibbles lie in the file as they do in a panel. */
  readonly nibblesAt?: number;
  /** The f16 bits of d, and where those of a minimum (of all) are. */
  readonly d: (row: I32) => I32;
  readonly minimumAt?: number;
  /** What d is multiplied by, so that scales and levels are integers. */
  readonly share?: number;
  /** Of sub-block s: two bytes that go where a block's scales are, and two of minima. */
  readonly scales?: (row: I32, s: I32) => readonly I32[];
}

const word = (row: I32, at: number) => I32.load(row, at);
const half = (row: I32, at: number) => I32.loadHalf(row, at);
const byte = (row: I32, at: number) => I32.loadByte(row, at);
const halfAt = (at: number) => (row: I32) => half(row, at);

const NIBBLES = 0x0f0f0f0f;
const BITS = 0x01010101;

/** Bits 0 … 3 → bit 0 of bytes 0 … 3. */
const spread = (bits: I32): I32 => bits.and(15).mul(0x00204081).and(BITS);
const nibblesOf = (row: I32, at: number, j: number): I32 =>
  word(row, at + 4 * (j & 3))
    .shr(j & 4)
    .and(NIBBLES);
/** Low and high nibbles of 32 bytes in turns. */
const halvesOf = (row: I32, s: I32, at: number, j: number): I32 =>
  word(row.add(s.shr(1).mul(32)), at + 4 * j)
    .shr(s.and(1).mul(4))
    .and(NIBBLES);

/** Q4_0, Q4_1, IQ4_NL, MXFP4: nibbles as they are. */
function plain(kind: number, at: number, minimumAt?: number): Stored {
  const own = minimumAt === undefined ? {} : { minimumAt };
  return { kind, bytes: at + 16, nibblesAt: at, quants: (row, _, j) => nibblesOf(row, at, j), d: halfAt(0), ...own };
}
/** Q5_0, Q5_1: a fifth bit of each in a word ahead of the nibbles. */
function fifth(kind: number, at: number, minimumAt?: number): Stored {
  const quants: Stored['quants'] = (row, _, j) => nibblesOf(row, at, j).or(spread(word(row, at - 4).shr(4 * j)).shl(4));
  return { ...plain(kind, at, minimumAt), nibblesAt: at, quants };
}

const bytePair = (low: I32, high: I32): readonly I32[] => [low.and(255).or(high.shl(8))];

/** Scale and minimum of six bits each. Source: get_scale_min_k4 of ggml-quants.c describes the layout. */
function scalesOfQ4_K(row: I32, s: I32): readonly I32[] {
  const at = row.add(s);
  const isFirst = s.lt(4);
  const upper = (place: number) => byte(at, place).shr(6).shl(4);
  const scale = choose(isFirst, byte(at, 4).and(63), byte(at, 8).and(15).or(upper(0)));
  const minimum = choose(isFirst, byte(at, 8).and(63), byte(at, 8).shr(4).or(upper(4)));
  return bytePair(scale, minimum);
}
function scalesOfQ3_K(row: I32, s: I32): readonly I32[] {
  const [low, high] = [0, 1].map((odd) => {
    const k = s.mul(2).add(odd);
    const bits = byte(row.add(k.and(7)), 96)
      .shr(k.shr(3).mul(4))
      .and(15);
    const more = byte(row.add(k.and(3)), 104)
      .shr(k.shr(2).mul(2))
      .and(3);
    return bits.or(more.shl(4)).sub(32);
  });
  return bytePair(low!, high!);
}
function scalesOfQ2_K(row: I32, s: I32): readonly I32[] {
  const both = half(row.add(s.mul(2)), 0);
  return [both.and(0x0f0f), both.shr(4).and(0x0f0f)];
}

/** Two bits of four quants: of each half of 128 columns 32 bytes. */
const twoBits = (row: I32, s: I32, at: number, j: number): I32 =>
  word(row.add(s.shr(2).mul(32)), at + 4 * j)
    .shr(s.and(3).mul(2))
    .and(0x03030303);

const kQuants = {
  Q2_K: {
    kind: PACK_Q2_K,
    bytes: 84,
    d: halfAt(80),
    minimumAt: 82,
    scales: scalesOfQ2_K,
    quants: (row, s, j) => twoBits(row, s, 16, j),
  },
  Q3_K: {
    kind: PACK_Q3_K,
    bytes: 110,
    d: halfAt(108),
    scales: scalesOfQ3_K,
    quants: (row, s, j) =>
      twoBits(row, s, 32, j).or(
        word(row, 4 * j)
          .shr(s)
          .and(BITS)
          .shl(2),
      ),
  },
  Q4_K: {
    kind: PACK_Q4_K,
    bytes: 144,
    d: halfAt(0),
    minimumAt: 2,
    scales: scalesOfQ4_K,
    quants: (row, s, j) => halvesOf(row, s, 16, j),
  },
  Q5_K: {
    kind: PACK_Q5_K,
    bytes: 176,
    d: halfAt(0),
    minimumAt: 2,
    scales: scalesOfQ4_K,
    quants: (row, s, j) =>
      halvesOf(row, s, 48, j).or(
        word(row, 16 + 4 * j)
          .shr(s)
          .and(BITS)
          .shl(4),
      ),
  },
  Q6_K: {
    kind: PACK_Q6_K,
    bytes: 210,
    d: halfAt(208),
    scales: (row, s) => [half(row.add(s.mul(2)), 192)],
    quants(row, s, j) {
      const at = row.add(s.shr(2).mul(64)).add(s.and(1).mul(32));
      const nibbles = word(at, 4 * j)
        .shr(s.shr(1).and(1).mul(4))
        .and(NIBBLES);
      return nibbles.or(twoBits(row, s, 128, j).shl(4));
    },
  },
} as const satisfies Partial<Record<WeightType, Stored>>;

/** The number of a level and 8 is that of its negative: `signs`, of the four weights. */
const signed = (levels: I32, signs: I32): I32 => levels.or(spread(signs).shl(3));
/** 7 bits → 8 signs, an even number of them set. */
function evenSigns(code: I32): I32 {
  const seven = code.and(127);
  return seven.or(seven.bitCount().and(1).shl(7));
}
/** Four levels of a grid's point: the first or the last four of eight, or all of four. */
const pointOf8 = (grid: I32, index: I32, j: number): I32 => word(grid.add(index.mul(8)), 4 * (j & 1));
const pointOf4 = (grid: I32, index: I32): I32 => I32.load(grid.add(index.mul(4)));
const halfOf = (signs: I32, j: number): I32 => signs.shr(4 * (j & 1));

const odd = (scale: I32): I32 => scale.mul(2).add(1);
const one = (scale: I32): readonly I32[] => bytePair(scale, scale);
const nibbleOf = (row: I32, s: I32, at: number): I32 =>
  byte(row.add(s.shr(1)), at)
    .shr(s.and(1).mul(4))
    .and(15);
const nibblePair = (at: number) => (row: I32, s: I32) => {
  const both = byte(row.add(s), at);
  return bytePair(odd(both.and(15)), odd(both.shr(4)));
};
const topFour = (row: I32, s: I32, stride: number, at: number): readonly I32[] =>
  one(odd(word(row.add(s.mul(stride)), at).shr(28)));
/** Of the eight columns of j, in sub-block s: byte 4s + ⌊j/2⌋. */
const eighth = (row: I32, s: I32, at: number, j: number): I32 => byte(row.add(s.mul(4)), at + (j >> 1));

/** Digit n < 5 behind the point, in base 3, of four bytes/256. */
function digits(bytes: I32, n: I32): I32 {
  const power = choose(n.eq(4), I32.of(81), I32.of(0x1b090301).shr(n.mul(8)).and(255));
  const ofByte = (i: number) =>
    bytes
      .shr(8 * i)
      .and(255)
      .mul(power)
      .and(255)
      .mul(3)
      .shr(8)
      .shl(8 * i);
  return times(4, ofByte).reduce((word, digit) => word.or(digit));
}
/** TQ1_0: 5 digits of 32 bytes, 5 of 16, 4 of 4. */
function ternary(row: I32, s: I32, j: number): I32 {
  const column = s.mul(32).add(4 * j);
  const [pastFirst, pastSecond] = [column.sub(160), column.sub(240)];
  const ofRest = (isFour: I32) => [
    choose(isFour, word(row, 48), word(row.add(pastFirst.and(15)), 32)),
    choose(isFour, pastSecond.shr(2), pastFirst.shr(4)),
  ];
  const [bytes, digit] = ofRest(column.ge(240));
  const isFirst = column.lt(160);
  return digits(choose(isFirst, word(row, 4 * j), bytes!), choose(isFirst, s, digit!));
}

const tables = {
  IQ4_XS: {
    kind: PACK_TABLE,
    bytes: 136,
    d: halfAt(0),
    quants: (row, s, j) => nibblesOf(row.add(s.mul(16)), 8, j),
    scales: (row, s) =>
      one(
        nibbleOf(row, s, 4)
          .or(half(row, 2).shr(s.mul(2)).and(3).shl(4))
          .sub(32),
      ),
  },
  IQ3_XXS: {
    kind: PACK_TABLE,
    bytes: 98,
    d: halfAt(0),
    share: 0.25,
    quants(row, s, j, grid) {
      const signs = evenSigns(word(row.add(s.mul(4)), 66).shr(7 * (j >> 1)));
      return signed(pointOf4(grid, byte(row.add(s.mul(8)), 2 + j)), halfOf(signs, j));
    },
    scales: (row, s) => topFour(row, s, 4, 66),
  },
  IQ3_S: {
    kind: PACK_TABLE,
    bytes: 110,
    d: halfAt(0),
    quants(row, s, j, grid) {
      const index = byte(row.add(s.mul(8)), 2 + j).or(byte(row.add(s), 66).shr(j).and(1).shl(8));
      return signed(pointOf4(grid, index), halfOf(eighth(row, s, 74, j), j));
    },
    scales: (row, s) => one(odd(nibbleOf(row, s, 106))),
  },
  IQ2_XXS: {
    kind: PACK_TABLE,
    bytes: 66,
    d: halfAt(0),
    share: 0.125,
    quants(row, s, j, grid) {
      const block = row.add(s.mul(8));
      const signs = evenSigns(word(block, 6).shr(7 * (j >> 1)));
      return signed(pointOf8(grid, byte(block, 2 + (j >> 1)), j), halfOf(signs, j));
    },
    scales: (row, s) => topFour(row, s, 8, 6),
  },
  IQ2_XS: {
    kind: PACK_TABLE_HALVES,
    bytes: 74,
    d: halfAt(0),
    share: 0.125,
    quants(row, s, j, grid) {
      const code = half(row.add(s.mul(8)), 2 + 2 * (j >> 1));
      return signed(pointOf8(grid, code.and(511), j), halfOf(evenSigns(code.shr(9)), j));
    },
    scales: nibblePair(66),
  },
  IQ2_S: {
    kind: PACK_TABLE_HALVES,
    bytes: 82,
    d: halfAt(0),
    share: 0.125,
    quants(row, s, j, grid) {
      const index = eighth(row, s, 2, j).or(
        byte(row.add(s), 66)
          .shr(j & 6)
          .and(3)
          .shl(8),
      );
      return signed(pointOf8(grid, index, j), halfOf(eighth(row, s, 34, j), j));
    },
    scales: nibblePair(74),
  },
  IQ1_S: {
    kind: PACK_TABLE,
    bytes: 50,
    d: halfAt(0),
    share: 0.125,
    quants(row, s, j, grid) {
      const more = half(row.add(s.mul(2)), 34);
      const index = eighth(row, s, 2, j).or(
        more
          .shr(3 * (j >> 1))
          .and(7)
          .shl(8),
      );
      return pointOf8(grid, index, j).or(more.shr(15).mul(0x08080808));
    },
    scales: (row, s) =>
      one(
        odd(
          half(row.add(s.mul(2)), 34)
            .shr(12)
            .and(7),
        ),
      ),
  },
  IQ1_M: {
    kind: PACK_TABLE_HALVES,
    bytes: 56,
    d(row) {
      const [a, b, c, d] = [49, 51, 53, 55].map((at) => byte(row, at)) as [I32, I32, I32, I32];
      return a
        .shr(4)
        .or(b.and(0xf0))
        .or(c.shr(4).or(d.and(0xf0)).shl(8));
    },
    share: 0.125,
    quants(row, s, j, grid) {
      const more = byte(row.add(s.mul(2)), 32 + (j >> 2)).shr(4 * ((j >> 1) & 1));
      const index = eighth(row, s, 0, j).or(more.and(7).shl(8));
      return pointOf8(grid, index, j).or(more.shr(3).and(1).mul(0x08080808));
    },
    scales(row, s) {
      const codes = half(row.add(s.shr(1).mul(2)), 48).shr(s.and(1).mul(6));
      return bytePair(odd(codes.and(7)), odd(codes.shr(3).and(7)));
    },
  },
  TQ1_0: { kind: PACK_TABLE, bytes: 54, d: halfAt(52), quants: ternary, scales: () => one(I32.of(1)) },
  TQ2_0: {
    kind: PACK_TABLE,
    bytes: 66,
    d: halfAt(64),
    quants: (row, s, j) => twoBits(row, s, 0, j),
    scales: () => one(I32.of(1)),
  },
} as const satisfies Partial<Record<WeightType, Stored>>;

export const storedTypes: Readonly<Record<Exclude<WeightType, 'f32' | 'f16' | 'bf16'>, Stored>> = {
  Q8_0: { kind: PACK_Q8_0, bytes: 34, d: halfAt(0), quants: (row, _, j) => word(row, 2 + 4 * j).xor(0x80808080 | 0) },
  Q4_0: plain(PACK_Q4_0, 2),
  Q4_1: plain(PACK_Q4_1, 4, 2),
  Q5_0: fifth(PACK_Q5_0, 6),
  Q5_1: fifth(PACK_Q5_1, 8, 2),
  IQ4_NL: plain(PACK_TABLE_F16, 2),
  MXFP4: { ...plain(PACK_TABLE_BF16, 1), d: (row) => byte(row, 0) },
  ...kQuants,
  ...tables,
};
