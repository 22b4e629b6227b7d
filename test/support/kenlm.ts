/** Writes KenLM's binary files, for tests: small ones, in the plainest way. */
import { parseArpa } from '../../src/corpus/ngram/arpa.ts';

export const kinds = ['probing', 'rest', 'trie', 'quantized trie', 'array trie', 'quantized array trie'] as const;
export type KenlmKind = (typeof kinds)[number];

interface Gram {
  readonly words: readonly number[];
  readonly probability: number;
  readonly backoff: number;
}

const MULTIPLIER = 1.5;
const ARRAY_BITS = 64;
const QUANT_BITS = 6;

export function kenlmFile(arpa: string, kind: KenlmKind): Uint8Array {
  const { words, grams } = gramsOf(arpa);
  const counts = grams.map((each) => each.length);
  const isProbing = kind === 'probing' || kind === 'rest';
  const search = isProbing ? probingTables(grams, kind === 'rest') : trieTables(grams, words.length, kind);
  const out = new Bytes();
  out.text('mmap lm http://kheafield.com/code format version 5\n').zeros(5);
  out.f32(0).f32(1).f32(-0.5).u32(1).u32(0xffffffff).u32(0).u64(1n);
  out
    .u8(counts.length)
    .zeros(3)
    .f32(MULTIPLIER)
    .u32(kinds.indexOf(kind))
    .u8(1)
    .zeros(3)
    .u32(isProbing ? 0 : 1);
  for (const count of counts) out.u64(BigInt(count));
  out.align8();
  if (isProbing)
    out
      .u32(0)
      .u32(words.length)
      .zeros(12 * buckets(words.length));
  else out.u64(BigInt(words.length - 1)).zeros(8 * words.length);
  out.add(search);
  for (const word of words) out.text(word).zeros(1);
  return out.take();
}

/** n-grams by length. Those that longer ones end with are made where they are missing, with the probability that they have by backing off. */
function gramsOf(arpa: string): { words: string[]; grams: Gram[][] } {
  const model = parseArpa(arpa, 'arpa');
  const words = ['<unk>'];
  const grams: Gram[][] = [];
  for (const line of arpa.split('\n')) {
    const order = /^\\(\d+)-grams:/.exec(line)?.[1];
    if (order !== undefined) grams[Number(order) - 1] = [];
    const fields = line.split(/[\t ]+/);
    const probability = Number(fields[0]);
    const length = grams.length;
    if (length === 0 || fields.length <= length || Number.isNaN(probability)) continue;
    const names = fields.slice(1, 1 + length);
    if (length === 1 && names[0] !== '<unk>') words.push(names[0]!);
    const ids = names.map((name) => words.indexOf(name));
    grams[length - 1]!.push({ words: ids, probability, backoff: Number(fields[1 + length] ?? 0) });
  }
  for (let length = grams.length; length > 1; length--) {
    for (const { words: ids } of grams[length - 1]!) {
      const suffix = ids.slice(1);
      if (grams[length - 2]!.some((gram) => String(gram.words) === String(suffix))) continue;
      let state = model.empty();
      for (const id of suffix) state = model.step(state, words[id]!);
      grams[length - 2]!.push({ words: suffix, probability: model.lastScore, backoff: 0 });
    }
  }
  grams[0]!.sort((a, b) => a.words[0]! - b.words[0]!);
  return { words, grams };
}

function buckets(entries: number): number {
  return Math.max(entries + 1, Math.floor(MULTIPLIER * entries));
}

function probingTables(grams: readonly Gram[][], withRest: boolean): Uint8Array {
  const out = new Bytes();
  // An n-gram that others end with has a positive sign.
  const signed = ({ words, probability }: Gram) =>
    grams.some((longer) =>
      longer.some(
        (gram) => gram.words.length > words.length && String(gram.words.slice(-words.length)) === String(words),
      ),
    )
      ? Math.abs(probability)
      : probability;
  const value = (gram: Gram) => {
    out.f32(signed(gram)).f32(gram.backoff);
    if (withRest) out.f32(-7);
  };
  for (const gram of grams[0]!) value(gram);
  out.zeros(withRest ? 12 : 8);
  for (const each of grams.slice(1)) {
    const isLongest = each === grams.at(-1);
    const slots: (readonly [bigint, Gram] | undefined)[] = Array.from({ length: buckets(each.length) });
    for (const gram of each) {
      const [last, ...before] = [...gram.words].reverse();
      const hash = before.reduce(
        (sum, word) =>
          BigInt.asUintN(64, sum * 8978948897894561157n) ^ BigInt.asUintN(64, BigInt(word + 1) * 17894857484156487943n),
        BigInt(last!),
      );
      let slot = Number(hash % BigInt(slots.length));
      while (slots[slot]) slot = (slot + 1) % slots.length;
      slots[slot] = [hash, gram];
    }
    for (const slot of slots) {
      if (!slot) out.zeros(isLongest ? 12 : withRest ? 20 : 16);
      else {
        out.u64(slot[0]);
        if (isLongest) out.f32(slot[1].probability);
        else value(slot[1]);
      }
    }
  }
  return out.take();
}

function trieTables(grams: readonly Gram[][], wordCount: number, kind: KenlmKind): Uint8Array {
  const out = new Bytes();
  const order = grams.length;
  const bitsFor = (most: number) => (most === 0 ? 0 : most.toString(2).length);
  const reversed = (gram: Gram) => [...gram.words].reverse();
  const sorted = grams.map((each) => [...each].sort((a, b) => compare(reversed(a), reversed(b))));
  // Where the n-grams begin that end with each of an order's, in sorted order, and where the last ones end.
  const nextOf = sorted.map((each, n) =>
    [
      ...each.map((gram) =>
        (sorted[n + 1] ?? []).findIndex((longer) => compare(reversed(longer).slice(0, n + 1), reversed(gram)) >= 0),
      ),
      -1,
    ].map((found) => (found < 0 ? (sorted[n + 1]?.length ?? 0) : found)),
  );
  const isQuantized = kind.startsWith('quantized');
  const probabilityBins = sorted.map((each) =>
    binsOf(
      each.map(({ probability }) => probability),
      [],
    ),
  );
  const backoffBins = sorted.map((each) =>
    binsOf(
      each.map(({ backoff }) => backoff).filter((backoff) => backoff !== 0),
      [-0, 0],
    ),
  );
  if (isQuantized) {
    out.u8(2).u8(QUANT_BITS).u8(QUANT_BITS).zeros(5);
    for (let n = 1; n < order; n++) {
      for (const value of probabilityBins[n]!) out.f32(value);
      if (n < order - 1) for (const value of backoffBins[n]!) out.f32(value);
    }
  }
  for (const [i, gram] of sorted[0]!.entries()) out.f32(gram.probability).f32(gram.backoff).u64(BigInt(nextOf[0]![i]!));
  out
    .zeros(8)
    .u64(BigInt(nextOf[0]!.at(-1)!))
    .zeros(16);
  for (let n = 1; n < order; n++) {
    const isLongest = n === order - 1;
    const mostNext = isLongest ? 0 : sorted[n + 1]!.length;
    let nextBits = bitsFor(mostNext);
    if (kind.includes('array') && !isLongest) {
      const pointers = sorted[n]!.length + 1;
      const cost = (chop: number) => (mostNext >> (nextBits - chop)) * 64 - pointers * chop;
      const chops = Array.from({ length: Math.min(nextBits, ARRAY_BITS) + 1 }, (_, chop) => chop);
      const chop = chops.reduce((best, each) => (cost(each) < cost(best) ? each : best));
      nextBits -= chop;
      const count = (mostNext >> nextBits) + 1;
      const base = out.length;
      out.u8(0).u8(ARRAY_BITS).zeros(6);
      out.align8();
      for (let high = 0; high < count; high++)
        out.u64(
          BigInt(
            Math.max(
              0,
              nextOf[n]!.findIndex((next) => next >> nextBits >= high),
            ),
          ),
        );
      out.zeros(base + 8 * (1 + count) + 7 - out.length);
    }
    const bits: string[] = [];
    const push = (value: number | bigint, count: number) =>
      bits.push(...value.toString(2).padStart(count, '0').slice(-count).split('').reverse());
    for (const [i, { words, probability, backoff }] of sorted[n]!.entries()) {
      push(words[0]!, bitsFor(wordCount));
      if (isQuantized) {
        if (!isLongest) push(backoff === 0 ? 0 : backoffBins[n]!.indexOf(Math.fround(backoff), 2), QUANT_BITS);
        push(probabilityBins[n]!.indexOf(Math.fround(probability)), QUANT_BITS);
      } else {
        push(floatBits(probability) & 0x7fffffffn, 31);
        if (!isLongest) push(floatBits(backoff), 32);
      }
      if (!isLongest && nextBits > 0) push(nextOf[n]![i]! % 2 ** nextBits, nextBits);
    }
    const valueBits = isQuantized ? QUANT_BITS * (isLongest ? 1 : 2) : isLongest ? 31 : 63;
    const recordBits = bitsFor(wordCount) + valueBits + nextBits;
    for (let i = bitsFor(wordCount) + valueBits; i > 0; i--) bits.push('0');
    if (nextBits > 0) push(nextOf[n]!.at(-1)! % 2 ** nextBits, nextBits);
    const total = Math.floor(((1 + sorted[n]!.length) * recordBits + 7) / 8) + 8;
    const packed = new Uint8Array(total);
    for (const [i, bit] of bits.entries()) if (bit === '1') packed[i >> 3]! |= 1 << (i & 7);
    out.add(packed);
  }
  return out.take();
}

/** Every value in a bin of its own. */
function binsOf(values: readonly number[], reserved: readonly number[]): number[] {
  const bins = [...reserved, ...new Set(values.map(Math.fround))];
  return [...bins, ...new Array<number>(2 ** QUANT_BITS - bins.length).fill(0)];
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, i) => value !== b[i]);
  return at < 0 ? a.length - b.length : a[at]! - (b[at] ?? -1);
}

function floatBits(value: number): bigint {
  return BigInt(new Uint32Array(Float32Array.of(value).buffer)[0]!);
}

class Bytes {
  private readonly parts: number[] = [];

  get length(): number {
    return this.parts.length;
  }

  add(bytes: Uint8Array): this {
    for (const byte of bytes) this.parts.push(byte);
    return this;
  }

  text(text: string): this {
    return this.add(new TextEncoder().encode(text));
  }

  zeros(count: number): this {
    return this.add(new Uint8Array(count));
  }

  align8(): this {
    return this.zeros((8 - (this.parts.length % 8)) % 8);
  }

  u8(value: number): this {
    this.parts.push(value);
    return this;
  }

  u32(value: number): this {
    return this.add(new Uint8Array(Uint32Array.of(value).buffer));
  }

  u64(value: bigint): this {
    return this.add(new Uint8Array(BigUint64Array.of(value).buffer));
  }

  f32(value: number): this {
    return this.add(new Uint8Array(Float32Array.of(value).buffer));
  }

  take(): Uint8Array {
    return Uint8Array.from(this.parts);
  }
}
