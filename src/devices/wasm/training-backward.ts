/** The backward operations of the wasm device, in the home segment. */
import type { BackwardOps, Gradient } from '../../kernels/backward-ops.ts';
import { swigluBackward } from '../../kernels/gated/backward.reference.ts';
import {
  NORM_ROWS,
  TASK_ATTENTION_BACKWARD,
  TASK_CROSS_ENTROPY_ROWS,
  TASK_EMBED_BACKWARD,
  TASK_RMS_NORM_BACKWARD,
  TASK_ROPE_BACKWARD,
  TASK_SOFTCAP,
  TASK_SOFTCAP_BACKWARD,
  TASK_SWIGLU_BACKWARD,
} from '../../kernels/training-tasks.ts';
import { columnCount, elementCount, rowCount, type Tensor } from '../../tensor/tensor.ts';
import { createExpertBackward } from './expert-backward.ts';
import { frozenGradient, frozenProduct } from './frozen.ts';
import { cleared, floatsOf, isFrozen, WasmMatrix } from './tensors.ts';
import { attentionTask, sinksBackward } from './training-attention.ts';
import { chunks, type TrainingKernels, target, transposed } from './training-kernels.ts';
import { createLabBackward } from './training-lab.ts';

/** Logits that exist at once, in bytes. */
const LOGIT_BYTES = 16 * 2 ** 20;

export function createWasmBackward(kernels: TrainingKernels): BackwardOps {
  const addRows = (gradient: Gradient, dy: Tensor, rows: Uint32Array) => {
    const { pointer, add } = target(gradient);
    if (!add) kernels.segment.bytesAt(pointer, elementCount(gradient.tensor.shape) * 4).fill(0);
    const mark = kernels.mark();
    const ids = kernels.take(rows.length * 4);
    kernels.segment.wordsAt(ids, rows.length).set(rows);
    const D = columnCount(dy.shape);
    kernels.run(TASK_EMBED_BACKWARD, 1, 1, pointer, kernels.at(dy), ids, rows.length, D);
    kernels.release(mark);
  };

  const backward: BackwardOps = {
    ...createLabBackward(kernels),
    ...createExpertBackward(kernels, (...given) => backward.linear(...given)),
    accumulate: (dx, dy, factor) => kernels.accumulate(dx, dy, factor),
    embed: addRows,
    selectRows: addRows,

    linear(dx_NI, dw_OI, dBias_O, dy_NO, x_NI, w_OI) {
      const I = columnCount(w_OI.shape);
      const O = rowCount(w_OI.shape);
      const N = rowCount(x_NI.shape);
      const mark = kernels.mark();
      const dy = kernels.shared({ pointer: kernels.at(dy_NO), rowStride: O, kStride: 1 }, N * O);
      if (dx_NI) {
        const { pointer, add } = target(dx_NI);
        if (isFrozen(w_OI)) frozenGradient(kernels, pointer, dy, N, w_OI, add === 1);
        else kernels.gemm(pointer, N, I, O, dy, { pointer: kernels.at(w_OI), rowStride: 1, kStride: I }, add === 1);
      }
      if (dw_OI) {
        const { pointer, add } = target(dw_OI);
        const x = { pointer: kernels.at(x_NI), rowStride: 1, kStride: I };
        kernels.gemm(pointer, O, I, N, transposed(dy), x, add === 1);
      }
      kernels.release(mark);
      if (dBias_O) kernels.columnSums(dBias_O, kernels.at(dy_NO), N, O);
    },

    rmsNorm(dx_ND, dGain_D, dy_ND, x_ND, gain_D, eps) {
      const D = columnCount(gain_D.shape);
      const N = elementCount(x_ND.shape) / D;
      const units = Math.ceil(N / NORM_ROWS);
      const mark = kernels.mark();
      const parts = dGain_D ? kernels.take(units * D * 4) : 0;
      const dx = target(dx_ND);
      const [dy, x, gain] = [kernels.at(dy_ND), kernels.at(x_ND), kernels.at(gain_D)];
      kernels.run(TASK_RMS_NORM_BACKWARD, units, 1, dx.pointer, parts, dy, x, gain, D, N, { f32: eps }, dx.add);
      if (dGain_D) kernels.columnSums(dGain_D, parts, units, D);
      kernels.release(mark);
    },
    rope(dx_NQ, dy_NQ, rotation_NE) {
      const { pointer, add } = target(dx_NQ);
      const Q = columnCount(dy_NQ.shape);
      const E = columnCount(rotation_NE.shape);
      const [dy, rotation] = [kernels.at(dy_NQ), kernels.at(rotation_NE)];
      kernels.run(TASK_ROPE_BACKWARD, rowCount(dy_NQ.shape), 16, pointer, dy, rotation, Q, E, add);
    },

    attention(d, dMix_NQ, saved, batch, options) {
      const { q_NQ, k_NP, v_NP, mix_NQ, logSumExp_NH } = saved;
      const mark = kernels.mark();
      const task = attentionTask(kernels, q_NQ, k_NP, batch, options, kernels.exports.attentionBackwardBytes);
      const [dq, dk, dv] = [target(d.q_NQ), target(d.k_NP), target(d.v_NP)];
      const inputs = [q_NQ, k_NP, v_NP, mix_NQ, logSumExp_NH, dMix_NQ].map((tensor) => kernels.at(tensor));
      const add = dq.add | (dk.add << 1) | (dv.add << 2);
      const outputs = [dq.pointer, dk.pointer, dv.pointer, add, ...task.last];
      kernels.run(TASK_ATTENTION_BACKWARD, task.units, 1, ...task.arguments, ...inputs, ...outputs);
      if (d.sinks_H) sinksBackward(d.sinks_H, options.sinks_H!, dMix_NQ, saved, options.headSize);
      kernels.release(mark);
    },

    swiglu(dGate_NF, dUp_NF, dy_NF, gate_NF, up_NF, limit) {
      if (limit !== undefined) {
        const [dGate, dUp] = [dGate_NF && cleared(dGate_NF), dUp_NF && cleared(dUp_NF)];
        swigluBackward(dGate, dUp, floatsOf(dy_NF), floatsOf(gate_NF), floatsOf(up_NF), limit);
        return;
      }
      const count = elementCount(dy_NF.shape);
      const [gate, up] = [target(dGate_NF), target(dUp_NF)];
      const inputs = [dy_NF, gate_NF, up_NF].map((tensor) => kernels.at(tensor));
      const outputs = [gate.pointer, up.pointer];
      kernels.run(TASK_SWIGLU_BACKWARD, chunks(count), 4, ...outputs, ...inputs, count, gate.add, up.add);
    },

    dropout(dx_ND, dy_ND, options) {
      const { pointer, add } = target(dx_ND);
      kernels.dropout(pointer, dy_ND, options, add);
    },

    softcap(dx, dy, y, cap) {
      const { pointer, add } = target(dx);
      const count = elementCount(dy.shape);
      const inputs = [kernels.at(dy), kernels.at(y), count, { f32: cap }, add];
      kernels.run(TASK_SOFTCAP_BACKWARD, chunks(count), 4, pointer, ...inputs);
    },

    crossEntropy(dx_ND, dHead_VD, x_ND, head_VD, labels_N, weights_N, { cap, zLoss = 0 } = {}) {
      const V = rowCount(head_VD.shape);
      const D = columnCount(head_VD.shape);
      const N = labels_N.length;
      const rows = Math.min(N, Math.max(64, Math.floor(LOGIT_BYTES / (V * 4)) & ~3));
      const losses_N = kernels.doubles(zLoss > 0 ? 2 * N : N);
      const wantsGradient = dx_ND || dHead_VD ? 1 : 0;
      const dx = target(dx_ND);
      const mark = kernels.mark();
      const from = kernels.at(x_ND);
      const logits = kernels.take(rows * V * 4 + 32);
      const capped = cap === undefined ? 0 : kernels.take(rows * V * 4 + 32);
      const labels = kernels.take(rows * 4);
      const weights = kernels.take(rows * 4);
      const frozen = head_VD instanceof WasmMatrix ? head_VD : null;
      const head = frozen ? null : kernels.shared({ pointer: kernels.at(head_VD), rowStride: D, kStride: 1 }, V * D);
      for (let first = 0; first < N; first += rows) {
        const count = Math.min(rows, N - first);
        const chunk = kernels.mark();
        const x = kernels.shared({ pointer: from + first * D * 4, rowStride: D, kStride: 1 }, count * D);
        if (frozen) frozenProduct(kernels, logits, x, count, frozen);
        else kernels.gemm(logits, count, V, D, x, head!, false);
        if (cap !== undefined) {
          kernels.run(TASK_SOFTCAP, chunks(count * V), 4, capped, logits, count * V, { f32: cap });
          kernels.segment.copyWithin(logits, capped, count * V * 4);
        }
        kernels.segment.wordsAt(labels, count).set(labels_N.subarray(first, first + count));
        kernels.segment.floatsAt(weights, count).set(weights_N.subarray(first, first + count));
        const losses = losses_N.pointer + first * 8;
        const penalty = [{ f32: zLoss }, zLoss > 0 ? losses + N * 8 : 0] as const;
        kernels.run(TASK_CROSS_ENTROPY_ROWS, count, 4, logits, V, labels, weights, losses, wantsGradient, ...penalty);
        if (wantsGradient && cap !== undefined) {
          const numbers = [logits, logits, capped, count * V, { f32: cap }, 0];
          kernels.run(TASK_SOFTCAP_BACKWARD, chunks(count * V), 4, ...numbers);
        }
        if (wantsGradient) {
          const dz = kernels.shared({ pointer: logits, rowStride: V, kStride: 1 }, count * V);
          const to = dx.pointer + first * D * 4;
          if (dx_ND && frozen) frozenGradient(kernels, to, dz, count, frozen, dx.add === 1);
          else if (dx_ND) kernels.gemm(to, count, D, V, dz, transposed(head!), dx.add === 1);
          if (dHead_VD) {
            const { pointer, add } = target(dHead_VD);
            kernels.gemm(pointer, V, D, count, transposed(dz), transposed(x), add === 1);
          }
        }
        kernels.release(chunk);
      }
      kernels.release(mark);
      return losses_N;
    },
  };
  return backward;
}
