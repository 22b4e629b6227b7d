/** What every rank holds whole, and what only a part of, in data-parallel training. */
import type { Device } from '../../devices/device.ts';
import { elementCount, type Tensor } from '../../tensor/tensor.ts';
import { blockOf, type MatrixOptimizer, type Part, partsOf } from './parts.ts';

/**
 * Of what a rank holds its part only: each also of what stands before it.
 *
 *   none         nothing: every rank moves all parameters
 *   optimizer    the optimizer's moments (ZeRO-1)
 *   gradients    the sums of the gradients, too: a block's whole gradients are there until they are summed (ZeRO-2)
 *   parameters   the blocks' parameters, too: a block's are gathered when it is run, forward and backward (ZeRO-3)
 *
 * Embedding, output matrix and last norm are always there whole. The numbers are the same: what differs is memory, and what travels. With
 * several passes a step the first two sum the ranks' sums over passes, the others the passes' sums over ranks.
 * Source   Rajbhandari et al. 2020, arXiv:1910.02054 §5.
 */
export const shardings = ['none', 'optimizer', 'gradients', 'parameters'] as const;
export type Sharding = (typeof shardings)[number];

/** How the parameters of a run are divided among its ranks. */
export interface Division {
  readonly sharding: Sharding;
  readonly rank: number;
  readonly size: number;
  readonly matrices: MatrixOptimizer;
}

/** Whether the gradients of blocks are there one block at a time. */
export function sharesGradients({ sharding, size }: Pick<Division, 'sharding' | 'size'>): boolean {
  return size > 1 && (sharding === 'gradients' || sharding === 'parameters');
}

/** Whether the parameters of blocks are there one block at a time. */
export function sharesParameters({ sharding, size }: Pick<Division, 'sharding' | 'size'>): boolean {
  return size > 1 && sharding === 'parameters';
}

/** Where a parameter and its gradient lie. */
export interface Place {
  readonly tensor: Tensor;
  readonly gradient: Tensor;
  /** This rank's numbers, where `tensor` holds them only while the parameter's block is at work. */
  readonly own: { readonly part: Part; readonly numbers: Float32Array } | null;
}

/** Gives parameters their places; those of the blocks share one place, by their names, where there is one block at a time. */
export class Placing {
  private readonly device: Device;
  private readonly division: Division;
  private readonly parts: ReadonlyMap<string, Part>;
  private readonly shared = new Map<string, Tensor>();

  constructor(
    device: Device,
    division: Division,
    parameters: readonly { readonly name: string; readonly shape: readonly number[] }[],
  ) {
    this.device = device;
    this.division = division;
    const parts = partsOf(parameters, division.matrices, division.size);
    this.parts = new Map(parameters.map(({ name }, i) => [name, parts[i]![division.rank]!]));
  }

  place(name: string, shape: readonly number[]): Place {
    const part = this.parts.get(name)!;
    const isInBlock = blockOf(name) !== null;
    const tensor = this.at(isInBlock && sharesParameters(this.division), 'parameter', name, shape);
    const gradient = this.at(isInBlock && sharesGradients(this.division), 'gradient', name, shape);
    const isShared = isInBlock && sharesParameters(this.division);
    return { tensor, gradient, own: isShared ? { part, numbers: new Float32Array(part.count) } : null };
  }

  private at(isShared: boolean, what: string, name: string, shape: readonly number[]): Tensor {
    if (!isShared) return this.device.allocate(shape);
    const key = `${what} ${name.slice(name.lastIndexOf('.'))} ${elementCount(shape)}`;
    const first = this.shared.get(key) ?? this.device.allocate(shape);
    this.shared.set(key, first);
    return this.device.reshape(first, shape);
  }
}
