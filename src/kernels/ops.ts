/**
 * All that LLaMA computes: one interface, which the devices implement and the tape decorates. The model code knows nothing else.
 *
 * Letters  N rows (new tokens of all sequences) · D width · H query heads · K key/value heads · E head size · Q = H·E · P = K·E ·
 *          F feed-forward width · X experts, U of them a row · M = N·U · V vocabulary · I, O a linear layer's inputs and outputs · R chosen rows
 * Effects  An operation returns a new tensor that lives until the device's arena is released (Device.mark, Device.release);
 *          inputs are never written.
 * Numbers  Activations are f32 (reference device: f64). A row's result does not depend on the other rows of the call.
 */
import type { Tensor } from '../tensor/tensor.ts';
import type { Batch } from './batch.ts';
import type { Dropout } from './dropout/reference.ts';

export interface Ops {
  /** Rows of a table: y_ND[n] = table_VD[ids[n]]. */
  embed(table_VD: Tensor, ids_N: Uint32Array): Tensor;
  /** y_NO = x_NI · w_OIᵀ + bias_O, where w may be of any weight type. */
  linear(x_NI: Tensor, w_OI: Tensor, bias_O?: Tensor): Tensor;
  /** Each D columns of a row by themselves: a row may hold several heads. */
  rmsNorm(x_ND: Tensor, gain_D: Tensor, eps: number): Tensor;
  layerNorm(x_ND: Tensor, gain_D: Tensor, shift_D: Tensor, eps: number): Tensor;
  batchNorm(x_ND: Tensor, gain_D: Tensor, shift_D: Tensor, eps: number, statistics: BatchStatistics): Tensor;
  /** The rotations of N positions, once for all layers: cos and sin of position · frequency, in pairs: [N, E]. */
  rotation(positions_N: Uint32Array, frequencies: RopeFrequencies): Tensor;
  /** Rotates neighbouring pairs of every head; x is [N, Q] or [N, P]. */
  rope(x_NQ: Tensor, rotation_NE: Tensor): Tensor;
  /** Adds fixed sinusoidal positions (Vaswani et al. 2017, §3.5); sines and cosines side by side unless asked for in halves. */
  addSinusoids(x_ND: Tensor, positions_N: Uint32Array, layout?: SinusoidLayout): Tensor;
  /** Puts the new keys and values behind their sequences' earlier ones. */
  appendToCache(cache: CacheLayer, k_NP: Tensor, v_NP: Tensor, batch: Batch): void;
  /** Causal attention of each query over its own sequence: [N, Q]. K is P / headSize; query heads share keys in groups. */
  attention(q_NQ: Tensor, keyValues: KeyValues, batch: Batch, options: AttentionOptions): Tensor;
  /** silu(gate) · up; with a limit, gpt-oss's form of it. */
  swiglu(gate_NF: Tensor, up_NF: Tensor, limit?: number): Tensor;
  /** gelu(gate) · up */
  geglu(gate_NF: Tensor, up_NF: Tensor, form?: GeluForm): Tensor;
  relu(x_NF: Tensor): Tensor;
  /** x · Φ(x) */
  gelu(x_NF: Tensor, form?: GeluForm): Tensor;
  add(x_ND: Tensor, y_ND: Tensor): Tensor;
  /** Which experts each row goes through, by its scores, and the weights of their results. */
  route(scores_NX: Tensor, options: RouteOptions): Routes;
  /**
   * linear, each row through its own experts: y_(n·U+u) = x · w_cᵀ + bias_c, c the u-th expert of row n. x has a row for each n, or one
   * for each of their experts. Experts that no row has chosen are not read.
   */
  routedLinear(x_NI: Tensor, w_XOI: Tensor, routes: Routes, bias_XO?: Tensor): Tensor;
  /** y_n = Σ_u weight_nu · x_(n·U+u) */
  mixRoutes(x_MD: Tensor, routes: Routes): Tensor;
  /** y_(n·U+u) = weight_nu · x_n: a row for each of its experts. */
  spreadRoutes(x_ND: Tensor, routes: Routes): Tensor;
  /** Numbers that are all 1, where `beside` is: gains of a norm that has none, weights of a plain sum. They have no gradient. */
  ones(shape: readonly number[], beside: Tensor): Tensor;
  /** y = factor · x */
  scale(x_ND: Tensor, factor: number): Tensor;
  /** Random numbers of each row become 0, and the others 1 / (1 − rate) times as large. */
  dropout(x_ND: Tensor, options: Dropout): Tensor;
  /** y = cap · tanh(x / cap) */
  softcap(x_RV: Tensor, cap: number): Tensor;
  /** y_RD[r] = x_ND[rows[r]]. */
  selectRows(x_ND: Tensor, rows_R: Uint32Array): Tensor;
  /**
   * y_ND[rows[r]] = x_RD[r]: overwrites rows of a tensor that nothing has been made from yet. The only operation that writes into one;
   * it has no gradient.
   */
  placeRows(y_ND: Tensor, x_RD: Tensor, rows_R: Uint32Array): void;
}

export interface RouteOptions {
  /** Experts a row. */
  readonly used: number;
  readonly weights: RouteWeights;
}

/** Of a row's experts: the softmax of the `chosen` scores or that of `all`, at the chosen; or the `sigmoid` of each score. */
export type RouteWeights = 'chosen' | 'all' | 'sigmoid';

/** chosen_NU holds the numbers of experts, as numbers. */
export interface Routes {
  readonly chosen_NU: Tensor;
  readonly weights_NU: Tensor;
}

/** Φ by the error function (the default), or by the tanh approximation of GPT-2 and T5. */
export type GeluForm = 'exact' | 'tanh';
export type SinusoidLayout = 'interleaved' | 'halves';

export interface AttentionOptions {
  readonly headSize: number;
  /** Key j is visible to query i iff i − window < j ≤ i; null: all j ≤ i. */
  readonly window: number | null;
  /** Factor on q·k; absent: 1 / √headSize. */
  readonly scale?: number;
  /** Scores become cap · tanh(score / cap); absent: they stay as they are. */
  readonly cap?: number;
  /** A score a query head that has no key: it takes its share of the softmax, and adds nothing. */
  readonly sinks_H?: Tensor | undefined;
  /** Of the probabilities, in training alone; absent: none. */
  readonly dropout?: Dropout | undefined;
}

/** Keys and values of this call's rows alone (no cache), or all that a cache holds after appendToCache. */
export type KeyValues = { readonly k_NP: Tensor; readonly v_NP: Tensor } | CacheLayer;

/** One block's part of a device's KV store. */
export interface CacheLayer {
  readonly store: KvStore;
  readonly layer: number;
}

export function isCacheLayer(keyValues: KeyValues): keyValues is CacheLayer {
  return 'store' in keyValues;
}

/** Bytes of a cached number: q8_0 and q4_0 have a scale of 16 bits for 32 of them. */
export const kvBytes = { f32: 4, f16: 2, q8_0: 34 / 32, q4_0: 18 / 32 } as const;
export type KvType = keyof typeof kvBytes;
export const kvTypes = Object.keys(kvBytes) as readonly KvType[];

/** Positions of a KV block, on every device: how a sequence is cut must not depend on where it runs. */
export const KV_BLOCK_TOKENS = 32;

/** Physical memory of a paged KV cache, owned by a device. Which sequence owns which block is model/kv-cache's business. */
export interface KvStore {
  readonly layerCount: number;
  readonly blockCount: number;
  readonly blockTokens: number;
  readonly kvHeadCount: number;
  readonly headSize: number;
  readonly type: KvType;
}

/** inverse[e] is the angle per position of pair e, 0 where it is not rotated; cos and sin are scaled by `magnitude` (1, except for YaRN). */
export interface RopeFrequencies {
  readonly inverse: Float64Array;
  readonly magnitude: number;
  /** Lengthens a row by its position; absent: by nothing. */
  readonly growth?: Growth;
}

/** A factor that grows with the position p, in steps: 1 + slope · ln(1 + ⌊(p + offset) / interval⌋). */
export interface Growth {
  readonly interval: number;
  readonly offset: 0 | 1;
  readonly slope: number;
}

/** Running mean and variance of a batch norm; `training` takes them from the batch and moves the running ones. */
export interface BatchStatistics<Numbers = Tensor> {
  readonly mean_D: Numbers;
  readonly variance_D: Numbers;
  readonly momentum: number;
  readonly training: boolean;
}
