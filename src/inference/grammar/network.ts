/**
 * A grammar as one finite network: states, edges on bytes and on tokens, and edges that call a rule. Walked with a stack of
 * returns it accepts exactly the grammar's texts.
 *
 * What the walk relies on, and what is therefore settled here: no rule begins with itself (direct left recursion is rewritten as
 * repetition, any other refused); a call never returns without having read something (a rule that may be empty gets a free edge
 * beside each call); and from every living state the end can be reached, so that what the mask allows can always be finished.
 */
import { ArgumentError } from '../../base/errors.ts';
import { utf8Sequences } from './characters.ts';
import { type Expression, type Grammar, repeat, type TokenName } from './expression.ts';

/** Bounds on what a grammar may cost. Written-out schemas of hundreds of properties stay below a tenth of them. */
export const MAX_STATES = 200_000;
const MAX_STEPS = 2_000_000;

export interface TokenEdge {
  readonly token: TokenName;
  readonly negated: boolean;
  readonly to: number;
}

export interface Network {
  readonly ruleNames: readonly string[];
  readonly root: number;
  /** A rule's first state, which no edge leads to. */
  readonly starts: readonly number[];
  readonly isNullable: readonly boolean[];
  /** Position of each rule in an order in which a rule comes before those that it can begin with. */
  readonly ranks: readonly number[];
  readonly stateCount: number;
  readonly free: readonly (readonly number[])[];
  /** Per state: from, to, target, from, to, target … */
  readonly byteEdges: readonly (readonly number[])[];
  /** Per state: rule, return state, … */
  readonly calls: readonly (readonly number[])[];
  readonly tokenEdges: ReadonlyMap<number, readonly TokenEdge[]>;
  readonly isFinal: Uint8Array;
  readonly isStart: Uint8Array;
  /** From here the end can be reached. */
  readonly isAlive: Uint8Array;
  /** Bytes that no edge tells apart are one class. */
  readonly classOf: Uint8Array;
  readonly classCount: number;
}

/** Throws ArgumentError `grammar.too-large`, `grammar.left-recursion`, `grammar.impossible`. */
export function buildNetwork(grammar: Grammar): Network {
  const builder = new Builder(grammar);
  const ruleNames = [...grammar.rules.keys()];
  const starts = ruleNames.map(() => builder.state());
  const finals = ruleNames.map((name, i) =>
    builder.build(withoutLeftRecursion(name, grammar.rules.get(name)!), starts[i]!),
  );
  const { free, byteEdges, calls, tokenEdges } = builder;
  const stateCount = free.length;
  const isFinal = flags(stateCount, finals);
  const isNullable = findNullable(builder, starts, finals);
  for (let state = 0; state < stateCount; state++) {
    const edges = calls[state]!;
    for (let i = 0; i < edges.length; i += 2) if (isNullable[edges[i]!]) push(free, state, edges[i + 1]!);
  }
  const isAlive = findAlive(builder, starts, finals);
  const root = ruleNames.indexOf(grammar.root);
  if (!isAlive[starts[root]!]) {
    throw new ArgumentError(
      'grammar.impossible',
      `grammar: rule ${grammar.root} has no text at all, expected at least one. Every way through it leads to itself or to nothing.`,
    );
  }
  const ranks = orderRules(builder, ruleNames, starts, isAlive);
  return {
    ruleNames,
    root,
    starts,
    isNullable,
    ranks,
    stateCount,
    free,
    byteEdges,
    calls,
    tokenEdges,
    isFinal,
    isStart: flags(stateCount, starts),
    isAlive,
    ...byteClasses(byteEdges),
  };
}

function flags(length: number, indices: readonly number[]): Uint8Array {
  const out = new Uint8Array(length);
  for (const index of indices) out[index] = 1;
  return out;
}

/** Stands for the edges of the many states that have none. */
const none: number[] = [];

function push(lists: number[][], state: number, ...values: number[]): void {
  if (lists[state] === none) lists[state] = values;
  else lists[state]!.push(...values);
}

/** Expressions to states and edges, piece by piece. */
export class Builder {
  readonly free: number[][] = [];
  readonly byteEdges: number[][] = [];
  readonly calls: number[][] = [];
  readonly tokenEdges = new Map<number, TokenEdge[]>();
  private readonly ruleIndex: ReadonlyMap<string, number>;
  private steps = 0;

  constructor(grammar: Pick<Grammar, 'rules'>) {
    this.ruleIndex = new Map([...grammar.rules.keys()].map((name, i) => [name, i]));
  }

  state(): number {
    this.tick();
    if (this.free.length >= MAX_STATES) throw tooLarge(`${MAX_STATES} states`);
    this.free.push(none);
    this.byteEdges.push(none);
    this.calls.push(none);
    return this.free.length - 1;
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
      case 'choice': {
        const end = this.state();
        for (const option of expression.options) {
          const begin = this.state(); // options must not share the edges of a token or a loop
          push(this.free, from, begin);
          push(this.free, this.build(option, begin), end);
        }
        return end;
      }
      case 'repeat':
        return this.buildRepeat(expression, from);
      case 'rule': {
        const index = this.ruleIndex.get(expression.name);
        if (index === undefined) throw new ArgumentError('grammar.no-rule', `grammar: no rule ${expression.name}.`);
        const to = this.state();
        push(this.calls, from, index, to);
        return to;
      }
      case 'graph': {
        const states = Array.from({ length: expression.stateCount }, () => this.state());
        const end = this.state();
        push(this.free, from, states[0]!);
        for (const edge of expression.edges) {
          if (edge.label?.kind === 'byte') {
            this.byteEdge(states[edge.from]!, edge.label.from, edge.label.to, states[edge.to]!);
            continue;
          }
          const at = edge.label === null ? states[edge.from]! : this.build(edge.label, states[edge.from]!);
          push(this.free, at, states[edge.to]!);
        }
        for (const state of expression.finals) push(this.free, states[state]!, end);
        return end;
      }
      default:
        return expression satisfies never;
    }
  }

  private buildRepeat({ of, min, max }: Extract<Expression, { kind: 'repeat' }>, from: number): number {
    let at = from;
    for (let i = 0; i < min; i++) at = this.build(of, at);
    if (max === null) {
      const loop = this.state();
      push(this.free, at, loop);
      push(this.free, this.build(of, loop), loop);
      const end = this.state();
      push(this.free, loop, end);
      return end;
    }
    const end = this.state();
    push(this.free, at, end);
    for (let i = min; i < max; i++) {
      at = this.build(of, at);
      push(this.free, at, end);
    }
    return end;
  }

  private byteEdge(from: number, low: number, high: number, to: number): number {
    push(this.byteEdges, from, low, high, to);
    return to;
  }

  private tick(): void {
    if (++this.steps > MAX_STEPS) throw tooLarge(`${MAX_STEPS} steps to build`);
  }
}

function tooLarge(what: string): ArgumentError {
  return new ArgumentError(
    'grammar.too-large',
    `grammar: expected at most ${what}, found more. Make its repetition counts smaller, or leave them open (*, +).`,
  );
}

/** `A ::= A x | y` as `A ::= y x*`. Other options stay as they are. */
function withoutLeftRecursion(name: string, expression: Expression): Expression {
  const options = expression.kind === 'choice' ? expression.options : [expression];
  const beginsWithItself = (option: Expression): boolean =>
    option.kind === 'sequence'
      ? option.parts[0] !== undefined && beginsWithItself(option.parts[0])
      : option.kind === 'rule' && option.name === name;
  const rest = (option: Expression): Expression => {
    if (option.kind !== 'sequence') return { kind: 'sequence', parts: [] };
    return { kind: 'sequence', parts: [rest(option.parts[0]!), ...option.parts.slice(1)] };
  };
  const tails = options.filter(beginsWithItself).map(rest);
  if (tails.length === 0) return expression;
  const heads = options.filter((option) => !beginsWithItself(option));
  return {
    kind: 'sequence',
    parts: [{ kind: 'choice', options: heads }, repeat({ kind: 'choice', options: tails }, 0, null)],
  };
}

/** Which rules can be empty: their end is reached over free edges and calls of rules that can be empty. */
function findNullable({ free, calls }: Builder, starts: readonly number[], finals: readonly number[]): boolean[] {
  const ruleOfFinal = new Map(finals.map((state, rule) => [state, rule]));
  const isNullable = starts.map(() => false);
  const waiting = new Map<number, number[]>();
  const reached = new Uint8Array(free.length);
  const queue: number[] = [];
  const reach = (state: number) => {
    if (reached[state]) return;
    reached[state] = 1;
    queue.push(state);
  };
  starts.forEach(reach);
  for (let state = queue.pop(); state !== undefined; state = queue.pop()) {
    free[state]!.forEach(reach);
    const edges = calls[state]!;
    for (let i = 0; i < edges.length; i += 2) {
      if (isNullable[edges[i]!]) reach(edges[i + 1]!);
      else waiting.set(edges[i]!, [...(waiting.get(edges[i]!) ?? []), edges[i + 1]!]);
    }
    const rule = ruleOfFinal.get(state);
    if (rule === undefined) continue;
    isNullable[rule] = true;
    waiting.get(rule)?.forEach(reach);
  }
  return isNullable;
}

/** From which states the end of their rule can be reached. */
function findAlive(builder: Builder, starts: readonly number[], finals: readonly number[]): Uint8Array {
  const { free, byteEdges, calls, tokenEdges } = builder;
  const before: number[][] = free.map(() => none);
  /** Per state: calling state, rule, … */
  const callsBefore: number[][] = free.map(() => none);
  for (let state = 0; state < free.length; state++) {
    for (const to of free[state]!) push(before, to, state);
    const bytes = byteEdges[state]!;
    for (let i = 2; i < bytes.length; i += 3) push(before, bytes[i]!, state);
    for (const { to } of tokenEdges.get(state) ?? []) push(before, to, state);
    const edges = calls[state]!;
    for (let i = 0; i < edges.length; i += 2) push(callsBefore, edges[i + 1]!, state, edges[i]!);
  }
  const ruleOfStart = new Map(starts.map((state, rule) => [state, rule]));
  const canEnd = starts.map(() => false);
  const waiting: number[][] = starts.map(() => []);
  const alive = new Uint8Array(free.length);
  const queue: number[] = [];
  const mark = (state: number) => {
    if (alive[state]) return;
    alive[state] = 1;
    queue.push(state);
  };
  finals.forEach(mark);
  for (let state = queue.pop(); state !== undefined; state = queue.pop()) {
    before[state]!.forEach(mark);
    const edges = callsBefore[state]!;
    for (let i = 0; i < edges.length; i += 2) {
      if (canEnd[edges[i + 1]!]) mark(edges[i]!);
      else waiting[edges[i + 1]!]!.push(edges[i]!);
    }
    const rule = ruleOfStart.get(state);
    if (rule === undefined) continue;
    canEnd[rule] = true;
    waiting[rule]!.forEach(mark);
  }
  return alive;
}

/** Ranks the rules so that each comes before those it can begin with. Throws ArgumentError `grammar.left-recursion`. */
function orderRules(
  { free, calls }: Builder,
  names: readonly string[],
  starts: readonly number[],
  isAlive: Uint8Array,
): number[] {
  const beginnings = starts.map((start) => {
    const rules = new Set<number>();
    const seen = new Set([start]);
    for (const state of seen) {
      if (!isAlive[state]) continue;
      for (const to of free[state]!) seen.add(to);
      const edges = calls[state]!;
      for (let i = 0; i < edges.length; i += 2) {
        if (isAlive[starts[edges[i]!]!] && isAlive[edges[i + 1]!]) rules.add(edges[i]!);
      }
    }
    return [...rules];
  });
  // Depth first with a stack of our own: a chain of rules may be longer than the machine's.
  const ranks = starts.map(() => 0);
  const mark = starts.map((): 'new' | 'open' | 'done' => 'new');
  let next = starts.length;
  for (const first of starts.keys()) {
    const path: { rule: number; read: number }[] = mark[first] === 'new' ? [{ rule: first, read: 0 }] : [];
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      mark[top.rule] = 'open';
      const child = beginnings[top.rule]![top.read++];
      if (child === undefined) {
        mark[top.rule] = 'done';
        ranks[top.rule] = --next;
        path.pop();
      } else if (mark[child] === 'open') {
        const cycle = [...path.slice(path.findIndex(({ rule }) => rule === child)).map(({ rule }) => rule), child];
        const shown = cycle.slice(0, 8).map((rule) => names[rule]);
        throw new ArgumentError(
          'grammar.left-recursion',
          `grammar: expected rules that begin with a text of their own, found ${shown.join(' → ')}, which begins with itself. ` +
            'Write the repetition with * or +, or put the recursion at the end.',
        );
      } else if (mark[child] === 'new') path.push({ rule: child, read: 0 });
    }
  }
  return ranks;
}

function byteClasses(byteEdges: readonly (readonly number[])[]): Pick<Network, 'classOf' | 'classCount'> {
  const isBorder = new Uint8Array(257);
  for (const edges of byteEdges) {
    for (let i = 0; i < edges.length; i += 3) {
      isBorder[edges[i]!] = 1;
      isBorder[edges[i + 1]! + 1] = 1;
    }
  }
  const classOf = new Uint8Array(256);
  let current = 0;
  for (let byte = 1; byte < 256; byte++) classOf[byte] = isBorder[byte] ? ++current : current;
  return { classOf, classCount: current + 1 };
}
