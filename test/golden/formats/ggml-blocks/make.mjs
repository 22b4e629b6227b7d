// Makes blocks.safetensors: random blocks of ggml's types and the numbers that ggml's own library decodes them to.
// Set-up, in a folder outside the project:  npm init -y && npm i node-llama-cpp@3.22.1 koffi   (llama.cpp v0.5.0)
// Use, there:  node PATH/OF/make.mjs node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libggml-base.so
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const koffi = createRequire(`${process.cwd()}/`)('koffi');
const library = koffi.load(process.argv[2]);

let state = 19n;
/** A byte of a 64-bit congruential generator. */
function byte() {
  state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
  return Number(state >> 56n);
}

/** Weights and bytes of a block, where its f16 scales lie, how many blocks to make, and how block i's grid indices are set: all occur. */
const types = {
  iq4_nl: { weights: 32, bytes: 18, halves: [0], blocks: 16 },
  iq4_xs: { weights: 256, bytes: 136, halves: [0], blocks: 4 },
  mxfp4: { weights: 32, bytes: 17, halves: [], blocks: 32, finish: (view, i) => view.setUint8(0, [0, 1, 2, 3, 90, 252][i] ?? 100 + i) },
  tq1_0: { weights: 256, bytes: 54, halves: [52], blocks: 4 },
  tq2_0: { weights: 256, bytes: 66, halves: [64], blocks: 4 },
  iq3_xxs: {
    weights: 256, bytes: 98, halves: [0], blocks: 4,
    finish: (view, i) => each(64, (k) => view.setUint8(2 + k, i * 64 + k)),
  },
  iq3_s: {
    weights: 256, bytes: 110, halves: [0], blocks: 8,
    finish: (view, i) => each(64, (k) => {
      const index = i * 64 + k;
      view.setUint8(2 + k, index & 255);
      setBits(view, 66 + (k >> 3), k & 7, 1, index >> 8);
    }),
  },
  iq2_xxs: {
    weights: 256, bytes: 66, halves: [0], blocks: 8,
    finish: (view, i) => each(32, (k) => view.setUint8(2 + 8 * (k >> 2) + (k & 3), i * 32 + k)),
  },
  iq2_xs: {
    weights: 256, bytes: 74, halves: [0], blocks: 16,
    finish: (view, i) => each(32, (k) => view.setUint16(2 + 2 * k, (view.getUint16(2 + 2 * k, true) & 0xfe00) | (i * 32 + k), true)),
  },
  iq2_s: {
    weights: 256, bytes: 82, halves: [0], blocks: 32,
    finish: (view, i) => each(32, (k) => {
      const index = i * 32 + k;
      view.setUint8(2 + k, index & 255);
      setBits(view, 66 + (k >> 2), 2 * (k & 3), 2, index >> 8);
    }),
  },
  iq1_s: {
    weights: 256, bytes: 50, halves: [0], blocks: 64,
    finish: (view, i) => each(32, (k) => {
      const index = i * 32 + k;
      view.setUint8(2 + k, index & 255);
      const at = 34 + 2 * (k >> 2);
      const shift = 3 * (k & 3);
      view.setUint16(at, (view.getUint16(at, true) & ~(7 << shift)) | ((index >> 8) << shift), true);
    }),
  },
  // The f16 scale lies in the high nibbles of four words.
  iq1_m: { weights: 256, bytes: 56, halves: [], blocks: 8, finish: (view) => view.setUint8(55, (view.getUint8(55) & 0xbf)) },
};

function each(count, visit) {
  for (let k = 0; k < count; k++) visit(k);
}
function setBits(view, at, shift, count, value) {
  view.setUint8(at, (view.getUint8(at) & ~(((1 << count) - 1) << shift)) | (value << shift));
}

const tensors = [];
for (const [name, { weights, bytes, halves, blocks, finish }] of Object.entries(types)) {
  const packed = Buffer.alloc(bytes * blocks);
  for (let i = 0; i < blocks; i++) {
    const view = new DataView(packed.buffer, packed.byteOffset + i * bytes, bytes);
    for (let k = 0; k < bytes; k++) view.setUint8(k, byte());
    for (const at of halves) view.setUint8(at + 1, view.getUint8(at + 1) & 0xbf); // one exponent bit clear: finite
    if (i === 1) for (const at of halves) view.setUint16(at, 0x8003, true); // a negative subnormal number
    finish?.(view, i);
  }
  const out = Buffer.alloc(4 * weights * blocks);
  library.func(`void dequantize_row_${name}(const void *x, void *y, int64_t k)`)(packed, out, weights * blocks);
  tensors.push([`${name}.blocks`, 'U8', [blocks, bytes], packed], [`${name}.weights`, 'F32', [blocks, weights], out]);
}

let at = 0;
const entries = tensors.map(([name, dtype, shape, data]) => [name, { dtype, shape, data_offsets: [at, (at += data.length)] }]);
const made = { __metadata__: { made_by: 'ggml of llama.cpp v0.5.0 (node-llama-cpp 3.22.1), dequantize_row_*' } };
let header = JSON.stringify({ ...made, ...Object.fromEntries(entries) });
header += ' '.repeat((8 - (header.length % 8)) % 8);
const length = Buffer.alloc(8);
length.writeBigUInt64LE(BigInt(header.length));
const file = fileURLToPath(new URL('blocks.safetensors', import.meta.url));
writeFileSync(file, Buffer.concat([length, Buffer.from(header), ...tensors.map(([, , , data]) => data)]));
