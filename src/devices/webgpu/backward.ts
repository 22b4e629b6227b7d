/** The gradients of the operations. */

import { assert } from '../../base/assert.ts';
import { geluBackward, reluBackward, softcapBackward } from '../../kernels/activation/webgpu.ts';
import {
  attentionInner,
  keysBackward,
  queriesBackward,
  sinksBackward,
} from '../../kernels/attention/backward.webgpu.ts';
import { workgroupsOfTile } from '../../kernels/attention/tiles.webgpu.ts';
import type { BackwardOps, Gradient } from '../../kernels/backward-ops.ts';
import { batchNormBackward } from '../../kernels/batch-norm/webgpu.ts';
import { crossEntropy } from '../../kernels/cross-entropy/webgpu.ts';
import { dropout, dropoutValues } from '../../kernels/dropout/webgpu.ts';
import { embedBackward } from '../../kernels/embed/webgpu.ts';
import {
  mixRoutes,
  routeBackward,
  routedBiasBackward,
  routedInputBackward,
  routedWeightBackward,
  routeWeights,
  routeWeightsBackward,
  spreadRoutes,
} from '../../kernels/experts/webgpu.ts';
import { type GateForm, gatedBackward } from '../../kernels/gated/webgpu.ts';
import { layerNormBackward } from '../../kernels/layer-norm/webgpu.ts';
import { rmsNormBackward } from '../../kernels/rms-norm/webgpu.ts';
import { rope } from '../../kernels/rope/webgpu.ts';
import { columnCount, elementCount, rowCount, type Tensor } from '../../tensor/tensor.ts';
import { attentionNumbers, type BatchTables, inTiles } from './attention-ops.ts';
import type { Context } from './context.ts';
import type { Region } from './memory.ts';
import { forwardProduct, inputProduct, sumColumns, weightProduct } from './products.ts';
import { gpuMatrix, gpuTensor } from './tensors.ts';

/** Bytes of logits that exist at once. */
const LOGIT_BYTES = 64 * 2 ** 20;

export function createBackward(context: Context, tables: BatchTables): BackwardOps {
  const { memory, queue } = context;
  const region = (tensor: Tensor) => gpuTensor(tensor).region;

  /** Where to add a gradient, and whether anything is there yet; its first use fills it. */
  function into(gradient: Gradient): { readonly region: Region; readonly adds: 0 | 1 } {
    const adds = gradient.isEmpty ? 0 : 1;
    gradient.isEmpty = false;
    return { region: region(gradient.tensor), adds };
  }
  /** The same of a gradient that nobody may want: scratch in its place. */
  const intoOr = (gradient: Gradient | null, shape: readonly number[]) =>
    gradient ? into(gradient) : { region: context.scratch(shape).region, adds: 0 as const };
  /** What `compute` takes of the arena is given back. */
  function within(compute: () => void): void {
    const mark = memory.mark();
    compute();
    memory.release(mark);
  }
  /** dTable[ids_n] += dy_n: words of the sorted rows. */
  function scatter(table: Gradient, dy: Tensor, ids: Uint32Array): void {
    const D = columnCount(dy.shape);
    const to = into(table);
    if (!to.adds) queue.clear(to.region, elementCount(table.tensor.shape) * 4);
    const rows = Uint32Array.from(ids.keys()).sort((a, b) => ids[a]! - ids[b]! || a - b);
    const starts: number[] = [];
    for (let r = 0; r < rows.length; r++) if (r === 0 || ids[rows[r]!] !== ids[rows[r - 1]!]) starts.push(r);
    const distinct = starts.map((r) => ids[rows[r]!]!);
    const idsAt = context.words([...distinct, ...starts, rows.length, ...rows]);
    const startsAt = idsAt + distinct.length;
    const rowsAt = startsAt + starts.length + 1;
    const buffers = { dy_ND: region(dy), words: queue.wordsRegion, dTable_VD: to.region };
    context.each(embedBackward, distinct.length * D, buffers, { D, idsAt, startsAt, rowsAt });
  }
  function gate(
    form: GateForm,
    sides: readonly [Gradient | null, Gradient | null],
    dy: Tensor,
    g: Tensor,
    u: Tensor,
    limit = 0,
  ) {
    for (const [i, side] of (['gate', 'up'] as const).entries()) {
      const gradient = sides[i];
      if (!gradient) continue;
      const to = into(gradient);
      const buffers = { dy_NF: region(dy), gate_NF: region(g), up_NF: region(u), d_NF: to.region };
      context.each(gatedBackward(`${side} of ${form}`), elementCount(dy.shape), buffers, { limit, adds: to.adds });
    }
  }

  return {
    accumulate(dx, dy, factor) {
      const to = into(dx);
      context.accumulate(to.region, region(dy), elementCount(dy.shape), factor, to.adds === 1);
    },
    embed: scatter,
    selectRows: scatter,
    linear(dx_NI, dw_OI, dBias_O, dy_NO, x_NI, w_OI) {
      const [N, O, I] = [rowCount(dy_NO.shape), rowCount(w_OI.shape), columnCount(w_OI.shape)];
      const all = { firstRow: 0, rows: N };
      if (dx_NI) {
        const to = into(dx_NI);
        inputProduct(context, to.region, region(dy_NO), gpuMatrix(w_OI), all, to.adds);
      }
      if (dw_OI) {
        const to = into(dw_OI);
        weightProduct(context, to.region, region(dy_NO), region(x_NI), { O, I, ...all }, to.adds);
      }
      if (dBias_O) {
        const to = into(dBias_O);
        sumColumns(context, to.region, region(dy_NO), N, O, to.adds === 1);
      }
    },
    rmsNorm: (dx_ND, dGain_D, dy, x, gain_D, eps) =>
      within(() => {
        const D = columnCount(gain_D.shape);
        const N = elementCount(x.shape) / D;
        const terms = context.scratch(x.shape).region;
        const dx = intoOr(dx_ND, x.shape);
        const buffers = { dy_ND: region(dy), x_ND: region(x), gain_D: region(gain_D) };
        const outputs = { dx_ND: dx.region, gainTerms_ND: terms };
        queue.dispatch(rmsNormBackward, { ...buffers, ...outputs }, { D, eps, adds: dx.adds }, N, 5 * N * D * 4);
        if (!dGain_D) return;
        const dGain = into(dGain_D);
        sumColumns(context, dGain.region, terms, N, D, dGain.adds === 1);
      }),
    layerNorm: (dx_ND, { gain_D: dGain_D, shift_D: dShift_D }, dy, x, gain_D, eps) =>
      within(() => {
        const D = columnCount(gain_D.shape);
        const N = elementCount(x.shape) / D;
        const terms = context.scratch(x.shape).region;
        const dx = intoOr(dx_ND, x.shape);
        const buffers = { dy_ND: region(dy), x_ND: region(x), gain_D: region(gain_D) };
        const outputs = { dx_ND: dx.region, gainTerms_ND: terms };
        queue.dispatch(layerNormBackward, { ...buffers, ...outputs }, { D, eps, adds: dx.adds }, N, 5 * N * D * 4);
        for (const [gradient, from] of [
          [dGain_D, terms],
          [dShift_D, region(dy)],
        ] as const) {
          if (!gradient) continue;
          const to = into(gradient);
          sumColumns(context, to.region, from, N, D, to.adds === 1);
        }
      }),
    batchNorm: (dx_ND, d, dy, x, gain_D, eps, { mean_D, variance_D, training }) =>
      within(() => {
        const D = columnCount(gain_D.shape);
        const [dx, dGain, dShift] = [intoOr(dx_ND, x.shape), intoOr(d.gain_D, [D]), intoOr(d.shift_D, [D])];
        const buffers = {
          dy_ND: region(dy),
          x_ND: region(x),
          gain_D: region(gain_D),
          mean_D: region(mean_D),
          variance_D: region(variance_D),
          dx_ND: dx.region,
          dGain_D: dGain.region,
          dShift_D: dShift.region,
        };
        const adds = { addsX: dx.adds, addsGain: dGain.adds, addsShift: dShift.adds };
        const parameters = { N: rowCount(x.shape), eps, training: training ? 1 : 0, ...adds };
        context.each(batchNormBackward, D, buffers, parameters);
      }),
    rope(dx_NQ, dy, rotation_NE) {
      const to = into(dx_NQ);
      const sizes = { Q: columnCount(dy.shape), E: columnCount(rotation_NE.shape) };
      const buffers = { x_NQ: region(dy), rotation_NE: region(rotation_NE), y_NQ: to.region };
      context.each(rope, elementCount(dy.shape) / 2, buffers, { ...sizes, sign: -1, adds: to.adds });
    },
    attention: (d, dMix_NQ, saved, batch, options) =>
      within(() => {
        const E = options.headSize;
        const N = rowCount(dMix_NQ.shape);
        const H = columnCount(dMix_NQ.shape) / E;
        const K = columnCount(saved.k_NP.shape) / E;
        const pairs_NH = context.scratch([N, H, 2]).region;
        const from = { dMix_NQ: region(dMix_NQ), mix_NQ: region(saved.mix_NQ), sums_NH: region(saved.logSumExp_NH) };
        context.each(attentionInner, N * H, { ...from, pairs_NH }, { E });
        if (d.sinks_H) {
          const to = into(d.sinks_H);
          const buffers = { sinks_H: region(options.sinks_H!), pairs_NH, dSinks_H: to.region };
          context.each(sinksBackward, H, buffers, { N, adds: to.adds });
        }
        const { tableAt, tilesAt, tileCount } = tables.place(batch);
        const parameters = { H, K, tableAt, tilesAt, ...attentionNumbers(options) };
        const inputs = {
          q_NQ: region(saved.q_NQ),
          k_NP: region(saved.k_NP),
          v_NP: region(saved.v_NP),
          dMix_NQ: region(dMix_NQ),
          pairs_NH,
          words: queue.wordsRegion,
        };
        const flops = batch.spans.reduce((sum, { rowCount: rows }) => sum + rows * (rows + 1) * H * E, 0);
        if (d.q_NQ) {
          const { region: dq_NQ, adds } = into(d.q_NQ);
          const buffers = { ...inputs, dq_NQ };
          inTiles(context, tileCount, 3 * flops, (firstTile, count) =>
            queue.dispatch(
              queriesBackward(E),
              buffers,
              { ...parameters, firstTile, adds },
              count * H * workgroupsOfTile(E),
              0,
              (3 * flops * count) / tileCount,
            ),
          );
        }
        if (!d.k_NP && !d.v_NP) return;
        const [dk, dv] = [intoOr(d.k_NP, saved.k_NP.shape), intoOr(d.v_NP, saved.v_NP.shape)];
        const buffers = { ...inputs, dk_NP: dk.region, dv_NP: dv.region };
        const adds = { addsK: dk.adds, addsV: dv.adds };
        inTiles(context, tileCount, 4 * flops, (firstTile, count) =>
          queue.dispatch(
            keysBackward(E),
            buffers,
            { ...parameters, firstTile, ...adds },
            count * K * workgroupsOfTile(E),
            0,
            (4 * flops * count) / tileCount,
          ),
        );
      }),
    swiglu: (dGate, dUp, dy, g, u, limit) =>
      gate(limit === undefined ? 'silu' : 'limited silu', [dGate, dUp], dy, g, u, limit),
    geglu: (dGate, dUp, dy, g, u, form) => gate(`gelu, ${form}`, [dGate, dUp], dy, g, u),
    relu(dx, dy, x) {
      const to = into(dx);
      const buffers = { dy_NF: region(dy), x_NF: region(x), dx_NF: to.region };
      context.each(reluBackward, elementCount(x.shape), buffers, { adds: to.adds });
    },
    gelu(dx, dy, x, form) {
      const to = into(dx);
      const buffers = { dy_NF: region(dy), x_NF: region(x), dx_NF: to.region };
      context.each(geluBackward(form), elementCount(x.shape), buffers, { adds: to.adds });
    },
    softcap(dx, dy, y, cap) {
      const to = into(dx);
      context.each(
        softcapBackward,
        elementCount(y.shape),
        { dy: region(dy), y: region(y), dx: to.region },
        { cap, adds: to.adds },
      );
    },
    route(dScores, dWeights_NU, scores_NX, { chosen_NU, weights_NU }, { used, weights }) {
      const to = into(dScores);
      const buffers = {
        dWeights_NU: region(dWeights_NU),
        scores_NX: region(scores_NX),
        chosen_NU: region(chosen_NU),
        weights_NU: region(weights_NU),
        dScores_NX: to.region,
      };
      const parameters = { X: columnCount(scores_NX.shape), U: used, weights: routeWeights[weights], adds: to.adds };
      context.each(routeBackward, rowCount(scores_NX.shape), buffers, parameters);
    },
    routedLinear(dx_NI, dw_XOI, dBias_XO, dy_MO, x_NI, w_XOI, { chosen_NU }) {
      const [, O, I] = w_XOI.shape as [number, number, number];
      const M = elementCount(chosen_NU.shape);
      const sharers = M / Math.max(1, rowCount(x_NI.shape));
      const from = { dy_MO: region(dy_MO), chosen_M: region(chosen_NU) };
      if (dx_NI) {
        const to = into(dx_NI);
        const matrix = gpuMatrix(w_XOI);
        for (const [i, { quants, rest, firstRow: pieceStart, rowCount: pieceRows }] of matrix.pieces.entries()) {
          const buffers = { ...from, quants, rest, dx_NI: to.region };
          const adds = i > 0 ? 1 : to.adds;
          const groups = Math.ceil(((M / sharers) * Math.ceil(I / 32)) / 64);
          const parameters = { N: M / sharers, O, I, sharers, pieceStart, pieceRows, adds };
          queue.dispatch(routedInputBackward(matrix.stored), buffers, parameters, groups);
        }
      }
      if (dw_XOI) {
        const to = into(dw_XOI);
        const buffers = { ...from, x: region(x_NI), dw_XOI: to.region };
        context.each(routedWeightBackward, elementCount(w_XOI.shape), buffers, { M, O, I, sharers, adds: to.adds });
      }
      if (dBias_XO) {
        const to = into(dBias_XO);
        const buffers = { ...from, dBias_XO: to.region };
        context.each(routedBiasBackward, elementCount(dBias_XO.tensor.shape), buffers, { M, O, adds: to.adds });
      }
    },
    mixRoutes(dx_MD, dWeights_NU, dy_ND, x_MD, { weights_NU }) {
      const sizes = { D: columnCount(x_MD.shape), U: columnCount(weights_NU.shape) };
      if (dx_MD) {
        const to = into(dx_MD);
        const buffers = { x_ND: region(dy_ND), weights_M: region(weights_NU), y_MD: to.region };
        context.each(spreadRoutes, elementCount(x_MD.shape), buffers, { ...sizes, adds: to.adds });
      }
      if (dWeights_NU) {
        const to = into(dWeights_NU);
        const buffers = { row_ND: region(dy_ND), route_MD: region(x_MD), dWeights_M: to.region };
        context.each(routeWeightsBackward, elementCount(weights_NU.shape), buffers, { ...sizes, adds: to.adds });
      }
    },
    spreadRoutes(dx_ND, dWeights_NU, dy_MD, x_ND, { weights_NU }) {
      const sizes = { D: columnCount(x_ND.shape), U: columnCount(weights_NU.shape) };
      if (dx_ND) {
        const to = into(dx_ND);
        const buffers = { x_MD: region(dy_MD), weights_NU: region(weights_NU), y_ND: to.region };
        context.each(mixRoutes, elementCount(x_ND.shape), buffers, { ...sizes, adds: to.adds });
      }
      if (dWeights_NU) {
        const to = into(dWeights_NU);
        const buffers = { row_ND: region(x_ND), route_MD: region(dy_MD), dWeights_M: to.region };
        context.each(routeWeightsBackward, elementCount(weights_NU.shape), buffers, { ...sizes, adds: to.adds });
      }
    },
    dropout(dx_ND, dy, options) {
      const to = into(dx_ND);
      const parameters = { ...dropoutValues(options), D: columnCount(dy.shape), adds: to.adds };
      context.each(dropout, elementCount(dy.shape), { x_ND: region(dy), y_ND: to.region }, parameters);
    },
    crossEntropy(dx_ND, dHead_VD, x_ND, head_VD, labels_N, weights_N, { cap = 0, zLoss = 0 } = {}) {
      const [N, D] = [labels_N.length, columnCount(head_VD.shape)];
      const head = gpuMatrix(head_VD);
      const V = rowCount(head_VD.shape);
      assert(weights_N.length === N, `crossEntropy: ${weights_N.length} weights for N = ${N} rows`);
      for (const [n, label] of labels_N.entries())
        assert(label < V, `crossEntropy: label ${label} at row ${n} is outside the vocabulary of ${V}`);
      const losses = context.scratch([zLoss > 0 ? 2 * N : N]);
      if (N === 0) return losses;
      const rowsAtOnce = Math.max(1, Math.min(N, Math.floor(Math.min(LOGIT_BYTES, memory.largest) / (V * 4))));
      within(() => {
        const z_RV = context.scratch([rowsAtOnce, V]).region;
        const [dx, dHead] = [dx_ND && into(dx_ND), dHead_VD && into(dHead_VD)];
        for (let firstRow = 0; firstRow < N; firstRow += rowsAtOnce) {
          const rows = Math.min(rowsAtOnce, N - firstRow);
          const part = { firstRow, rows };
          forwardProduct(context, z_RV, gpuTensor(x_ND), head, null, part);
          const labelsAt = context.words([
            ...new Uint32Array(labels_N.slice(firstRow, firstRow + rows).buffer),
            ...new Uint32Array(Float32Array.from(weights_N.subarray(firstRow, firstRow + rows)).buffer),
          ]);
          const buffers = { words: queue.wordsRegion, z_RV, losses_N: losses.region };
          const places = { labelsAt, weightsAt: labelsAt + rows, penaltiesAt: N + firstRow };
          queue.dispatch(crossEntropy, buffers, { V, firstRow, cap, zLoss, ...places }, rows, 5 * rows * V * 4);
          if (dx) inputProduct(context, dx.region, z_RV, head, part, dx.adds);
          const kept = dHead && (firstRow > 0 ? 1 : dHead.adds);
          if (dHead) weightProduct(context, dHead.region, z_RV, region(x_ND), { O: V, I: D, ...part }, kept!);
        }
      });
      return losses;
    },
  };
}
