/** Parameters that travel together: those of a block, or those outside of the blocks. */
import type { Floats } from '../../tensor/tensor.ts';
import type { OptimizerShard } from '../optimizer.ts';
import { blockOf } from './parts.ts';

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

/** The members' whole numbers (null: zeros), one rank's parts after the other's. */
export function pack(unit: Unit, wholes: readonly (Floats | null)[]): Float32Array {
  const packed = new Float32Array(totalOf(unit));
  eachPart(unit, (i, from, count, at) => {
    const whole = wholes[i];
    if (whole) packed.set(whole.subarray(from, from + count), at);
  });
  return packed;
}

/** What `pack` was given. */
export function unpack(unit: Unit, packed: Float32Array): Float32Array[] {
  const wholes = unit.members.map(({ shard }) => new Float32Array(lengthOf(shard)));
  eachPart(unit, (i, from, count, at) => wholes[i]!.set(packed.subarray(at, at + count), from));
  return wholes;
}

function eachPart(unit: Unit, work: (member: number, from: number, count: number, at: number) => void): void {
  let at = 0;
  for (const rank of unit.counts.keys()) {
    for (const [i, { shard }] of unit.members.entries()) {
      const { from, count } = shard.parts[rank]!;
      work(i, from, count, at);
      at += count;
    }
  }
}

function lengthOf({ parts }: OptimizerShard): number {
  return parts.reduce((sum, { count }) => sum + count, 0);
}
