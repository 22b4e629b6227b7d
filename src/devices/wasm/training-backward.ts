/** The backward operations of the wasm device, in the home segment. */

import { softcap, softcapBackward } from '../../kernels/activation/kernel.ts';
import { attentionBackward, attentionBackwardBytes } from '../../kernels/attention/training/kernel.ts';
import type { BackwardOps, Gradient } from '../../kernels/backward-ops.ts';
import { crossEntropy } from '../../kernels/cross-entropy/kernel.ts';
import { embedBackward } from '../../kernels/embed/gather.kernel.ts';
import { swigluBackward } from '../../kernels/gated/backward.kernel.ts';
import { swigluBackward as limitedSwigluBackward } from '../../kernels/gated/backward.reference.ts';
import { NORM_ROWS, rmsNormBackward } from '../../kernels/rms-norm/backward.kernel.ts';
import { ropeBackward } from '../../kernels/rope/kernel.ts';
import { columnCount, elementCount, rowCount, type Tensor } from '../../tensor/tensor.ts';
import { createExpertBackward } from './expert-backward.ts';
import { frozenGradient, frozenProduct } from './frozen.ts';
import { cleared, floatsOf, isFrozen, WasmMatrix } from './tensors.ts';
import { attentionPlaces, attentionTask, sinksBackward } from './training-attention.ts';
import { type TrainingKernels, target, transposed } from './training-kernels.ts';
import { createLabBackward } from './training-lab.ts';

/** Logits that exist at once, in bytes. */
const LOGIT_BYTES = 16 * 2 ** 20;

export function createWasmBackward(kernels: TrainingKernels): BackwardOps {
  const addRows = (gradient: Gradient, dy: Tensor, rows: Uint32Array) => {
    const { pointer, adds } = target(gradient);
    if (!adds) kernels.segment.bytesAt(pointer, elementCount(gradient.tensor.shape) * 4).fill(0);
    const mark = kernels.mark();
    const ids = kernels.take(rows.length * 4);
    kernels.segment.wordsAt(ids, rows.length).set(rows);
    const D = columnCount(dy.shape);
    const values = { dTable: pointer, dy: kernels.at(dy), ids, N: rows.length, D };
    kernels.perform(kernels.segment, embedBackward, values, 1, 1);
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
        const { pointer, adds } = target(dx_NI);
        if (isFrozen(w_OI)) frozenGradient(kernels, pointer, dy, N, w_OI, adds === 1);
        else kernels.gemm(pointer, N, I, O, dy, { pointer: kernels.at(w_OI), rowStride: 1, kStride: I }, adds === 1);
      }
      if (dw_OI) {
        const { pointer, adds } = target(dw_OI);
        const x = { pointer: kernels.at(x_NI), rowStride: 1, kStride: I };
        if (kernels.isFlat(I, O)) kernels.gemmTransposed(pointer, O, I, N, transposed(dy), x, adds === 1);
        else kernels.gemm(pointer, O, I, N, transposed(dy), x, adds === 1);
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
      const inputs = { dy: kernels.at(dy_ND), x: kernels.at(x_ND), gain: kernels.at(gain_D), D, N, eps };
      const outputs = { dx: dx.pointer, dGain: parts, adds: dx.adds };
      kernels.perform(kernels.segment, rmsNormBackward, { ...outputs, ...inputs }, units, 1);
      if (dGain_D) kernels.columnSums(dGain_D, parts, units, D);
      kernels.release(mark);
    },
    rope(dx_NQ, dy_NQ, rotation_NE) {
      const { pointer, adds } = target(dx_NQ);
      const Q = columnCount(dy_NQ.shape);
      const E = columnCount(rotation_NE.shape);
      const values = { y: pointer, x: kernels.at(dy_NQ), rotation: kernels.at(rotation_NE), Q, E, adds };
      kernels.perform(kernels.segment, ropeBackward, values, rowCount(dy_NQ.shape), 16);
    },

    attention(d, dMix_NQ, saved, batch, options) {
      const { q_NQ, k_NP } = saved;
      const mark = kernels.mark();
      const { units, values } = attentionTask(kernels, q_NQ, k_NP, batch, options, attentionBackwardBytes);
      const [dq, dk, dv] = [target(d.q_NQ), target(d.k_NP), target(d.v_NP)];
      const outputs = { dq: dq.pointer, dk: dk.pointer, dv: dv.pointer };
      const adds = { addsToQ: dq.adds, addsToK: dk.adds, addsToV: dv.adds };
      const inputs = { ...attentionPlaces(kernels, saved), dMix: kernels.at(dMix_NQ) };
      kernels.perform(kernels.segment, attentionBackward, { ...values, ...inputs, ...outputs, ...adds }, units, 1);
      if (d.sinks_H) sinksBackward(d.sinks_H, options.sinks_H!, dMix_NQ, saved, options.headSize);
      kernels.release(mark);
    },

    swiglu(dGate_NF, dUp_NF, dy_NF, gate_NF, up_NF, limit) {
      if (limit !== undefined) {
        const [dGate, dUp] = [dGate_NF && cleared(dGate_NF), dUp_NF && cleared(dUp_NF)];
        limitedSwigluBackward(dGate, dUp, floatsOf(dy_NF), floatsOf(gate_NF), floatsOf(up_NF), limit);
        return;
      }
      const [gate, up] = [target(dGate_NF), target(dUp_NF)];
      const outputs = { dGate: gate.pointer, dUp: up.pointer, addsToGate: gate.adds, addsToUp: up.adds };
      const inputs = { dy: kernels.at(dy_NF), gate: kernels.at(gate_NF), up: kernels.at(up_NF) };
      kernels.elements(swigluBackward, { ...outputs, ...inputs, count: elementCount(dy_NF.shape) });
    },

    dropout(dx_ND, dy_ND, options) {
      const { pointer, adds } = target(dx_ND);
      kernels.dropout(pointer, dy_ND, options, adds);
    },

    softcap(dx, dy, y, cap) {
      const { pointer, adds } = target(dx);
      const numbers = { dx: pointer, dy: kernels.at(dy), y: kernels.at(y), cap, adds };
      kernels.elements(softcapBackward, { ...numbers, count: elementCount(dy.shape) });
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
          kernels.elements(softcap, { y: capped, x: logits, count: count * V, cap });
          kernels.segment.copyWithin(logits, capped, count * V * 4);
        }
        kernels.segment.wordsAt(labels, count).set(labels_N.subarray(first, first + count));
        kernels.segment.floatsAt(weights, count).set(weights_N.subarray(first, first + count));
        const losses = losses_N.pointer + first * 8;
        const penalties = zLoss > 0 ? losses + N * 8 : 0;
        const values = { logits, V, labels, weights, losses, wantsGradient, zLoss, penalties };
        kernels.perform(kernels.segment, crossEntropy, values, count, 4);
        if (wantsGradient && cap !== undefined) {
          const numbers = { dx: logits, dy: logits, y: capped, count: count * V, cap, adds: 0 };
          kernels.elements(softcapBackward, numbers);
        }
        if (wantsGradient) {
          const dz = kernels.shared({ pointer: logits, rowStride: V, kStride: 1 }, count * V);
          const to = dx.pointer + first * D * 4;
          if (dx_ND && frozen) frozenGradient(kernels, to, dz, count, frozen, dx.adds === 1);
          else if (dx_ND) kernels.gemm(to, count, D, V, dz, transposed(head!), dx.adds === 1);
          if (dHead_VD) {
            const { pointer, adds } = target(dHead_VD);
            kernels.gemm(pointer, V, D, count, transposed(dz), transposed(x), adds === 1);
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
