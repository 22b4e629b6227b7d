import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../base/random.ts';
import { type DType, rowBytes, type WeightType } from '../tensor/dtype.ts';
import type { TensorSource } from '../tensor/source.ts';
import { recode } from './recode.ts';
import { decodeRow, encodeRow } from './rows.ts';

const ROWS = 5;
const COLUMNS = 256;
const random = new Random(11);
const weights = Float32Array.from({ length: ROWS * COLUMNS }, () => random.normal());

/** The weights in memory, stored as `dtype`. */
function stored(dtype: DType, bytes: Uint8Array): TensorSource {
  const row = rowBytes(dtype, COLUMNS);
  return {
    name: 'blk.3.attn_q.weight',
    dtype,
    shape: [ROWS, COLUMNS],
    readRows: (target, firstRow, rowCount) => target.set(bytes.subarray(firstRow * row, (firstRow + rowCount) * row)),
  };
}

function encoded(dtype: WeightType, from: Float32Array, importance: Float32Array | null = null): Uint8Array {
  const bytes = new Uint8Array(rowBytes(dtype, from.length));
  encodeRow(dtype, from, bytes, importance);
  return bytes;
}

test('recoded rows are the rows that decoding and encoding the whole tensor gives, in pieces of any size', () => {
  const half = encoded('bf16', weights);
  const rounded = new Float32Array(weights.length);
  decodeRow('bf16', half, rounded);
  const source = recode(stored('bf16', half), 'Q4_K');
  assert.equal(source.dtype, 'Q4_K');
  const expected = encoded('Q4_K', rounded);
  const row = rowBytes('Q4_K', COLUMNS);
  const found = new Uint8Array(expected.length);
  source.readRows(found.subarray(0, 2 * row), 0, 2);
  source.readRows(found.subarray(2 * row), 2, ROWS - 2);
  assert.deepEqual(found, expected);
});

test('importance is per column, the same for every row', () => {
  const importance = Float32Array.from({ length: COLUMNS }, (_, i) => 1 + (i % 9) ** 2);
  const found = new Uint8Array(rowBytes('Q3_K', weights.length));
  recode(stored('f32', encoded('f32', weights)), 'Q3_K', importance).readRows(found, 0, ROWS);
  const repeated = Float32Array.from(weights, (_, i) => importance[i % COLUMNS]!);
  assert.notDeepEqual(found, encoded('Q3_K', weights));
  for (let r = 0; r < ROWS; r++) {
    const row = encoded('Q3_K', weights.subarray(r * COLUMNS, (r + 1) * COLUMNS), repeated.subarray(0, COLUMNS));
    assert.deepEqual(found.subarray(r * row.length, (r + 1) * row.length), row);
  }
});

test('the type that it has already: the same source, not a copy', () => {
  const source = stored('Q8_0', encoded('Q8_0', weights));
  assert.equal(recode(source, 'Q8_0'), source);
});

test('a damaged weight is refused with tensor, row and column; so are integers and rows that no block fits', () => {
  const damaged = weights.slice();
  damaged[3 * COLUMNS + 17] = Number.NaN;
  const source = recode(stored('f32', new Uint8Array(damaged.buffer)), 'Q4_0');
  const row = rowBytes('Q4_0', COLUMNS);
  source.readRows(new Uint8Array(3 * row), 0, 3);
  assert.throws(() => source.readRows(new Uint8Array(ROWS * row), 0, ROWS), {
    code: 'quant.not-finite',
    message: /blk\.3\.attn_q\.weight, row 3: encodeRow: weight 17 of 256: .*NaN/,
  });
  assert.throws(() => recode(stored('i32', new Uint8Array(0)), 'f32'), { code: 'quant.not-a-weight' });
  const narrow = { ...stored('f32', new Uint8Array(0)), shape: [2, 48] };
  assert.throws(() => recode(narrow, 'Q8_0'), { code: 'quant.columns', message: /48/ });
});
