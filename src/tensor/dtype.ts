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
  IQ4_NL: { blockWeights: 32, blockBytes: 18, gguf: 20 },
  IQ4_XS: { blockWeights: 256, blockBytes: 136, gguf: 23 },
  MXFP4: { blockWeights: 32, blockBytes: 17, gguf: 39 },
  IQ3_XXS: { blockWeights: 256, blockBytes: 98, gguf: 18 },
  IQ3_S: { blockWeights: 256, blockBytes: 110, gguf: 21 },
  IQ2_XXS: { blockWeights: 256, blockBytes: 66, gguf: 16 },
  IQ2_XS: { blockWeights: 256, blockBytes: 74, gguf: 17 },
  IQ2_S: { blockWeights: 256, blockBytes: 82, gguf: 22 },
  IQ1_S: { blockWeights: 256, blockBytes: 50, gguf: 19 },
  IQ1_M: { blockWeights: 256, blockBytes: 56, gguf: 29 },
  TQ1_0: { blockWeights: 256, blockBytes: 54, gguf: 34 },
  TQ2_0: { blockWeights: 256, blockBytes: 66, gguf: 35 },
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
  'IQ4_NL',
  'IQ4_XS',
  'MXFP4',
  'IQ3_XXS',
  'IQ3_S',
  'IQ2_XXS',
  'IQ2_XS',
  'IQ2_S',
  'IQ1_S',
  'IQ1_M',
  'TQ1_0',
  'TQ2_0',
] as const satisfies readonly DType[];
export type WeightType = (typeof weightTypes)[number];

/** Types that are read from files and computed with, and that nothing here writes: their encoders search grids for minutes. */
export type ReadOnlyType = Extract<WeightType, 'MXFP4' | `IQ${1 | 2 | 3}_${string}` | `TQ${string}`>;
export type WritableType = Exclude<WeightType, ReadOnlyType>;
export const writableTypes: readonly WritableType[] = weightTypes.filter(
  (type): type is WritableType => !/^(?:MXFP4|IQ[123]_|TQ)/.test(type),
);

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
