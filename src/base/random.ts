/**
 * Seeded random numbers: xoshiro128** (Blackman & Vigna 2018, https://prng.di.unimi.it/xoshiro128starstar.c),
 * seeded through splitmix64-style mixing of a 64-bit seed. Same seed → same stream on every machine.
 * The state is four u32 words, so that a checkpoint can store it.
 */
export class Random {
  private readonly state = new Uint32Array(4);

  /** `seed`: any non-negative integer up to 2⁵³ − 1, or a bigint of 64 bits. */
  constructor(seed: number | bigint) {
    let z = BigInt.asUintN(64, BigInt(seed));
    for (let i = 0; i < 4; i += 2) {
      z = BigInt.asUintN(64, z + 0x9e3779b97f4a7c15n);
      let x = z;
      x = BigInt.asUintN(64, (x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n);
      x = BigInt.asUintN(64, (x ^ (x >> 27n)) * 0x94d049bb133111ebn);
      x ^= x >> 31n;
      this.state[i] = Number(x & 0xffffffffn);
      this.state[i + 1] = Number(x >> 32n);
    }
  }

  /** A copy of the four state words, for checkpoints. */
  save(): Uint32Array {
    return this.state.slice();
  }

  restore(state: Uint32Array): void {
    this.state.set(state);
  }

  /** Uniform integer in [0, 2³²). */
  uint32(): number {
    const s = this.state;
    const s1 = s[1]!;
    const x = Math.imul(s1, 5);
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0;
    const t = s1 << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s1;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= t;
    s[3] = (s[3]! << 11) | (s[3]! >>> 21);
    return result;
  }

  /** Uniform in [0, 1) with 53 random bits. */
  uniform(): number {
    const high = this.uint32() >>> 5;
    const low = this.uint32() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  }

  /** Uniform integer in [0, bound), without modulo bias; bound ≤ 2³². */
  below(bound: number): number {
    const limit = 4294967296 - (4294967296 % bound);
    for (;;) {
      const x = this.uint32();
      if (x < limit) return x % bound;
    }
  }

  /** Standard normal, by Box–Muller; one of the pair is thrown away so that the state alone says what comes next. */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** 0 … count − 1 in random order. */
  shuffled(count: number): number[] {
    const order = Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }
}
