/**
 * LLaMA: the whole model on one screen. Written once; training, inference, the browser and the explorer are ways to call it.
 *
 * Letters  N rows (the new tokens of all sequences in the batch) · D width · H query heads · K key/value heads · E head size ·
 *          Q = H·E · P = K·E · F feed-forward width · V vocabulary · R rows whose logits are wanted
 * Source   Touvron et al. 2023, arXiv:2302.13971 §2.2; arXiv:2307.09288 §2.2 for grouped queries.
 */
import type { Device } from '../devices/device.ts';
import type { Batch } from '../kernels/batch.ts';
import type { KvStore, Ops } from '../kernels/ops.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { BlockWeights, Model } from './model.ts';

/** Called with every named activation. Golden tests, trace() and the explorer share these names. */
export type Tap = (name: string, value: Tensor) => void;

export interface ForwardOptions {
  /** Keys and values of earlier calls; those of this call are appended. Absent: the batch holds whole sequences. */
  readonly cache?: KvStore | undefined;
  /** The rows whose logits are wanted; absent: all. */
  readonly rows_R?: Uint32Array | undefined;
  readonly tap?: Tap | undefined;
  /** Runs each block; absent: as it is. Training passes one that forgets the block's activations and computes them again. */
  readonly segment?: ((input_ND: Tensor, run: (input_ND: Tensor) => Tensor) => Tensor) | undefined;
}

/** A `segment` for inference: of each block only its output is kept, so that memory does not grow with the number of blocks. */
export function keepOutputs(device: Device): NonNullable<ForwardOptions['segment']> {
  return (input_ND, run) => {
    const mark = device.mark();
    return device.releaseKeeping(mark, run(input_ND));
  };
}

/** Tokens in, logits out: logits_RV. Prefill, decode and packed training documents are this one call. */
export function forward(model: Model, ops: Ops, batch: Batch, options: ForwardOptions = {}): Tensor {
  const x_ND = hidden(model, ops, batch, options);
  const x_RD = options.rows_R ? ops.selectRows(x_ND, options.rows_R) : x_ND;
  const logits_RV = ops.linear(x_RD, model.head_VD ?? model.embed_VD);
  options.tap?.('logits', logits_RV);
  return logits_RV;
}

/** Everything but the output layer: the normalized state of every row, x_ND. */
export function hidden(model: Model, ops: Ops, batch: Batch, options: ForwardOptions = {}): Tensor {
  let x_ND = addPositions(model, ops, batch, ops.embed(model.embed_VD, batch.ids));
  options.tap?.('embedding', x_ND);

  const rotation_NE = model.frequencies && ops.rotation(batch.positions, model.frequencies);
  const segment = options.segment ?? ((input_ND, run) => run(input_ND));
  for (let i = 0; i < model.blocks.length; i++)
    x_ND = segment(x_ND, (input_ND) => transformerBlock(model, ops, i, input_ND, rotation_NE, batch, options));

  const y_ND = normalize(model, ops, x_ND, {
    gain_D: model.norm_D,
    shift_D: model.normShift_D,
    mean_D: model.normMean_D,
    variance_D: model.normVariance_D,
  });
  options.tap?.('norm', y_ND);
  return y_ND;
}

/** One block: attention, then the feed-forward layer, each with its norm before it and the residual around it. */
export function transformerBlock(
  model: Model,
  ops: Ops,
  i: number,
  x_ND: Tensor,
  rotation_NE: Tensor | null,
  batch: Batch,
  options: ForwardOptions,
): Tensor {
  const { headSize, slidingWindow: window, normPlacement } = model.config;
  const { cache, tap } = options;
  const block = model.blocks[i]!;
  const attnNorm = (y_ND: Tensor) =>
    normalize(model, ops, y_ND, {
      gain_D: block.attnNorm_D,
      shift_D: block.attnNormShift_D,
      mean_D: block.attnNormMean_D,
      variance_D: block.attnNormVariance_D,
    });
  const ffnNorm = (y_ND: Tensor) =>
    normalize(model, ops, y_ND, {
      gain_D: block.ffnNorm_D,
      shift_D: block.ffnNormShift_D,
      mean_D: block.ffnNormMean_D,
      variance_D: block.ffnNormVariance_D,
    });
  const before = normPlacement === 'before'; // the papers; the lab can also place the norms after the residuals

  const a_ND = before ? attnNorm(x_ND) : x_ND;
  tap?.(`blocks.${i}.attention.input`, a_ND);
  let q_NQ = ops.linear(a_ND, block.wq_QD, block.bq_Q);
  let k_NP = ops.linear(a_ND, block.wk_PD, block.bk_P);
  const v_NP = ops.linear(a_ND, block.wv_PD, block.bv_P);
  if (rotation_NE) {
    q_NQ = ops.rope(q_NQ, rotation_NE);
    k_NP = ops.rope(k_NP, rotation_NE);
  }
  tap?.(`blocks.${i}.attention.queries`, q_NQ);
  tap?.(`blocks.${i}.attention.keys`, k_NP);
  tap?.(`blocks.${i}.attention.values`, v_NP);
  if (cache) ops.appendToCache({ store: cache, layer: i }, k_NP, v_NP, batch);
  const keyValues = cache ? { store: cache, layer: i } : { k_NP, v_NP };
  const mix_NQ = ops.attention(q_NQ, keyValues, batch, { headSize, window });
  tap?.(`blocks.${i}.attention.mix`, mix_NQ);
  x_ND = ops.add(x_ND, ops.linear(mix_NQ, block.wo_DQ));
  if (!before) x_ND = attnNorm(x_ND);
  tap?.(`blocks.${i}.afterAttention`, x_ND);

  const f_ND = before ? ffnNorm(x_ND) : x_ND;
  tap?.(`blocks.${i}.feedForward.input`, f_ND);
  const hidden_NF = activate(model, ops, f_ND, block);
  tap?.(`blocks.${i}.feedForward.hidden`, hidden_NF);
  x_ND = ops.add(x_ND, ops.linear(hidden_NF, block.wDown_DF));
  if (!before) x_ND = ffnNorm(x_ND);
  tap?.(`blocks.${i}.output`, x_ND);
  return x_ND;
}

/** PyTorch's default for BatchNorm1d. */
const STATISTICS_MOMENTUM = 0.1;

interface NormWeights {
  readonly gain_D: Tensor;
  readonly shift_D: Tensor | undefined;
  readonly mean_D: Tensor | undefined;
  readonly variance_D: Tensor | undefined;
}

/** RMSNorm in the papers; layer and batch norm in the lab. */
function normalize(model: Model, ops: Ops, x_ND: Tensor, weights: NormWeights): Tensor {
  const { norm, normEps } = model.config;
  const { gain_D, shift_D, mean_D, variance_D } = weights;
  if (norm === 'rms') return ops.rmsNorm(x_ND, gain_D, normEps);
  if (norm === 'layer') return ops.layerNorm(x_ND, gain_D, shift_D!, normEps);
  const running = { mean_D: mean_D!, variance_D: variance_D!, momentum: STATISTICS_MOMENTUM };
  return ops.batchNorm(x_ND, gain_D, shift_D!, normEps, { ...running, training: model.usesBatch ?? false });
}

/** The feed-forward layer up to its last projection: SwiGLU in the papers; GEGLU, ReLU and GELU in the lab. */
function activate(model: Model, ops: Ops, f_ND: Tensor, block: BlockWeights): Tensor {
  const { activation } = model.config;
  if (activation === 'relu' || activation === 'gelu') return ops[activation](ops.linear(f_ND, block.wUp_FD));
  return ops[activation](ops.linear(f_ND, block.wGate_FD!), ops.linear(f_ND, block.wUp_FD));
}

/** Nothing in the papers, where positions are rotary; the lab's absolute positions are added to the embedding. */
function addPositions(model: Model, ops: Ops, batch: Batch, x_ND: Tensor): Tensor {
  const { positions } = model.config;
  if (positions === 'learned') return ops.add(x_ND, ops.embed(model.positions_CD!, batch.positions));
  if (positions === 'sinusoidal') return ops.addSinusoids(x_ND, batch.positions);
  return x_ND;
}
