/**
 * What the columns of a model's matrices are multiplied with, by size: the sums that an importance matrix is made of.
 */
import type { Device } from '../../devices/device.ts';
import { batchOfSequences } from '../../kernels/batch.ts';
import type { Ops } from '../../kernels/ops.ts';
import { hidden, keepOutputs } from '../../model/llama.ts';
import type { Model } from '../../model/model.ts';
import { listParameters } from '../../model/parameters.ts';
import { columnCount, type Tensor } from '../../tensor/tensor.ts';
import { checkContext } from '../observe.ts';

/** Σ x² per column, over `rows` rows x. */
export interface ColumnSquares {
  readonly sums: Float64Array;
  readonly rows: number;
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
  const ops: Ops = { ...device.ops, linear };
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
  const columns = columnCount(x_NI.shape);
  const numbers = await device.read(x_NI);
  const sums = new Float64Array(columns);
  for (let i = 0; i < numbers.length; i += columns) {
    for (let c = 0; c < columns; c++) sums[c]! += numbers[i + c]! ** 2;
  }
  return { sums, rows: numbers.length / columns };
}
