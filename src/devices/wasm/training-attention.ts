/** Attention for training: the forward task, and what it shares with the backward one. */
import type { AttentionResult, Gradient, OwnKeyValues } from '../../kernels/backward-ops.ts';
import type { Batch } from '../../kernels/batch.ts';
import { type Dropout, dropoutThreshold } from '../../kernels/dropout/reference.ts';
import type { AttentionOptions } from '../../kernels/ops.ts';
import { TASK_ATTENTION_FORWARD } from '../../kernels/training-tasks.ts';
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
  const task = attentionTask(kernels, q_NQ, k_NP, batch, options, kernels.exports.attentionForwardBytes);
  const pointers = [q_NQ, k_NP, v_NP, mix_NQ, logSumExp_NH].map((tensor) => kernels.at(tensor));
  kernels.run(TASK_ATTENTION_FORWARD, task.units, 1, ...task.arguments, ...pointers, 0, 0, 0, 0, 0, ...task.last);
  kernels.release(mark);
  return { mix_NQ, logSumExp_NH };
}

/** The arguments that both attention tasks begin with: the units (one per sequence and kv head), sizes and scratch. */
export function attentionTask(
  kernels: TrainingKernels,
  q_NQ: Tensor,
  k_NP: Tensor,
  batch: Batch,
  { headSize: E, window, scale = 1 / Math.sqrt(E), cap = 0, sinks_H, dropout }: AttentionOptions,
  scratchBytes: (rows: number, headSize: number) => number,
): {
  readonly units: number;
  readonly arguments: readonly (number | { readonly f32: number })[];
  /** Their last: the cap, where the sinks are, and what dropout drops. */
  readonly last: readonly (number | { readonly f32: number })[];
} {
  const H = columnCount(q_NQ.shape) / E;
  const K = columnCount(k_NP.shape) / E;
  const units = batch.spans.length * K;
  const table = kernels.take(units * 12);
  const words = kernels.segment.wordsAt(table, units * 3);
  // Longest first, so that no thread is left with a long one at the end.
  const spans = [...batch.spans].sort((a, b) => b.rowCount - a.rowCount || a.firstRow - b.firstRow);
  let at = 0;
  for (const { firstRow, rowCount: rows } of spans) {
    for (let g = 0; g < K; g++, at += 3) words.set([firstRow, rows, g], at);
  }
  const perThread = Math.ceil(scratchBytes(spans[0]?.rowCount ?? 0, E) / 64) * 64;
  const scratch = kernels.take(perThread * kernels.threads);
  const sinks = sinks_H ? kernels.at(sinks_H) : 0;
  const factor = { f32: cap === 0 ? scale : scale / cap };
  const last = [{ f32: cap }, sinks, ...(dropout ? dropoutNumbers(dropout) : [0, { f32: 1 }, 0, 0])];
  return { units, arguments: [table, H, K, E, window ?? 0, factor, scratch, perThread], last };
}

/** What the kernels are told: threshold, factor, key, first token. */
export function dropoutNumbers({ rate, key, firstToken }: Dropout): (number | { readonly f32: number })[] {
  return [dropoutThreshold(rate), { f32: 1 / (1 - rate) }, key, firstToken];
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
