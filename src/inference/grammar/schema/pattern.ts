/**
 * Regular expressions as grammars: ECMA-262's notation as JSON Schema's `pattern` uses it, as far as it is regular. Classes, groups,
 * alternatives, counts and anchors at the edges; looking ahead at the very beginning; what looks around elsewhere, refers back or asks for word borders is refused. The engine's own
 * RegExp never sees it, so there is nothing that could run away.
 */
import { anyCharacter, type CharacterSet, characterSet, complement, intersection } from '../characters.ts';
import { chars, choice, type Expression, nothing, repeat, sequence } from '../expression.ts';
import { determinize, intersect as intersectDfa, subtract, toExpression } from '../regular.ts';

const MAX_LENGTH = 10_000;
const MAX_DEPTH = 100;
const MAX_COUNT = 20_000;

/** Why a pattern is refused. */
export class PatternError extends Error {}

type Node =
  | { readonly kind: 'set'; readonly set: CharacterSet }
  | { readonly kind: 'sequence'; readonly parts: readonly Node[] }
  | { readonly kind: 'choice'; readonly options: readonly Node[] }
  | { readonly kind: 'repeat'; readonly of: Node; readonly min: number; readonly max: number | null }
  | { readonly kind: 'begin' | 'end' }
  /** A look ahead: what follows begins so, or does not. */
  | { readonly kind: 'look'; readonly of: Node; readonly negated: boolean };

/**
 * The texts in which the pattern is found. `spell` writes one character of a set, so that the result may be spelled as in JSON.
 * Throws PatternError.
 */
export function compilePattern(pattern: string, spell: (set: CharacterSet) => Expression): Expression {
  const node = new Reader(pattern).read();
  const anything = repeat(spell(anyCharacter), 0, null);

  /** `opens`, `closes`: nothing stands before, after; there an anchor may stand, and without one anything may. */
  const compile = (node: Node, opens: boolean, closes: boolean): Expression => {
    const edges = (inner: Expression) => sequence(...(opens ? [anything] : []), inner, ...(closes ? [anything] : []));
    switch (node.kind) {
      case 'set':
        return edges(spell(node.set));
      case 'choice':
        return choice(...node.options.map((option) => compile(option, opens, closes)));
      case 'repeat':
        return edges(repeat(compile(node.of, false, false), node.min, node.max));
      case 'sequence': {
        let { parts } = node;
        let [before, after] = [opens, closes];
        for (; opens && parts[0]?.kind === 'begin'; parts = parts.slice(1)) before = false;
        for (; closes && parts.at(-1)?.kind === 'end'; parts = parts.slice(0, -1)) after = false;
        const lookCount = before ? 0 : opens ? countLooks(parts) : 0;
        const rest = parts.slice(lookCount);
        const whole =
          rest.length === 0
            ? before || after
              ? anything
              : nothing
            : sequence(...rest.map((part, i) => compile(part, before && i === 0, after && i === rest.length - 1)));
        if (lookCount === 0) return whole;
        if (!closes) throw new PatternError('a look ahead inside a group');
        // At the beginning of the text, looking ahead is a second language that must hold as well, or must not.
        const looks = parts.slice(0, lookCount) as readonly Extract<Node, { kind: 'look' }>[];
        const automaton = looks.reduce((dfa, { of, negated }) => {
          const other = determinize(compile(of, false, true));
          return negated ? subtract(dfa, other) : intersectDfa(dfa, other);
        }, determinize(whole));
        return toExpression(automaton);
      }
      case 'begin':
      case 'end':
        if (node.kind === 'begin' ? opens : closes)
          return (node.kind === 'begin' ? closes : opens) ? anything : nothing;
        throw new PatternError(`${node.kind === 'begin' ? '^' : '$'} inside the pattern`);
      case 'look':
        throw new PatternError('a look ahead that is not at the beginning');
      default:
        return node satisfies never;
    }
  };
  return compile(node, true, true);
}

function countLooks(parts: readonly Node[]): number {
  const first = parts.findIndex(({ kind }) => kind !== 'look');
  return first < 0 ? parts.length : first;
}

const digits = characterSet([[0x30, 0x39]]);
const word = characterSet([...digits, [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]]);
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
  w: word,
  W: complement(word),
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
        if (part.kind === 'begin' || part.kind === 'end' || part.kind === 'look')
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
      case '\\':
        return { kind: 'set', set: this.readEscape('outside') };
      case '*':
      case '+':
      case '?':
      case '{':
      case '}':
      case ']':
        throw new PatternError(`${character} where it means nothing`);
      default: {
        return { kind: 'set', set: one(character.codePointAt(0)!) };
      }
    }
  }

  private readGroup(): Node {
    if (this.take('?')) {
      if (this.take('<')) {
        const close = this.characters.indexOf('>', this.at);
        const name = this.characters.slice(this.at, Math.max(close, this.at)).join('');
        if (!/^[A-Za-z_$][\w$]{0,99}$/.test(name)) throw new PatternError('a look behind');
        this.at = close + 1;
      } else if (!this.take(':')) {
        const sign = this.characters[this.at];
        if (sign !== '=' && sign !== '!') throw new PatternError(`(?${sign ?? ''}`);
        this.at++;
        const of = this.readChoice();
        if (!this.take(')')) throw new PatternError('a ( without its )');
        return { kind: 'look', of, negated: sign === '!' };
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
      if (!isRange || this.characters[this.at + 1] === undefined) {
        ranges.push(...low);
        continue;
      }
      this.at++;
      const high = this.readClassAtom();
      const [from, to] = [single(low), single(high)];
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
    if (letter === '-' || /[\^$\\.*+?()[\]{}|/]/.test(letter)) return one(letter.codePointAt(0)!);
    if (/[1-9k]/.test(letter)) throw new PatternError('a reference back');
    if (letter === 'b' || letter === 'B') throw new PatternError('a word border');
    if (letter === 'p' || letter === 'P') throw new PatternError('a Unicode property');
    throw new PatternError(`the escape \\${letter}`);
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
      if (whole === undefined || (comma === '' && high !== '')) throw new PatternError('{ without a count');
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

const mustEscape = characterSet([
  [0, 0x1f],
  [0x22, 0x22],
  [0x5c, 0x5c],
]);
const allEscapes = choice(
  sequence('\\', chars('bfnrt"\\')),
  sequence('\\u00', choice(sequence('0', chars('0-7bef')), sequence('1', chars('0-9a-f')))),
);

/** How JSON.stringify spells a character of the set within a string: as itself, or escaped where it must be. */
export function spellInJson(set: CharacterSet): Expression {
  const raw: Expression = { kind: 'characters', set: intersection(set, complement(mustEscape)) };
  const escaped = intersection(set, mustEscape);
  if (escaped.length === 0) return raw;
  if (
    escaped.length === mustEscape.length &&
    escaped.every(([from, to], i) => from === mustEscape[i]![0] && to === mustEscape[i]![1])
  ) {
    return choice(raw, allEscapes);
  }
  const spellings: string[] = [];
  for (const [from, to] of escaped) {
    for (let point = from; point <= to; point++)
      spellings.push(JSON.stringify(String.fromCodePoint(point)).slice(1, -1));
  }
  return choice(raw, ...spellings);
}
