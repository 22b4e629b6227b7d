/** Which rank holds what of a parameter: the elements that it moves, and whose moments it keeps. */

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

/** Every rank's part of `length` elements that are not divided: all of them for `owner`. */
export function wholeFor(owner: number, length: number, size: number): Part[] {
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
