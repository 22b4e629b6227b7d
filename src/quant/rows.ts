/**
 * Weights ⇄ bytes of any weight type, through one total table: a type without a codec does not compile.
 * A row here is any run of whole blocks, so several rows at once are a row too.
 */
import { assert } from '../base/assert.ts';
import { ArgumentError } from '../base/errors.ts';
import {
  dtypes,
  isWeightType,
  type ReadOnlyType,
  rowBytes,
  type WeightType,
  type WritableType,
  weightTypes,
} from '../tensor/dtype.ts';
import type { TensorSource } from '../tensor/source.ts';
import { columnCount, rowCount } from '../tensor/tensor.ts';
import { findBadBlock } from './bad-blocks.ts';
import type { Codec, Decoder } from './codec.ts';
import { bf16, f16, f32 } from './floats.ts';
import { iq1_M, iq1_S } from './iq/iq1.ts';
import { iq2_S, iq2_XS, iq2_XXS } from './iq/iq2.ts';
import { iq3_S, iq3_XXS } from './iq/iq3.ts';
import { iq4_NL, iq4_XS } from './iq/iq4.ts';
import { q2_K } from './k/q2-k.ts';
import { q3_K } from './k/q3-k.ts';
import { q6_K } from './k/q6-k.ts';
import { q4_K, q5_K } from './k/q45-k.ts';
import { mxfp4 } from './mxfp4.ts';
import { q4_0, q4_1 } from './q4.ts';
import { q5_0, q5_1 } from './q5.ts';
import { q8_0 } from './q8.ts';
import { tq1_0, tq2_0 } from './ternary.ts';

export const codecs: { readonly [type in WritableType]: Codec } & { readonly [type in ReadOnlyType]: Decoder } = {
  f32,
  f16,
  bf16,
  Q8_0: q8_0,
  Q4_0: q4_0,
  Q4_1: q4_1,
  Q5_0: q5_0,
  Q5_1: q5_1,
  Q2_K: q2_K,
  Q3_K: q3_K,
  Q4_K: q4_K,
  Q5_K: q5_K,
  Q6_K: q6_K,
  IQ4_NL: iq4_NL,
  IQ4_XS: iq4_XS,
  MXFP4: mxfp4,
  IQ3_XXS: iq3_XXS,
  IQ3_S: iq3_S,
  IQ2_XXS: iq2_XXS,
  IQ2_XS: iq2_XS,
  IQ2_S: iq2_S,
  IQ1_S: iq1_S,
  IQ1_M: iq1_M,
  TQ1_0: tq1_0,
  TQ2_0: tq2_0,
};

/** Fills `out` with the weights that `bytes` store. Faithful: a NaN or infinite scale gives NaN or infinite weights. */
export function decodeRow(dtype: WeightType, bytes: Uint8Array, out: Float32Array): void {
  checkSizes('decodeRow', dtype, bytes.length, out.length);
  codecs[dtype].decode(bytes, out);
}

/**
 * Stores `weights` in `bytes`, as near as the type allows. `importance` (one factor per weight, e.g. the mean square of the
 * activation that the weight multiplies) makes the encoder minimise Σ importance·error²; without it all weights count alike.
 *
 * Throws  ArgumentError `quant.not-finite` for a NaN or infinite weight, `quant.importance` for a factor that is
 *         negative or not finite, `quant.overflow` where the type's scale cannot reach the weights, `quant.read-only` for a type
 *         that has no encoder.
 */
export function encodeRow(
  dtype: WeightType,
  weights: Float32Array,
  bytes: Uint8Array,
  importance: Float32Array | null = null,
): void {
  checkSizes('encodeRow', dtype, bytes.length, weights.length);
  for (let i = 0; i < weights.length; i++) {
    if (Math.abs(weights[i]!) <= LARGEST_F32) continue;
    throw new ArgumentError(
      'quant.not-finite',
      `encodeRow: weight ${i} of ${weights.length}: expected a finite number, found ${weights[i]}. ` +
        'The weights are damaged, perhaps by a diverged training; use an earlier checkpoint',
    );
  }
  if (importance) checkImportance(importance, weights.length);
  const codec: Decoder | Codec = codecs[dtype];
  if (!('encode' in codec)) {
    throw new ArgumentError(
      'quant.read-only',
      `encodeRow: ${dtype} is read from files and never written. Choose another type, such as IQ4_XS or Q4_K`,
    );
  }
  codec.encode(weights, bytes, importance);
}

/** The types that encodeRow writes. */
export const writableTypes = weightTypes.filter((type): type is WritableType => 'encode' in codecs[type]);

/**
 * The first block whose scale is NaN or infinite (for f32, f16 and bf16: the first such weight), or −1. Reads only the scales,
 * so that a loader can afford it for every tensor.
 */
export function firstBadBlock(dtype: WeightType, bytes: Uint8Array): number {
  return findBadBlock(dtype, codecs[dtype].scales, bytes);
}

const LARGEST_F32 = 3.4028234663852886e38;

function checkSizes(where: string, dtype: WeightType, byteCount: number, weightCount: number): void {
  const { blockWeights, blockBytes } = dtypes[dtype];
  assert(
    weightCount % blockWeights === 0,
    `${where}: ${weightCount} weights, expected whole ${dtype} blocks of ${blockWeights}`,
  );
  const expected = (weightCount / blockWeights) * blockBytes;
  assert(
    byteCount === expected,
    `${where}: ${weightCount} weights beside ${byteCount} bytes, expected ${expected} for ${dtype}`,
  );
}

function checkImportance(importance: Float32Array, weightCount: number): void {
  assert(
    importance.length === weightCount,
    `encodeRow: importance holds ${importance.length} factors, expected one per weight = ${weightCount}`,
  );
  for (let i = 0; i < weightCount; i++) {
    if (importance[i]! >= 0 && importance[i]! <= LARGEST_F32) continue;
    throw new ArgumentError(
      'quant.importance',
      `encodeRow: importance ${i}: expected a finite factor of at least 0, found ${importance[i]}. Measure it again`,
    );
  }
}

/** All weights of a tensor, of any weight type, as numbers. */
export function readWeights(source: TensorSource): Float32Array {
  const { name, dtype, shape } = source;
  assert(isWeightType(dtype), `${name} is ${dtype}, which is no weight type`);
  const [rows, columns] = [rowCount(shape), columnCount(shape)];
  const bytes = new Uint8Array(rows * rowBytes(dtype, columns));
  source.readRows(bytes, 0, rows);
  const weights = new Float32Array(rows * columns);
  decodeRow(dtype, bytes, weights);
  return weights;
}
