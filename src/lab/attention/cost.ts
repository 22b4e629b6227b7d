/**
 * What attention costs in memory traffic and arithmetic: the formulas of the papers, the bytes of a model of ours, and the same counted
 * while it runs.
 *
 * Letters  b sequences · n tokens of each · d width · H query heads · K key and value heads · k = d / H head size · L blocks
 * Source   Shazeer 2019, arXiv:1911.02150 §2.4, §3.1; Ainslie et al. 2023, arXiv:2305.13245 for the groups between.
 */
import { type CacheLayer, isCacheLayer, type KvType, kvBytes, type Ops } from '../../kernels/ops.ts';
import { dimensions, type LlamaConfig } from '../../model/config.ts';
import { listParameters } from '../../model/parameters.ts';
import { type DType, rowBytes } from '../../tensor/dtype.ts';
import { columnCount, rowCount } from '../../tensor/tensor.ts';

export interface Formula {
  readonly multiplyAdds: number;
  /** Numbers moved between memory and processor. */
  readonly elements: number;
}

/** b prompts of n tokens at once, as many key heads as query heads: bnd² multiply-adds, bnd + bHn² + d² elements. */
export function wholePrompt({ b, n, d, H }: { b: number; n: number; d: number; H: number }): Formula {
  return { multiplyAdds: b * n * d * d, elements: b * n * d + b * H * n * n + d * d };
}

/**
 * n tokens one after the other with a cache: bnd² multiply-adds, bnd + b n² k K + nd² elements. With K = H (multi-head) the cache's
 * part is b n² d, with K = 1 (multi-query) it is H times less.
 */
export function withCache({ b, n, d, H, K }: { b: number; n: number; d: number; H: number; K: number }): Formula {
  return { multiplyAdds: b * n * d * d, elements: b * n * d + (b * n * n * d * K) / H + n * d * d };
}

/** The same without a cache: every token computes the whole of what stands before it again. */
export function withoutCache(sizes: { b: number; n: number; d: number; H: number }): Formula {
  const sum = { multiplyAdds: 0, elements: 0 };
  for (let n = 1; n <= sizes.n; n++) {
    const prompt = wholePrompt({ ...sizes, n });
    sum.multiplyAdds += prompt.multiplyAdds;
    sum.elements += prompt.elements;
  }
  return sum;
}

/** Of one step of decoding. */
export interface StepCost {
  /** Matrices, each read once for all sequences. */
  readonly weightBytes: number;
  /** Keys and values that are read. */
  readonly cacheBytes: number;
  readonly multiplyAdds: number;
}

/**
 * One token more for b sequences that have n tokens then: bytes = W + b·n·2·L·K·k·s, multiply-adds = b·(weights + 2·L·n·H·k). The
 * embedding's rows and the gains of norms are not counted.
 */
export function predictStep(
  config: LlamaConfig,
  { dtype, kvType }: { readonly dtype: DType; readonly kvType: KvType },
  { b, n }: { readonly b: number; readonly n: number },
): StepCost {
  const { P, Q } = dimensions(config);
  let [weights, weightBytes] = [0, 0];
  for (const { key, shape } of listParameters(config)) {
    const isTable = key === 'positions_CD' || (key === 'embed_VD' && !config.tiedEmbeddings);
    if (shape.length < 2 || isTable) continue;
    weights += rowCount(shape) * columnCount(shape);
    weightBytes += rowCount(shape) * rowBytes(dtype, columnCount(shape));
  }
  const { blockCount: L } = config;
  return {
    weightBytes,
    cacheBytes: b * n * 2 * L * P * kvBytes[kvType],
    multiplyAdds: b * (weights + 2 * L * n * Q),
  };
}

/** b·n at which the cache costs as many bytes as the weights. */
export function crossover(config: LlamaConfig, types: { readonly dtype: DType; readonly kvType: KvType }): number {
  const { weightBytes, cacheBytes } = predictStep(config, types, { b: 1, n: 1 });
  return weightBytes / cacheBytes;
}

/** Operations that add up what they read and multiply. */
export function counting(ops: Ops): { readonly ops: Ops; readonly cost: () => StepCost } {
  let [weightBytes, cacheBytes, multiplyAdds] = [0, 0, 0];
  return {
    cost: () => ({ weightBytes, cacheBytes, multiplyAdds }),
    ops: {
      ...ops,
      linear(x_NI, w_OI, bias_O) {
        const [outputs, inputs] = w_OI.shape as [number, number];
        weightBytes += outputs * rowBytes(w_OI.dtype, inputs);
        multiplyAdds += rowCount(x_NI.shape) * outputs * inputs;
        return ops.linear(x_NI, w_OI, bias_O);
      },
      attention(q_NQ, keyValues, batch, options) {
        if (isCacheLayer(keyValues)) {
          for (const { firstPosition, rowCount: rows } of batch.spans) {
            cacheBytes += cachedBytes(keyValues, firstPosition + rows);
            for (let row = 1; row <= rows; row++) multiplyAdds += 2 * (firstPosition + row) * columnCount(q_NQ.shape);
          }
        }
        return ops.attention(q_NQ, keyValues, batch, options);
      },
    },
  };
}

function cachedBytes({ store }: CacheLayer, tokens: number): number {
  return 2 * tokens * store.kvHeadCount * store.headSize * kvBytes[store.type];
}
