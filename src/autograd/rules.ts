/**
 * The backward rule of every operation: which of its inputs get which part of the gradient.
 * The table is total: an operation without a rule does not compile.
 */

import { assert } from '../base/assert.ts';
import type { AttentionSaved, BackwardOps, Gradient, TrainingOps } from '../kernels/backward-ops.ts';
import { isCacheLayer, type Routes } from '../kernels/ops.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** All operations but those whose results do not depend on parameters (rotation, ones), that write a cache, or that only the tape calls. */
export type DifferentiableOp = Exclude<
  keyof TrainingOps,
  'rotation' | 'ones' | 'appendToCache' | 'placeRows' | 'attentionWithLogSumExp' | 'linearExact'
>;

/** Gives the place where an input's gradient is summed up; null when nobody wants it. */
export type GradientOf = (input: Tensor) => Gradient | null;

export interface RecordedCall<Op extends DifferentiableOp = DifferentiableOp> {
  readonly op: Op;
  readonly inputs: Parameters<TrainingOps[Op]>;
  readonly output: Tensor;
  readonly attention: AttentionSaved | null;
  /** What `route` returned; its output here is the weights. */
  readonly routes: Routes | null;
}

type BackwardRule<Op extends DifferentiableOp> = (
  backward: BackwardOps,
  gradientOf: GradientOf,
  dy: Tensor,
  call: RecordedCall<Op>,
) => void;

const wanted = (gradient: Gradient | null, use: (gradient: Gradient) => void) => {
  if (gradient) use(gradient);
};

export const backwardRules: { readonly [Op in DifferentiableOp]: BackwardRule<Op> } = {
  embed: (backward, of, dy_ND, { inputs: [table_VD, ids_N] }) =>
    wanted(of(table_VD), (dTable) => backward.embed(dTable, dy_ND, ids_N)),
  linear: (backward, of, dy_NO, { inputs: [x_NI, w_OI, bias_O] }) =>
    backward.linear(of(x_NI), of(w_OI), bias_O ? of(bias_O) : null, dy_NO, x_NI, w_OI),
  linearSum: (backward, of, dy_NO, { inputs: [x_NI, w_OI, low_NR, b_OR, bias_O] }) => {
    // The thin products first: they only read dy, which is in the cache yet.
    backward.linear(of(low_NR), of(b_OR), null, dy_NO, low_NR, b_OR);
    backward.linear(of(x_NI), of(w_OI), bias_O ? of(bias_O) : null, dy_NO, x_NI, w_OI);
  },
  rmsNorm: (backward, of, dy_ND, { inputs: [x_ND, gain_D, eps] }) =>
    backward.rmsNorm(of(x_ND), of(gain_D), dy_ND, x_ND, gain_D, eps),
  layerNorm: (backward, of, dy_ND, { inputs: [x_ND, gain_D, shift_D, eps] }) =>
    backward.layerNorm(of(x_ND), { gain_D: of(gain_D), shift_D: of(shift_D) }, dy_ND, x_ND, gain_D, eps),
  batchNorm: (backward, of, dy_ND, { inputs: [x_ND, gain_D, shift_D, eps, statistics] }) =>
    backward.batchNorm(of(x_ND), { gain_D: of(gain_D), shift_D: of(shift_D) }, dy_ND, x_ND, gain_D, eps, statistics),
  rope: (backward, of, dy_NQ, { inputs: [x_NQ, rotation_NE] }) =>
    wanted(of(x_NQ), (dx) => backward.rope(dx, dy_NQ, rotation_NE)),
  addSinusoids: (backward, of, dy_ND, { inputs: [x_ND] }) =>
    wanted(of(x_ND), (dx) => backward.accumulate(dx, dy_ND, 1)),
  attention: (backward, of, dMix_NQ, { inputs: [q_NQ, keyValues, batch, options], attention }) => {
    assert(!isCacheLayer(keyValues) && attention !== null, 'tape: attention over a cache has no gradient');
    const { sinks_H } = options;
    const d = {
      q_NQ: of(q_NQ),
      k_NP: of(keyValues.k_NP),
      v_NP: of(keyValues.v_NP),
      sinks_H: sinks_H ? of(sinks_H) : null,
    };
    backward.attention(d, dMix_NQ, attention, batch, options);
  },
  swiglu: (backward, of, dy_NF, { inputs: [gate_NF, up_NF, limit] }) =>
    backward.swiglu(of(gate_NF), of(up_NF), dy_NF, gate_NF, up_NF, limit),
  geglu: (backward, of, dy_NF, { inputs: [gate_NF, up_NF, form] }) =>
    backward.geglu(of(gate_NF), of(up_NF), dy_NF, gate_NF, up_NF, form ?? 'exact'),
  relu: (backward, of, dy_NF, { inputs: [x_NF] }) => wanted(of(x_NF), (dx) => backward.relu(dx, dy_NF, x_NF)),
  gelu: (backward, of, dy_NF, { inputs: [x_NF, form] }) =>
    wanted(of(x_NF), (dx) => backward.gelu(dx, dy_NF, x_NF, form ?? 'exact')),
  add: (backward, of, dy_ND, { inputs }) => {
    for (const input of inputs) wanted(of(input), (dx) => backward.accumulate(dx, dy_ND, 1));
  },
  dropout: (backward, of, dy, { inputs: [x, options] }) => wanted(of(x), (dx) => backward.dropout(dx, dy, options)),
  scale: (backward, of, dy, { inputs: [x, factor] }) => wanted(of(x), (dx) => backward.accumulate(dx, dy, factor)),
  route: (backward, of, dWeights_NU, { inputs: [scores_NX, options], routes }) =>
    wanted(of(scores_NX), (dScores) => backward.route(dScores, dWeights_NU, scores_NX, routes!, options)),
  routedLinear: (backward, of, dy_MO, { inputs: [x_NI, w_XOI, routes, bias_XO] }) =>
    backward.routedLinear(of(x_NI), of(w_XOI), bias_XO ? of(bias_XO) : null, dy_MO, x_NI, w_XOI, routes),
  mixRoutes: (backward, of, dy_ND, { inputs: [x_MD, routes] }) =>
    backward.mixRoutes(of(x_MD), of(routes.weights_NU), dy_ND, x_MD, routes),
  spreadRoutes: (backward, of, dy_MD, { inputs: [x_ND, routes] }) =>
    backward.spreadRoutes(of(x_ND), of(routes.weights_NU), dy_MD, x_ND, routes),
  softcap: (backward, of, dy_RV, { inputs: [x_RV, cap], output }) =>
    wanted(of(x_RV), (dx) => backward.softcap(dx, dy_RV, output, cap)),
  selectRows: (backward, of, dy_RD, { inputs: [x_ND, rows_R] }) =>
    wanted(of(x_ND), (dx) => backward.selectRows(dx, dy_RD, rows_R)),
};

/** Runs one recorded call's rule. */
export function runRule<Op extends DifferentiableOp>(
  backward: BackwardOps,
  gradientOf: GradientOf,
  dy: Tensor,
  call: RecordedCall<Op>,
): void {
  backwardRules[call.op](backward, gradientOf, dy, call);
}
