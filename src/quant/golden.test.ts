/** Against gguf-py: every type decodes to its numbers, and the 32-weight types encode to its bytes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { goldenPath, goldenTensors } from '../../test/support/golden.ts';
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from '../base/f16.ts';
import { rowBytes, weightTypes } from '../tensor/dtype.ts';
import { decodeRow, encodeRow, firstBadBlock } from './rows.ts';

const stored = readStoredTensors(goldenPath('formats/gguf-types/types.gguf'));
const source = goldenTensors('formats/gguf-types/source.safetensors');
const expected = goldenTensors('formats/gguf-types/expected.safetensors');

for (const dtype of weightTypes) {
  const name = `t.${dtype.toLowerCase()}`;
  if (!expected[name]) continue;
  test(`${dtype}: decodes the GGUF file's blocks to gguf-py's numbers exactly`, () => {
    const { data } = expected[name]!;
    const bytes = stored.get(name)!.subarray(0, rowBytes(dtype, data.length));
    const decoded = new Float32Array(data.length);
    decodeRow(dtype, bytes, decoded);
    assert.deepEqual(decoded, data);
    assert.equal(firstBadBlock(dtype, bytes), -1);
  });

  if (!source[name]) continue;
  test(`${dtype}: encodes to the bytes that gguf-py wrote`, () => {
    const { data } = source[name]!;
    const bytes = new Uint8Array(rowBytes(dtype, data.length));
    encodeRow(dtype, data, bytes);
    assert.deepEqual(bytes, stored.get(name)!.subarray(0, bytes.length));
  });
}

test('f16 and bf16 round as torch does, and every half widens as torch does', () => {
  const golden = goldenTensors('formats/float-conversion/expected.safetensors');
  const numbers = golden.f32!.data;
  for (let i = 0; i < numbers.length; i++) {
    const value = numbers[i]!;
    const f16Bits = golden.f16_bits!.data[i]! & 0xffff;
    const bf16Bits = golden.bf16_bits!.data[i]! & 0xffff;
    if (Number.isNaN(value)) {
      assert.ok(Number.isNaN(f16ToF32(f32ToF16(value))) && Number.isNaN(bf16ToF32(f32ToBf16(value))));
    } else {
      assert.equal(f32ToF16(value), f16Bits, `f16 of ${value}`);
      assert.equal(f32ToBf16(value), bf16Bits, `bf16 of ${value}`);
    }
  }
  const widened = golden.all_f16_as_f32!.data;
  const bytes = new Uint8Array(2 * widened.length);
  const decoded = new Float32Array(widened.length);
  for (let i = 0; i < widened.length; i++) {
    const bits = (0x8000 + 8 * i) & 0xffff;
    assert.ok(Object.is(f16ToF32(bits), widened[i]!), `f16 bits ${bits.toString(16)}`);
    bytes[2 * i] = bits & 255;
    bytes[2 * i + 1] = bits >>> 8;
  }
  decodeRow('f16', bytes, decoded);
  for (let i = 0; i < widened.length; i++) assert.ok(Object.is(decoded[i], widened[i]), `half ${i}`);
});

/** A second, minimal GGUF reader, so that this test does not go through the engine's: tensor name → bytes from its offset on. */
function readStoredTensors(path: string): Map<string, Uint8Array> {
  const file = readFileSync(path);
  let at = 8;
  const u32 = () => file.readUInt32LE((at += 4) - 4);
  const u64 = () => Number(file.readBigUInt64LE((at += 8) - 8));
  const text = () => {
    const length = u64();
    return file.toString('utf8', at, (at += length));
  };
  const sizes: Record<number, number> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
  const skip = (type: number) => {
    if (type === 8) text();
    else if (type === 9) {
      const item = u32();
      for (let count = u64(); count > 0; count--) skip(item);
    } else at += sizes[type]!;
  };
  const tensorCount = u64();
  for (let count = u64(); count > 0; count--) {
    text();
    skip(u32());
  }
  const offsets = new Map<string, number>();
  for (let t = 0; t < tensorCount; t++) {
    const name = text();
    for (let rank = u32(); rank > 0; rank--) u64();
    u32();
    offsets.set(name, u64());
  }
  const start = Math.ceil(at / 32) * 32;
  return new Map([...offsets].map(([name, offset]) => [name, new Uint8Array(file.subarray(start + offset))]));
}

const blocks = goldenTensors('formats/ggml-blocks/blocks.safetensors');
for (const name of Object.keys(blocks).filter((key) => key.endsWith('.blocks'))) {
  const dtype = weightTypes.find((type) => `${type.toLowerCase()}.blocks` === name);
  test(`${name}: decodes to the numbers of ggml's own library exactly`, () => {
    assert.ok(dtype !== undefined, `no weight type is called ${name}`);
    const bytes = Uint8Array.from(blocks[name]!.data);
    const { data } = blocks[name.replace('.blocks', '.weights')]!;
    const decoded = new Float32Array(data.length);
    decodeRow(dtype, bytes, decoded);
    assert.deepEqual(decoded, data);
    assert.equal(firstBadBlock(dtype, bytes), -1);
  });
}

test('every weight type is checked against numbers that others made', () => {
  const missing = weightTypes.filter((dtype) => {
    const name = dtype.toLowerCase();
    return !expected[`t.${name}`] && !blocks[`${name}.blocks`];
  });
  assert.deepEqual(missing, []);
});
