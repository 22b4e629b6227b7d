/**
 * LLaMA: the whole model on one screen. Written once; training, inference, the browser and the explorer are ways to call it.
 *
 * What relatives of LLaMA and the lab choose otherwise (the norm and its place, positions, windows, activation, scalings) was resolved
 * when the model was built (model.ts, choices/): here a step is a step, whatever it does.
 *
 * Letters  N rows (the new tokens of all sequences in the batch) · D width · H query heads · K key/value heads · E head size ·
 *          Q = H·E · P = K·E · F feed-forward width · V vocabulary · R rows whose logits are wanted
 * Source   Touvron et al. 2023, arXiv:2302.13971 §2.2; arXiv:2307.09288 §2.2 for grouped queries.
 */
import type { Device } from '../devices/device.ts';
import type { Batch } from '../kernels/batch.ts';
import type { KvStore, Ops } from '../kernels/ops.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Rotations } from './choices/positions.ts';
import type { Block, Model } from './model.ts';

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

/** A `segment` for inference: of all blocks only the last output is kept, so that memory does not grow with the number of blocks. */
export function keepOutputs(device: Device): NonNullable<ForwardOptions['segment']> {
  let base = 0;
  let last: Tensor | null = null;
  return (input_ND, run) => {
    // A block reads nothing but the output of the one before it; what stands before the first block is not ours to release.
    if (input_ND !== last) base = device.mark();
    last = device.keep(base, [run(input_ND)])[0]!;
    return last;
  };
}

/** Tokens in, logits out: logits_RV. Prefill, decode and packed training documents are this one call. */
export function forward(model: Model, ops: Ops, batch: Batch, options: ForwardOptions = {}): Tensor {
  const x_ND = hidden(model, ops, batch, options);
  const x_RD = options.rows_R ? ops.selectRows(x_ND, options.rows_R) : x_ND;
  const logits_RV = model.logits(ops, x_RD);
  options.tap?.('logits', logits_RV);
  return logits_RV;
}

/** Everything but the output layer: the normalised state of every row, x_ND. */
export function hidden(model: Model, ops: Ops, batch: Batch, options: ForwardOptions = {}): Tensor {
  const { tap, segment = (input_ND, run) => run(input_ND) } = options;
  let x_ND = model.embed(ops, batch);
  tap?.('embedding', x_ND);
  const rotations = model.rotations(ops, batch.positions);
  if (rotations) tap?.('rotation', rotations.full_NE);
  if (rotations && rotations.sliding_NE !== rotations.full_NE) tap?.('rotation.sliding', rotations.sliding_NE);
  for (const block of model.blocks)
    x_ND = segment(x_ND, (input_ND) => transformerBlock(block, ops, input_ND, rotations, batch, options));
  const y_ND = model.norm(ops, x_ND);
  tap?.('norm', y_ND);
  return y_ND;
}

/** One block: attention, then the feed-forward layer, each a branch that is added to the residual stream. */
export function transformerBlock(
  block: Block,
  ops: Ops,
  x_ND: Tensor,
  rotations: Rotations | null,
  batch: Batch,
  options: ForwardOptions = {},
): Tensor {
  const { attention, feedForward, wq_QD, bq_Q, wk_PD, bk_P, wv_PD, bv_P, wo_DQ, bo_D } = block;
  const tap = (name: string, value: Tensor) => options.tap?.(`blocks.${block.index}.${name}`, value);
  const store = options.cache && { store: options.cache, layer: block.index };

  const a_ND = attention.enter(ops, x_ND);
  tap('attention.input', a_ND);
  const tapPlainQueries = (plain_NQ: Tensor) => tap('attention.queriesPlain', plain_NQ);
  const q_NQ = attention.turnQueries(ops, ops.linear(a_ND, wq_QD, bq_Q), rotations, tapPlainQueries);
  tap('attention.queries', q_NQ);
  const tapPlainKeys = (plain_NP: Tensor) => tap('attention.keysPlain', plain_NP);
  const k_NP = attention.turnKeys(ops, ops.linear(a_ND, wk_PD, bk_P), rotations, tapPlainKeys);
  tap('attention.keys', k_NP);
  const v_NP = ops.linear(a_ND, wv_PD, bv_P);
  tap('attention.values', v_NP);
  if (store) ops.appendToCache(store, k_NP, v_NP, batch);
  const mix_NQ = ops.attention(q_NQ, store ?? { k_NP, v_NP }, attention.reach(batch), attention.options);
  tap('attention.mix', mix_NQ);
  const tapAttention = (added_ND: Tensor) => tap('attention.output', added_ND);
  const h_ND = attention.join(ops, x_ND, ops.linear(mix_NQ, wo_DQ, bo_D), tapAttention);
  tap('afterAttention', h_ND);

  const f_ND = feedForward.enter(ops, h_ND);
  tap('feedForward.input', f_ND);
  const y_ND = feedForward.compute(ops, f_ND, (name, value_NF) => tap(`feedForward.${name}`, value_NF));
  const output_ND = feedForward.join(ops, h_ND, y_ND, (added_ND) => tap('feedForward.output', added_ND));
  tap('output', output_ND);
  return output_ND;
}
