/** The backward operations of the wasm training device. */
import type { BackwardOps, Gradient } from '../../kernels/backward-ops.ts';
import {
  NORM_ROWS,
  TASK_ATTENTION_BACKWARD,
  TASK_CROSS_ENTROPY_ROWS,
  TASK_EMBED_BACKWARD,
  TASK_RMS_NORM_BACKWARD,
  TASK_ROPE_BACKWARD,
  TASK_SOFTCAP_BACKWARD,
  TASK_SWIGLU_BACKWARD,
} from '../../kernels/training-tasks.ts';
import { columnCount, elementCount, rowCount, type Tensor } from '../../tensor/tensor.ts';
import { chunks, pointerOf, type TrainingKernels, target, transposed } from './training-kernels.ts';
import { createLabBackward } from './training-lab.ts';
import { attentionTask } from './training-ops.ts';

/** Logits that exist at once, in bytes. */
const LOGIT_BYTES = 16 * 2 ** 20;

export function createWasmBackward(kernels: TrainingKernels): BackwardOps {
  const { arena } = kernels;
  const addRows = (gradient: Gradient, dy: Tensor, rows: Uint32Array) => {
    const { pointer, add } = target(gradient);
    if (!add) kernels.segment.bytesAt(pointer, elementCount(gradient.tensor.shape) * 4).fill(0);
    const mark = arena.mark();
    const ids = arena.take(rows.length * 4);
    kernels.segment.wordsAt(ids, rows.length).set(rows);
    const D = columnCount(dy.shape);
    kernels.run(TASK_EMBED_BACKWARD, 1, 1, pointer, pointerOf(dy), ids, rows.length, D);
    arena.release(mark);
  };

  return {
    ...createLabBackward(kernels),
    accumulate: (dx, dy, factor) => kernels.accumulate(dx, dy, factor),
    embed: addRows,
    selectRows: addRows,

    linear(dx_NI, dw_OI, dBias_O, dy_NO, x_NI, w_OI) {
      const I = columnCount(w_OI.shape);
      const O = rowCount(w_OI.shape);
      const N = rowCount(x_NI.shape);
      const mark = arena.mark();
      const dy = kernels.shared({ pointer: pointerOf(dy_NO), rowStride: O, kStride: 1 }, N * O);
      if (dx_NI) {
        const { pointer, add } = target(dx_NI);
        kernels.gemm(pointer, N, I, O, dy, { pointer: pointerOf(w_OI), rowStride: 1, kStride: I }, add === 1);
      }
      if (dw_OI) {
        const { pointer, add } = target(dw_OI);
        const x = { pointer: pointerOf(x_NI), rowStride: 1, kStride: I };
        kernels.gemm(pointer, O, I, N, transposed(dy), x, add === 1);
      }
      arena.release(mark);
      if (dBias_O) kernels.columnSums(dBias_O, pointerOf(dy_NO), N, O);
    },

    rmsNorm(dx_ND, dGain_D, dy_ND, x_ND, gain_D, eps) {
      const D = columnCount(gain_D.shape);
      const N = elementCount(x_ND.shape) / D;
      const units = Math.ceil(N / NORM_ROWS);
      const mark = arena.mark();
      const parts = dGain_D ? arena.take(units * D * 4) : 0;
      const dx = target(dx_ND);
      const [dy, x, gain] = [pointerOf(dy_ND), pointerOf(x_ND), pointerOf(gain_D)];
      kernels.run(TASK_RMS_NORM_BACKWARD, units, 1, dx.pointer, parts, dy, x, gain, D, N, { f32: eps }, dx.add);
      if (dGain_D) kernels.columnSums(dGain_D, parts, units, D);
      arena.release(mark);
    },
    rope(dx_NQ, dy_NQ, rotation_NE) {
      const { pointer, add } = target(dx_NQ);
      const Q = columnCount(dy_NQ.shape);
      const E = columnCount(rotation_NE.shape);
      const [dy, rotation] = [pointerOf(dy_NQ), pointerOf(rotation_NE)];
      kernels.run(TASK_ROPE_BACKWARD, rowCount(dy_NQ.shape), 16, pointer, dy, rotation, Q, E, add);
    },

    attention(d, dMix_NQ, saved, batch, options) {
      const { q_NQ, k_NP, v_NP, mix_NQ, logSumExp_NH } = saved;
      const mark = arena.mark();
      const task = attentionTask(kernels, q_NQ, k_NP, batch, options, kernels.exports.attentionBackwardBytes);
      const [dq, dk, dv] = [target(d.q_NQ), target(d.k_NP), target(d.v_NP)];
      const inputs = [q_NQ, k_NP, v_NP, mix_NQ, logSumExp_NH, dMix_NQ].map(pointerOf);
      const add = dq.add | (dk.add << 1) | (dv.add << 2);
      const outputs = [dq.pointer, dk.pointer, dv.pointer, add, task.cap];
      kernels.run(TASK_ATTENTION_BACKWARD, task.units, 1, ...task.arguments, ...inputs, ...outputs);
      arena.release(mark);
    },

    swiglu(dGate_NF, dUp_NF, dy_NF, gate_NF, up_NF) {
      const count = elementCount(dy_NF.shape);
      const [gate, up] = [target(dGate_NF), target(dUp_NF)];
      const inputs = [dy_NF, gate_NF, up_NF].map(pointerOf);
      const outputs = [gate.pointer, up.pointer];
      kernels.run(TASK_SWIGLU_BACKWARD, chunks(count), 4, ...outputs, ...inputs, count, gate.add, up.add);
    },

    softcap(dx, dy, y, cap) {
      const { pointer, add } = target(dx);
      const count = elementCount(dy.shape);
      const inputs = [pointerOf(dy), pointerOf(y), count, { f32: cap }, add];
      kernels.run(TASK_SOFTCAP_BACKWARD, chunks(count), 4, pointer, ...inputs);
    },

    crossEntropy(dx_ND, dHead_VD, x_ND, head_VD, labels_N, weights_N) {
      const V = rowCount(head_VD.shape);
      const D = columnCount(head_VD.shape);
      const N = labels_N.length;
      const rows = Math.min(N, Math.max(64, Math.floor(LOGIT_BYTES / (V * 4)) & ~3));
      const losses_N = new Float64Array(N);
      const wantsGradient = dx_ND || dHead_VD ? 1 : 0;
      const dx = target(dx_ND);
      const mark = arena.mark();
      const logits = arena.take(rows * V * 4);
      const labels = arena.take(rows * 4);
      const weights = arena.take(rows * 4);
      const losses = arena.take(rows * 8);
      const head = kernels.shared({ pointer: pointerOf(head_VD), rowStride: D, kStride: 1 }, V * D);
      for (let first = 0; first < N; first += rows) {
        const count = Math.min(rows, N - first);
        const chunk = arena.mark();
        const x = kernels.shared({ pointer: pointerOf(x_ND) + first * D * 4, rowStride: D, kStride: 1 }, count * D);
        kernels.gemm(logits, count, V, D, x, head, false);
        kernels.segment.wordsAt(labels, count).set(labels_N.subarray(first, first + count));
        kernels.segment.floatsAt(weights, count).set(weights_N.subarray(first, first + count));
        kernels.run(TASK_CROSS_ENTROPY_ROWS, count, 4, logits, V, labels, weights, losses, wantsGradient);
        losses_N.set(kernels.doublesAt(losses, count), first);
        if (wantsGradient) {
          const dz = kernels.shared({ pointer: logits, rowStride: V, kStride: 1 }, count * V);
          if (dx_ND) kernels.gemm(dx.pointer + first * D * 4, count, D, V, dz, transposed(head), dx.add === 1);
          if (dHead_VD) {
            const { pointer, add } = target(dHead_VD);
            kernels.gemm(pointer, V, D, count, transposed(dz), transposed(x), add === 1);
          }
        }
        arena.release(chunk);
      }
      arena.release(mark);
      return losses_N;
    },
  };
}
