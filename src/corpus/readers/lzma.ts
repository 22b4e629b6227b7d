/**
 * The LZMA decoder that xz files are made of: a range coder over adaptive bits, literals, matches and the last four distances.
 * Source: Igor Pavlov's LZMA specification (public domain), 2015.
 */

const TOP = 2 ** 24;
const STATES = 12;
const POSITION_STATES = 16;
const LONGEST_DISTANCE_SLOT = 64;
const FIRST_WINDOW = 1 << 20;

/** Where each part of the probabilities begins. Lengths: two choices, low and middle for each position state, high. */
const LENGTH_SIZE = 2 + POSITION_STATES * 16 + 256;
const MATCH = 0;
const REPEAT = MATCH + STATES * POSITION_STATES;
const REPEAT_0 = REPEAT + STATES;
const REPEAT_1 = REPEAT_0 + STATES;
const REPEAT_2 = REPEAT_1 + STATES;
const REPEAT_LONG = REPEAT_2 + STATES;
const SLOT = REPEAT_LONG + STATES * POSITION_STATES;
const SPECIAL = SLOT + 4 * LONGEST_DISTANCE_SLOT;
const ALIGN = SPECIAL + 128;
const LENGTH = ALIGN + 16;
const REPEAT_LENGTH = LENGTH + LENGTH_SIZE;
const LITERAL = REPEAT_LENGTH + LENGTH_SIZE;

export class LzmaDecoder {
  private readonly dictionaryBytes: number;
  private window = new Uint8Array(FIRST_WINDOW);
  private at = 0;
  /** Bytes that a match may reach back over. */
  private history = 0;
  private probabilities = new Uint16Array(LITERAL + 0x300);
  private literalContextBits = 0;
  private literalPositionMask = 0;
  private positionMask = 0;
  private state = 0;
  private readonly last = [0, 0, 0, 0];
  private position = 0;
  private input: Uint8Array = new Uint8Array(0);
  private next = 0;
  private range = 0;
  private code = 0;

  constructor(dictionaryBytes: number) {
    this.dictionaryBytes = Math.max(4096, dictionaryBytes);
  }

  forget(): void {
    this.history = 0;
    this.position = 0;
  }

  /** lc, lp and pb in one byte. Throws Error where they cannot be. */
  setProperties(byte: number): void {
    const [lc, lp, pb] = [byte % 9, Math.floor(byte / 9) % 5, Math.floor(byte / 45)];
    if (pb > 4 || lc + lp > 4) throw new Error(`LZMA properties ${byte}`);
    this.literalContextBits = lc;
    this.literalPositionMask = (1 << lp) - 1;
    this.positionMask = (1 << pb) - 1;
    this.probabilities = new Uint16Array(LITERAL + (0x300 << (lc + lp)));
    this.resetState();
  }

  resetState(): void {
    this.probabilities.fill(1024);
    this.state = 0;
    this.last.fill(0);
  }

  /** Bytes that are stored as they are. */
  store(bytes: Uint8Array): Uint8Array {
    const from = this.room(bytes.length);
    this.window.set(bytes, from);
    return this.advance(bytes.length);
  }

  /** `count` bytes out of one packed chunk. Throws Error for what no encoder writes. */
  decode(packed: Uint8Array, count: number): Uint8Array {
    const from = this.room(count);
    this.input = packed;
    this.next = 5;
    this.range = 0xffffffff;
    this.code = ((packed[1]! << 24) | (packed[2]! << 16) | (packed[3]! << 8) | packed[4]!) >>> 0;
    if (packed.length < 5 || packed[0] !== 0) throw new Error('a chunk does not begin as a range coder does');
    const { window } = this;
    let at = from;
    const end = from + count;
    const reach = (): number => this.history + at - from;
    while (at < end) {
      const place = (this.position + at - from) & this.positionMask;
      if (this.bit(MATCH + (this.state << 4) + place) === 0) {
        const before = reach() > 0 ? window[at - 1]! : 0;
        const context =
          (((this.position + at - from) & this.literalPositionMask) << this.literalContextBits) +
          (before >> (8 - this.literalContextBits));
        const base = LITERAL + 0x300 * context;
        let symbol = 1;
        if (this.state >= 7) {
          let matched = window[at - this.last[0]! - 1]!;
          while (symbol < 0x100) {
            const wanted = (matched >> 7) & 1;
            matched <<= 1;
            const found = this.bit(base + ((1 + wanted) << 8) + symbol);
            symbol = (symbol << 1) | found;
            if (wanted !== found) break;
          }
        }
        while (symbol < 0x100) symbol = (symbol << 1) | this.bit(base + symbol);
        window[at++] = symbol;
        this.state = this.state < 4 ? 0 : this.state < 10 ? this.state - 3 : this.state - 6;
        continue;
      }
      let length: number;
      if (this.bit(REPEAT + this.state) === 0) {
        this.last.copyWithin(1, 0, 3);
        length = this.length(LENGTH, place);
        this.state = this.state < 7 ? 7 : 10;
        this.last[0] = this.distance(length);
        if (this.last[0] === 0xffffffff) throw new Error('an end mark inside a chunk');
      } else {
        if (this.bit(REPEAT_0 + this.state) === 0) {
          if (this.bit(REPEAT_LONG + (this.state << 4) + place) === 0) {
            if (this.last[0]! >= reach()) throw new Error('a match reaches back before the beginning');
            window[at] = window[at - this.last[0]! - 1]!;
            at++;
            this.state = this.state < 7 ? 9 : 11;
            continue;
          }
        } else this.rotate();
        length = this.length(REPEAT_LENGTH, place);
        this.state = this.state < 7 ? 8 : 11;
      }
      const distance = this.last[0]! + 1;
      if (distance > reach() || distance > this.dictionaryBytes)
        throw new Error('a match reaches back before the beginning');
      if (length > end - at) throw new Error('a match ends after its chunk');
      for (const stop = at + length; at < stop; at++) window[at] = window[at - distance]!;
    }
    return this.advance(count);
  }

  /** The second, third or fourth of the last distances becomes the first. */
  private rotate(): void {
    const { last } = this;
    const index = this.bit(REPEAT_1 + this.state) === 0 ? 1 : 2 + this.bit(REPEAT_2 + this.state);
    const distance = last[index]!;
    last.copyWithin(1, 0, index);
    last[0] = distance;
  }

  private length(base: number, place: number): number {
    if (this.bit(base) === 0) return 2 + this.tree(base + 2 + place * 8, 3);
    if (this.bit(base + 1) === 0) return 10 + this.tree(base + 2 + (POSITION_STATES + place) * 8, 3);
    return 18 + this.tree(base + 2 + POSITION_STATES * 16, 8);
  }

  private distance(length: number): number {
    const slot = this.tree(SLOT + Math.min(length - 2, 3) * LONGEST_DISTANCE_SLOT, 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const base = ((2 | (slot & 1)) << bits) >>> 0;
    if (slot < 14) return base + this.reverseTree(SPECIAL + base - slot, bits);
    let direct = 0;
    for (let i = 0; i < bits - 4; i++) {
      this.range >>>= 1;
      const isOne = this.code >= this.range;
      if (isOne) this.code = (this.code - this.range) >>> 0;
      direct = direct * 2 + (isOne ? 1 : 0);
      this.fill();
    }
    return base + direct * 16 + this.reverseTree(ALIGN, 4);
  }

  private tree(base: number, bits: number): number {
    let symbol = 1;
    for (let i = 0; i < bits; i++) symbol = (symbol << 1) | this.bit(base + symbol);
    return symbol - (1 << bits);
  }

  private reverseTree(base: number, bits: number): number {
    let symbol = 1;
    let value = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.bit(base + symbol);
      symbol = (symbol << 1) | bit;
      value |= bit << i;
    }
    return value;
  }

  private bit(index: number): number {
    const { probabilities } = this;
    const probability = probabilities[index]!;
    const bound = (this.range >>> 11) * probability;
    let bit = 0;
    if (this.code < bound) {
      this.range = bound;
      probabilities[index] = probability + ((2048 - probability) >> 5);
    } else {
      this.range -= bound;
      this.code -= bound;
      probabilities[index] = probability - (probability >> 5);
      bit = 1;
    }
    this.fill();
    return bit;
  }

  private fill(): void {
    if (this.range >= TOP) return;
    if (this.next >= this.input.length) throw new Error('a chunk ends too soon');
    this.range = (this.range << 8) >>> 0;
    this.code = ((this.code << 8) | this.input[this.next++]!) >>> 0;
  }

  /** Makes room for `count` bytes behind the history; where they will begin. */
  private room(count: number): number {
    if (this.at + count > this.window.length) {
      const kept = Math.min(this.history, this.dictionaryBytes);
      const most = 2 * (this.dictionaryBytes + FIRST_WINDOW * 2);
      const wanted = Math.max(kept + count, Math.min(most, this.window.length * 2));
      const window = wanted > this.window.length ? new Uint8Array(wanted) : this.window;
      window.set(this.window.subarray(this.at - kept, this.at), 0);
      this.window = window;
      this.at = kept;
      this.history = kept;
    }
    return this.at;
  }

  private advance(count: number): Uint8Array {
    const bytes = this.window.slice(this.at, this.at + count);
    this.at += count;
    this.history = Math.min(this.dictionaryBytes, this.history + count);
    this.position += count;
    return bytes;
  }
}
