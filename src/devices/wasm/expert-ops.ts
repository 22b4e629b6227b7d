/**
 * Routed experts on the wasm device: each expert's rows are gathered, go through `linear`, and are put back. A row's result has the
 * bits that it has alone, since `linear` keeps that promise; and only experts that some row has chosen are read.
 */
import { assert } from '../../base/assert.ts';
import { mixRoutes, route, routedRow, spreadRoutes } from '../../kernels/experts/reference.ts';
import type { Ops } from '../../kernels/ops.ts';
import { columnCount, elementCount, formatShape, rowCount, type Tensor } from '../../tensor/tensor.ts';
import { inSegment, type OpContext } from './op-context.ts';
import { activation, expertOf, floatsOf, WasmExperts } from './tensors.ts';

type Linear = Ops['linear'];
type ExpertOps = Pick<Ops, 'route' | 'routedLinear' | 'mixRoutes' | 'spreadRoutes'>;

export function createExpertOps(context: OpContext, linear: Linear): ExpertOps {
  const { arena } = context;
  return {
    route(scores_NX, options) {
      const scores = activation(scores_NX);
      const { segment } = scores;
      const N = rowCount(scores.shape);
      const chosen_NU = arena.matrix(segment, N, options.used);
      const weights_NU = arena.matrix(segment, N, options.used);
      route(floatsOf(chosen_NU), floatsOf(weights_NU), floatsOf(scores), columnCount(scores.shape), options);
      return { chosen_NU, weights_NU };
    },

    routedLinear(x_NI, w_XOI, { chosen_NU }, bias_XO) {
      const { segment } = w_XOI instanceof WasmExperts ? w_XOI : activation(w_XOI);
      const [O, U] = [w_XOI.shape[1]!, columnCount(chosen_NU.shape)];
      const x = inSegment(context, activation(x_NI), segment);
      const chosen = floatsOf(chosen_NU).slice();
      const M = chosen.length;
      const rows = rowCount(x.shape);
      assert(
        rows === M / U || rows === M,
        `routedLinear: x is ${formatShape(x.shape)}, for ${M / U} rows of ${U} experts`,
      );
      const y = arena.matrix(segment, M, O);
      const bias = bias_XO && inSegment(context, activation(bias_XO), segment);
      const mark = arena.mark();
      for (const expert of new Set(chosen)) {
        const mine = Array.from(chosen.keys()).filter((m) => chosen[m] === expert);
        const from = Uint32Array.from(mine, (m) => routedRow(Math.floor(m / U), m % U, U, rows === M / U));
        // A row that is alone is taken as it is: what was made of it for one expert serves the next.
        const own = rows === 1 ? x : gather(x, from);
        const result = linear(own, expertOf(w_XOI, expert));
        for (const [i, m] of mine.entries()) {
          segment.copyWithin(y.pointer + m * O * 4, activation(result).pointer + i * O * 4, O * 4);
          if (bias) addRow(floatsOf(y), m * O, floatsOf(bias), expert * O, O);
        }
      }
      arena.release(mark);
      return y;
    },

    mixRoutes(x_MD, { weights_NU }) {
      const x = activation(x_MD);
      const U = columnCount(weights_NU.shape);
      const y = arena.matrix(x.segment, rowCount(weights_NU.shape), columnCount(x.shape));
      mixRoutes(floatsOf(y), floatsOf(x), floatsOf(weights_NU), U);
      return y;
    },

    spreadRoutes(x_ND, { weights_NU }) {
      const x = activation(x_ND);
      const y = arena.matrix(x.segment, elementCount(weights_NU.shape), columnCount(x.shape));
      spreadRoutes(floatsOf(y), floatsOf(x), floatsOf(weights_NU), columnCount(weights_NU.shape));
      return y;
    },
  };

  function gather(x: ReturnType<typeof activation>, rows: Uint32Array): Tensor {
    const I = columnCount(x.shape);
    const y = arena.matrix(x.segment, rows.length, I);
    for (const [i, row] of rows.entries()) {
      x.segment.copyWithin(y.pointer + i * I * 4, x.pointer + row * I * 4, I * 4);
    }
    return y;
  }
}

function addRow(y: Float32Array, to: number, x: Float32Array, from: number, count: number): void {
  for (let i = 0; i < count; i++) y[to + i]! += x[from + i]!;
}
