/** Expressions to states and edges, piece by piece. */
import { ArgumentError } from '../../../base/errors.ts';
import { utf8Sequences } from '../characters.ts';
import type { Expression, Grammar, TokenName } from '../expression.ts';

/** Bounds on what a grammar may cost. Written-out schemas of hundreds of properties stay below a tenth of the steps. */
export const MAX_STATES = 1_000_000;
const MAX_STEPS = 5_000_000;

export interface TokenEdge {
  readonly token: TokenName;
  readonly negated: boolean;
  readonly to: number;
}

/** The numbers of state s are values[offsets[s]] to values[offsets[s + 1] − 1]. */
export interface Lists {
  readonly offsets: Uint32Array;
  readonly values: Uint32Array;
}

/** Bytes, and −1 − i where rule i stands. */
type Word = ArrayLike<number>;

export interface BuiltStates {
  readonly stateCount: number;
  /** Targets of edges that cost nothing. */
  readonly free: Lists;
  /** From, to, target; from, to, target … */
  readonly byteEdges: Lists;
  /** Rule, return state; … */
  readonly calls: Lists;
  readonly tokenEdges: ReadonlyMap<number, readonly TokenEdge[]>;
}

export class Builder {
  private stateCount = 0;
  private readonly free = new ListsBuilder(1);
  private readonly byteEdges = new ListsBuilder(3);
  private readonly calls = new ListsBuilder(2);
  private readonly tokenEdges = new Map<number, TokenEdge[]>();
  private readonly ruleIndex: ReadonlyMap<string, number>;
  private steps = 0;

  constructor(grammar: Pick<Grammar, 'rules'>) {
    this.ruleIndex = new Map([...grammar.rules.keys()].map((name, i) => [name, i]));
  }

  finish(): BuiltStates {
    const { stateCount, free, byteEdges, calls, tokenEdges } = this;
    return {
      stateCount,
      free: free.finish(stateCount),
      byteEdges: byteEdges.finish(stateCount),
      calls: calls.finish(stateCount),
      tokenEdges,
    };
  }

  state(): number {
    this.tick();
    if (this.stateCount >= MAX_STATES) throw tooLarge(`${MAX_STATES} states`);
    return this.stateCount++;
  }

  /** Lays the expression from state `from`; where it ends is returned, and no edge leads back to `from`. */
  build(expression: Expression, from: number): number {
    this.tick();
    switch (expression.kind) {
      case 'bytes': {
        let at = from;
        for (const byte of expression.bytes) at = this.byteEdge(at, byte, byte, this.state());
        return at;
      }
      case 'byte':
        return this.byteEdge(from, expression.from, expression.to, this.state());
      case 'characters': {
        const end = this.state();
        for (const ranges of utf8Sequences(expression.set)) {
          let at = from;
          for (const [i, [low, high]] of ranges.entries()) {
            at = this.byteEdge(at, low, high, i === ranges.length - 1 ? end : this.state());
          }
        }
        return end;
      }
      case 'token': {
        const to = this.state();
        const { token, negated } = expression;
        this.tokenEdges.set(from, [...(this.tokenEdges.get(from) ?? []), { token, negated, to }]);
        return to;
      }
      case 'sequence': {
        let at = from;
        for (const part of expression.parts) at = this.build(part, at);
        return at;
      }
      case 'choice':
        return this.buildChoice(expression.options, from);
      case 'repeat':
        return this.buildRepeat(expression, from);
      case 'rule': {
        const index = this.ruleIndex.get(expression.name);
        if (index === undefined) throw new ArgumentError('grammar.no-rule', `grammar: no rule ${expression.name}.`);
        const to = this.state();
        this.calls.add(from, index, to);
        return to;
      }
      case 'graph': {
        const states = Array.from({ length: expression.stateCount }, () => this.state());
        const end = this.state();
        this.free.add(from, states[0]!);
        for (const edge of expression.edges) {
          if (edge.label?.kind === 'byte') {
            this.byteEdge(states[edge.from]!, edge.label.from, edge.label.to, states[edge.to]!);
            continue;
          }
          const at = edge.label === null ? states[edge.from]! : this.build(edge.label, states[edge.from]!);
          this.free.add(at, states[edge.to]!);
        }
        for (const state of expression.finals) this.free.add(states[state]!, end);
        return end;
      }
      default:
        return expression satisfies never;
    }
  }

  private buildChoice(options: readonly Expression[], from: number): number {
    const end = this.state();
    const isLong = options.length > 4;
    const words: Word[] = [];
    for (const option of options) {
      const word = isLong ? this.wordOf(option) : null;
      if (word) words.push(word);
      else {
        const begin = this.state(); // options must not share the edges of a token or a loop
        this.free.add(from, begin);
        this.free.add(this.build(option, begin), end);
      }
    }
    if (words.length > 0) this.buildWords(words, from, end);
    return end;
  }

  /** Texts and rules one after another, as the values of an enumeration are; null where it is anything else. */
  private wordOf(expression: Expression): Word | null {
    if (expression.kind === 'bytes') return expression.bytes;
    if (expression.kind === 'rule') {
      const index = this.ruleIndex.get(expression.name);
      return index === undefined ? null : [-1 - index];
    }
    if (expression.kind !== 'sequence') return null;
    const word: number[] = [];
    for (const part of expression.parts) {
      const letters = this.wordOf(part);
      if (!letters) return null;
      for (let i = 0; i < letters.length; i++) word.push(letters[i]!);
    }
    return word;
  }

  /** A trie: its size and the time for it grow with the words' letters alone. */
  private buildWords(words: readonly Word[], from: number, end: number): void {
    const root = this.state();
    this.free.add(from, root);
    const path = [root];
    let before: Word | undefined;
    for (const word of words.toSorted(compareWords)) {
      let shared = 0;
      if (before) while (shared < before.length && before[shared] === word[shared]) shared++;
      if (before && shared === before.length && shared === word.length) continue;
      path.length = shared + 1;
      for (let i = shared; i < word.length; i++) {
        const [letter, to] = [word[i]!, this.state()];
        if (letter < 0) this.calls.add(path[i]!, -1 - letter, to);
        else this.byteEdge(path[i]!, letter, letter, to);
        path.push(to);
      }
      this.free.add(path[word.length]!, end);
      before = word;
    }
  }

  private buildRepeat({ of, min, max }: Extract<Expression, { kind: 'repeat' }>, from: number): number {
    let at = from;
    for (let i = 0; i < min; i++) at = this.build(of, at);
    if (max === null) {
      const loop = this.state();
      this.free.add(at, loop);
      this.free.add(this.build(of, loop), loop);
      const end = this.state();
      this.free.add(loop, end);
      return end;
    }
    const end = this.state();
    this.free.add(at, end);
    for (let i = min; i < max; i++) {
      at = this.build(of, at);
      this.free.add(at, end);
    }
    return end;
  }

  private byteEdge(from: number, low: number, high: number, to: number): number {
    this.byteEdges.add(from, low, high, to);
    return to;
  }

  private tick(): void {
    if (++this.steps > MAX_STEPS) throw tooLarge(`${MAX_STEPS} steps to build`);
  }
}

/** Lists of records of a fixed length, which come in any order. */
export class ListsBuilder {
  private readonly size: number;
  /** Owner and numbers of each record, one record after another. */
  private records = new Uint32Array(1024);
  private used = 0;

  constructor(size: number) {
    this.size = size;
  }

  /** One, two or three numbers, as many as a record has. */
  add(owner: number, first: number, second = 0, third = 0): void {
    if (this.used + 4 > this.records.length) {
      const larger = new Uint32Array(2 * this.records.length);
      larger.set(this.records);
      this.records = larger;
    }
    const { records, used, size } = this;
    records[used] = owner;
    records[used + 1] = first;
    if (size > 1) records[used + 2] = second;
    if (size > 2) records[used + 3] = third;
    this.used = used + size + 1;
  }

  /** Records of one owner stay in their order. */
  finish(ownerCount: number): Lists {
    const { size, records, used } = this;
    const offsets = new Uint32Array(ownerCount + 1);
    for (let i = 0; i < used; i += size + 1) offsets[records[i]! + 1]! += size;
    for (let i = 0; i < ownerCount; i++) offsets[i + 1]! += offsets[i]!;
    const next = offsets.slice();
    const sorted = new Uint32Array((used / (size + 1)) * size);
    for (let i = 0; i < used; i += size + 1) {
      const at = next[records[i]!]!;
      for (let k = 0; k < size; k++) sorted[at + k] = records[i + 1 + k]!;
      next[records[i]!] = at + size;
    }
    return { offsets, values: sorted };
  }
}

function compareWords(a: Word, b: Word): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

function tooLarge(what: string): ArgumentError {
  return new ArgumentError(
    'grammar.too-large',
    `grammar: expected at most ${what}, found more. Make its repetition counts smaller, or leave them open (*, +).`,
  );
}
