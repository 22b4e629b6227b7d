/** Packed weights of Hugging Face folders against numbers worked out by hand. */
import { deepStrictEqual, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { f32ToF16 } from '../../../base/f16.ts';
import type { HfQuantization } from '../../../formats/config/quantization.ts';
import { decodeRow } from '../../../quant/rows.ts';
import { type DType, isWeightType, rowBytes } from '../../../tensor/dtype.ts';
import type { TensorSource } from '../../../tensor/source.ts';
import { packingNote, unpackQuantized } from './unpack.ts';

function stored(name: string, dtype: DType, shape: readonly number[], numbers: ArrayBufferView): TensorSource {
  const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  const stride = rowBytes(dtype, shape.at(-1) ?? 1);
  const readRows: TensorSource['readRows'] = (target, first, count) =>
    target.set(bytes.subarray(first * stride, (first + count) * stride));
  return { name, dtype, shape, readRows };
}
const halves = (...numbers: number[]) => Uint16Array.from(numbers, f32ToF16);

/** Rows of a tensor, read one at a time and then all at once: both must be the same. */
function rowsOf(tensor: TensorSource): (readonly number[])[] {
  const [O = 0, I = 0] = tensor.shape;
  const bytes = rowBytes(tensor.dtype, I);
  const all = new Uint8Array(O * bytes);
  const rows = Array.from({ length: O }, (_, o) => {
    const row = new Uint8Array(bytes);
    tensor.readRows(row, o, 1);
    const numbers = new Float32Array(I);
    if (isWeightType(tensor.dtype)) decodeRow(tensor.dtype, row, numbers);
    return [row, [...numbers]] as const;
  });
  tensor.readRows(all, 0, O);
  for (const [o, [row]] of rows.entries()) deepStrictEqual(all.subarray(o * bytes, (o + 1) * bytes), row);
  return rows.map(([, numbers]) => numbers);
}

function unpacked(tensors: readonly TensorSource[], quantization: HfQuantization): TensorSource {
  const found = unpackQuantized('m', new Map(tensors.map((tensor) => [tensor.name, tensor])), quantization);
  deepStrictEqual([...found.keys()], ['w.weight']);
  return found.get('w.weight')!;
}

test('fp8: E4M3 by hand, with scales of blocks, of rows and of the whole matrix', () => {
  // 1, 448 (the largest), 2⁻⁹ (the smallest), −1.125; 0, 1.5, −2, 2⁻⁶ (the smallest normal); 1 1 1 1
  const bytes = Uint8Array.of(0x38, 0x7e, 0x01, 0xb9, 0x00, 0x3c, 0xc0, 0x08, 0x38, 0x38, 0x38, 0x38);
  const weights = stored('w.weight', 'f8_e4m3', [3, 4], bytes);
  const plain = [
    [1, 448, 2 ** -9, -1.125],
    [0, 1.5, -2, 2 ** -6],
    [1, 1, 1, 1],
  ];
  const blocks = stored('w.weight_scale_inv', 'f32', [2, 2], Float32Array.of(2, 0.5, 4, 8));
  const byBlock = unpacked([weights, blocks], { method: 'fp8', block: [2, 2] });
  strictEqual(byBlock.dtype, 'bf16');
  deepStrictEqual(rowsOf(byBlock), [
    [2, 896, 2 ** -10, -0.5625],
    [0, 3, -1, 2 ** -7],
    [4, 4, 8, 8],
  ]);
  const rows = stored('w.weight_scale', 'bf16', [3, 1], Uint16Array.of(0x3f80, 0x4000, 0x4040)); // 1, 2, 3
  deepStrictEqual(rowsOf(unpacked([weights, rows], { method: 'fp8', block: null })), [
    plain[0],
    plain[1]!.map((x) => 2 * x),
    [3, 3, 3, 3],
  ]);
  const extra = stored('w.input_scale', 'f32', [1], Float32Array.of(7));
  const one = stored('w.weight_scale', 'f32', [], Float32Array.of(0.5));
  deepStrictEqual(rowsOf(unpacked([weights, one, extra], { method: 'fp8', block: null }))[2], [0.5, 0.5, 0.5, 0.5]);
  throws(() => unpacked([weights], { method: 'fp8', block: [2, 2] }), {
    code: 'prequantized.parts',
    message: /expected w\.weight_scale_inv beside it/,
  });
  throws(
    () => unpacked([weights, rows], { method: 'fp8', block: [2, 2] }),
    /expected 4 scales for \[3, 4\], found bf16 \[3, 1\]/,
  );
});

const I = 64;
const O = 8;
const quant = (o: number, i: number, bits: number) => (5 * o + 3 * i) % 2 ** bits;
/** Two groups of 32 columns: scales 0.5 and 0.25·(row + 1). */
const scaleOf = (o: number, g: number) => (g === 0 ? 0.5 : 0.25 * (o + 1));
const scales = stored(
  'w.scales',
  'f16',
  [2, O],
  halves(...[0, 1].flatMap((g) => Array.from({ length: O }, (_, o) => scaleOf(o, g)))),
);

/** By the documented layouts, one number at a time. */
function gptq(bits: number, zeros: (o: number, g: number) => number, order: ((i: number) => number) | null = null) {
  const perWord = 32 / bits;
  const words = new Int32Array((I / perWord) * O);
  const packedZeros = new Int32Array(2 * (O / perWord));
  for (let o = 0; o < O; o++) {
    for (let i = 0; i < I; i++) words[Math.floor(i / perWord) * O + o]! |= quant(o, i, bits) << (bits * (i % perWord));
    for (let g = 0; g < 2; g++) {
      packedZeros[g * (O / perWord) + Math.floor(o / perWord)]! |= zeros(o, g) << (bits * (o % perWord));
    }
  }
  const parts = [
    stored('w.qweight', 'i32', [I / perWord, O], words),
    stored('w.qzeros', 'i32', [2, O / perWord], packedZeros),
    scales,
  ];
  if (order !== null)
    parts.push(
      stored(
        'w.g_idx',
        'i32',
        [I],
        Int32Array.from({ length: I }, (_, i) => order(i)),
      ),
    );
  return parts;
}

/** w = scale · (q − zero) */
function expected(bits: number, zeroOf: (o: number, g: number) => number, groupOf = (i: number) => i >> 5): number[][] {
  return Array.from({ length: O }, (_, o) =>
    Array.from({ length: I }, (_, i) => scaleOf(o, groupOf(i)) * (quant(o, i, bits) - zeroOf(o, groupOf(i)))),
  );
}

test('GPTQ: zero points in the middle become Q4_0 and Q8_0, others Q5_0, columns in another order f16; all exact', () => {
  const packing = (bits: number, zeroShift: 0 | 1 = 1) => ({ method: 'gptq', bits, group: 32, zeroShift }) as const;
  const inOrder = (i: number) => i >> 5;
  const four = unpacked(
    gptq(4, () => 7, inOrder),
    packing(4),
  );
  strictEqual(four.dtype, 'Q4_0');
  deepStrictEqual(
    rowsOf(four),
    expected(4, () => 8),
  );
  const second = unpacked(
    gptq(4, () => 8),
    packing(4, 0),
  );
  strictEqual(second.dtype, 'Q4_0');
  deepStrictEqual(
    rowsOf(second),
    expected(4, () => 8),
  );
  const eight = unpacked(
    gptq(8, () => 127),
    packing(8),
  );
  strictEqual(eight.dtype, 'Q8_0');
  deepStrictEqual(
    rowsOf(eight),
    expected(8, () => 128),
  );
  const zeros = (o: number, g: number) => (2 * o + 15 * g) % 16;
  const uneven = unpacked(gptq(4, zeros), packing(4));
  strictEqual(uneven.dtype, 'Q5_0');
  deepStrictEqual(
    rowsOf(uneven),
    expected(4, (o, g) => zeros(o, g) + 1),
  );
  const turned = (i: number) => i & 1;
  const acted = unpacked(gptq(4, zeros, turned), packing(4));
  strictEqual(acted.dtype, 'f16');
  deepStrictEqual(
    rowsOf(acted),
    expected(4, (o, g) => zeros(o, g) + 1, turned),
  );
});

test('AWQ: rows lie in a word in the order 0 2 4 6 1 3 5 7', () => {
  const order = [0, 2, 4, 6, 1, 3, 5, 7];
  const zeros = (o: number, g: number) => (o + 9 * g) % 16;
  const pack = (numberOf: (o: number) => number) => order.reduce((word, o, k) => word | (numberOf(o) << (4 * k)), 0);
  const parts = [
    stored(
      'w.qweight',
      'i32',
      [I, 1],
      Int32Array.from({ length: I }, (_, i) => pack((o) => quant(o, i, 4))),
    ),
    stored(
      'w.qzeros',
      'i32',
      [2, 1],
      Int32Array.from([0, 1], (g) => pack((o) => zeros(o, g))),
    ),
    scales,
  ];
  const tensor = unpacked(parts, { method: 'awq', bits: 4, group: 32, zeroShift: 0 });
  strictEqual(tensor.dtype, 'Q5_0');
  deepStrictEqual(tensor.shape, [O, I]);
  const [note] = packingNote(new Map(), new Map([['w.weight', tensor]]), {
    method: 'awq',
    bits: 4,
    group: 32,
    zeroShift: 0,
  });
  strictEqual(note, 'the weights are packed as awq, and held here as Q5_0 (5.5 bits a weight)');
  deepStrictEqual(rowsOf(tensor), expected(4, zeros));
});

test('parts that do not fit each other are refused by name', () => {
  const packing = { method: 'gptq', bits: 4, group: 32, zeroShift: 1 } as const;
  const parts = gptq(4, () => 7);
  throws(() => unpacked(parts.slice(0, 2), packing), /tensor w\.qweight: expected w\.scales beside it/);
  throws(() => unpacked(parts.slice(1), packing), /tensor w\.qzeros: expected w\.qweight beside it/);
  throws(
    () => unpacked(parts, { ...packing, group: 16 }),
    /tensor w\.qzeros: expected i32 \[4, 1\], found i32 \[2, 1\]/,
  );
  throws(
    () =>
      unpacked(
        gptq(
          4,
          () => 7,
          (i) => i,
        ),
        packing,
      ),
    /tensor w\.g_idx: expected groups in 0…1, found 2/,
  );
});
