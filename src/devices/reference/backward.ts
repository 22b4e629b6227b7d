/** What training needs of the reference device beyond Ops: the obvious loops, in f64. */
import { geluBackward, reluBackward, softcapBackward } from '../../kernels/activation/backward.reference.ts';
import { accumulate } from '../../kernels/add/backward.reference.ts';
import { attentionBackward, attentionLogSumExp } from '../../kernels/attention/backward.reference.ts';
import type { AttentionSizes } from '../../kernels/attention/reference.ts';
import type { BackwardOps, Gradient, TrainingOps } from '../../kernels/backward-ops.ts';
import { batchNormBackward } from '../../kernels/batch-norm/backward.reference.ts';
import { crossEntropy } from '../../kernels/cross-entropy/reference.ts';
import { addDropout } from '../../kernels/dropout/reference.ts';
import { embedBackward } from '../../kernels/embed/backward.reference.ts';
import {
  mixRoutesBackward,
  routeBackward,
  routedLinearBackward,
  spreadRoutesBackward,
} from '../../kernels/experts/backward.reference.ts';
import { gegluBackward, swigluBackward } from '../../kernels/gated/backward.reference.ts';
import { layerNormBackward } from '../../kernels/layer-norm/backward.reference.ts';
import { linearBackward } from '../../kernels/linear/backward.reference.ts';
import type { AttentionOptions } from '../../kernels/ops.ts';
import { rmsNormBackward } from '../../kernels/rms-norm/backward.reference.ts';
import { ropeBackward } from '../../kernels/rope/backward.reference.ts';
import { columnCount, type Floats, rowCount, type Tensor } from '../../tensor/tensor.ts';
import { referenceOps } from './ops.ts';
import { dataOf, referenceTensor, runningData } from './tensors.ts';

/** The numbers of a gradient to add to; its first use clears it. */
function into(gradient: Gradient): Floats {
  const data = dataOf(gradient.tensor);
  if (gradient.isEmpty) data.fill(0);
  gradient.isEmpty = false;
  return data;
}
const intoOptional = (gradient: Gradient | null): Floats | null => gradient && into(gradient);

function attentionSizes(
  q_NQ: Tensor,
  k_NP: Tensor,
  { headSize: E, sinks_H, ...options }: AttentionOptions,
): AttentionSizes {
  return {
    H: columnCount(q_NQ.shape) / E,
    K: columnCount(k_NP.shape) / E,
    E,
    ...options,
    sinks_H: sinks_H && dataOf(sinks_H),
  };
}

export const referenceTrainingOps: TrainingOps = {
  ...referenceOps,
  linearExact: referenceOps.linear,
  linearSum: (x, w, low, b, bias) => referenceOps.add(referenceOps.linear(x, w, bias), referenceOps.linear(low, b)),
  attentionWithLogSumExp(q_NQ, keyValues, batch, options) {
    const sizes = attentionSizes(q_NQ, keyValues.k_NP, options);
    const sums = new Float64Array(rowCount(q_NQ.shape) * sizes.H);
    attentionLogSumExp(sums, dataOf(q_NQ), dataOf(keyValues.k_NP), batch.spans, sizes);
    return {
      mix_NQ: referenceOps.attention(q_NQ, keyValues, batch, options),
      logSumExp_NH: referenceTensor(sums, [rowCount(q_NQ.shape), sizes.H]),
    };
  },
};

export const referenceBackward: BackwardOps = {
  accumulate: (dx, dy, factor) => accumulate(into(dx), dataOf(dy), factor),
  embed: (dTable_VD, dy_ND, ids_N) => embedBackward(into(dTable_VD), dataOf(dy_ND), ids_N, columnCount(dy_ND.shape)),
  linear: (dx_NI, dw_OI, dBias_O, dy_NO, x_NI, w_OI) =>
    linearBackward(
      intoOptional(dx_NI),
      intoOptional(dw_OI),
      intoOptional(dBias_O),
      dataOf(dy_NO),
      dataOf(x_NI),
      dataOf(w_OI),
      columnCount(w_OI.shape),
    ),
  rmsNorm: (dx_ND, dGain_D, dy_ND, x_ND, gain_D, eps) =>
    rmsNormBackward(intoOptional(dx_ND), intoOptional(dGain_D), dataOf(dy_ND), dataOf(x_ND), dataOf(gain_D), eps),
  layerNorm: (dx_ND, { gain_D: dGain_D, shift_D: dShift_D }, dy_ND, x_ND, gain_D, eps) =>
    layerNormBackward(
      intoOptional(dx_ND),
      intoOptional(dGain_D),
      intoOptional(dShift_D),
      dataOf(dy_ND),
      dataOf(x_ND),
      dataOf(gain_D),
      eps,
    ),
  batchNorm: (dx_ND, { gain_D: dGain_D, shift_D: dShift_D }, dy_ND, x_ND, gain_D, eps, statistics) =>
    batchNormBackward(
      intoOptional(dx_ND),
      intoOptional(dGain_D),
      intoOptional(dShift_D),
      dataOf(dy_ND),
      dataOf(x_ND),
      dataOf(gain_D),
      eps,
      runningData(statistics),
    ),
  rope: (dx_NQ, dy_NQ, rotation_NE) =>
    ropeBackward(
      into(dx_NQ),
      dataOf(dy_NQ),
      dataOf(rotation_NE),
      rowCount(dy_NQ.shape),
      columnCount(rotation_NE.shape),
    ),
  attention: ({ q_NQ, k_NP, v_NP, sinks_H = null }, dMix_NQ, saved, batch, options) =>
    attentionBackward(
      { q_NQ: intoOptional(q_NQ), k_NP: intoOptional(k_NP), v_NP: intoOptional(v_NP), sinks_H: intoOptional(sinks_H) },
      dataOf(dMix_NQ),
      {
        mix_NQ: dataOf(saved.mix_NQ),
        logSumExp_NH: dataOf(saved.logSumExp_NH),
        q_NQ: dataOf(saved.q_NQ),
        k_NP: dataOf(saved.k_NP),
        v_NP: dataOf(saved.v_NP),
      },
      batch.spans,
      attentionSizes(saved.q_NQ, saved.k_NP, options),
    ),
  swiglu: (dGate_NF, dUp_NF, dy_NF, gate_NF, up_NF, limit) =>
    swigluBackward(intoOptional(dGate_NF), intoOptional(dUp_NF), dataOf(dy_NF), dataOf(gate_NF), dataOf(up_NF), limit),
  geglu: (dGate_NF, dUp_NF, dy_NF, gate_NF, up_NF, form) =>
    gegluBackward(intoOptional(dGate_NF), intoOptional(dUp_NF), dataOf(dy_NF), dataOf(gate_NF), dataOf(up_NF), form),
  relu: (dx_NF, dy_NF, x_NF) => reluBackward(into(dx_NF), dataOf(dy_NF), dataOf(x_NF)),
  gelu: (dx_NF, dy_NF, x_NF, form) => geluBackward(into(dx_NF), dataOf(dy_NF), dataOf(x_NF), form),
  route: (dScores_NX, dWeights_NU, scores_NX, { chosen_NU, weights_NU }, options) =>
    routeBackward(
      into(dScores_NX),
      dataOf(dWeights_NU),
      { scores_NX: dataOf(scores_NX), chosen_NU: dataOf(chosen_NU), weights_NU: dataOf(weights_NU) },
      columnCount(scores_NX.shape),
      options,
    ),
  routedLinear: (dx_NI, dw_XOI, dBias_XO, dy_MO, x_NI, w_XOI, { chosen_NU }) => {
    const [, O, I] = w_XOI.shape as [number, number, number];
    const d = { x: intoOptional(dx_NI), w_XOI: intoOptional(dw_XOI), bias_XO: intoOptional(dBias_XO) };
    const sizes = { U: columnCount(chosen_NU.shape), O, I };
    routedLinearBackward(d, dataOf(dy_MO), dataOf(x_NI), dataOf(w_XOI), dataOf(chosen_NU), sizes);
  },
  mixRoutes: (dx_MD, dWeights_NU, dy_ND, x_MD, { weights_NU }) =>
    mixRoutesBackward(
      intoOptional(dx_MD),
      intoOptional(dWeights_NU),
      dataOf(dy_ND),
      dataOf(x_MD),
      dataOf(weights_NU),
      columnCount(weights_NU.shape),
    ),
  spreadRoutes: (dx_ND, dWeights_NU, dy_MD, x_ND, { weights_NU }) =>
    spreadRoutesBackward(
      intoOptional(dx_ND),
      intoOptional(dWeights_NU),
      dataOf(dy_MD),
      dataOf(x_ND),
      dataOf(weights_NU),
      columnCount(weights_NU.shape),
    ),
  dropout: (dx, dy, options) => addDropout(into(dx), dataOf(dy), columnCount(dy.shape), options),
  softcap: (dx, dy, y, cap) => softcapBackward(into(dx), dataOf(dy), dataOf(y), cap),
  selectRows: (dx_ND, dy_RD, rows_R) => embedBackward(into(dx_ND), dataOf(dy_RD), rows_R, columnCount(dy_RD.shape)),
  crossEntropy: (dx_ND, dHead_VD, x_ND, head_VD, labels_N, weights_N, options) => {
    const [dx, dHead] = [intoOptional(dx_ND), intoOptional(dHead_VD)];
    const losses = crossEntropy(dx, dHead, dataOf(x_ND), dataOf(head_VD), labels_N, weights_N, options);
    return referenceTensor(losses, [losses.length]);
  },
};
