import { Random } from '../../base/random.ts';

/**
 * The documents of one epoch in a random order that depends on nothing but seed and epoch. A document of weight w is seen
 * ⌊w⌋ times, and once more with probability w − ⌊w⌋.
 */
export function epochOrder(count: number, weights: Float32Array | null, seed: number, epoch: number): Uint32Array {
  const random = new Random((BigInt(seed) << 32n) + BigInt(epoch));
  const order = weights ? drawn(weights, random) : Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

function drawn(weights: Float32Array, random: Random): Uint32Array {
  let most = 0;
  for (const weight of weights) most += Math.ceil(weight);
  const order = new Uint32Array(most);
  let count = 0;
  for (const [document, weight] of weights.entries()) {
    const copies = Math.floor(weight) + (random.uniform() < weight - Math.floor(weight) ? 1 : 0);
    order.fill(document, count, count + copies);
    count += copies;
  }
  return order.subarray(0, count);
}
