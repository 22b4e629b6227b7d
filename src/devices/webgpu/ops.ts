/** The operations of a model, each as the dispatches that compute it. */
import { assert } from '../../base/assert.ts';
import { gelu, relu, softcap } from '../../kernels/activation/webgpu.ts';
import { addSinusoids } from '../../kernels/add/reference.ts';
import { add, fill } from '../../kernels/add/webgpu.ts';
import type { TrainingOps } from '../../kernels/backward-ops.ts';
import { batchNorm, batchNormOfBatch } from '../../kernels/batch-norm/webgpu.ts';
import { dropout, dropoutValues } from '../../kernels/dropout/webgpu.ts';
import { embed, placeRows, selectRows } from '../../kernels/embed/webgpu.ts';
import { mixRoutes, route, routeWeights, spreadRoutes } from '../../kernels/experts/webgpu.ts';
import { type GateForm, gated } from '../../kernels/gated/webgpu.ts';
import { LARGEST_PART, largest, MOST_LARGEST } from '../../kernels/largest/webgpu.ts';
import { layerNorm } from '../../kernels/layer-norm/webgpu.ts';
import { rmsNorm } from '../../kernels/rms-norm/webgpu.ts';
import { rotation } from '../../kernels/rope/reference.ts';
import { rope } from '../../kernels/rope/webgpu.ts';
import { columnCount, elementCount, formatShape, rowCount, type Tensor } from '../../tensor/tensor.ts';
import { append, attend, BatchTables } from './attention-ops.ts';
import type { Context } from './context.ts';
import { linear, routedLinear } from './products.ts';
import { type GpuTensor, gpuMatrix, gpuTensor } from './tensors.ts';

export function createOps(context: Context, tables = new BatchTables(context)): TrainingOps {
  const { queue } = context;
  const region = (tensor: Tensor) => gpuTensor(tensor).region;
  const like = (tensor: Tensor) => context.scratch(tensor.shape);
  const sameShape = (name: string, a: Tensor, b: Tensor) =>
    assert(
      formatShape(a.shape) === formatShape(b.shape),
      `${name}: shapes ${formatShape(a.shape)} and ${formatShape(b.shape)} differ`,
    );

  function product(x: Tensor, w: Tensor, bias: Tensor | undefined, exact: boolean): GpuTensor {
    const matrix = gpuMatrix(w);
    const I = columnCount(w.shape);
    assert(columnCount(x.shape) === I, `linear: x has ${columnCount(x.shape)} columns, w has ${I}`);
    const y = context.scratch([rowCount(x.shape), rowCount(w.shape)]);
    linear(context, y.region, gpuTensor(x), matrix, bias ? region(bias) : null, exact);
    return y;
  }

  function gate(form: GateForm, gate_NF: Tensor, up_NF: Tensor, limit = 0): GpuTensor {
    sameShape('gated', gate_NF, up_NF);
    const y = like(gate_NF);
    const buffers = { gate_NF: region(gate_NF), up_NF: region(up_NF), y_NF: y.region };
    context.each(gated(form), elementCount(y.shape), buffers, { limit });
    return y;
  }

  return {
    embed(table_VD, ids_N) {
      const [V, I] = [rowCount(table_VD.shape), columnCount(table_VD.shape)];
      for (const [n, id] of ids_N.entries())
        assert(id < V, `embed: id ${id} at row ${n} is outside the table of ${V} rows`);
      const N = ids_N.length;
      const y = context.scratch([N, I]);
      const { stored, pieces } = gpuMatrix(table_VD);
      const idsAt = context.words(ids_N);
      for (const { quants, rest, firstRow: pieceStart, rowCount: pieceRows } of pieces) {
        const buffers = { quants, rest, words: queue.wordsRegion, y_NI: y.region };
        const groups = Math.ceil((N * Math.ceil(I / 32)) / 64);
        queue.dispatch(embed(stored), buffers, { N, I, idsAt, pieceStart, pieceRows }, groups, 2 * N * I * 4);
      }
      return y;
    },
    linear: (x, w, bias) => product(x, w, bias, false),
    linearExact: (x, w, bias) => product(x, w, bias, true),
    linearSum(x, w, low, b, bias) {
      const y = product(x, w, bias, true);
      const more = product(low, b, undefined, true);
      context.accumulate(region(y), region(more), elementCount(y.shape), 1, true);
      return y;
    },

    rmsNorm(x, gain_D, eps) {
      const D = columnCount(gain_D.shape);
      const y = like(x);
      const count = elementCount(x.shape);
      const buffers = { x_ND: region(x), gain_D: region(gain_D), y_ND: y.region };
      queue.dispatch(rmsNorm, buffers, { D, eps }, count / D, 2 * count * 4 + D * 4);
      return y;
    },
    layerNorm(x, gain_D, shift_D, eps) {
      const D = columnCount(gain_D.shape);
      const y = like(x);
      const count = elementCount(x.shape);
      const buffers = { x_ND: region(x), gain_D: region(gain_D), shift_D: region(shift_D), y_ND: y.region };
      queue.dispatch(layerNorm, buffers, { D, eps }, count / D, 2 * count * 4 + 2 * D * 4);
      return y;
    },
    batchNorm(x, gain_D, shift_D, eps, { mean_D, variance_D, training, momentum }) {
      const y = like(x);
      const buffers = {
        x_ND: region(x),
        gain_D: region(gain_D),
        shift_D: region(shift_D),
        mean_D: region(mean_D),
        variance_D: region(variance_D),
        y_ND: y.region,
      };
      const [D, N] = [columnCount(gain_D.shape), rowCount(x.shape)];
      if (training) context.each(batchNormOfBatch, D, buffers, { N, eps, momentum });
      else context.each(batchNorm, D, buffers, { N, eps });
      return y;
    },

    rotation(positions_N, frequencies) {
      // On the CPU, in f64: a GPU's sines are too coarse at large angles.
      const numbers = new Float32Array(positions_N.length * frequencies.inverse.length * 2);
      rotation(numbers, positions_N, frequencies);
      const y = context.scratch([positions_N.length, frequencies.inverse.length * 2]);
      context.write(y, numbers);
      return y;
    },
    rope(x, rotation_NE) {
      const y = like(x);
      const Q = columnCount(x.shape);
      const E = columnCount(rotation_NE.shape);
      assert(Q % E === 0, `rope: rows of ${Q} are no multiple of the head size ${E}`);
      const buffers = { x_NQ: region(x), rotation_NE: region(rotation_NE), y_NQ: y.region };
      context.each(rope, elementCount(x.shape) / 2, buffers, { Q, E, sign: 1, adds: 0 });
      return y;
    },
    addSinusoids(x, positions_N, layout = 'interleaved') {
      const numbers = new Float32Array(elementCount(x.shape));
      addSinusoids(numbers, new Float32Array(numbers.length), positions_N, layout);
      const y = like(x);
      const mark = context.memory.mark();
      const sinusoids = like(x);
      context.write(sinusoids, numbers);
      context.each(add, numbers.length, { x_ND: region(x), y_ND: sinusoids.region, z_ND: y.region }, {});
      context.memory.release(mark);
      return y;
    },

    appendToCache: (cache, k_NP, v_NP, batch) => append(context, tables, cache, k_NP, v_NP, batch),
    attention: (q_NQ, keyValues, batch, options) => attend(context, tables, q_NQ, keyValues, batch, options).mix_NQ,
    attentionWithLogSumExp: (q_NQ, keyValues, batch, options) =>
      attend(context, tables, q_NQ, keyValues, batch, options),

    swiglu: (gate_NF, up_NF, limit) => gate(limit === undefined ? 'silu' : 'limited silu', gate_NF, up_NF, limit),
    geglu: (gate_NF, up_NF, form = 'exact') => gate(`gelu, ${form}`, gate_NF, up_NF),
    relu(x) {
      const y = like(x);
      context.each(relu, elementCount(x.shape), { x_NF: region(x), y_NF: y.region }, {});
      return y;
    },
    gelu(x, form = 'exact') {
      const y = like(x);
      context.each(gelu(form), elementCount(x.shape), { x_NF: region(x), y_NF: y.region }, {});
      return y;
    },
    add(x, y) {
      sameShape('add', x, y);
      const z = like(x);
      context.each(add, elementCount(x.shape), { x_ND: region(x), y_ND: region(y), z_ND: z.region }, {});
      return z;
    },
    scale(x, factor) {
      const y = like(x);
      context.accumulate(y.region, region(x), elementCount(x.shape), factor, false);
      return y;
    },
    dropout(x, options) {
      const y = like(x);
      const parameters = { ...dropoutValues(options), D: columnCount(x.shape), adds: 0 };
      context.each(dropout, elementCount(x.shape), { x_ND: region(x), y_ND: y.region }, parameters);
      return y;
    },
    softcap(x, cap) {
      const y = like(x);
      context.each(softcap, elementCount(x.shape), { x_RV: region(x), y_RV: y.region }, { cap });
      return y;
    },

    route(scores_NX, { used, weights }) {
      const [N, X] = [rowCount(scores_NX.shape), columnCount(scores_NX.shape)];
      assert(used >= 1 && used <= X, `route: ${used} of ${X} experts`);
      const chosen_NU = context.scratch([N, used]);
      const weights_NU = context.scratch([N, used]);
      const buffers = {
        scores_NX: region(scores_NX),
        chosen_NU: chosen_NU.region,
        weights_NU: weights_NU.region,
      };
      context.each(route, N, buffers, { X, U: used, weights: routeWeights[weights] });
      return { chosen_NU, weights_NU };
    },
    routedLinear(x, w_XOI, { chosen_NU }, bias_XO) {
      const y = context.scratch([elementCount(chosen_NU.shape), w_XOI.shape[1]!]);
      const bias = bias_XO ? region(bias_XO) : null;
      routedLinear(context, y.region, gpuTensor(x), gpuMatrix(w_XOI), gpuTensor(chosen_NU), bias);
      return y;
    },
    mixRoutes(x_MD, { weights_NU }) {
      const D = columnCount(x_MD.shape);
      const y = context.scratch([rowCount(weights_NU.shape), D]);
      const buffers = { x_MD: region(x_MD), weights_NU: region(weights_NU), y_ND: y.region };
      context.each(mixRoutes, elementCount(y.shape), buffers, { D, U: columnCount(weights_NU.shape), adds: 0 });
      return y;
    },
    spreadRoutes(x_ND, { weights_NU }) {
      const D = columnCount(x_ND.shape);
      const y = context.scratch([elementCount(weights_NU.shape), D]);
      const buffers = { x_ND: region(x_ND), weights_M: region(weights_NU), y_MD: y.region };
      context.each(spreadRoutes, elementCount(y.shape), buffers, { D, U: columnCount(weights_NU.shape), adds: 0 });
      return y;
    },
    ones(shape) {
      const y = context.scratch(shape);
      context.each(fill, elementCount(shape), { y: y.region }, { value: 1 });
      return y;
    },

    selectRows(x, rows_R) {
      const [N, D] = [rowCount(x.shape), columnCount(x.shape)];
      for (const row of rows_R) assert(row < N, `selectRows: row ${row} of ${N}`);
      const y = context.scratch([rows_R.length, D]);
      const rowsAt = context.words(rows_R);
      const buffers = { x_ND: region(x), words: queue.wordsRegion, y_RD: y.region };
      context.each(selectRows, rows_R.length * D, buffers, { D, rowsAt });
      return y;
    },
    placeRows(y_ND, x_RD, rows_R) {
      const D = columnCount(x_RD.shape);
      const rowsAt = context.words(rows_R);
      const buffers = { x_RD: region(x_RD), words: queue.wordsRegion, y_ND: region(y_ND) };
      context.each(placeRows, rows_R.length * D, buffers, { D, rowsAt });
    },
  };
}

/** The k largest numbers of each row, each followed by its place: [R, 2k]. */
export function largestOf(context: Context, x: Tensor, k: number): GpuTensor {
  const R = rowCount(x.shape);
  let V = columnCount(x.shape);
  assert(k >= 1 && k <= Math.min(V, MOST_LARGEST), `largest: ${k} of ${V}, expected 1 … ${MOST_LARGEST}`);
  let from = gpuTensor(x).region;
  for (let pass: 'first' | 'next' = 'first'; ; pass = 'next') {
    const parts = Math.ceil(V / LARGEST_PART);
    const y = context.scratch([R, 2 * k * parts]);
    const bytes = R * (V + 2 * k * parts) * 4;
    context.queue.dispatch(largest(pass), { x_RV: from, y_RK: y.region }, { V, k, parts }, R * parts, bytes);
    if (parts === 1) return y;
    [from, V] = [y.region, k * parts];
  }
}
