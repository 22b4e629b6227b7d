/**
 * A shallower model out of a deeper one: a share of its blocks, spread evenly with the first and the last among them, and all that is no
 * block. What is left writes nonsense until it is trained, and then learns faster than from random weights.
 *
 * Source: Sanh et al. 2019, arXiv:1910.01108 §2 (a student begins with some of its teacher's layers).
 */
import type { Checkpoint } from './checkpoint/checkpoint.ts';

/** Which blocks of `count` are kept: round(share · count) of them, at least one. */
export function keptBlocks(count: number, share: number): number[] {
  const kept = Math.max(1, Math.round(share * count));
  if (kept === 1) return [0];
  return Array.from({ length: kept }, (_, i) => Math.round((i * (count - 1)) / (kept - 1)));
}

/** The checkpoint with a share of its blocks, under their new numbers. */
export function keepBlocks(checkpoint: Checkpoint, share: number): Checkpoint {
  const { config, tensors } = checkpoint;
  const kept = keptBlocks(config.blockCount, share);
  const chosen = (blocks: readonly boolean[] | null) => blocks && kept.map((old) => blocks[old]!);
  const places = new Map(kept.map((old, now) => [old, now]));
  const renamed = [...tensors].flatMap(([name, source]) => {
    const [, block, rest] = /^blocks\.(\d+)\.(.+)$/.exec(name) ?? [];
    if (block === undefined) return [[name, source] as const];
    const now = places.get(Number(block));
    return now === undefined ? [] : [[`blocks.${now}.${rest}`, source] as const];
  });
  return {
    ...checkpoint,
    config: {
      ...config,
      blockCount: kept.length,
      slidingBlocks: chosen(config.slidingBlocks),
      rotatedBlocks: chosen(config.rotatedBlocks),
      experts: config.experts && { ...config.experts, blocks: chosen(config.experts.blocks) },
    },
    tensors: new Map(renamed),
    close: () => checkpoint.close(),
  };
}
