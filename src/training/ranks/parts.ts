/** Which rank holds what of a parameter: the elements that it moves, and whose moments it keeps. */
import { columnCount, elementCount, rowCount } from '../../tensor/tensor.ts';

/** Elements [from, from + count). */
export interface Part {
  readonly from: number;
  readonly count: number;
}

/** A rank's part of `length` elements: as even as can be, in order. */
export function shardOf(length: number, rank: number, size: number): Part {
  const from = Math.floor((length * rank) / size);
  return { from, count: Math.floor((length * (rank + 1)) / size) - from };
}

/** What is divided: parameters by their names and shapes, and what moves the matrices of the blocks. */
interface Named {
  readonly name: string;
  readonly shape: readonly number[];
}
export type MatrixOptimizer = 'adamw' | 'muon';

/**
 * Of each parameter, every rank's part: a shard of its elements; or, of the matrices that Muon moves, which it needs whole, all of some,
 * so that all ranks have about as much work.
 */
export function partsOf(parameters: readonly Named[], matrices: MatrixOptimizer, size: number): Part[][] {
  const whole = parameters.filter((parameter) => isMuons(parameter, matrices));
  const owners = shareOut(whole.map(newtonSchulzCost), size);
  return parameters.map((parameter) => {
    const length = elementCount(parameter.shape);
    const owner = owners[whole.indexOf(parameter)];
    if (owner !== undefined) return wholeFor(owner, length, size);
    return Array.from({ length: size }, (_, rank) => shardOf(length, rank, size));
  });
}

export function isMuons({ name, shape }: Named, matrices: MatrixOptimizer): boolean {
  return matrices === 'muon' && shape.length === 2 && blockOf(name) !== null;
}

/** What an optimizer remembers of a parameter: m, the running mean of its gradient, and v, that of its square, for which Muon has no use. */
export function momentsOf(parameter: Named, matrices: MatrixOptimizer): readonly ('m' | 'v')[] {
  return isMuons(parameter, matrices) ? ['m'] : ['m', 'v'];
}

/** The number of the block that a parameter is in; null: outside of the blocks. */
export function blockOf(name: string): number | null {
  const [, number] = /^blocks\.(\d+)\./.exec(name) ?? [];
  return number === undefined ? null : Number(number);
}

/** Multiply-adds of a Newton–Schulz step on an R × C matrix (kernels/muon). */
function newtonSchulzCost({ shape }: Named): number {
  const [R, C] = [rowCount(shape), columnCount(shape)];
  const [small, large] = [Math.min(R, C), Math.max(R, C)];
  return small * small * (2 * large + small);
}

/** Every rank's part of `length` elements that are not divided: all of them for `owner`. */
function wholeFor(owner: number, length: number, size: number): Part[] {
  return Array.from({ length: size }, (_, rank) => ({
    from: rank > owner ? length : 0,
    count: rank === owner ? length : 0,
  }));
}

/** The rank that does each piece of work, so that all have about as much: the largest first, each to the rank that has least. */
export function shareOut(costs: readonly number[], size: number): number[] {
  const loads = new Array<number>(size).fill(0);
  const owners = new Array<number>(costs.length).fill(0);
  const largestFirst = costs.map((_, i) => i).sort((a, b) => costs[b]! - costs[a]! || a - b);
  for (const i of largestFirst) {
    const owner = loads.indexOf(Math.min(...loads));
    owners[i] = owner;
    loads[owner]! += costs[i]!;
  }
  return owners;
}
