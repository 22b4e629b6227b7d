/**
 * Languages without recursion as deterministic automata over bytes, for what a tree of rules cannot say: this and that, this but
 * not that.
 */
import { ArgumentError } from '../../base/errors.ts';
import type { Expression, GraphEdge } from './expression.ts';
import { Builder, type Lists } from './network/builder.ts';

const MAX_STATES = 40_000;
const MAX_WORK = 3_000_000;

export interface Dfa {
  readonly classOf: Uint8Array;
  readonly classCount: number;
  readonly stateCount: number;
  /** next[state · classCount + class]; −1: no way on. State 0 is the first. */
  readonly next: Int32Array;
  readonly isFinal: Uint8Array;
}

const determinized = new WeakMap<Expression, Dfa>();

/** Throws ArgumentError `grammar.too-large`. The expression has neither rules nor tokens. */
export function determinize(expression: Expression): Dfa {
  const known = determinized.get(expression);
  if (known) return known;
  const dfa = subsets(expression);
  determinized.set(expression, dfa);
  return dfa;
}

function subsets(expression: Expression): Dfa {
  const builder = new Builder({ rules: new Map() });
  const start = builder.state();
  const end = builder.build(expression, start);
  const { free, byteEdges } = builder.finish();
  const { classOf, classCount, representatives } = classesOf(byteEdges);
  const table = new Table(classCount);
  const close = (states: readonly number[]): number[] => {
    const seen = new Set(states);
    for (const state of seen) {
      const [first, last] = [free.offsets[state]!, free.offsets[state + 1]!];
      table.spend(1 + last - first);
      for (let i = first; i < last; i++) seen.add(free.values[i]!);
    }
    return [...seen]
      .filter((state) => state === end || byteEdges.offsets[state + 1]! > byteEdges.offsets[state]!)
      .sort((a, b) => a - b);
  };
  const sets: number[][] = [];
  const find = (states: readonly number[]): number => {
    if (states.length === 0) return -1;
    const closed = close(states);
    if (closed.length === 0) return -1;
    return table.find(closed.join(','), () => void sets.push(closed), closed.includes(end));
  };
  find([start]);
  for (let state = 0; state < sets.length; state++) {
    for (let c = 0; c < classCount; c++) {
      const targets: number[] = [];
      for (const from of sets[state]!) {
        const [first, last] = [byteEdges.offsets[from]!, byteEdges.offsets[from + 1]!];
        table.spend(1 + (last - first) / 3);
        for (let i = first; i < last; i += 3) {
          const { values } = byteEdges;
          if (representatives[c]! >= values[i]! && representatives[c]! <= values[i + 1]!) targets.push(values[i + 2]!);
        }
      }
      table.next.push(find(targets));
    }
  }
  return table.take(classOf);
}

/** `min` to `max` times what `unit` accepts, where no text of the unit begins another. */
export function counted(unit: Dfa, min: number, max: number): Dfa {
  const { classOf, classCount, stateCount } = unit;
  const isOpen = max === Number.POSITIVE_INFINITY;
  const last = isOpen ? min : max;
  const table = new Table(classCount);
  const states: [count: number, state: number][] = [];
  const find = (count: number, state: number): number =>
    table.find(`${count},${state}`, () => void states.push([count, state]), state === 0 && count >= min);
  if (stateCount > 0) find(0, 0);
  for (let i = 0; i < states.length; i++) {
    const [count, state] = states[i]!;
    table.spend(classCount);
    for (let c = 0; c < classCount; c++) {
      const to = count === last && !isOpen ? -1 : unit.next[state * classCount + c]!;
      table.next.push(to < 0 ? -1 : unit.isFinal[to] ? find(Math.min(count + 1, last), 0) : find(count, to));
    }
  }
  return table.take(classOf);
}

/** What both accept. */
export function intersect(a: Dfa, b: Dfa): Dfa {
  return combine(a, b, 'and');
}

/** What `a` accepts and `b` does not. */
export function subtract(a: Dfa, b: Dfa): Dfa {
  return combine(a, b, 'but not');
}

function combine(a: Dfa, b: Dfa, how: 'and' | 'but not'): Dfa {
  const classOf = new Uint8Array(256);
  const pairs: [number, number][] = [];
  const classIds = new Map<number, number>();
  for (let byte = 0; byte < 256; byte++) {
    const key = a.classOf[byte]! * 256 + b.classOf[byte]!;
    if (!classIds.has(key)) {
      classIds.set(key, pairs.length);
      pairs.push([a.classOf[byte]!, b.classOf[byte]!]);
    }
    classOf[byte] = classIds.get(key)!;
  }
  const table = new Table(pairs.length);
  const states: [number, number][] = [];
  const find = (x: number, y: number): number => {
    if (x < 0 || (y < 0 && how === 'and')) return -1;
    const other = y >= 0 && b.isFinal[y] === 1;
    const isFinal = a.isFinal[x] === 1 && (how === 'and' ? other : !other);
    return table.find(`${x},${y}`, () => void states.push([x, y]), isFinal);
  };
  if (a.stateCount > 0) find(0, b.stateCount > 0 ? 0 : -1);
  for (let state = 0; state < states.length; state++) {
    const [x, y] = states[state]!;
    table.spend(pairs.length);
    for (const [c, d] of pairs) {
      table.next.push(find(a.next[x * a.classCount + c]!, y < 0 ? -1 : b.next[y * b.classCount + d]!));
    }
  }
  return table.take(classOf);
}

/** No text at all is accepted. */
export function isEmpty({ isFinal }: Dfa): boolean {
  return !isFinal.includes(1);
}

export function matches({ classOf, classCount, stateCount, next, isFinal }: Dfa, bytes: Uint8Array): boolean {
  let state = stateCount > 0 ? 0 : -1;
  for (let i = 0; state >= 0 && i < bytes.length; i++) state = next[state * classCount + classOf[bytes[i]!]!]!;
  return state >= 0 && isFinal[state] === 1;
}

export function toExpression({ classOf, classCount, stateCount, next, isFinal }: Dfa): Expression {
  const edges: GraphEdge[] = [];
  for (let from = 0; from < stateCount; from++) {
    for (let byte = 0; byte < 256; ) {
      const to = next[from * classCount + classOf[byte]!]!;
      const first = byte;
      while (byte < 256 && next[from * classCount + classOf[byte]!] === to) byte++;
      if (to >= 0) edges.push({ from, to, label: { kind: 'byte', from: first, to: byte - 1 } });
    }
  }
  const finals = [...isFinal.keys()].filter((state) => isFinal[state]);
  return { kind: 'graph', stateCount: Math.max(1, stateCount), finals, edges };
}

/** States as they are found. */
class Table {
  readonly next: number[] = [];
  private readonly classCount: number;
  private readonly ids = new Map<string, number>();
  private readonly finals: number[] = [];
  private work = 0;

  constructor(classCount: number) {
    this.classCount = classCount;
  }

  find(key: string, onNew: () => void, isFinal: boolean): number {
    const known = this.ids.get(key);
    if (known !== undefined) return known;
    const id = this.ids.size;
    if (id >= MAX_STATES) throw tooLarge();
    this.ids.set(key, id);
    this.finals.push(isFinal ? 1 : 0);
    onNew();
    return id;
  }

  spend(amount: number): void {
    if ((this.work += amount) > MAX_WORK) throw tooLarge();
  }

  /** Without the ways that lead to no end. */
  take(classOf: Uint8Array): Dfa {
    const { classCount, finals } = this;
    const next = Int32Array.from(this.next);
    const before: number[][] = finals.map(() => []);
    for (let state = 0, i = 0; state < finals.length; state++) {
      for (let c = 0; c < classCount; c++, i++) {
        const to = next[i]!;
        if (to >= 0 && before[to]!.at(-1) !== state) before[to]!.push(state);
      }
    }
    const alive = new Set([...finals.keys()].filter((state) => finals[state] === 1));
    for (const state of alive) for (const from of before[state]!) alive.add(from);
    for (let i = 0; i < next.length; i++) if (next[i]! >= 0 && !alive.has(next[i]!)) next[i] = -1;
    return { classOf, classCount, stateCount: finals.length, next, isFinal: Uint8Array.from(finals) };
  }
}

function tooLarge(): ArgumentError {
  return new ArgumentError(
    'grammar.too-large',
    `grammar: what must hold together (pattern, length, format, range) needs too many states, expected at most ${MAX_STATES}. Ask for less of it at once.`,
  );
}

function classesOf({ values }: Lists) {
  const isBorder = new Uint8Array(257);
  for (let i = 0; i < values.length; i += 3) isBorder[values[i]!] = isBorder[values[i + 1]! + 1] = 1;
  const classOf = new Uint8Array(256);
  const representatives = [0];
  for (let byte = 1; byte < 256; byte++) {
    if (isBorder[byte]) representatives.push(byte);
    classOf[byte] = representatives.length - 1;
  }
  return { classOf, classCount: representatives.length, representatives };
}
