/** Attention maps: the training products make the scores of a head, and one task their softmax, where they lie. */
import { assert } from '../../base/assert.ts';
import { attentionMaps as task } from '../../kernels/attention/maps/kernel.ts';
import { columnCount, rowCount, type Tensor } from '../../tensor/tensor.ts';
import type { AttentionMaps, MapOptions } from '../device.ts';
import type { TrainingKernels } from './training-kernels.ts';

/** Queries of one product: they meet the keys up to the last that one of them sees. */
const QUERIES_AT_ONCE = 128;
/** Rows of a map that a thread takes at a time. */
const CHUNK = 16;

export function attentionMaps(
  kernels: TrainingKernels,
  q_RQ: Tensor,
  k_NP: Tensor,
  { headSize: E, scale = 1 / Math.sqrt(E), cap = 0, sinks_H, seen_R, heads, wanted }: MapOptions,
): AttentionMaps {
  const [N, R] = [rowCount(k_NP.shape), seen_R.length];
  const [Q, P] = [columnCount(q_RQ.shape), columnCount(k_NP.shape)];
  assert(rowCount(q_RQ.shape) === R, `attentionMaps: ${rowCount(q_RQ.shape)} queries, expected ${R}`);
  const shape = [heads.length, R, N];
  const scores = kernels.scratch(shape);
  const shares = wanted.has('scores') && wanted.has('probabilities') ? kernels.scratch(shape) : scores;
  const mark = kernels.mark();
  const [q, k] = [kernels.at(q_RQ), kernels.at(k_NP)];
  for (const [i, h] of heads.entries()) {
    const g = Math.floor((h * P) / Q);
    const keys = { pointer: k + g * E * 4, rowStride: P, kStride: 1 };
    for (let first = 0; first < R; first += QUERIES_AT_ONCE) {
      const some = seen_R.slice(first, first + QUERIES_AT_ONCE);
      const count = some.reduce((most, { last }) => Math.max(most, last + 1), 0);
      const queries = { pointer: q + (first * Q + h * E) * 4, rowStride: Q, kStride: 1 };
      kernels.gemm(scores.pointer + (i * R + first) * N * 4, some.length, count, E, queries, keys, false, N);
    }
  }
  const seen = kernels.take(R * 8);
  const words = kernels.segment.wordsAt(seen, R * 2);
  for (const [r, { first, last }] of seen_R.entries()) words.set([first, last + 1], r * 2);
  const sinks = sinks_H ? kernels.take(heads.length * 4) : 0;
  if (sinks_H) {
    const all = kernels.view(sinks_H);
    kernels.segment.floatsAt(sinks, heads.length).set(Array.from(heads, (h) => all[h]!));
  }
  const values = {
    scores: scores.pointer,
    shares: wanted.has('probabilities') ? shares.pointer : 0,
    seen,
    R,
    N,
    scale: cap === 0 ? scale : 1,
    cap,
    capFactor: cap === 0 ? 0 : scale / cap,
    sinks,
  };
  kernels.perform(kernels.segment, task, values, heads.length * R, CHUNK);
  kernels.release(mark);
  return { scores, probabilities: shares };
}
