/** Small files of llama2.c, written after export.py: for tests only. */
const sizes = { dim: 16, hidden: 24, layers: 2, heads: 4, kvHeads: 2, vocab: 20, context: 32 };

/** Weight i of the k-th tensor. */
const weight = (k: number, i: number) => Math.fround((((k * 7919 + i * 104729) % 255) - 127) / 128);

export function writeLlama2c(version: 0 | 1 | 2, groupSize = 8): Uint8Array {
  const { dim, hidden, layers, heads, kvHeads, vocab, context } = sizes;
  const kv = (kvHeads * dim) / heads;
  const parts: Uint8Array[] = [];
  const floats = (values: Float32Array) => parts.push(new Uint8Array(values.buffer));
  let k = 0;
  const plain = (count: number) => {
    const tensor = k++;
    floats(Float32Array.from({ length: count }, (_, i) => weight(tensor, i)));
  };
  const matrix = (count: number) => {
    if (version < 2) return plain(count);
    const tensor = k++;
    parts.push(new Uint8Array(Int8Array.from({ length: count }, (_, i) => weight(tensor, i) * 128).buffer));
    floats(new Float32Array(count / groupSize).fill(1 / 128));
  };
  const each = (write: (count: number) => void, count: number) => {
    for (let layer = 0; layer < layers; layer++) write(count);
  };
  const head = new DataView(new ArrayBuffer(version === 0 ? 28 : 256));
  const start = version === 0 ? 0 : 8;
  [dim, hidden, layers, heads, kvHeads, vocab, context].forEach((size, i) => {
    head.setInt32(start + 4 * i, size, true);
  });
  if (version > 0) {
    head.setUint32(0, 0x616b3432, true);
    head.setInt32(4, version, true);
    head.setUint8(36, 1);
    if (version === 2) head.setInt32(37, groupSize, true);
  }
  parts.push(new Uint8Array(head.buffer));
  if (version === 0) {
    plain(vocab * dim);
    each(plain, dim);
  } else {
    each(plain, dim);
    each(plain, dim);
    plain(dim);
    matrix(vocab * dim);
  }
  for (const count of [dim * dim, kv * dim, kv * dim, dim * dim]) each(matrix, count);
  if (version === 0) each(plain, dim);
  for (let i = 0; i < 3; i++) each(matrix, hidden * dim);
  if (version === 0) {
    plain(dim);
    plain(context * (dim / heads)); // the cos and sin tables
  }
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
