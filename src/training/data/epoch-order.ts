import { Random } from '../../base/random.ts';
import { firstAbove } from '../../corpus/mixture/shards.ts';
import { PAGE, pageReader, type WeightOf } from './documents.ts';

/** The documents of one epoch, by their place in it. */
export interface Order {
  readonly length: number;
  at(index: number): number | undefined;
}

/** An order of at most so many documents is a list; that of more is computed wherever it is asked for, and takes no memory. */
const HELD = 2 ** 21;

/**
 * The documents of one epoch in a random order that depends on nothing but seed and epoch. A document of weight w is seen
 * ⌊w⌋ times, and once more with probability w − ⌊w⌋.
 */
export function epochOrder(count: number, weightOf: WeightOf | null, seed: number, epoch: number, held = HELD): Order {
  const random = new Random((BigInt(seed) << 32n) + BigInt(epoch));
  const most = weightOf ? mostOf(count, weightOf) : count;
  if (most > held) return computedOrder(count, weightOf, random);
  const order = weightOf ? drawn(count, weightOf, most, random) : Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/** As many as an epoch may have at most. */
function mostOf(count: number, weightOf: WeightOf): number {
  let most = 0;
  for (let document = 0; document < count; document++) most += Math.ceil(weightOf(document));
  return most;
}

function drawn(count: number, weightOf: WeightOf, most: number, random: Random): Uint32Array {
  const order = new Uint32Array(most);
  let length = 0;
  for (let document = 0; document < count; document++) {
    const copies = copiesOf(weightOf(document), random);
    order.fill(document, length, length + copies);
    length += copies;
  }
  return order.subarray(0, length);
}

function copiesOf(weight: number, random: Random): number {
  return Math.floor(weight) + (random.uniform() < weight - Math.floor(weight) ? 1 : 0);
}

function computedOrder(count: number, weightOf: WeightOf | null, random: Random): Order {
  const copies = weightOf ? new Copies(count, weightOf, random) : null;
  const length = copies?.length ?? count;
  const shuffle = permutation(length, random);
  return { length, at: (index) => copies?.at(shuffle(index)) ?? shuffle(index) };
}

/** All copies of all documents, in order: of each page of documents only how many come before it is held. */
class Copies {
  readonly length: number;
  private readonly before: Float64Array;
  private readonly page: (page: number) => Uint32Array;

  constructor(count: number, weightOf: WeightOf, random: Random) {
    const key = BigInt(random.uint32()) << 32n;
    this.page = pageReader((page) => {
      const ofPage = new Random(key + BigInt(page));
      const documents = Math.min(PAGE, count - page * PAGE);
      return Uint32Array.from({ length: documents }, (_, i) => copiesOf(weightOf(page * PAGE + i), ofPage));
    });
    this.before = new Float64Array(Math.ceil(count / PAGE) + 1);
    for (let page = 0; page + 1 < this.before.length; page++) {
      this.before[page + 1] = this.before[page]! + this.page(page).reduce((sum, copies) => sum + copies, 0);
    }
    this.length = this.before.at(-1)!;
  }

  /** The document of a copy. */
  at(copy: number): number {
    const page = firstAbove(this.before, copy) - 1;
    const copies = this.page(page);
    let left = copy - this.before[page]!;
    let i = 0;
    while (left >= copies[i]!) left -= copies[i++]!;
    return page * PAGE + i;
  }
}

/** Half of them would do for a permutation that looks random; more cost nothing beside reading a document. */
const ROUNDS = 8;

/**
 * A random order of 0 … count − 1 that is computed, not held: a Feistel network over pairs (high, low) of which there are a few more than
 * count, gone through again where its result lies beyond. Every round adds to one half what a keyed hash makes of the other.
 *
 * Source   Luby & Rackoff 1988; cycle walking: Black & Rogaway 2002, "Ciphers with arbitrary finite domains" §4
 */
function permutation(count: number, random: Random): (index: number) => number {
  const lows = Math.max(1, Math.ceil(Math.sqrt(count)));
  const highs = Math.max(1, Math.ceil(count / lows));
  const keys = Array.from({ length: ROUNDS }, () => random.uint32());
  return (index) => {
    let value = index;
    do {
      let low = value % lows;
      let high = (value - low) / lows;
      for (const [round, key] of keys.entries()) {
        if (round % 2 === 0) high = (high + hash(low ^ key)) % highs;
        else low = (low + hash(high ^ key)) % lows;
      }
      value = high * lows + low;
    } while (value >= count);
    return value;
  };
}

/** MurmurHash3's finalizer (Appleby, public domain): every bit of x changes half of the result's. */
function hash(x: number): number {
  let h = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
