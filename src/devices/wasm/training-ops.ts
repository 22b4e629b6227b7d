/** The forward operations of the wasm training device; training-lab.ts has those that only the lab uses. */
import { assert } from '../../base/assert.ts';
import { addSinusoids } from '../../kernels/add/reference.ts';
import type { OwnKeyValues, TrainingOps } from '../../kernels/backward-ops.ts';
import type { Batch } from '../../kernels/batch.ts';
import { type AttentionOptions, isCacheLayer, type RopeFrequencies } from '../../kernels/ops.ts';
import { rotation } from '../../kernels/rope/reference.ts';
import { TASK_ADD, TASK_RMS_NORM, TASK_ROPE } from '../../kernels/tasks.ts';
import {
  TASK_ACCUMULATE,
  TASK_ADD_BIAS,
  TASK_ATTENTION_FORWARD,
  TASK_SOFTCAP,
  TASK_SWIGLU_FORWARD,
} from '../../kernels/training-tasks.ts';
import { columnCount, elementCount, rowCount, type Tensor } from '../../tensor/tensor.ts';
import { gatherRows, PositionRows } from './position-rows.ts';
import { chunks, pointerOf, type TrainingKernels } from './training-kernels.ts';
import { createLabOps } from './training-lab.ts';

/** Numbers per unit of TASK_ADD. */
const ADD_UNIT = 1024;

export function createWasmTrainingOps(kernels: TrainingKernels): TrainingOps {
  const rotations = new WeakMap<RopeFrequencies, PositionRows>();
  const sinusoids = new Map<string, PositionRows>();
  const lookUp = (table: Tensor, rows_R: Uint32Array): Tensor => {
    const D = columnCount(table.shape);
    const V = rowCount(table.shape);
    const outside = rows_R.findIndex((row) => row >= V);
    assert(outside < 0, `embed: id ${rows_R[outside]} at row ${outside} is outside the table of ${V} rows`);
    const y = kernels.scratch([rows_R.length, D]);
    gatherRows(kernels, y.pointer, pointerOf(table), rows_R, D);
    return y;
  };

  const ops: TrainingOps = {
    placeRows: () => assert(false, 'training: rows are not written over'),
    ...createLabOps(kernels),
    embed: lookUp,
    selectRows: lookUp,
    linear(x_NI, w_OI, bias_O) {
      const I = columnCount(w_OI.shape);
      const N = rowCount(x_NI.shape);
      const O = rowCount(w_OI.shape);
      assert(columnCount(x_NI.shape) === I, `linear: x has ${columnCount(x_NI.shape)} columns, w has ${I}`);
      const y_NO = kernels.scratch([N, O]);
      const x = { pointer: pointerOf(x_NI), rowStride: I, kStride: 1 };
      const w = { pointer: pointerOf(w_OI), rowStride: I, kStride: 1 };
      kernels.gemm(y_NO.pointer, N, O, I, x, w, false);
      if (bias_O) kernels.run(TASK_ADD_BIAS, N, 16, y_NO.pointer, pointerOf(bias_O), O);
      return y_NO;
    },
    rmsNorm(x_ND, gain_D, eps) {
      const y_ND = kernels.scratch(x_ND.shape);
      const D = columnCount(gain_D.shape);
      const N = elementCount(x_ND.shape) / D;
      kernels.run(TASK_RMS_NORM, N, 16, y_ND.pointer, pointerOf(x_ND), pointerOf(gain_D), D, { f32: eps });
      return y_ND;
    },
    rotation(positions_N, frequencies) {
      let table = rotations.get(frequencies);
      if (!table) {
        const fill = (y: Float32Array, positions: Uint32Array) => rotation(y, positions, frequencies);
        rotations.set(frequencies, (table = new PositionRows(kernels, frequencies.inverse.length * 2, fill)));
      }
      return table.rows(positions_N);
    },
    rope(x_NQ, rotation_NE) {
      const y_NQ = kernels.scratch(x_NQ.shape);
      const E = columnCount(rotation_NE.shape);
      const Q = columnCount(x_NQ.shape);
      kernels.run(TASK_ROPE, rowCount(x_NQ.shape), 16, y_NQ.pointer, pointerOf(x_NQ), pointerOf(rotation_NE), Q, E);
      return y_NQ;
    },
    addSinusoids(x_ND, positions_N, layout = 'interleaved') {
      const D = columnCount(x_ND.shape);
      const key = `${layout} ${D}`;
      let table = sinusoids.get(key);
      if (!table) {
        const fill = (y: Float32Array, positions: Uint32Array) => addSinusoids(y, y.fill(0), positions, layout);
        sinusoids.set(key, (table = new PositionRows(kernels, D, fill)));
      }
      return ops.add(x_ND, table.rows(positions_N));
    },
    appendToCache() {
      assert(false, 'wasm training device: training has no cache');
    },
    attention(q_NQ, keyValues, batch, options) {
      assert(!isCacheLayer(keyValues), 'wasm training device: training has no cache');
      return attentionForward(kernels, q_NQ, keyValues, batch, options).mix_NQ;
    },
    attentionWithLogSumExp: (q_NQ, keyValues, batch, options) =>
      attentionForward(kernels, q_NQ, keyValues, batch, options),
    swiglu(gate_NF, up_NF) {
      const y_NF = kernels.scratch(gate_NF.shape);
      const count = elementCount(gate_NF.shape);
      const [gate, up] = [pointerOf(gate_NF), pointerOf(up_NF)];
      kernels.run(TASK_SWIGLU_FORWARD, chunks(count), 4, y_NF.pointer, gate, up, count);
      return y_NF;
    },
    add(x_ND, y_ND) {
      const z_ND = kernels.scratch(x_ND.shape);
      const count = elementCount(x_ND.shape);
      const units = Math.ceil(count / ADD_UNIT);
      kernels.run(TASK_ADD, units, 16, z_ND.pointer, pointerOf(x_ND), pointerOf(y_ND), count);
      return z_ND;
    },
    softcap(x, cap) {
      const y = kernels.scratch(x.shape);
      const count = elementCount(x.shape);
      kernels.run(TASK_SOFTCAP, chunks(count), 4, y.pointer, pointerOf(x), count, { f32: cap });
      return y;
    },
    scale(x, factor) {
      const y = kernels.scratch(x.shape);
      const count = elementCount(x.shape);
      kernels.run(TASK_ACCUMULATE, chunks(count), 4, y.pointer, pointerOf(x), count, { f32: factor }, 0);
      return y;
    },
  };
  return ops;
}

function attentionForward(
  kernels: TrainingKernels,
  q_NQ: Tensor,
  { k_NP, v_NP }: OwnKeyValues,
  batch: Batch,
  options: AttentionOptions,
) {
  const H = columnCount(q_NQ.shape) / options.headSize;
  const mix_NQ = kernels.scratch(q_NQ.shape);
  const logSumExp_NH = kernels.scratch([rowCount(q_NQ.shape), H]);
  const mark = kernels.arena.mark();
  const task = attentionTask(kernels, q_NQ, k_NP, batch, options, kernels.exports.attentionForwardBytes);
  const pointers = [q_NQ, k_NP, v_NP, mix_NQ, logSumExp_NH].map(pointerOf);
  kernels.run(TASK_ATTENTION_FORWARD, task.units, 1, ...task.arguments, ...pointers, 0, 0, 0, 0, 0, task.cap);
  kernels.arena.release(mark);
  return { mix_NQ, logSumExp_NH };
}

/** The arguments that both attention tasks begin with: the units (one per sequence and kv head), sizes and scratch. */
export function attentionTask(
  kernels: TrainingKernels,
  q_NQ: Tensor,
  k_NP: Tensor,
  batch: Batch,
  { headSize: E, window, scale = 1 / Math.sqrt(E), cap = 0 }: AttentionOptions,
  scratchBytes: (rows: number, headSize: number) => number,
): {
  readonly units: number;
  readonly arguments: readonly (number | { readonly f32: number })[];
  /** Their last argument. */
  readonly cap: { readonly f32: number };
} {
  const H = columnCount(q_NQ.shape) / E;
  const K = columnCount(k_NP.shape) / E;
  const units = batch.spans.length * K;
  const table = kernels.arena.take(units * 12);
  const words = kernels.segment.wordsAt(table, units * 3);
  // Longest first, so that no thread is left with a long one at the end.
  const spans = [...batch.spans].sort((a, b) => b.rowCount - a.rowCount || a.firstRow - b.firstRow);
  let at = 0;
  for (const { firstRow, rowCount: rows } of spans) {
    for (let g = 0; g < K; g++, at += 3) words.set([firstRow, rows, g], at);
  }
  const perThread = Math.ceil(scratchBytes(spans[0]?.rowCount ?? 0, E) / 64) * 64;
  const scratch = kernels.arena.take(perThread * kernels.threads);
  const factor = { f32: cap === 0 ? scale : scale / cap };
  return { units, arguments: [table, H, K, E, window ?? 0, factor, scratch, perThread], cap: { f32: cap } };
}
