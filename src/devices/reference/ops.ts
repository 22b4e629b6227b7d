/** Every operation as its room's obvious loops, in f64. */
import { assert } from '../../base/assert.ts';
import { gelu, relu, softcap } from '../../kernels/activation/reference.ts';
import { add, addSinusoids, scale } from '../../kernels/add/reference.ts';
import { attendOne } from '../../kernels/attention/reference.ts';
import { batchNorm } from '../../kernels/batch-norm/reference.ts';
import { dropout } from '../../kernels/dropout/reference.ts';
import { embed } from '../../kernels/embed/reference.ts';
import { mixRoutes, route, routedLinear, spreadRoutes } from '../../kernels/experts/reference.ts';
import { geglu, swiglu } from '../../kernels/gated/reference.ts';
import { layerNorm } from '../../kernels/layer-norm/reference.ts';
import { linear } from '../../kernels/linear/reference.ts';
import { isCacheLayer, type Ops } from '../../kernels/ops.ts';
import { rmsNorm } from '../../kernels/rms-norm/reference.ts';
import { rope, rotation } from '../../kernels/rope/reference.ts';
import { columnCount, elementCount, rowCount } from '../../tensor/tensor.ts';
import { roundToCache } from './kv-row.ts';
import { dataOf, type ReferenceKvStore, type ReferenceTensor, referenceTensor, runningData } from './tensors.ts';

/** A new tensor of the given shape, filled by `compute`. */
function make(shape: readonly number[], compute: (y: Float64Array) => void): ReferenceTensor {
  const y = new Float64Array(elementCount(shape));
  compute(y);
  return referenceTensor(y, shape);
}

/** The reference implementation of every operation; a plain object, since it keeps no state. */
export const referenceOps: Ops = {
  embed: (table_VD, ids_N) => {
    const D = columnCount(table_VD.shape);
    return make([ids_N.length, D], (y) => embed(y, dataOf(table_VD), ids_N, D));
  },
  linear: (x_NI, w_OI, bias_O) => {
    const I = columnCount(w_OI.shape);
    assert(columnCount(x_NI.shape) === I, `linear: x has ${columnCount(x_NI.shape)} columns, w has ${I}`);
    return make([rowCount(x_NI.shape), rowCount(w_OI.shape)], (y) =>
      linear(y, dataOf(x_NI), dataOf(w_OI), bias_O ? dataOf(bias_O) : null, I),
    );
  },
  rmsNorm: (x_ND, gain_D, eps) => make(x_ND.shape, (y) => rmsNorm(y, dataOf(x_ND), dataOf(gain_D), eps)),
  layerNorm: (x_ND, gain_D, shift_D, eps) =>
    make(x_ND.shape, (y) => layerNorm(y, dataOf(x_ND), dataOf(gain_D), dataOf(shift_D), eps)),
  batchNorm: (x_ND, gain_D, shift_D, eps, statistics) =>
    make(x_ND.shape, (y) => batchNorm(y, dataOf(x_ND), dataOf(gain_D), dataOf(shift_D), eps, runningData(statistics))),
  rotation: (positions_N, frequencies) =>
    make([positions_N.length, frequencies.inverse.length * 2], (y) => rotation(y, positions_N, frequencies)),
  rope: (x_NQ, rotation_NE) =>
    make(x_NQ.shape, (y) =>
      rope(y, dataOf(x_NQ), dataOf(rotation_NE), rowCount(x_NQ.shape), columnCount(rotation_NE.shape)),
    ),
  addSinusoids: (x_ND, positions_N, layout = 'interleaved') =>
    make(x_ND.shape, (y) => addSinusoids(y, dataOf(x_ND), positions_N, layout)),

  appendToCache: ({ store, layer }, k_NP, v_NP, batch) => {
    const { keys, values, blockTokens, kvHeadCount, headSize, type } = store as ReferenceKvStore;
    const P = kvHeadCount * headSize;
    for (const { firstRow, rowCount: rows, firstPosition, blocks } of batch.spans) {
      for (let i = 0; i < rows; i++) {
        const position = firstPosition + i;
        const slot = blocks[Math.floor(position / blockTokens)]! * blockTokens + (position % blockTokens);
        for (const [to, from] of [
          [keys[layer]!, k_NP],
          [values[layer]!, v_NP],
        ] as const) {
          const row = dataOf(from).subarray((firstRow + i) * P, (firstRow + i + 1) * P);
          to.set(roundToCache(type, row, headSize), slot * P);
        }
      }
    }
  },

  attention: (q_NQ, keyValues, batch, { headSize, sinks_H, ...options }) => {
    const Q = columnCount(q_NQ.shape);
    return make(q_NQ.shape, (mix) => {
      const q = dataOf(q_NQ);
      const cached = isCacheLayer(keyValues);
      const store = cached ? (keyValues.store as ReferenceKvStore) : null;
      const k = cached ? store!.keys[keyValues.layer]! : dataOf(keyValues.k_NP);
      const v = cached ? store!.values[keyValues.layer]! : dataOf(keyValues.v_NP);
      const P = cached ? store!.kvHeadCount * headSize : columnCount(keyValues.k_NP.shape);
      const sizes = { H: Q / headSize, K: P / headSize, E: headSize, ...options, sinks_H: sinks_H && dataOf(sinks_H) };
      for (const { firstRow, rowCount: rows, firstPosition, blocks } of batch.spans) {
        const keyRow = store
          ? (s: number) => blocks[Math.floor(s / store.blockTokens)]! * store.blockTokens + (s % store.blockTokens)
          : (s: number) => firstRow + s;
        for (let row = firstRow; row < firstRow + rows; row++) {
          const at = [row * Q, (row + 1) * Q] as const;
          attendOne(mix.subarray(...at), q.subarray(...at), k, v, keyRow, firstPosition + row - firstRow, {
            ...sizes,
            row,
          });
        }
      }
    });
  },

  swiglu: (gate_NF, up_NF, limit) => make(gate_NF.shape, (y) => swiglu(y, dataOf(gate_NF), dataOf(up_NF), limit)),
  geglu: (gate_NF, up_NF, form = 'exact') => make(gate_NF.shape, (y) => geglu(y, dataOf(gate_NF), dataOf(up_NF), form)),
  relu: (x_NF) => make(x_NF.shape, (y) => relu(y, dataOf(x_NF))),
  gelu: (x_NF, form = 'exact') => make(x_NF.shape, (y) => gelu(y, dataOf(x_NF), form)),
  add: (x_ND, y_ND) => make(x_ND.shape, (z) => add(z, dataOf(x_ND), dataOf(y_ND))),
  route: (scores_NX, options) => {
    const [N, X] = [rowCount(scores_NX.shape), columnCount(scores_NX.shape)];
    const weights = new Float64Array(N * options.used);
    const chosen_NU = make([N, options.used], (y) => route(y, weights, dataOf(scores_NX), X, options));
    return { chosen_NU, weights_NU: referenceTensor(weights, [N, options.used]) };
  },
  routedLinear: (x_NI, w_XOI, { chosen_NU }, bias_XO) => {
    const [, O, I] = w_XOI.shape as [number, number, number];
    const sizes = { U: columnCount(chosen_NU.shape), O, I };
    return make([elementCount(chosen_NU.shape), O], (y) =>
      routedLinear(y, dataOf(x_NI), dataOf(w_XOI), bias_XO ? dataOf(bias_XO) : null, dataOf(chosen_NU), sizes),
    );
  },
  mixRoutes: (x_MD, { weights_NU }) =>
    make([rowCount(weights_NU.shape), columnCount(x_MD.shape)], (y) =>
      mixRoutes(y, dataOf(x_MD), dataOf(weights_NU), columnCount(weights_NU.shape)),
    ),
  spreadRoutes: (x_ND, { weights_NU }) =>
    make([elementCount(weights_NU.shape), columnCount(x_ND.shape)], (y) =>
      spreadRoutes(y, dataOf(x_ND), dataOf(weights_NU), columnCount(weights_NU.shape)),
    ),
  ones: (shape) => make(shape, (y) => y.fill(1)),
  scale: (x_ND, factor) => make(x_ND.shape, (y) => scale(y, dataOf(x_ND), factor)),
  dropout: (x_ND, options) => make(x_ND.shape, (y) => dropout(y, dataOf(x_ND), columnCount(x_ND.shape), options)),
  softcap: (x_RV, cap) => make(x_RV.shape, (y) => softcap(y, dataOf(x_RV), cap)),
  selectRows: (x_ND, rows_R) => {
    const D = columnCount(x_ND.shape);
    return make([rows_R.length, D], (y) => embed(y, dataOf(x_ND), rows_R, D));
  },
  placeRows: (y_ND, x_RD, rows_R) => {
    const D = columnCount(y_ND.shape);
    for (const [r, row] of rows_R.entries()) dataOf(y_ND).set(dataOf(x_RD).subarray(r * D, (r + 1) * D), row * D);
  },
};
