/**
 * Reads llama.cpp's grammar notation.
 *
 *   root ::= "yes" | "no" | list          # alternatives, comments
 *   list ::= "[" item ("," item){0,9} "]"  # grouping; * + ? {m} {m,} {m,n}
 *   item ::= [a-z_] [^\n"]* | .            # ranges, everything but, any character
 *   think ::= <think> !</think>* </think>   # a token by its name, any token but that; <[1000]> by its id
 *
 * A rule ends with its line; within parentheses, after | and before | it may go on. Escapes: \n \r \t \\ \" \[ \] \xHH \uHHHH \UHHHHHHHH.
 *
 * Source  llama.cpp, grammars/README.md.
 */
import { ArgumentError } from '../../base/errors.ts';
import { nearestNames } from '../../base/nearest.ts';
import { anyCharacter, characterSet, complement } from './characters.ts';
import { choice, type Expression, type Grammar, repeat, sequence, type TokenName, text } from './expression.ts';

const MAX_LENGTH = 1 << 20;
const MAX_DEPTH = 200;
const MAX_COUNT = 100_000;

/** Throws ArgumentError `grammar.syntax`, with line and column of what is wrong. */
export function parseGbnf(source: string): Grammar {
  return new Parser(source).parse();
}

class Parser {
  private readonly source: string;
  private at = 0;
  private depth = 0;
  private readonly rules = new Map<string, Expression>();
  /** Where each rule is used first. */
  private readonly uses = new Map<string, number>();

  constructor(source: string) {
    this.source = source;
    if (source.length > MAX_LENGTH) throw this.error(`at most ${MAX_LENGTH} characters`, `${source.length}`);
  }

  parse(): Grammar {
    this.skipSpace('lines');
    while (this.at < this.source.length) {
      this.parseRule();
      this.skipSpace('lines');
    }
    for (const [name, at] of this.uses) {
      if (this.rules.has(name)) continue;
      const near = nearestNames(name, [...this.rules.keys()], 1);
      this.at = at;
      throw this.error(`a rule ${name} somewhere`, 'none', near.length > 0 ? `Did you mean ${near[0]}?` : 'Add it.');
    }
    if (!this.rules.has('root')) {
      this.at = this.source.length;
      throw this.error('a rule named root', this.rules.size === 0 ? 'no rule' : `only ${this.namesShown()}`);
    }
    return { rules: this.rules, root: 'root' };
  }

  private parseRule(): void {
    const at = this.at;
    const name = this.parseName('the name of a rule');
    if (this.rules.has(name)) {
      this.at = at;
      throw this.error('each rule once', `a second ${name}`, 'Join them with |.');
    }
    this.skipSpace('spaces');
    this.expect('::=');
    this.skipSpace('lines');
    this.rules.set(name, this.parseAlternatives('rule'));
    if (this.at < this.source.length && !this.isLineEnd()) throw this.error('the end of the line');
  }

  private parseAlternatives(where: 'rule' | 'group'): Expression {
    if (++this.depth > MAX_DEPTH) throw this.error(`at most ${MAX_DEPTH} parentheses within each other`, 'more');
    const options = [this.parseSequence(where)];
    for (;;) {
      const before = this.at;
      this.skipSpace('lines'); // an alternative may begin the next line
      if (this.source[this.at] !== '|') {
        this.at = before;
        break;
      }
      this.at++;
      this.skipSpace('lines');
      options.push(this.parseSequence(where));
    }
    this.depth--;
    return choice(...options);
  }

  private parseSequence(where: 'rule' | 'group'): Expression {
    const parts: Expression[] = [];
    for (;;) {
      this.skipSpace(where === 'group' ? 'lines' : 'spaces');
      let part = this.parseItem();
      if (part === null) return sequence(...parts);
      for (let counts = this.parseCounts(where); counts !== null; counts = this.parseCounts(where)) {
        part = repeat(part, counts[0], counts[1]);
      }
      parts.push(part);
    }
  }

  /** null where no item begins. */
  private parseItem(): Expression | null {
    const character = this.source[this.at];
    if (character === undefined) return null;
    if (/[\w-]/.test(character)) {
      const at = this.at;
      const name = this.parseName('a rule');
      if (!this.uses.has(name)) this.uses.set(name, at);
      return { kind: 'rule', name };
    }
    switch (character) {
      case '"':
        return this.parseText();
      case '[':
        return this.parseClass();
      case '.':
        this.at++;
        return { kind: 'characters', set: anyCharacter };
      case '(': {
        this.at++;
        const inner = this.parseAlternatives('group');
        this.skipSpace('lines');
        this.expect(')');
        return inner;
      }
      case '<':
        return { kind: 'token', token: this.parseToken(), negated: false };
      case '!':
        this.at++;
        return { kind: 'token', token: this.parseToken(), negated: true };
      default:
        return null;
    }
  }

  private parseText(): Expression {
    this.at++;
    let value = '';
    while (this.source[this.at] !== '"') {
      if (this.at >= this.source.length || this.isLineEnd()) throw this.error('a closing "');
      value += String.fromCodePoint(this.parseCharacter());
    }
    this.at++;
    return text(value);
  }

  private parseClass(): Expression {
    this.at++;
    const negated = this.source[this.at] === '^';
    if (negated) this.at++;
    const ranges: [number, number][] = [];
    while (this.source[this.at] !== ']') {
      if (this.at >= this.source.length) throw this.error('a closing ]');
      const at = this.at;
      const from = this.parseCharacter();
      let to = from;
      if (this.source[this.at] === '-' && this.source[this.at + 1] !== ']') {
        this.at++;
        if (this.at >= this.source.length) throw this.error('the end of the range');
        to = this.parseCharacter();
        if (to < from) {
          const shown = this.source.slice(at, this.at);
          this.at = at;
          throw this.error('a range from a lower to a higher character', shown);
        }
      }
      ranges.push([from, to]);
    }
    this.at++;
    const set = characterSet(ranges);
    return { kind: 'characters', set: negated ? complement(set) : set };
  }

  private parseToken(): TokenName {
    const end = this.source.indexOf('>', this.at);
    const name = end < 0 ? '' : this.source.slice(this.at, end + 1);
    if (!/^<[^<>\s]+>$/.test(name)) throw this.error('a token: <name> or <[id]>');
    const id = /^<\[(\d{1,9})\]>$/.exec(name)?.[1];
    this.at = end + 1;
    return id === undefined ? name : Number(id);
  }

  /** A code point: a character as it is, or an escape. */
  private parseCharacter(): number {
    const at = this.at;
    if (this.source[at] !== '\\') {
      const point = this.source.codePointAt(at)!;
      if (point >= 0xd800 && point <= 0xdfff) throw this.error('a whole character', 'half of a surrogate pair');
      this.at += point > 0xffff ? 2 : 1;
      return point;
    }
    const letter = this.source[at + 1] ?? '';
    const digitCount = { x: 2, u: 4, U: 8 }[letter];
    if (digitCount !== undefined) {
      const digits = this.source.slice(at + 2, at + 2 + digitCount);
      const point = /^[\da-fA-F]+$/.test(digits) && digits.length === digitCount ? Number.parseInt(digits, 16) : -1;
      if (point < 0) throw this.error(`${digitCount} hexadecimal digits after \\${letter}`);
      if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
        throw this.error('a Unicode character', `\\${letter}${digits}`);
      }
      this.at += 2 + digitCount;
      return point;
    }
    const plain = { n: '\n', r: '\r', t: '\t' }[letter] ?? (/["\\[\]^-]/.test(letter) ? letter : null);
    if (plain === null) throw this.error('one of the escapes \\n \\r \\t \\\\ \\" \\[ \\] \\x \\u \\U', `\\${letter}`);
    this.at += 2;
    return plain.codePointAt(0)!;
  }

  /** How often the item before may stand; null where nothing is said. */
  private parseCounts(where: 'rule' | 'group'): [min: number, max: number | null] | null {
    const before = this.at;
    this.skipSpace(where === 'group' ? 'lines' : 'spaces');
    const sign = this.source[this.at];
    const simple = { '*': [0, null], '+': [1, null], '?': [0, 1] }[sign ?? ''] as [number, number | null] | undefined;
    if (simple) {
      this.at++;
      return simple;
    }
    if (sign !== '{') {
      this.at = before;
      return null;
    }
    const [whole, low, comma, high] =
      /^\{\s*(\d{1,9})\s*(,?)\s*(\d{0,9})\s*\}/.exec(this.source.slice(this.at, this.at + 64)) ?? [];
    if (whole === undefined || (comma === '' && high !== '')) throw this.error('{m}, {m,} or {m,n}');
    const min = Number(low);
    const max = comma === '' ? min : high === '' ? null : Number(high);
    if (Math.max(min, max ?? 0) > MAX_COUNT) throw this.error(`counts up to ${MAX_COUNT}`, whole);
    if (max !== null && max < min) throw this.error('{m,n} with m ≤ n', whole);
    this.at += whole.length;
    return [min, max];
  }

  private parseName(expected: string): string {
    const name = /^[\w-]+/.exec(this.source.slice(this.at, this.at + 256))?.[0];
    if (name === undefined) throw this.error(expected);
    this.at += name.length;
    return name;
  }

  private skipSpace(what: 'spaces' | 'lines'): void {
    for (;;) {
      const character = this.source[this.at];
      if (character === '#') {
        while (this.at < this.source.length && !this.isLineEnd()) this.at++;
      } else if (character === ' ' || character === '\t' || (what === 'lines' && this.isLineEnd())) this.at++;
      else return;
    }
  }

  private isLineEnd(): boolean {
    return this.source[this.at] === '\n' || this.source[this.at] === '\r';
  }

  private expect(wanted: string): void {
    if (!this.source.startsWith(wanted, this.at)) throw this.error(wanted);
    this.at += wanted.length;
  }

  private namesShown(): string {
    const names = [...this.rules.keys()];
    return names.length <= 5 ? names.join(', ') : `${names.slice(0, 5).join(', ')} …`;
  }

  private error(
    expected: string,
    found = this.foundHere(),
    advice = 'See the grammar notation of llama.cpp (GBNF).',
  ): ArgumentError {
    const lines = this.source.slice(0, this.at).split(/\r\n|\n|\r/);
    const place = `${lines.length}:${lines.at(-1)!.length + 1}`;
    return new ArgumentError('grammar.syntax', `grammar ${place}: expected ${expected}, found ${found}. ${advice}`);
  }

  private foundHere(): string {
    if (this.at >= this.source.length) return 'the end';
    if (this.isLineEnd()) return 'the end of the line';
    return JSON.stringify(/^(?:[\w-]+|\S{1,8}|\s)/.exec(this.source.slice(this.at, this.at + 24))?.[0] ?? '');
  }
}
