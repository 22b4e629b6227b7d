/**
 * What the columns of a model's matrices are multiplied with, by size: the sums that an importance matrix is made of.
 */
import type { Device } from '../../devices/device.ts';
import { batchOfSequences } from '../../kernels/batch.ts';
import type { Ops, Routes } from '../../kernels/ops.ts';
import { hidden, keepOutputs } from '../../model/llama.ts';
import type { Model } from '../../model/model.ts';
import { listParameters } from '../../model/parameters.ts';
import { columnCount, type Floats, rowCount, type Tensor } from '../../tensor/tensor.ts';
import { checkContext } from '../observe.ts';

/** Σ x² per column, over `rows` rows x; of a stack of experts for one after the other, each over the rows that chose it. */
export interface ColumnSquares {
  readonly sums: Float64Array;
  readonly rows: Float64Array;
}

/**
 * For every matrix that a sequence goes through, by parameter name: the sums over its tokens. `withOutput`: also of the output matrix.
 * Memory: what all these matrices are multiplied with, as f32, until the call is done (a 1.1B model and 512 tokens: half a gigabyte).
 * Throws ArgumentError `importance.context` for more tokens than the model was made for.
 */
export async function columnSquares(
  device: Device,
  model: Model,
  ids_N: Uint32Array,
  withOutput: boolean,
): Promise<Map<string, ColumnSquares>> {
  checkContext('importance', ids_N.length, model.config);
  const nameOf = namesOf(model);
  const found = new Map<string, Promise<ColumnSquares>>();
  const seen = new Map<Tensor, Promise<ColumnSquares>>();
  const linear: Ops['linear'] = (x_NI, w_OI, bias_O) => {
    const name = nameOf.get(w_OI);
    if (name !== undefined) {
      // Queries, keys and values read the same rows, and so do gate and up.
      const squares = seen.get(x_NI) ?? squaresOf(device, x_NI);
      seen.set(x_NI, squares);
      found.set(name, squares);
    }
    return device.ops.linear(x_NI, w_OI, bias_O);
  };
  const routedLinear: Ops['routedLinear'] = (x_NI, w_XOI, routes, bias_XO) => {
    const name = nameOf.get(w_XOI);
    if (name !== undefined) found.set(name, routedSquaresOf(device, x_NI, routes, w_XOI.shape[0]!));
    return device.ops.routedLinear(x_NI, w_XOI, routes, bias_XO);
  };
  const ops: Ops = { ...device.ops, linear, routedLinear };
  const keep = keepOutputs(device);
  const mark = device.mark();
  try {
    const x_ND = hidden(model, ops, batchOfSequences([ids_N]), {
      segment: (input_ND, run) => {
        seen.clear(); // tensors of the last block are void
        return keep(input_ND, run);
      },
    });
    seen.clear();
    if (withOutput) model.logits(ops, ops.selectRows(x_ND, Uint32Array.from(ids_N.keys())));
  } finally {
    device.release(mark);
  }
  const names = [...found.keys()];
  const squares = await Promise.all(found.values());
  return new Map(names.map((name, i) => [name, squares[i]!]));
}

function namesOf(model: Model): Map<Tensor, string> {
  const names = new Map<Tensor, string>();
  for (const { name, key, block } of listParameters(model.config)) {
    const place: Readonly<Partial<Record<string, unknown>>> = block === null ? model : model.blocks[block]!;
    names.set(place[key] as Tensor, name);
  }
  return names;
}

async function squaresOf(device: Device, x_NI: Tensor): Promise<ColumnSquares> {
  return sumUp(await device.read(x_NI), columnCount(x_NI.shape), 1, () => 0);
}

/** x has a row for each row n, or one for each of its experts. */
async function routedSquaresOf(
  device: Device,
  x_NI: Tensor,
  { chosen_NU }: Routes,
  experts: number,
): Promise<ColumnSquares> {
  const [reading, choice] = [device.read(x_NI), device.read(chosen_NU)];
  const used = columnCount(chosen_NU.shape);
  const isShared = rowCount(x_NI.shape) === rowCount(chosen_NU.shape);
  const columns = columnCount(x_NI.shape);
  const [numbers, chosen] = [await reading, await choice];
  if (!isShared) return sumUp(numbers, columns, experts, (row) => chosen[row]!);
  const totals = Array.from({ length: used }, (_, u) =>
    sumUp(numbers, columns, experts, (row) => chosen[row * used + u]!),
  );
  const [first, ...others] = totals as [ColumnSquares, ...ColumnSquares[]];
  for (const { sums, rows } of others) {
    for (let i = 0; i < sums.length; i++) first.sums[i]! += sums[i]!;
    for (let i = 0; i < rows.length; i++) first.rows[i]! += rows[i]!;
  }
  return first;
}

/** Σ x² of the rows of each matrix. */
// biome-ignore format: one line of parameters
function sumUp(numbers: Floats, columns: number, matrices: number, matrixOf: (row: number) => number): ColumnSquares {
  const sums = new Float64Array(matrices * columns);
  const rows = new Float64Array(matrices);
  for (let row = 0; row * columns < numbers.length; row++) {
    const matrix = matrixOf(row);
    rows[matrix]! += 1;
    for (let c = 0; c < columns; c++) sums[matrix * columns + c]! += numbers[row * columns + c]! ** 2;
  }
  return { sums, rows };
}
