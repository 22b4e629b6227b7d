/**
 * Regular expressions in ECMA-262's notation, as JSON Schema's `pattern` uses it, as trees. The engine's own RegExp never sees a
 * pattern, so there is nothing that could run away. References back are refused, as is what other languages' notations add.
 */
import { type CharacterSet, characterSet, complement } from '../characters.ts';
import { unicodeProperty } from './unicode.ts';

const MAX_LENGTH = 10_000;
const MAX_DEPTH = 100;
const MAX_COUNT = 20_000;

/** Why a pattern is refused. */
export class PatternError extends Error {}

export type Node =
  | { readonly kind: 'set'; readonly set: CharacterSet }
  | { readonly kind: 'sequence'; readonly parts: readonly Node[] }
  | { readonly kind: 'choice'; readonly options: readonly Node[] }
  | { readonly kind: 'repeat'; readonly of: Node; readonly min: number; readonly max: number | null }
  | { readonly kind: 'begin' | 'end' }
  /** What follows begins so, or what precedes ends so; or does not. */
  | { readonly kind: 'ahead' | 'behind'; readonly of: Node; readonly negated: boolean }
  /** Between a letter and none, or not. */
  | { readonly kind: 'border'; readonly negated: boolean };

/** Throws PatternError. */
export function parsePattern(pattern: string): Node {
  return new Reader(pattern).read();
}

const digits = characterSet([[0x30, 0x39]]);
export const wordCharacters = characterSet([...digits, [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]]);
const space = characterSet([
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
]);
const lineEnds = characterSet([
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
]);
const classEscapes: Readonly<Record<string, CharacterSet>> = {
  d: digits,
  D: complement(digits),
  w: wordCharacters,
  W: complement(wordCharacters),
  s: space,
  S: complement(space),
};
const controlEscapes: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11 };

class Reader {
  private readonly characters: readonly string[];
  private at = 0;
  private depth = 0;

  constructor(pattern: string) {
    if (pattern.length > MAX_LENGTH) throw new PatternError(`more than ${MAX_LENGTH} characters`);
    this.characters = Array.from(pattern);
  }

  read(): Node {
    const node = this.readChoice();
    if (this.at < this.characters.length) throw new PatternError(`${this.characters[this.at]} without its beginning`);
    return node;
  }

  private readChoice(): Node {
    if (++this.depth > MAX_DEPTH) throw new PatternError(`more than ${MAX_DEPTH} groups within each other`);
    const options = [this.readSequence()];
    while (this.take('|')) options.push(this.readSequence());
    this.depth--;
    return options.length === 1 ? options[0]! : { kind: 'choice', options };
  }

  private readSequence(): Node {
    const parts: Node[] = [];
    for (;;) {
      const character = this.characters[this.at];
      if (character === undefined || character === '|' || character === ')') return { kind: 'sequence', parts };
      let part = this.readAtom();
      const counts = this.readCounts();
      if (counts) {
        if (part.kind !== 'set' && part.kind !== 'sequence' && part.kind !== 'choice')
          throw new PatternError('a count behind an anchor or a look');
        part = { kind: 'repeat', of: part, min: counts[0], max: counts[1] };
      }
      parts.push(part);
    }
  }

  private readAtom(): Node {
    const character = this.characters[this.at++]!;
    switch (character) {
      case '^':
        return { kind: 'begin' };
      case '$':
        return { kind: 'end' };
      case '.':
        return { kind: 'set', set: complement(lineEnds) };
      case '(':
        return this.readGroup();
      case '[':
        return { kind: 'set', set: this.readClass() };
      case '\\': {
        const letter = this.characters[this.at];
        if (letter !== 'b' && letter !== 'B') return { kind: 'set', set: this.readEscape('outside') };
        this.at++;
        return { kind: 'border', negated: letter === 'B' };
      }
      case '*':
      case '+':
      case '?':
        throw new PatternError(`${character} where it means nothing`);
      default: {
        return { kind: 'set', set: one(character.codePointAt(0)!) };
      }
    }
  }

  private readGroup(): Node {
    if (this.take('?')) {
      const behind = this.characters[this.at] === '<' && /[=!]/.test(this.characters[this.at + 1] ?? '');
      if (behind) this.at++;
      if (!behind && this.take('<')) {
        const close = this.characters.indexOf('>', this.at);
        const name = this.characters.slice(this.at, Math.max(close, this.at)).join('');
        if (!/^[A-Za-z_$][\w$]{0,99}$/.test(name)) throw new PatternError('a group without a name');
        this.at = close + 1;
      } else if (!this.take(':')) {
        const sign = this.characters[this.at];
        if (sign !== '=' && sign !== '!') throw new PatternError(`(?${sign ?? ''}`);
        this.at++;
        const of = this.readChoice();
        if (!this.take(')')) throw new PatternError('a ( without its )');
        return { kind: behind ? 'behind' : 'ahead', of, negated: sign === '!' };
      }
    }
    const inner = this.readChoice();
    if (!this.take(')')) throw new PatternError('a ( without its )');
    return inner;
  }

  private readClass(): CharacterSet {
    const negated = this.take('^');
    const ranges: (readonly [number, number])[] = [];
    while (!this.take(']')) {
      if (this.at >= this.characters.length) throw new PatternError('a [ without its ]');
      const low = this.readClassAtom();
      const isRange = this.characters[this.at] === '-' && this.characters[this.at + 1] !== ']';
      if (!isRange || this.characters[this.at + 1] === undefined || single(low) === null) {
        ranges.push(...low);
        continue;
      }
      this.at++;
      const high = this.readClassAtom();
      const [from, to] = [single(low), single(high)];
      if (from !== null && to === null) {
        ranges.push([from, from], [0x2d, 0x2d], ...high); // [a-\d]: three
        continue;
      }
      if (from === null || to === null || from > to) throw new PatternError('a range that is none');
      ranges.push([from, to]);
    }
    const set = characterSet(ranges);
    return negated ? complement(set) : set;
  }

  private readClassAtom(): CharacterSet {
    const character = this.characters[this.at++]!;
    return character === '\\' ? this.readEscape('class') : one(character.codePointAt(0)!);
  }

  private readEscape(where: 'outside' | 'class'): CharacterSet {
    const letter = this.characters[this.at++];
    if (letter === undefined) throw new PatternError('a \\ at the end');
    if (classEscapes[letter]) return classEscapes[letter];
    if (controlEscapes[letter] !== undefined) return one(controlEscapes[letter]);
    if (letter === 'b' && where === 'class') return one(8);
    if (letter === '0' && !/\d/.test(this.characters[this.at] ?? '')) return one(0);
    if (letter === 'x') return one(this.readHex(2));
    if (letter === 'u') return one(this.readUnicode());
    if (letter === 'c') {
      const control = this.characters[this.at++] ?? '';
      if (!/^[A-Za-z]$/.test(control)) throw new PatternError('\\c without a letter');
      return one(control.codePointAt(0)! % 32);
    }
    if (/[1-9k]/.test(letter)) throw new PatternError('a reference back');
    if (letter === 'p' || letter === 'P') return this.readProperty(letter === 'P');
    // As without the flag u: what means nothing else means itself.
    if (!/[A-Za-z0-9]/.test(letter)) return one(letter.codePointAt(0)!);
    throw new PatternError(`the escape \\${letter}`);
  }

  private readProperty(negated: boolean): CharacterSet {
    const close = this.characters.indexOf('}', this.at);
    const inner = this.take('{') && close > 0 ? this.characters.slice(this.at, close).join('') : '';
    const set = unicodeProperty(inner);
    if (set === null) throw new PatternError('\\p without the name of a Unicode property');
    this.at = close + 1;
    return negated ? complement(set) : set;
  }

  private readUnicode(): number {
    if (this.take('{')) {
      const close = this.characters.indexOf('}', this.at);
      const hex = this.characters.slice(this.at, Math.max(close, this.at)).join('');
      const point = /^[\da-fA-F]{1,8}$/.test(hex) ? Number.parseInt(hex, 16) : -1;
      if (point < 0 || point > 0x10ffff) throw new PatternError('\\u{…} without a character');
      this.at = close + 1;
      return point;
    }
    const high = this.readHex(4);
    const isPair =
      high >= 0xd800 && high <= 0xdbff && this.characters[this.at] === '\\' && this.characters[this.at + 1] === 'u';
    if (!isPair) return high;
    const before = this.at;
    this.at += 2;
    const low = this.readHex(4);
    if (low >= 0xdc00 && low <= 0xdfff) return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    this.at = before;
    return high;
  }

  private readHex(count: number): number {
    const hex = this.characters.slice(this.at, this.at + count).join('');
    if (!/^[\da-fA-F]+$/.test(hex) || hex.length !== count)
      throw new PatternError(`an escape without its ${count} digits`);
    this.at += count;
    return Number.parseInt(hex, 16);
  }

  private readCounts(): [min: number, max: number | null] | null {
    const sign = this.characters[this.at];
    const simple = { '*': [0, null], '+': [1, null], '?': [0, 1] }[sign ?? ''] as [number, number | null] | undefined;
    let counts = simple;
    if (simple) this.at++;
    else if (sign === '{') {
      const [whole, low, comma, high] =
        /^\{(\d{1,6})(,?)(\d{0,6})\}/.exec(this.characters.slice(this.at, this.at + 20).join('')) ?? [];
      if (whole === undefined || (comma === '' && high !== '')) return null; // a brace as a character
      this.at += whole.length;
      const min = Number(low);
      counts = [min, comma === '' ? min : high === '' ? null : Number(high)];
      if (counts[1] !== null && counts[1] < min) throw new PatternError(`the count ${whole}`);
      if (Math.max(min, counts[1] ?? 0) > MAX_COUNT) throw new PatternError(`a count above ${MAX_COUNT}`);
    }
    if (counts) this.take('?'); // as few as possible: the same texts
    return counts ?? null;
  }

  private take(character: string): boolean {
    if (this.characters[this.at] !== character) return false;
    this.at++;
    return true;
  }
}

function one(point: number): CharacterSet {
  return characterSet([[point, point]]);
}

function single(set: CharacterSet): number | null {
  return set.length === 1 && set[0]![0] === set[0]![1] ? set[0]![0] : null;
}
