/** The gradients of routed experts on the wasm device: each expert's rows go through the rule of `linear`. */

import type { BackwardOps, Gradient } from '../../kernels/backward-ops.ts';
import { mixRoutesBackward, routeBackward, spreadRoutesBackward } from '../../kernels/experts/backward.reference.ts';
import { routedRow } from '../../kernels/experts/reference.ts';
import { columnCount, rowCount, type Tensor } from '../../tensor/tensor.ts';
import { cleared, expertOf, floatsOf } from './tensors.ts';
import type { TrainingKernels } from './training-kernels.ts';

type ExpertBackward = Pick<BackwardOps, 'route' | 'routedLinear' | 'mixRoutes' | 'spreadRoutes'>;

export function createExpertBackward(kernels: TrainingKernels, linear: BackwardOps['linear']): ExpertBackward {
  return {
    route(dScores_NX, dWeights_NU, scores_NX, { chosen_NU, weights_NU }, options) {
      const saved = {
        scores_NX: floatsOf(scores_NX),
        chosen_NU: floatsOf(chosen_NU),
        weights_NU: floatsOf(weights_NU),
      };
      routeBackward(cleared(dScores_NX), floatsOf(dWeights_NU), saved, columnCount(scores_NX.shape), options);
    },

    routedLinear(dx_NI, dw_XOI, dBias_XO, dy_MO, x_NI, w_XOI, { chosen_NU }) {
      const [, O, I] = w_XOI.shape as [number, number, number];
      const chosen = floatsOf(chosen_NU).slice();
      const U = columnCount(chosen_NU.shape);
      const isShared = rowCount(x_NI.shape) === chosen.length / U;
      for (const gradient of [dx_NI, dw_XOI, dBias_XO]) if (gradient) cleared(gradient);
      for (const expert of [...new Set(chosen)].sort((a, b) => a - b)) {
        const mine = Array.from(chosen.keys()).filter((m) => chosen[m] === expert);
        const from = mine.map((m) => routedRow(Math.floor(m / U), m % U, U, isShared));
        const mark = kernels.mark();
        const dy = gather(dy_MO, mine);
        const own: Gradient | null = dx_NI && { tensor: kernels.scratch([mine.length, I]), isEmpty: true };
        const dw = dw_XOI && { tensor: expertOf(dw_XOI.tensor, expert), isEmpty: false };
        linear(own, dw, null, dy, gather(x_NI, from), expertOf(w_XOI, expert));
        if (dx_NI) addRows(floatsOf(dx_NI.tensor), from, floatsOf(own!.tensor), I);
        if (dBias_XO) {
          const to = new Array<number>(mine.length).fill(expert);
          addRows(floatsOf(dBias_XO.tensor), to, floatsOf(dy), O);
        }
        kernels.release(mark);
      }
    },

    mixRoutes(dx_MD, dWeights_NU, dy_ND, x_MD, { weights_NU }) {
      const [dx, dWeights] = [dx_MD && cleared(dx_MD), dWeights_NU && cleared(dWeights_NU)];
      const U = columnCount(weights_NU.shape);
      mixRoutesBackward(dx, dWeights, floatsOf(dy_ND), floatsOf(x_MD), floatsOf(weights_NU), U);
    },

    spreadRoutes(dx_ND, dWeights_NU, dy_MD, x_ND, { weights_NU }) {
      const [dx, dWeights] = [dx_ND && cleared(dx_ND), dWeights_NU && cleared(dWeights_NU)];
      const U = columnCount(weights_NU.shape);
      spreadRoutesBackward(dx, dWeights, floatsOf(dy_MD), floatsOf(x_ND), floatsOf(weights_NU), U);
    },
  };

  function gather(x: Tensor, rows: readonly number[]): Tensor {
    const columns = columnCount(x.shape);
    const y = kernels.scratch([rows.length, columns]);
    const [to, from] = [floatsOf(y), floatsOf(x)];
    for (const [i, row] of rows.entries()) {
      to.set(from.subarray(row * columns, (row + 1) * columns), i * columns);
    }
    return y;
  }
}

function addRows(y: Float32Array, rows: readonly number[], x: Float32Array, columns: number): void {
  for (const [i, row] of rows.entries()) {
    for (let c = 0; c < columns; c++) y[row * columns + c]! += x[i * columns + c]!;
  }
}
