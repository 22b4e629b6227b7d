/**
 * Python's `random.Random` for whole-number seeds: the Mersenne Twister MT19937 and what is drawn from it. Evaluation draws few-shot
 * examples with it, so that the same seed gives the examples that the lm-evaluation-harness gives.
 *
 * Source   Matsumoto & Nishimura 1998, doi:10.1145/272991.272995; Python's documentation of `random` for how draws use the bits.
 */
const N = 624;
const M = 397;

export class PythonRandom {
  private readonly state = new Uint32Array(N);
  private place = N;

  /** `seed`: a whole number from 0 to 2⁵³. */
  constructor(seed: number) {
    const low = seed >>> 0;
    const high = Math.floor(seed / 2 ** 32);
    this.seedWith(high === 0 ? [low] : [low, high]);
  }

  /** The twister's initialization by an array. */
  private seedWith(key: readonly number[]): void {
    const { state } = this;
    state[0] = 19650218;
    for (let i = 1; i < N; i++) state[i] = Math.imul(1812433253, state[i - 1]! ^ (state[i - 1]! >>> 30)) + i;
    let i = 1;
    let j = 0;
    const step = (factor: number, add: number, sign: 1 | -1) => {
      const mixed = Math.imul(state[i - 1]! ^ (state[i - 1]! >>> 30), factor);
      state[i] = (state[i]! ^ mixed) + sign * add;
      if (++i >= N) {
        state[0] = state[N - 1]!;
        i = 1;
      }
    };
    for (let n = Math.max(N, key.length); n > 0; n--) {
      step(1664525, key[j]! + j, 1);
      j = (j + 1) % key.length;
    }
    for (let n = N - 1; n > 0; n--) step(1566083941, i, -1);
    state[0] = 0x80000000;
  }

  /** The next 32 bits. */
  private next(): number {
    if (this.place >= N) this.refill();
    let y = this.state[this.place++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  private refill(): void {
    const { state } = this;
    for (let i = 0; i < N; i++) {
      const y = (state[i]! & 0x80000000) | (state[(i + 1) % N]! & 0x7fffffff);
      state[i] = state[(i + M) % N]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.place = 0;
  }

  /** `count` random bits, 1 … 32, as a number. */
  bits(count: number): number {
    return this.next() >>> (32 - count);
  }

  /** Uniform in [0, 1), with 53 bits. */
  random(): number {
    const high = this.next() >>> 5;
    const low = this.next() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** Uniform in 0 … limit − 1; draws again while the bits give too large a number. */
  below(limit: number): number {
    const count = 32 - Math.clz32(limit);
    let value = this.bits(count);
    while (value >= limit) value = this.bits(count);
    return value;
  }

  /** `count` different members in random order, as `random.sample`. Small populations are shuffled in part, large ones drawn by place. */
  sample<Member>(population: readonly Member[], count: number): Member[] {
    const n = population.length;
    const smallest = 21 + (count > 5 ? 4 ** Math.ceil(Math.log(count * 3) / Math.log(4)) : 0);
    if (n <= smallest) {
      const pool = [...population];
      return Array.from({ length: count }, (_, i) => {
        const j = this.below(n - i);
        const member = pool[j]!;
        pool[j] = pool[n - i - 1]!;
        return member;
      });
    }
    const taken = new Set<number>();
    return Array.from({ length: count }, () => {
      let j = this.below(n);
      while (taken.has(j)) j = this.below(n);
      taken.add(j);
      return population[j]!;
    });
  }

  /** `count` members, drawn with replacement, as `random.choices`. */
  choices<Member>(population: readonly Member[], count: number): Member[] {
    const n = population.length;
    return Array.from({ length: count }, () => population[Math.floor(this.random() * n)]!);
  }
}
