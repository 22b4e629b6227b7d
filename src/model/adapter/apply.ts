/**
 * Adapters at work: a decorator of Ops that corrects what the model's matrices make of some rows of a batch, each row by the adapters
 * of its own sequence. A batch may hold rows of several adapters and rows without; a row's bits are the same in any company, as every
 * operation computes a row by itself.
 *
 *   y_NO = x · Wᵀ for all rows;  then for the rows of each group  y += scale · (x · Aᵀ) · Bᵀ,  DoRA: and scaled to its row lengths
 */
import { assert } from '../../base/assert.ts';
import { UnsupportedError } from '../../base/errors.ts';
import type { Device } from '../../devices/device.ts';
import type { Ops } from '../../kernels/ops.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { rowCount, type Tensor } from '../../tensor/tensor.ts';
import type { Model } from '../model.ts';
import { listParameters } from '../parameters.ts';
import { type Adapter, type LowRank, targetsOf } from './adapter.ts';
import { floatSource, rowNorms } from './sources.ts';

/** A correction on a device. */
interface PlacedLayer {
  readonly a: Tensor;
  readonly b: Tensor;
  readonly scale: number;
  readonly dora: Dora | null;
}

/** y_O · magnitude_O / norm_O is a batch norm with fixed statistics: mean 0, variance norm². */
interface Dora {
  readonly magnitude_O: Tensor;
  readonly squares_O: Tensor;
  readonly zeros_O: Tensor;
}

/** An adapter on the device of its model: what stands for or corrects each of the model's tensors. */
export interface PlacedAdapter {
  readonly name: string;
  /** The scale with which it was placed, beside its own; a DoRA works with no other. */
  readonly scale: number;
  readonly linear: ReadonlyMap<Tensor, PlacedLayer>;
  readonly embedding: ReadonlyMap<Tensor, PlacedLayer>;
  readonly replaced: ReadonlyMap<Tensor, Tensor>;
  readonly hasMagnitudes: boolean;
}

/** An adapter and what its correction is multiplied with. */
export interface AdapterUse {
  readonly adapter: PlacedAdapter;
  readonly scale: number;
}

/**
 * The weights that `placeAdapter` will place, in its order, for Device.prepare. They belong to no layer: where a model lies in several
 * memories, its caches stay where its own weights are.
 */
export function adapterWeights(adapter: Adapter): (readonly [TensorSource, null])[] {
  const sources = [...adapter.layers.values()].flatMap(({ a, b, magnitude }) =>
    magnitude ? [a, b, magnitude, magnitude, magnitude] : [a, b],
  );
  return [...sources, ...adapter.replaced.values()].map((source) => [source, null]);
}

export interface PlaceOptions {
  readonly name: string;
  readonly scale: number;
  /** The model's weights where they are stored: a DoRA's lengths are made from them. */
  readonly weights: ReadonlyMap<string, TensorSource>;
}

/** Throws UnsupportedError `adapter.replaced` for a parameter that cannot differ from row to row of a batch. */
export function placeAdapter(device: Device, model: Model, adapter: Adapter, options: PlaceOptions): PlacedAdapter {
  const { name, scale, weights } = options;
  const tensors = tensorsOf(model);
  const linear = new Map<Tensor, PlacedLayer>();
  const embedding = new Map<Tensor, PlacedLayer>();
  const targets = new Map(targetsOf(model.config).map((target) => [target.name, target]));
  for (const [parameter, layer] of adapter.layers) {
    const { use } = targets.get(parameter)!;
    const weight = weights.get(parameter) ?? weights.get('embed_VD')!;
    const placed: PlacedLayer = {
      a: device.placeWeight(layer.a, null),
      b: device.placeWeight(layer.b, null),
      scale: layer.scale,
      dora: layer.magnitude && placeDora(device, layer, weight, scale),
    };
    (use === 'embedding' ? embedding : linear).set(tensors.get(parameter)!, placed);
  }
  const replaced = new Map<Tensor, Tensor>();
  for (const { name: parameter, shape, spec } of listParameters(model.config)) {
    const source = adapter.replaced.get(parameter);
    if (!source) continue;
    if (spec.statistic !== undefined || (shape.length !== 2 && !/norm_D$/i.test(parameter)))
      throw new UnsupportedError(
        'adapter.replaced',
        `adapter ${name}: ${parameter} was trained whole, and cannot differ between the rows of a batch. Merge the adapter into the model (cria merge).`,
      );
    replaced.set(tensors.get(parameter)!, device.placeWeight(source, null));
  }
  const hasMagnitudes = [...linear.values()].some(({ dora }) => dora !== null);
  return { name, scale, linear, embedding, replaced, hasMagnitudes };
}

function placeDora(device: Device, layer: LowRank, weight: TensorSource, scale: number): Dora {
  const norms = rowNorms(weight, { ...layer, scale: layer.scale * scale });
  const vector = (part: string, numbers: Float32Array) =>
    device.placeWeight(floatSource(`${weight.name} ${part}`, numbers, [numbers.length]), null);
  return {
    magnitude_O: device.placeWeight(layer.magnitude!, null),
    squares_O: vector(
      'norms',
      Float32Array.from(norms, (norm) => norm ** 2),
    ),
    zeros_O: vector('zeros', new Float32Array(norms.length)),
  };
}

/** The model's tensors by parameter name; under head_VD what the output layer multiplies with. */
function tensorsOf(model: Model): ReadonlyMap<string, Tensor> {
  const found = new Map<string, Tensor>();
  for (const { name, key, block } of listParameters(model.config)) {
    const place = (block === null ? model : model.blocks[block]!) as unknown as Readonly<Record<string, Tensor>>;
    found.set(name, place[key]!);
  }
  if (!found.has('head_VD')) found.set('head_VD', model.embed_VD);
  return found;
}

/** Rows of a batch that share their adapters; null: all of them. */
export interface RowGroup {
  readonly rows: Uint32Array | null;
  readonly uses: readonly AdapterUse[];
}

/**
 * Ops for one forward pass over a batch of `count` rows. Groups do not overlap; rows of no group are computed as without adapters.
 * `rows_R`: the rows whose logits are wanted, as `forward` selects them.
 */
export function adaptedOps(ops: Ops, count: number, groups: readonly RowGroup[], rows_R: Uint32Array | null): Ops {
  const selected = rows_R && groups.map((group) => ({ ...group, rows: positionsIn(rows_R, group.rows) }));
  /** The groups as rows of `x`, which has all rows of the batch or those whose logits are wanted. */
  const groupsOf = (x: Tensor): readonly RowGroup[] => {
    const rows = rowCount(x.shape);
    if (rows === count || groups.every((group) => group.rows === null)) return groups;
    assert(
      selected !== null && rows === rows_R!.length,
      `adapters: ${rows} rows are neither the batch's ${count} nor the selected ones`,
    );
    return selected;
  };
  /** y with the rows of each group computed otherwise. */
  const perGroup = (
    x: Tensor,
    base: () => Tensor,
    change: (group: RowGroup, whole: Tensor | null) => Tensor | null,
  ): Tensor => {
    let y: Tensor | null = null;
    for (const group of groupsOf(x)) {
      if (group.rows === null) return change(group, null) ?? base();
      if (group.rows.length === 0) continue;
      const changed = change(group, (y ??= base()));
      if (changed) ops.placeRows(y, changed, group.rows);
    }
    return y ?? base();
  };
  const rowsOf = (x: Tensor, { rows }: RowGroup) => (rows === null ? x : ops.selectRows(x, rows));
  const layersOf = ({ uses }: RowGroup, use: 'linear' | 'embedding', w: Tensor) =>
    uses.flatMap(({ adapter, scale }) => {
      const layer = adapter[use].get(w);
      return layer ? [{ ...layer, scale: layer.scale * scale }] : [];
    });
  const replacement = (w: Tensor, { uses }: RowGroup) => {
    for (const { adapter } of uses) if (adapter.replaced.has(w)) return adapter.replaced.get(w)!;
    return null;
  };

  return {
    ...ops,
    linear: (x_NI, w_OI, bias_O) =>
      perGroup(
        x_NI,
        () => ops.linear(x_NI, w_OI, bias_O),
        (group, whole) => {
          const layers = layersOf(group, 'linear', w_OI);
          const other = replacement(w_OI, group);
          if (layers.length === 0 && !other) return null;
          const x = rowsOf(x_NI, group);
          const dora = layers.find((layer) => layer.dora)?.dora ?? null;
          // A DoRA scales before the bias is added: it needs the product alone.
          const isProduct = dora !== null && bias_O !== undefined;
          let y =
            other || isProduct || !whole
              ? ops.linear(x, other ?? w_OI, dora ? undefined : bias_O)
              : rowsOf(whole, group);
          for (const { a, b, scale } of layers) {
            const d = ops.linear(ops.linear(x, a), b);
            y = ops.add(y, scale === 1 ? d : ops.scale(d, scale));
          }
          return dora ? withLengths(ops, y, dora, bias_O) : y;
        },
      ),
    embed: (table_VD, ids_N) => {
      const at = { dtype: 'f32', shape: [ids_N.length, 1] } as const; // the rows are the batch's
      return perGroup(
        at,
        () => ops.embed(table_VD, ids_N),
        (group, whole) => {
          const layers = layersOf(group, 'embedding', table_VD);
          const other = replacement(table_VD, group);
          if (layers.length === 0 && !other) return null;
          const ids = group.rows === null ? ids_N : group.rows.map((row) => ids_N[row]!);
          let y = other || !whole ? ops.embed(other ?? table_VD, ids) : rowsOf(whole, group);
          for (const { a, b, scale } of layers) {
            const d = ops.linear(ops.embed(a, ids), b);
            y = ops.add(y, scale === 1 ? d : ops.scale(d, scale));
          }
          return y;
        },
      );
    },
    rmsNorm: (x_ND, gain_D, eps) => {
      const isReplaced = groups.some((group) => replacement(gain_D, group) !== null);
      if (!isReplaced) return ops.rmsNorm(x_ND, gain_D, eps);
      return perGroup(
        x_ND,
        () => ops.rmsNorm(x_ND, gain_D, eps),
        (group) => {
          const other = replacement(gain_D, group);
          return other && ops.rmsNorm(rowsOf(x_ND, group), other, eps);
        },
      );
    },
  };
}

/** Each column scaled by magnitude / norm, then the bias. */
function withLengths(
  ops: Ops,
  y_NO: Tensor,
  { magnitude_O, squares_O, zeros_O }: Dora,
  bias_O: Tensor | undefined,
): Tensor {
  const statistics = { mean_D: zeros_O, variance_D: squares_O, momentum: 0, training: false };
  return ops.batchNorm(y_NO, magnitude_O, bias_O ?? zeros_O, 0, statistics);
}

/** Where the group's rows are among the selected ones. */
function positionsIn(selected: Uint32Array, rows: Uint32Array | null): Uint32Array | null {
  if (rows === null) return null;
  const wanted = new Set(rows);
  return Uint32Array.from([...selected.keys()].filter((position) => wanted.has(selected[position]!)));
}
