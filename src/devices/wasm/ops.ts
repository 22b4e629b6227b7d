/**
 * Ops on the wasm device: each operation finds its operands' memory, describes a task and lets the team run it. Operands that lie in
 * another segment are copied to the one where the weights are. The lab's operations are the reference loops over WASM memory.
 */
import { assert } from '../../base/assert.ts';
import { gelu, relu } from '../../kernels/activation/reference.ts';
import { addSinusoids } from '../../kernels/add/reference.ts';
import { batchNorm } from '../../kernels/batch-norm/reference.ts';
import { layerNorm } from '../../kernels/layer-norm/reference.ts';
import type { BatchStatistics, Ops } from '../../kernels/ops.ts';
import { rotation } from '../../kernels/rope/reference.ts';
import * as tasks from '../../kernels/tasks.ts';
import {
  ACTIVATION_GELU,
  ACTIVATION_GELU_TANH,
  CHUNK,
  TASK_ACCUMULATE,
  TASK_ACTIVATION,
  TASK_SOFTCAP,
} from '../../kernels/training-tasks.ts';
import { columnCount, elementCount, type Floats, formatShape, rowCount, type Tensor } from '../../tensor/tensor.ts';
import { createAttentionOps } from './attention-ops.ts';
import { createLinear } from './linear-op.ts';
import { inSegment, type OpContext } from './op-context.ts';
import { activation, floatsOf, WasmMatrix, type WasmTensor } from './tensors.ts';

/** Numbers that a unit of the element-wise kernels covers. */
const UNIT_FLOATS = 1024;

export function createOps(context: OpContext): Ops {
  const { arena, team } = context;

  function elementwise(task: number, x: Tensor, y: Tensor): WasmTensor {
    const b = activation(y);
    const { segment } = b;
    const a = inSegment(context, activation(x), segment);
    const count = elementCount(b.shape);
    assert(
      elementCount(a.shape) === count,
      `element-wise operation: shapes ${formatShape(a.shape)} and ${formatShape(b.shape)} differ`,
    );
    const z = arena.like(segment, b);
    const { ints } = segment;
    ints[0] = z.pointer;
    ints[1] = a.pointer;
    ints[2] = b.pointer;
    ints[3] = count;
    team.run(segment, task, Math.ceil(count / UNIT_FLOATS), 4);
    return z;
  }

  /** y = f(gate) · up, by the kernels of training. */
  function activate(kind: number, gate_NF: Tensor, up_NF: Tensor): WasmTensor {
    const up = activation(up_NF);
    const { segment, shape } = up;
    const gate = inSegment(context, activation(gate_NF), segment);
    const count = elementCount(shape);
    assert(elementCount(gate.shape) === count, `geglu: shapes ${formatShape(gate.shape)} and ${formatShape(shape)}`);
    const y = arena.like(segment, up);
    const { ints } = segment;
    ints[0] = y.pointer;
    ints[1] = gate.pointer;
    ints[2] = up.pointer;
    ints[3] = count;
    ints[4] = kind;
    team.run(segment, TASK_ACTIVATION, Math.ceil(count / CHUNK), 1);
    return y;
  }

  /** An element-wise kernel of one operand and one number. */
  function one(task: number, x_ND: Tensor, factor: number): WasmTensor {
    const x = activation(x_ND);
    const { segment } = x;
    const count = elementCount(x.shape);
    const y = arena.like(segment, x);
    const { ints } = segment;
    ints[0] = y.pointer;
    ints[1] = x.pointer;
    ints[2] = count;
    segment.floats[3] = factor;
    ints[4] = 0;
    team.run(segment, task, Math.ceil(count / CHUNK), 1);
    return y;
  }

  /** A reference kernel over the numbers of `x` where they lie. */
  function plain(x: Tensor, compute: (y: Float32Array, x: Float32Array) => void): WasmTensor {
    const a = activation(x);
    const y = arena.like(a.segment, a);
    compute(floatsOf(y), floatsOf(a));
    return y;
  }

  function rows(table: Tensor, ids: Uint32Array, what: string): WasmTensor {
    const D = columnCount(table.shape);
    const V = rowCount(table.shape);
    for (let n = 0; n < ids.length; n++) {
      assert(ids[n]! < V, `${what}: id ${ids[n]} at row ${n} is outside the table of ${V} rows`);
    }
    if (table instanceof WasmMatrix) {
      const { segment, kind, pointer } = table;
      const y = arena.matrix(segment, ids.length, D);
      if (ids.length === 0) return y;
      const list = arena.scratch(segment, ids.length * 4);
      for (let n = 0; n < ids.length; n++) segment.setWord(list.pointer + 4 * n, ids[n]!);
      const { ints } = segment;
      ints[0] = kind;
      ints[1] = pointer;
      ints[2] = D;
      ints[3] = y.pointer;
      ints[4] = list.pointer;
      team.run(segment, tasks.TASK_EMBED, ids.length, 4);
      return y;
    }
    const x = activation(table);
    const y = arena.matrix(x.segment, ids.length, D);
    for (let n = 0; n < ids.length; n++) {
      x.segment.copyWithin(y.pointer + n * D * 4, x.pointer + ids[n]! * D * 4, D * 4);
    }
    return y;
  }

  return {
    embed: (table_VD, ids_N) => rows(table_VD, ids_N, 'embed'),
    selectRows: (x_ND, rows_R) => rows(x_ND, rows_R, 'selectRows'),
    placeRows(y_ND, x_RD, rows_R) {
      const D = columnCount(y_ND.shape);
      assert(columnCount(x_RD.shape) === D, `placeRows: rows of ${columnCount(x_RD.shape)} among rows of ${D}`);
      const [to, from] = [floatsOf(y_ND), floatsOf(x_RD)];
      for (let r = 0; r < rows_R.length; r++) to.set(from.subarray(r * D, (r + 1) * D), rows_R[r]! * D);
    },
    linear: createLinear(context),
    ...createAttentionOps(context),

    rmsNorm(x_ND, gain_D, eps) {
      const gain = activation(gain_D);
      const { segment } = gain;
      const x = inSegment(context, activation(x_ND), segment);
      const D = columnCount(gain.shape);
      const columns = columnCount(x.shape);
      assert(D > 0 && columns % D === 0, `rmsNorm: gain has ${D} numbers, x has ${columns} columns`);
      const y = arena.like(segment, x);
      const { ints } = segment;
      ints[0] = y.pointer;
      ints[1] = x.pointer;
      ints[2] = gain.pointer;
      ints[3] = D;
      segment.floats[4] = eps;
      team.run(segment, tasks.TASK_RMS_NORM, elementCount(x.shape) / D, 4);
      return y;
    },

    rotation(positions_N, frequencies) {
      const y = arena.matrix(context.home(), positions_N.length, frequencies.inverse.length * 2);
      rotation(floatsOf(y), positions_N, frequencies);
      return y;
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
      const { ints } = segment;
      ints[0] = y.pointer;
      ints[1] = x.pointer;
      ints[2] = r.pointer;
      ints[3] = Q;
      ints[4] = E;
      team.run(segment, tasks.TASK_ROPE, N, 8);
      return y;
    },

    add: (x_ND, y_ND) => elementwise(tasks.TASK_ADD, x_ND, y_ND),
    swiglu: (gate_NF, up_NF) => elementwise(tasks.TASK_SWIGLU, gate_NF, up_NF),

    geglu: (gate_NF, up_NF, form = 'exact') =>
      activate(form === 'exact' ? ACTIVATION_GELU : ACTIVATION_GELU_TANH, gate_NF, up_NF),
    scale: (x_ND, factor) => one(TASK_ACCUMULATE, x_ND, factor),
    softcap: (x_RV, cap) => one(TASK_SOFTCAP, x_RV, cap),

    layerNorm: (x_ND, gain_D, shift_D, eps) =>
      plain(x_ND, (y, x) => layerNorm(y, x, floatsOf(gain_D), floatsOf(shift_D), eps)),
    batchNorm: (x_ND, gain_D, shift_D, eps, statistics) =>
      plain(x_ND, (y, x) => batchNorm(y, x, floatsOf(gain_D), floatsOf(shift_D), eps, running(statistics))),
    addSinusoids: (x_ND, positions_N, layout = 'interleaved') =>
      plain(x_ND, (y, x) => addSinusoids(y, x, positions_N, layout)),
    relu: (x_NF) => plain(x_NF, relu),
    gelu: (x_NF, form = 'exact') => plain(x_NF, (y, x) => gelu(y, x, form)),
  };
}

function running({ mean_D, variance_D, ...rest }: BatchStatistics): BatchStatistics<Floats> {
  return { ...rest, mean_D: floatsOf(mean_D), variance_D: floatsOf(variance_D) };
}
