/**
 * How numbers are stored: one row per type. A type stores `blockWeights` neighbouring numbers of one row in `blockBytes`.
 * The block layouts themselves are in src/quant; `gguf` is the type id of GGUF, `safetensors` the name in safetensors.
 */
export const dtypes = {
  f32: { blockWeights: 1, blockBytes: 4, gguf: 0, safetensors: 'F32' },
  f16: { blockWeights: 1, blockBytes: 2, gguf: 1, safetensors: 'F16' },
  bf16: { blockWeights: 1, blockBytes: 2, gguf: 30, safetensors: 'BF16' },
  Q4_0: { blockWeights: 32, blockBytes: 18, gguf: 2 },
  Q4_1: { blockWeights: 32, blockBytes: 20, gguf: 3 },
  Q5_0: { blockWeights: 32, blockBytes: 22, gguf: 6 },
  Q5_1: { blockWeights: 32, blockBytes: 24, gguf: 7 },
  Q8_0: { blockWeights: 32, blockBytes: 34, gguf: 8 },
  Q2_K: { blockWeights: 256, blockBytes: 84, gguf: 10 },
  Q3_K: { blockWeights: 256, blockBytes: 110, gguf: 11 },
  Q4_K: { blockWeights: 256, blockBytes: 144, gguf: 12 },
  Q5_K: { blockWeights: 256, blockBytes: 176, gguf: 13 },
  Q6_K: { blockWeights: 256, blockBytes: 210, gguf: 14 },
  // Stored by files beside weights; no operation computes with them.
  f64: { blockWeights: 1, blockBytes: 8, gguf: 28, safetensors: 'F64' },
  i8: { blockWeights: 1, blockBytes: 1, gguf: 24, safetensors: 'I8' },
  i16: { blockWeights: 1, blockBytes: 2, gguf: 25, safetensors: 'I16' },
  i32: { blockWeights: 1, blockBytes: 4, gguf: 26, safetensors: 'I32' },
  i64: { blockWeights: 1, blockBytes: 8, gguf: 27, safetensors: 'I64' },
  u8: { blockWeights: 1, blockBytes: 1, safetensors: 'U8' },
  u16: { blockWeights: 1, blockBytes: 2, safetensors: 'U16' },
  u32: { blockWeights: 1, blockBytes: 4, safetensors: 'U32' },
  u64: { blockWeights: 1, blockBytes: 8, safetensors: 'U64' },
  bool: { blockWeights: 1, blockBytes: 1, safetensors: 'BOOL' },
  f8_e4m3: { blockWeights: 1, blockBytes: 1, safetensors: 'F8_E4M3' },
  f8_e5m2: { blockWeights: 1, blockBytes: 1, safetensors: 'F8_E5M2' },
} as const satisfies Record<string, DTypeRow>;

interface DTypeRow {
  readonly blockWeights: number;
  readonly blockBytes: number;
  readonly gguf?: number;
  readonly safetensors?: string;
}

export type DType = keyof typeof dtypes;

/** The types a weight can have; `linear` has a kernel for each. */
export const weightTypes = [
  'f32',
  'f16',
  'bf16',
  'Q8_0',
  'Q4_0',
  'Q4_1',
  'Q5_0',
  'Q5_1',
  'Q2_K',
  'Q3_K',
  'Q4_K',
  'Q5_K',
  'Q6_K',
] as const satisfies readonly DType[];
export type WeightType = (typeof weightTypes)[number];

/** 'Q4_0' and the like: several weights share a block. */
export type QuantizedType = Exclude<WeightType, 'f32' | 'f16' | 'bf16'>;

export function isWeightType(dtype: DType): dtype is WeightType {
  return (weightTypes as readonly DType[]).includes(dtype);
}

/** Bytes of one row of `columns` numbers; columns must fill whole blocks. */
export function rowBytes(dtype: DType, columns: number): number {
  const { blockWeights, blockBytes } = dtypes[dtype];
  return (columns / blockWeights) * blockBytes;
}
