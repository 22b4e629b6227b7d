/**
 * Ops on the wasm device: each operation finds its operands' memory, describes a task and lets the team run it. Operands that lie in
 * another segment are copied to the one where the weights are. training-lab.ts has the operations that only the lab uses.
 */
import { assert } from '../../base/assert.ts';
import { type ActivationName, activation as activations, softcap } from '../../kernels/activation/kernel.ts';
import { accumulate, addBias } from '../../kernels/add/backward.kernel.ts';
import { add } from '../../kernels/add/kernel.ts';
import { addSinusoids } from '../../kernels/add/reference.ts';
import type { TrainingOps } from '../../kernels/backward-ops.ts';
import { swiglu } from '../../kernels/gated/kernel.ts';
import { swiglu as limitedSwiglu } from '../../kernels/gated/reference.ts';
import { embed } from '../../kernels/linear/unpack.kernel.ts';
import { isCacheLayer, type RopeFrequencies } from '../../kernels/ops.ts';
import { rmsNorm } from '../../kernels/rms-norm/kernel.ts';
import { rope } from '../../kernels/rope/kernel.ts';
import { rotation } from '../../kernels/rope/reference.ts';
import { elementUnits } from '../../kernels/units.ts';
import { columnCount, elementCount, formatShape, rowCount, type Tensor } from '../../tensor/tensor.ts';
import { createAttentionOps } from './attention-ops.ts';
import { createExpertOps } from './expert-ops.ts';
import { frozenProduct } from './frozen.ts';
import { createPlacedLinear } from './linear-op.ts';
import { inSegment } from './op-context.ts';
import { gatherRows, PositionRows } from './position-rows.ts';
import { activation, floatsOf, isFrozen, WasmMatrix, type WasmTensor } from './tensors.ts';
import { attentionForward } from './training-attention.ts';
import { ELEMENT_CHUNK, type TrainingKernels } from './training-kernels.ts';
import { createLabOps, geluForms } from './training-lab.ts';
import { isFloatKind } from './weights.ts';

export function createOps(kernels: TrainingKernels): TrainingOps {
  const { context } = kernels;
  const { arena } = context;
  const rotations = new WeakMap<RopeFrequencies, PositionRows>();
  const sinusoids = new Map<string, PositionRows>();
  const placedLinear = createPlacedLinear(context);

  function elementwise(task: typeof add, x: Tensor, y: Tensor): WasmTensor {
    const b = activation(y);
    const { segment } = b;
    const a = inSegment(context, activation(x), segment);
    const count = elementCount(b.shape);
    assert(
      elementCount(a.shape) === count,
      `element-wise operation: shapes ${formatShape(a.shape)} and ${formatShape(b.shape)} differ`,
    );
    const z = arena.like(segment, b);
    const pointers = { result: z.pointer, x: a.pointer, y: b.pointer };
    kernels.perform(segment, task, { ...pointers, count }, elementUnits(count), ELEMENT_CHUNK / 4);
    return z;
  }

  /** y = f(gate) · up */
  function gated(name: ActivationName, gate_NF: Tensor, up_NF: Tensor): WasmTensor {
    const up = activation(up_NF);
    const { segment, shape } = up;
    const gate = inSegment(context, activation(gate_NF), segment);
    const count = elementCount(shape);
    assert(elementCount(gate.shape) === count, `geglu: shapes ${formatShape(gate.shape)} and ${formatShape(shape)}`);
    const y = arena.like(segment, up);
    const values = { y: y.pointer, x: gate.pointer, up: up.pointer, count };
    kernels.perform(segment, activations[name], values, elementUnits(count), ELEMENT_CHUNK / 4);
    return y;
  }

  /** An element-wise kernel's operand and its result. */
  function ofOne(x_ND: Tensor) {
    const x = activation(x_ND);
    const { segment } = x;
    return { y: arena.like(segment, x), segment, x: x.pointer, count: elementCount(x.shape) };
  }

  function rows(table: Tensor, ids: Uint32Array, what: string): WasmTensor {
    const D = columnCount(table.shape);
    const V = rowCount(table.shape);
    for (let n = 0; n < ids.length; n++) {
      assert(ids[n]! < V, `${what}: id ${ids[n]} at row ${n} is outside the table of ${V} rows`);
    }
    const { segment, pointer } = table instanceof WasmMatrix ? table : activation(table);
    const y = arena.matrix(segment, ids.length, D);
    if (ids.length === 0) return y;
    const mark = arena.mark();
    const list = arena.scratch(segment, ids.length * 4).pointer;
    segment.wordsAt(list, ids.length).set(ids);
    if (table instanceof WasmMatrix) {
      const values = { packed: pointer, columns: D, out: y.pointer, ids: list };
      kernels.perform(segment, embed[table.kind]!, values, ids.length, 4);
    } else gatherRows(kernels, segment, y.pointer, pointer, list, ids.length, D);
    arena.release(mark);
    return y;
  }

  /** y = x · wᵀ + bias by the training products: w is a parameter, or a placed matrix that is decoded by tiles. */
  function linearByProducts(x_NI: Tensor, w_OI: Tensor, bias_O: Tensor | undefined): WasmTensor {
    const I = columnCount(w_OI.shape);
    const N = rowCount(x_NI.shape);
    const O = rowCount(w_OI.shape);
    assert(columnCount(x_NI.shape) === I, `linear: x has ${columnCount(x_NI.shape)} columns, w has ${I}`);
    const y_NO = arena.matrix(context.home, N, O);
    const x = { pointer: kernels.at(x_NI), rowStride: I, kStride: 1 };
    if (isFrozen(w_OI)) {
      const mark = kernels.mark();
      frozenProduct(kernels, y_NO.pointer, kernels.shared(x, N * I), N, w_OI);
      kernels.release(mark);
    } else {
      const w = { pointer: kernels.at(w_OI), rowStride: I, kStride: 1 };
      kernels.gemm(y_NO.pointer, N, O, I, x, w, false);
    }
    if (bias_O) kernels.perform(context.home, addBias, { y: y_NO.pointer, bias: kernels.at(bias_O), O }, N, 16);
    return y_NO;
  }

  const ops: TrainingOps = {
    ...createLabOps(kernels),
    ...createAttentionOps(context),
    attentionWithLogSumExp(q_NQ, keyValues, batch, options) {
      assert(!isCacheLayer(keyValues), 'attentionWithLogSumExp: expected the keys and values of whole sequences');
      return attentionForward(kernels, q_NQ, keyValues, batch, options);
    },
    embed: (table_VD, ids_N) => rows(table_VD, ids_N, 'embed'),
    selectRows: (x_ND, rows_R) => rows(x_ND, rows_R, 'selectRows'),
    placeRows(y_ND, x_RD, rows_R) {
      const D = columnCount(y_ND.shape);
      assert(columnCount(x_RD.shape) === D, `placeRows: rows of ${columnCount(x_RD.shape)} among rows of ${D}`);
      const [to, from] = [floatsOf(y_ND), floatsOf(x_RD)];
      for (let r = 0; r < rows_R.length; r++) to.set(from.subarray(r * D, (r + 1) * D), rows_R[r]! * D);
    },
    linear: (x_NI, w_OI, bias_O) =>
      w_OI instanceof WasmMatrix ? placedLinear(x_NI, w_OI, bias_O) : linearByProducts(x_NI, w_OI, bias_O),
    ...createExpertOps(context, (x_NI, w_OI) => ops.linear(x_NI, w_OI)),
    linearExact(x_NI, w_OI, bias_O) {
      const isFloat = w_OI instanceof WasmMatrix && isFloatKind(w_OI.kind);
      return isFloat ? placedLinear(x_NI, w_OI, bias_O) : linearByProducts(x_NI, w_OI, bias_O);
    },

    linearSum(x_NI, w_OI, low_NR, b_OR, bias_O) {
      const y_NO = activation(ops.linearExact(x_NI, w_OI, bias_O));
      if (y_NO.segment !== context.home) return ops.add(y_NO, ops.linearExact(low_NR, b_OR));
      const R = columnCount(b_OR.shape);
      const [low, b] = [low_NR, b_OR].map((tensor) => ({ pointer: kernels.at(tensor), rowStride: R, kStride: 1 }));
      kernels.gemm(y_NO.pointer, rowCount(low_NR.shape), rowCount(b_OR.shape), R, low!, b!, true);
      return y_NO;
    },

    rmsNorm(x_ND, gain_D, eps) {
      const gain = activation(gain_D);
      const { segment } = gain;
      const x = inSegment(context, activation(x_ND), segment);
      const D = columnCount(gain.shape);
      const columns = columnCount(x.shape);
      assert(D > 0 && columns % D === 0, `rmsNorm: gain has ${D} numbers, x has ${columns} columns`);
      const y = arena.like(segment, x);
      const pointers = { y: y.pointer, x: x.pointer, gain: gain.pointer };
      kernels.perform(segment, rmsNorm, { ...pointers, D, eps }, elementCount(x.shape) / D, 4);
      return y;
    },

    ones(shape, beside) {
      const y = arena.tensor(activation(beside).segment, shape);
      floatsOf(y).fill(1);
      return y;
    },
    rotation(positions_N, frequencies) {
      let table = rotations.get(frequencies);
      if (!table) {
        const fill = (y: Float32Array, positions: Uint32Array) => rotation(y, positions, frequencies);
        rotations.set(frequencies, (table = new PositionRows(kernels, frequencies.inverse.length * 2, fill)));
      }
      return table.rows(positions_N);
    },
    rope(x_NQ, rotation_NE) {
      const x = activation(x_NQ);
      const { segment } = x;
      const r = inSegment(context, activation(rotation_NE), segment);
      const N = rowCount(x.shape);
      const Q = columnCount(x.shape);
      const E = columnCount(r.shape);
      assert(E > 0 && Q % E === 0, `rope: rows of ${Q} are no multiple of the head size ${E}`);
      assert(rowCount(r.shape) === N, `rope: ${rowCount(r.shape)} rotations for ${N} rows`);
      const y = arena.like(segment, x);
      kernels.perform(segment, rope, { y: y.pointer, x: x.pointer, rotation: r.pointer, Q, E }, N, 8);
      return y;
    },
    addSinusoids(x_ND, positions_N, layout = 'interleaved') {
      const D = columnCount(x_ND.shape);
      const key = `${layout} ${D}`;
      let table = sinusoids.get(key);
      if (!table) {
        const fill = (y: Float32Array, positions: Uint32Array) => addSinusoids(y, y.fill(0), positions, layout);
        sinusoids.set(key, (table = new PositionRows(kernels, D, fill)));
      }
      return ops.add(x_ND, table.rows(positions_N));
    },

    add: (x_ND, y_ND) => elementwise(add, x_ND, y_ND),
    swiglu(gate_NF, up_NF, limit) {
      if (limit === undefined) return elementwise(swiglu, gate_NF, up_NF);
      const up = activation(up_NF);
      const y = arena.like(up.segment, up);
      limitedSwiglu(floatsOf(y), floatsOf(gate_NF), floatsOf(up), limit);
      return y;
    },
    geglu: (gate_NF, up_NF, form = 'exact') => gated(geluForms[form], gate_NF, up_NF),
    scale(x_ND, factor) {
      const { y, segment, ...places } = ofOne(x_ND);
      const values = { dx: y.pointer, dy: places.x, count: places.count, factor, adds: 0 };
      kernels.perform(segment, accumulate, values, elementUnits(places.count), ELEMENT_CHUNK / 4);
      return y;
    },
    dropout(x_ND, options) {
      const y = kernels.scratch(x_ND.shape);
      kernels.dropout(y.pointer, x_ND, options, 0);
      return y;
    },
    softcap(x_RV, cap) {
      const { y, segment, ...places } = ofOne(x_RV);
      const values = { y: y.pointer, ...places, cap };
      kernels.perform(segment, softcap, values, elementUnits(places.count), ELEMENT_CHUNK / 4);
      return y;
    },
  };
  return ops;
}
