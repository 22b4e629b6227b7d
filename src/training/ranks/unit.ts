/** Parameters that travel together: those of a block, or those outside of the blocks. */
import type { Floats } from '../../tensor/tensor.ts';
import type { OptimizerShard } from '../optimizer.ts';
import { blockOf, type Part } from './parts.ts';

export interface Unit {
  /** null: outside of the blocks. */
  readonly block: number | null;
  readonly members: readonly Member[];
  /** How many numbers each rank has of the members together. */
  readonly counts: readonly number[];
}

export interface Member {
  readonly shard: OptimizerShard;
  /** Its place among the shards. */
  readonly index: number;
  /** Where its part begins among this rank's numbers of the unit. */
  readonly at: number;
}

/** In the order in which a backward pass is done with them: the last block first, what is outside of the blocks last. */
export function unitsOf(shards: readonly OptimizerShard[], rank: number): Unit[] {
  const groups = new Map<number | null, { readonly shard: OptimizerShard; readonly index: number }[]>();
  for (const [index, shard] of shards.entries()) {
    const block = blockOf(shard.parameter.name);
    groups.set(block, [...(groups.get(block) ?? []), { shard, index }]);
  }
  const last = (block: number | null) => block ?? Number.NEGATIVE_INFINITY;
  return [...groups]
    .sort(([a], [b]) => last(b) - last(a))
    .map(([block, found]) => {
      const size = found[0]!.shard.parts.length;
      const counts = Array.from({ length: size }, (_, r) =>
        found.reduce((sum, { shard }) => sum + shard.parts[r]!.count, 0),
      );
      let at = 0;
      const members = found.map((member) => {
        const placed = { ...member, at };
        at += member.shard.parts[rank]!.count;
        return placed;
      });
      return { block, members, counts };
    });
}

export function totalOf({ counts }: Unit): number {
  return counts.reduce((a, b) => a + b, 0);
}

/** packed ← the members' whole numbers (null: zeros), one rank's parts after the other's. */
export function pack(packed: Float32Array, unit: Unit, wholes: readonly (Floats | null)[]): void {
  eachPart(unit, (i, { from, count }, at) => {
    const whole = wholes[i];
    if (whole) packed.set(whole.subarray(from, from + count), at);
    else packed.fill(0, at, at + count);
  });
}

/** Calls `work` for every rank's part of every member, in the order in which they travel, where a part begins at `at`. */
export function eachPart(unit: Unit, work: (member: number, part: Part, at: number) => void): void {
  let at = 0;
  for (const rank of unit.counts.keys()) {
    for (const [i, { shard }] of unit.members.entries()) {
      const part = shard.parts[rank]!;
      work(i, part, at);
      at += part.count;
    }
  }
}
