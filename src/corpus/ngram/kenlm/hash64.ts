/** Numbers of 64 bits as two halves, for KenLM's hashes of n-grams. */

/** current · 8978948897894561157 ⊕ (1 + next) · 17894857484156487943, modulo 2⁶⁴: the hash of an n-gram, from its last word on. */
export class NgramHash {
  low = 0;
  high = 0;

  /** The hash of a word alone is its id. */
  begin(word: number): void {
    this.low = word >>> 0;
    this.high = 0;
  }

  extend(word: number): void {
    multiply(this.low, this.high, CURRENT_LOW, CURRENT_HIGH);
    const low = productLow;
    const high = productHigh;
    multiply((word + 1) >>> 0, 0, NEXT_LOW, NEXT_HIGH);
    this.low = (low ^ productLow) >>> 0;
    this.high = (high ^ productHigh) >>> 0;
  }

  /** The remainder by a number below 2³⁷. */
  modulo(buckets: number): number {
    let rest = this.high % buckets;
    rest = (rest * 65536 + (this.low >>> 16)) % buckets;
    return (rest * 65536 + (this.low & 0xffff)) % buckets;
  }
}

const [CURRENT_LOW, CURRENT_HIGH] = halvesOf(8978948897894561157n);
const [NEXT_LOW, NEXT_HIGH] = halvesOf(17894857484156487943n);
let productLow = 0;
let productHigh = 0;

/** Leaves the product modulo 2⁶⁴ in productLow and productHigh. */
function multiply(aLow: number, aHigh: number, bLow: number, bHigh: number): void {
  const a0 = aLow & 0xffff;
  const a1 = aLow >>> 16;
  const b0 = bLow & 0xffff;
  const b1 = bLow >>> 16;
  const low = a0 * b0;
  const middle = a1 * b0 + Math.floor(low / 65536);
  const cross = a0 * b1 + (middle & 0xffff);
  const carried = a1 * b1 + Math.floor(middle / 65536) + Math.floor(cross / 65536);
  productLow = (((cross & 0xffff) << 16) | (low & 0xffff)) >>> 0;
  productHigh = (carried + Math.imul(aLow, bHigh) + Math.imul(aHigh, bLow)) >>> 0;
}

function halvesOf(value: bigint): readonly [low: number, high: number] {
  return [Number(value & 0xffffffffn), Number(value >> 32n)];
}
