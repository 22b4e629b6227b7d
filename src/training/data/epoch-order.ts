import { Random } from '../../base/random.ts';

/**
 * The documents of one epoch in a random order that depends on nothing but seed and epoch. A document of weight w is seen
 * ⌊w⌋ times, and once more with probability w − ⌊w⌋.
 */
export function epochOrder(count: number, weights: Float32Array | null, seed: number, epoch: number): Uint32Array {
  const random = new Random((BigInt(seed) << 32n) + BigInt(epoch));
  const order: number[] = [];
  for (let document = 0; document < count; document++) {
    const weight = weights?.[document] ?? 1;
    const copies = Math.floor(weight) + (weights && random.uniform() < weight - Math.floor(weight) ? 1 : 0);
    for (let i = 0; i < copies; i++) order.push(document);
  }
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return Uint32Array.from(order);
}
