import { assert } from '../../base/assert.ts';
import { roundBf16 } from '../../kernels/gemm/round.kernel.ts';
import { linearBlas } from '../../kernels/linear/blas.kernel.ts';
import { floatScratch, linearFloats } from '../../kernels/linear/floats/kernel.ts';
import { int8Scratch, linearMatrix, linearVector } from '../../kernels/linear/int8/kernel.ts';
import { panelBytes } from '../../kernels/linear/packed-bytes.ts';
import { quantizeRows } from '../../kernels/linear/quantize.kernel.ts';
import * as tasks from '../../kernels/tasks.ts';
import { elementUnits } from '../../kernels/units.ts';
import { columnCount, rowCount, type Tensor } from '../../tensor/tensor.ts';
import { inSegment, type OpContext } from './op-context.ts';
import { activation, type WasmMatrix, type WasmTensor } from './tensors.ts';
import { groupPanels, isFloatKind } from './weights.ts';

/** Work that a thread takes at a time is at least this many bytes of weights, counted once for each activation row. */
const CHUNK_BYTES = 65536;

/** Columns (whole super-blocks) and rows of a tile for the BLAS: half a megabyte of f32, or of bf16 with twice the columns. */
const BLAS_DEPTH = 256;
const BLAS_TILE_ROWS = 512;
/** Columns of a quantized group as f32, before they are rounded to bf16. */
const BLAS_WIDE_BYTES = tasks.BLAS_COLUMNS * tasks.QUANTIZED_GROUP_PANELS * 32;

/** `linear` by a placed matrix: quantizes the activations where the matrix is quantized (once for all matrices that share them). */
export function createPlacedLinear(
  context: OpContext,
): (x_NI: Tensor, w_OI: WasmMatrix, bias_O?: Tensor) => WasmTensor {
  const { arena, team, streams } = context;

  return (x_NI, w_OI, bias_O) => {
    const { segment, kind, pointer } = w_OI;
    const x = inSegment(context, activation(x_NI), segment);
    const I = columnCount(w_OI.shape);
    const O = rowCount(w_OI.shape);
    const N = rowCount(x.shape);
    assert(columnCount(x.shape) === I, `linear: x has ${columnCount(x.shape)} columns, w has ${I}`);
    if (N >= context.blasRows[kind]!) return byBlas(x, kind, pointer, O, bias_O ?? null);
    const isInt8 = !isFloatKind(kind);
    const R = N === 1 ? 1 : 4;
    const operand = isInt8 ? quantizedRows(context, x, N, I, R) : x;
    const bias = bias_O ? inSegment(context, activation(bias_O), segment).pointer : 0;
    const y = arena.matrix(segment, N, O);
    if (N === 0) return y;

    const mark = arena.mark();
    const scratchBytes = isInt8 ? int8Scratch(N, I) : floatScratch(I);
    const scratch = arena.scratch(segment, scratchBytes * team.size).pointer;
    const panels = Math.ceil(O / 8);
    const places = { w: pointer, columns: I, rows: O, x: operand.pointer, y: y.pointer, bias, scratch, scratchBytes };
    if (!isInt8) {
      team.perform(segment, linearFloats[kind]!, { ...places, N }, panels, chunkOf(kind, N, I, O));
    } else if (N === 1) {
      const bytes = panels * panelBytes(kind, I);
      streams.begin(bytes);
      const chunk = chunkOf(kind, N, I, O);
      team.perform(segment, linearVector[kind]!, { ...places, streams: streams.count }, panels, chunk);
      streams.end(bytes);
    } else {
      team.perform(segment, linearMatrix[kind]!, { ...places, N }, panels, chunkOf(kind, N, I, O));
    }
    arena.release(mark);
    return y;
  };

  /** Tiles of W's rows, unpacked to f32 and multiplied by the BLAS; as many for each thread. */
  function byBlas(x: WasmTensor, kind: number, pointer: number, O: number, bias_O: Tensor | null): WasmTensor {
    const { segment } = x;
    const N = rowCount(x.shape);
    const I = columnCount(x.shape);
    const bias = bias_O ? inSegment(context, activation(bias_O), segment).pointer : 0;
    const y = arena.matrix(segment, N, O);
    const mark = arena.mark();
    const tiles = team.size * Math.ceil(O / (BLAS_TILE_ROWS * team.size));
    const groupRows = 8 * groupPanels(kind);
    const tileRows = groupRows * Math.ceil(O / (groupRows * tiles));
    const isHalf = context.hasHalf && (!isFloatKind(kind) || kind === tasks.PACK_BF16);
    const depth = isHalf ? 2 * BLAS_DEPTH : BLAS_DEPTH;
    const scratchBytes = BLAS_DEPTH * (tileRows + tasks.BLAS_GAP) * 4 + (isHalf ? BLAS_WIDE_BYTES : 0);
    const from = isHalf ? roundedRows(x, N * I) : x.pointer;
    const scratch = arena.scratch(segment, scratchBytes * team.size).pointer;
    const sizes = { columns: I, rows: O, N, tileRows, depth, scratch, scratchBytes };
    const places = { w: pointer, x: from, y: y.pointer, bias };
    const task = linearBlas[isHalf ? 'bf16' : 'f32'][kind]!;
    team.perform(segment, task, { ...sizes, ...places }, Math.ceil(O / tileRows), 1);
    arena.release(mark);
    return y;
  }

  /** x as bf16. */
  function roundedRows({ segment, pointer }: WasmTensor, count: number): number {
    const out = arena.scratch(segment, count * 2).pointer;
    team.perform(segment, roundBf16, { y: out, x: pointer, count }, elementUnits(count), 16);
    return out;
  }

  /** Panels that a thread takes at a time: whole groups, and of those as many as a kernel reads side by side. */
  function chunkOf(kind: number, N: number, I: number, O: number): number {
    const panels = Math.ceil(O / 8);
    const least = CHUNK_BYTES / (panelBytes(kind, I) * N);
    const together = N === 1 && !isFloatKind(kind) ? groupPanels(kind) * streams.count : 8;
    return together * Math.ceil(Math.max(least, panels / (team.size * 16)) / together);
  }
}

/** x as int8 in tiles of R rows; kept with x. */
function quantizedRows({ arena, team }: OpContext, x: WasmTensor, N: number, I: number, R: number): WasmTensor {
  if (x.quantized !== null) return x.quantized;
  const { segment } = x;
  const padded = Math.ceil(N / R) * R;
  const out = arena.scratch(segment, padded * (I / 32) * 40);
  out.owner = x;
  x.quantized = out;
  team.perform(segment, quantizeRows, { x: x.pointer, out: out.pointer, N, columns: I, R }, padded, 8);
  return out;
}
