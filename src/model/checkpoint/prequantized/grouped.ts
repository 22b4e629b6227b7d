/**
 * GPTQ and AWQ: w_oi = scale_go · (q_oi − zero_go), where g is the group of column i, as one of our block types.
 *
 *   GPTQ  qweight [I·bits/32, O] i32: a word holds neighbouring columns of a row, the lowest bits first
 *         qzeros  [G, O·bits/32] i32: a word holds neighbouring rows; zero = stored + 1 (stored, in version 2)
 *         scales  [G, O] f16           g_idx [I] i32: the group of a column, where columns were quantized in another order
 *   AWQ   qweight [I, O/8], qzeros [G, O/8] i32: nibble k of a word belongs to row 8·(word) + 0, 2, 4, 6, 1, 3, 5, 7 [k]
 *         scales  [G, O] f16
 *
 *   type   when groups are runs of whole blocks of 32 columns, and scales are f16; all exact:
 *   Q4_0   −8 ≤ q − zero ≤ 7: two bits, and four bits whose zero points are all 8
 *   Q5_0   other four bits                Q8_0   eight bits whose zero points are all 128
 *   f16    everything else; scale · (q − zero) is rounded to it, |error| ≤ 2⁻¹¹·|w|
 *
 * Source  AutoGPTQ and GPTQModel, qlinear; AutoAWQ, WQLinear_GEMM; transformers, quantization/gptq and awq.
 */
import { f32ToF16 } from '../../../base/f16.ts';
import type { HfQuantization } from '../../../formats/config/quantization.ts';
import { assertRows, readTensor } from '../../../formats/file-tensor.ts';
import { dtypes, rowBytes, type WeightType } from '../../../tensor/dtype.ts';
import type { TensorSource } from '../../../tensor/source.ts';
import { columnCount, formatShape } from '../../../tensor/tensor.ts';
import { floatsOf, misfit } from './parts.ts';

export interface GroupedParts {
  readonly qweight: TensorSource;
  readonly qzeros: TensorSource;
  readonly scales: TensorSource;
  readonly g_idx: TensorSource | null;
}

type Packing = Extract<HfQuantization, { method: 'gptq' | 'awq' }>;

/** The nibble of a word that belongs to row 8n + r. */
const AWQ_PLACES = [0, 4, 1, 5, 2, 6, 3, 7];
const BLOCK = dtypes.Q4_0.blockWeights;

export function groupedRows(file: string, name: string, parts: GroupedParts, packing: Packing): TensorSource {
  const { method, bits } = packing;
  const perWord = 32 / bits;
  const { qweight, qzeros, scales, g_idx } = parts;
  const [high = 0, wide = 0] = qweight.shape;
  const [I, O] = method === 'gptq' ? [high * perWord, wide] : [high, wide * perWord];
  const group = packing.group ?? I;
  const G = Math.ceil(I / group);
  const expect = (tensor: TensorSource, shape: readonly number[], types: readonly string[]) => {
    if (formatShape(tensor.shape) === formatShape(shape) && types.includes(tensor.dtype)) return;
    const found = `${tensor.dtype} ${formatShape(tensor.shape)}`;
    throw misfit(file, tensor.name, `expected ${types.join(' or ')} ${formatShape(shape)}, found ${found}`);
  };
  expect(qweight, [high, wide], ['i32']);
  expect(qzeros, [G, O / perWord], ['i32']);
  expect(scales, [G, O], ['f16', 'bf16', 'f32']);
  if (g_idx !== null) expect(g_idx, [I], ['i32']);
  const groups = g_idx === null ? Int32Array.from({ length: I }, (_, i) => Math.floor(i / group)) : wordsOf(g_idx);
  const outside = groups.find((g) => !(g >= 0 && g < G));
  if (outside !== undefined) throw misfit(file, g_idx!.name, `expected groups in 0…${G - 1}, found ${outside}`);
  return new GroupedRows(name, [O, I], parts, packing, groups, typeOf(parts, packing, groups, group));
}

function typeOf({ qzeros, scales }: GroupedParts, packing: Packing, groups: Int32Array, group: number): WeightType {
  const isInOrder = groups.every((g, i) => g === Math.floor(i / group));
  if (!isInOrder || group % BLOCK !== 0 || groups.length % BLOCK !== 0 || scales.dtype !== 'f16') return 'f16';
  if (packing.bits === 2) return 'Q4_0';
  // Every zero point in the middle: all words are the same.
  const middle = 2 ** (packing.bits - 1) - packing.zeroShift;
  let word = 0;
  for (let k = 0; k < 32; k += packing.bits) word |= middle << k;
  const isCentred = wordsOf(qzeros).every((one) => one === word);
  if (packing.bits === 4) return isCentred ? 'Q4_0' : 'Q5_0';
  return isCentred ? 'Q8_0' : 'f16';
}

class GroupedRows implements TensorSource {
  readonly name: string;
  readonly dtype: WeightType;
  readonly shape: readonly number[];
  private readonly parts: GroupedParts;
  private readonly packing: Packing;
  private readonly groups: Int32Array;
  /** The packed numbers, from the first row that is read to the last. */
  private packed: { quants: Int32Array; zeros: Int32Array; scales: Float32Array } | null = null;

  // biome-ignore format: one line of parameters
  constructor(
    name: string, shape: readonly number[], parts: GroupedParts, packing: Packing, groups: Int32Array, dtype: WeightType,
  ) {
    this.name = name;
    this.shape = shape;
    this.parts = parts;
    this.packing = packing;
    this.groups = groups;
    this.dtype = dtype;
  }

  readRows(target: Uint8Array, firstRow: number, rows: number): void {
    assertRows(this, target, firstRow, rows);
    const I = columnCount(this.shape);
    const bytes = rowBytes(this.dtype, I);
    const scales = new Float32Array(I);
    const steps = new Int16Array(I);
    for (let row = 0; row < rows; row++) {
      this.unpackRow(firstRow + row, scales, steps);
      store[this.dtype as keyof typeof store](target.subarray(row * bytes, (row + 1) * bytes), scales, steps);
    }
    if (firstRow + rows === this.shape[0]) this.packed = null;
  }

  /** The scale of every column, and q − zero. */
  private unpackRow(o: number, scalesOut: Float32Array, steps: Int16Array): void {
    const { method, bits, zeroShift } = this.packing;
    this.packed ??= {
      quants: wordsOf(this.parts.qweight),
      zeros: wordsOf(this.parts.qzeros),
      scales: floatsOf(this.parts.scales),
    };
    const { quants, zeros, scales } = this.packed;
    const [O = 0, I = 0] = this.shape;
    const perWord = 32 / bits;
    const mask = 2 ** bits - 1;
    const wordsPerRow = O / perWord;
    const word = Math.floor(o / perWord);
    const shift = bits * (method === 'awq' ? AWQ_PLACES[o % perWord]! : o % perWord);
    for (let i = 0; i < I; i++) {
      const g = this.groups[i]!;
      const zero = ((zeros[g * wordsPerRow + word]! >>> shift) & mask) + zeroShift;
      const q =
        method === 'awq'
          ? quants[i * wordsPerRow + word]! >>> shift
          : quants[Math.floor(i / perWord) * O + o]! >>> (bits * (i % perWord));
      scalesOut[i] = scales[g * O + o]!;
      steps[i] = (q & mask) - zero;
    }
  }
}

type Store = (bytes: Uint8Array, scales: Float32Array, steps: Int16Array) => void;

/** Block by block; the scale of a block's first column is that of all 32. */
const inBlocks =
  (blockBytes: number, put: (bytes: Uint8Array, at: number, steps: Int16Array, first: number) => void): Store =>
  (bytes, scales, steps) => {
    for (let first = 0, at = 0; first < steps.length; first += BLOCK, at += blockBytes) {
      setU16(bytes, at, f32ToF16(scales[first]!));
      put(bytes, at + 2, steps, first);
    }
  };

const store: { readonly [type in 'Q4_0' | 'Q5_0' | 'Q8_0' | 'f16']: Store } = {
  Q4_0: inBlocks(dtypes.Q4_0.blockBytes, (bytes, at, steps, first) => nibbles(bytes, at, steps, first, 8)),
  Q5_0: inBlocks(dtypes.Q5_0.blockBytes, (bytes, at, steps, first) => {
    for (let k = 0; k < 4; k++) {
      let high = 0;
      for (let j = 0; j < 8; j++) high |= ((steps[first + 8 * k + j]! + 16) >> 4) << j;
      bytes[at + k] = high;
    }
    nibbles(bytes, at + 4, steps, first, 16);
  }),
  Q8_0: inBlocks(dtypes.Q8_0.blockBytes, (bytes, at, steps, first) => {
    for (let j = 0; j < BLOCK; j++) bytes[at + j] = steps[first + j]!;
  }),
  f16: (bytes, scales, steps) => {
    for (let i = 0; i < steps.length; i++) setU16(bytes, 2 * i, f32ToF16(scales[i]! * steps[i]!));
  },
};

function nibbles(bytes: Uint8Array, at: number, steps: Int16Array, first: number, offset: number): void {
  for (let j = 0; j < BLOCK / 2; j++) {
    const low = (steps[first + j]! + offset) & 15;
    bytes[at + j] = low | (((steps[first + j + BLOCK / 2]! + offset) & 15) << 4);
  }
}

function setU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value & 255;
  bytes[at + 1] = value >>> 8;
}

function wordsOf(source: TensorSource): Int32Array {
  return new Int32Array(readTensor(source).buffer);
}
