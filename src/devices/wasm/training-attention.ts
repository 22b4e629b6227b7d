/** Attention for training: the forward task, and what it shares with the backward one. */
import { attentionForwardBytes, attentionForward as attentionKernel } from '../../kernels/attention/training/kernel.ts';
import type { AttentionResult, Gradient, OwnKeyValues } from '../../kernels/backward-ops.ts';
import type { Batch } from '../../kernels/batch.ts';
import { type Dropout, dropoutThreshold } from '../../kernels/dropout/reference.ts';
import type { AttentionOptions } from '../../kernels/ops.ts';
import { columnCount, rowCount, type Tensor } from '../../tensor/tensor.ts';
import { floatsOf } from './tensors.ts';
import type { TrainingKernels } from './training-kernels.ts';

/** attention over whole sequences, and the log-sum-exp of each query's scores, in the home segment. */
export function attentionForward(
  kernels: TrainingKernels,
  q_NQ: Tensor,
  { k_NP, v_NP }: OwnKeyValues,
  batch: Batch,
  options: AttentionOptions,
): AttentionResult {
  const H = columnCount(q_NQ.shape) / options.headSize;
  const mix_NQ = kernels.scratch(q_NQ.shape);
  const logSumExp_NH = kernels.scratch([rowCount(q_NQ.shape), H]);
  const mark = kernels.mark();
  const { units, values } = attentionTask(kernels, q_NQ, k_NP, batch, options, attentionForwardBytes);
  const places = attentionPlaces(kernels, { q_NQ, k_NP, v_NP, mix_NQ, logSumExp_NH });
  kernels.perform(kernels.segment, attentionKernel, { ...values, ...places }, units, 1);
  kernels.release(mark);
  return { mix_NQ, logSumExp_NH };
}

/** Where both attention tasks find their tensors. */
export function attentionPlaces(
  kernels: TrainingKernels,
  { q_NQ, k_NP, v_NP, mix_NQ, logSumExp_NH }: OwnKeyValues & AttentionResult & { readonly q_NQ: Tensor },
) {
  const [q, k, v] = [kernels.at(q_NQ), kernels.at(k_NP), kernels.at(v_NP)];
  return { q, k, v, mix: kernels.at(mix_NQ), logSumExp: kernels.at(logSumExp_NH) };
}

/** What else both attention tasks are given: the units (one per sequence and kv head), sizes, scratch and choices. */
export function attentionTask(
  kernels: TrainingKernels,
  q_NQ: Tensor,
  k_NP: Tensor,
  batch: Batch,
  { headSize: E, window, scale = 1 / Math.sqrt(E), cap = 0, sinks_H, dropout }: AttentionOptions,
  bytesOf: (rows: number, headSize: number) => number,
) {
  const H = columnCount(q_NQ.shape) / E;
  const K = columnCount(k_NP.shape) / E;
  const count = batch.spans.length * K;
  const units = kernels.take(count * 12);
  const words = kernels.segment.wordsAt(units, count * 3);
  // Longest first, so that no thread is left with a long one at the end.
  const spans = [...batch.spans].sort((a, b) => b.rowCount - a.rowCount || a.firstRow - b.firstRow);
  let at = 0;
  for (const { firstRow, rowCount: rows } of spans) {
    for (let g = 0; g < K; g++, at += 3) words.set([firstRow, rows, g], at);
  }
  const scratchBytes = Math.ceil(bytesOf(spans[0]?.rowCount ?? 0, E) / 64) * 64;
  const scratch = kernels.take(scratchBytes * kernels.threads);
  const values = {
    ...{ units, H, K, E, window: window ?? 0, scratch, scratchBytes },
    scale: cap === 0 ? scale : scale / cap,
    cap,
    sinks: sinks_H ? kernels.at(sinks_H) : 0,
    ...(dropout ? dropoutNumbers(dropout) : { threshold: 0, factor: 1, key: 0, firstToken: 0 }),
  };
  return { units: count, values };
}

/** What the kernels are told. */
export function dropoutNumbers({ rate, key, firstToken }: Dropout) {
  return { threshold: dropoutThreshold(rate), factor: 1 / (1 - rate), key, firstToken };
}

/** The gradient of the sinks: dSink_h −= Σ_n exp(sink_h − L_nh) · dMix_nh · mix_nh (kernels/attention/backward.reference.ts). */
export function sinksBackward(
  dSinks_H: Gradient,
  sinks_H: Tensor,
  dMix_NQ: Tensor,
  { mix_NQ, logSumExp_NH }: AttentionResult,
  E: number,
): void {
  const [d, sinks, sums] = [dSinks_H.tensor, sinks_H, logSumExp_NH].map(floatsOf) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const [dMix, mix] = [floatsOf(dMix_NQ), floatsOf(mix_NQ)];
  if (dSinks_H.isEmpty) d.fill(0);
  dSinks_H.isEmpty = false;
  const H = d.length;
  for (let at = 0; at < sums.length; at++) {
    let inner = 0;
    for (let e = at * E; e < (at + 1) * E; e++) inner += dMix[e]! * mix[e]!;
    d[at % H]! -= Math.exp(sinks[at % H]! - sums[at]!) * inner;
  }
}
