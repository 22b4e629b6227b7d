/**
 * Reads test/golden: numbers that PyTorch, transformers, sentencepiece and gguf made (see GOLDEN.md there). The safetensors reader
 * here is a second, minimal one on purpose: what checks the engine does not go through the engine.
 */
import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../golden/', import.meta.url));

export interface GoldenTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A path under test/golden; an absolute one is of another golden folder, and stays as it is. */
export function goldenPath(path: string): string {
  return isAbsolute(path) ? path : root + path;
}

export function goldenJson<T>(path: string): T {
  return JSON.parse(readFileSync(goldenPath(path), 'utf8')) as T;
}

/** Tensors of a golden safetensors file as f32; integers are small enough to be exact. */
export function goldenTensors(path: string): Record<string, GoldenTensor> {
  const bytes = readFileSync(goldenPath(path));
  const headerLength = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength)) as Record<string, HeaderEntry>;
  const tensors: Record<string, GoldenTensor> = {};
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [from, to] = data_offsets;
    const slice = bytes.buffer.slice(
      bytes.byteOffset + 8 + headerLength + from,
      bytes.byteOffset + 8 + headerLength + to,
    ) as ArrayBuffer;
    const decode = decoders[dtype];
    if (!decode) throw new Error(`${path}: ${name} is ${dtype}, which the golden reader does not know`);
    tensors[name] = { shape, data: decode(slice) };
  }
  return tensors;
}

interface HeaderEntry {
  readonly dtype: string;
  readonly shape: number[];
  readonly data_offsets: [number, number];
}

const decoders: Record<string, (buffer: ArrayBuffer) => Float32Array> = {
  F32: (buffer) => new Float32Array(buffer),
  F64: (buffer) => Float32Array.from(new Float64Array(buffer)),
  U8: (buffer) => Float32Array.from(new Uint8Array(buffer)),
  I16: (buffer) => Float32Array.from(new Int16Array(buffer)),
  I32: (buffer) => Float32Array.from(new Int32Array(buffer)),
  I64: (buffer) => Float32Array.from(new BigInt64Array(buffer), Number),
};

/** GOLDEN.md's rule: max(10 × the reference's own f32 noise, 1e-5 × the largest value). */
export function goldenTolerance(noise: { readonly max_abs_err: number; readonly max_abs_value: number }): {
  atol: number;
} {
  return { atol: Math.max(10 * noise.max_abs_err, 1e-5 * noise.max_abs_value) };
}
