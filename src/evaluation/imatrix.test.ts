import { deepStrictEqual, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { FormatError } from '../base/errors.ts';
import { writeGguf } from '../formats/gguf-write.ts';
import { MemorySource } from '../formats/memory-source.ts';
import { MemorySink } from '../formats/sink.ts';
import { type Imatrix, meanSquares, readImatrix, writeImatrix, writeOldImatrix } from './imatrix.ts';

const imatrix: Imatrix = {
  entries: new Map([
    ['blk.0.attn_q.weight', { sums: Float32Array.of(2, 8, 0, 1), counts: Float32Array.of(4) }],
    // two experts of two columns, of which the second met no row
    ['blk.0.ffn_up_exps.weight', { sums: Float32Array.of(3, 6, 0, 0), counts: Float32Array.of(3, 0) }],
  ]),
  datasets: ['text.txt'],
  chunks: 2,
  chunkTokens: 512,
};
const bytesOf = (write: (sink: MemorySink, imatrix: Imatrix) => void) => {
  const sink = new MemorySink();
  write(sink, imatrix);
  return sink.bytes();
};
const read = (bytes: Uint8Array) => readImatrix(new MemorySource('m', bytes));

/** llama.cpp's old file of one matrix, by hand: 1 matrix, its name, 2 calls, 2 columns, their mean squares · calls; 5 chunks of "a". */
const old = new Uint8Array([
  ...[1, 0, 0, 0, 3, 0, 0, 0, 98, 46, 119, 2, 0, 0, 0, 2, 0, 0, 0],
  ...new Uint8Array(Float32Array.of(1, 0.5).buffer),
  ...[5, 0, 0, 0, 1, 0, 0, 0, 97],
]);

test('mean squares: sums over counts; a matrix that met no row counts all columns alike', () => {
  const [one, experts] = [...imatrix.entries.values()].map(meanSquares);
  deepStrictEqual(one, Float32Array.of(0.5, 2, 0, 0.25));
  deepStrictEqual(experts, Float32Array.of(1, 2, 1, 1));
});

test('the GGUF form comes back as it was', () => {
  deepStrictEqual(read(bytesOf(writeImatrix)), imatrix);
});

test('the old form: a file by hand, with and without what follows the matrices; and ours keeps the means', () => {
  const entries = new Map([['b.w', { sums: Float32Array.of(1, 0.5), counts: Float32Array.of(2) }]]);
  deepStrictEqual(read(old), { entries, datasets: ['a'], chunks: 5, chunkTokens: 0 });
  deepStrictEqual(read(old.subarray(0, 27)), { entries, datasets: [], chunks: 0, chunkTokens: 0 });
  const back = read(bytesOf(writeOldImatrix));
  strictEqual(back.chunks, 2);
  for (const [name, entry] of imatrix.entries)
    deepStrictEqual(meanSquares(back.entries.get(name)!), meanSquares(entry));
});

test('hostile: every truncation, numbers that cannot be, another kind of GGUF', () => {
  for (const bytes of [old, bytesOf(writeImatrix)]) {
    // the last tensor of the GGUF form ends 24 bytes before the file
    for (let length = 0; length < (bytes === old ? bytes.length : bytes.length - 24); length++) {
      if (bytes === old && (length === 27 || (length > 27 && length < 35))) continue; // complete without its end
      throws(() => read(bytes.subarray(0, length)), FormatError, `${length} bytes`);
    }
  }
  const negative = old.slice();
  new DataView(negative.buffer).setFloat32(19, -1, true);
  throws(() => read(negative), {
    code: 'imatrix.number',
    message: /"b\.w": expected numbers of at least 0, found -1 at 0/,
  });
  const sink = new MemorySink();
  writeGguf(sink, new Map([['general.type', { type: 'string', value: 'model' }]]), []);
  throws(() => read(sink.bytes()), { code: 'imatrix.kind', message: /expected imatrix, found "model"/ });
  throws(() => read(Uint8Array.of(1, 0, 0, 0, 255, 255, 255, 127, 0)), { code: 'imatrix.name' });
});
