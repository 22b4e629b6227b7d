/**
 * A grammar as one finite network: states, edges on bytes and on tokens, and edges that call a rule. Walked with a stack of
 * returns it accepts exactly the grammar's texts.
 *
 * What the walk relies on, and what is therefore settled here: no rule begins with itself (direct left recursion is rewritten as
 * repetition, any other refused); a call never returns without having read something (a rule that may be empty gets a free edge
 * beside each call); and from every living state the end can be reached, so that what the mask allows can always be finished.
 */
import { ArgumentError } from '../../../base/errors.ts';
import { type Expression, type Grammar, repeat } from '../expression.ts';
import { Builder, type BuiltStates, type Lists, ListsBuilder } from './builder.ts';

/** Plain data, most of it in typed arrays: another thread can be sent it, or share it. */
export interface Network extends BuiltStates {
  readonly root: number;
  /** A rule's first state, which no edge leads to. */
  readonly starts: Uint32Array;
  readonly isNullable: Uint8Array;
  /** Position of each rule in an order in which a rule comes before those that it can begin with. */
  readonly ranks: Uint32Array;
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
  const starts = Uint32Array.from(ruleNames, () => builder.state());
  const finals = Uint32Array.from(ruleNames, (name, i) =>
    builder.build(withoutLeftRecursion(name, grammar.rules.get(name)!), starts[i]!),
  );
  const laid = builder.finish();
  const isNullable = findNullable(laid, starts, finals);
  const states = { ...laid, free: steppingOver(laid, isNullable) };
  const isAlive = findAlive(states, starts, finals);
  const root = ruleNames.indexOf(grammar.root);
  if (!isAlive[starts[root]!]) {
    throw new ArgumentError(
      'grammar.impossible',
      `grammar: rule ${grammar.root} has no text at all, expected at least one. Every way through it leads to itself or to nothing.`,
    );
  }
  return {
    ...states,
    root,
    starts,
    isNullable,
    ranks: orderRules(states, ruleNames, starts, isAlive),
    isFinal: flags(states.stateCount, finals),
    isStart: flags(states.stateCount, starts),
    isAlive,
    ...byteClasses(states.byteEdges),
  };
}

function flags(length: number, indices: Uint32Array): Uint8Array {
  const out = new Uint8Array(length);
  for (const index of indices) out[index] = 1;
  return out;
}

/** The free edges, and one more beside each call of a rule that may be empty. */
function steppingOver({ stateCount, free, calls }: BuiltStates, isNullable: Uint8Array): Lists {
  if (!isNullable.includes(1)) return free;
  const all = new ListsBuilder(1);
  for (let state = 0; state < stateCount; state++) {
    for (let i = free.offsets[state]!; i < free.offsets[state + 1]!; i++) all.add(state, free.values[i]!);
    for (let i = calls.offsets[state]!; i < calls.offsets[state + 1]!; i += 2) {
      if (isNullable[calls.values[i]!]) all.add(state, calls.values[i + 1]!);
    }
  }
  return all.finish(stateCount);
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
function findNullable({ stateCount, free, calls }: BuiltStates, starts: Uint32Array, finals: Uint32Array): Uint8Array {
  const ruleOfFinal = new Map(Array.from(finals, (state, rule) => [state, rule]));
  const isNullable = new Uint8Array(starts.length);
  const waiting = new Map<number, number[]>();
  const reached = new Uint8Array(stateCount);
  const queue: number[] = [];
  const reach = (state: number) => {
    if (reached[state]) return;
    reached[state] = 1;
    queue.push(state);
  };
  starts.forEach(reach);
  for (let state = queue.pop(); state !== undefined; state = queue.pop()) {
    for (let i = free.offsets[state]!; i < free.offsets[state + 1]!; i++) reach(free.values[i]!);
    for (let i = calls.offsets[state]!; i < calls.offsets[state + 1]!; i += 2) {
      const [rule, back] = [calls.values[i]!, calls.values[i + 1]!];
      if (isNullable[rule]) reach(back);
      else if (waiting.has(rule)) waiting.get(rule)!.push(back);
      else waiting.set(rule, [back]);
    }
    const rule = ruleOfFinal.get(state);
    if (rule === undefined) continue;
    isNullable[rule] = 1;
    waiting.get(rule)?.forEach(reach);
  }
  return isNullable;
}

/** From which states the end of their rule can be reached. */
function findAlive(states: BuiltStates, starts: Uint32Array, finals: Uint32Array): Uint8Array {
  const { stateCount, free, byteEdges, calls, tokenEdges } = states;
  const befores = new ListsBuilder(1);
  /** Per state: calling state, rule, … */
  const callers = new ListsBuilder(2);
  for (let state = 0; state < stateCount; state++) {
    for (let i = free.offsets[state]!; i < free.offsets[state + 1]!; i++) befores.add(free.values[i]!, state);
    for (let i = byteEdges.offsets[state]! + 2; i < byteEdges.offsets[state + 1]!; i += 3) {
      befores.add(byteEdges.values[i]!, state);
    }
    for (let i = calls.offsets[state]!; i < calls.offsets[state + 1]!; i += 2) {
      callers.add(calls.values[i + 1]!, state, calls.values[i]!);
    }
  }
  for (const [state, edges] of tokenEdges) for (const { to } of edges) befores.add(to, state);
  const [before, callsBefore] = [befores.finish(stateCount), callers.finish(stateCount)];
  const ruleOfStart = new Map(Array.from(starts, (state, rule) => [state, rule]));
  const canEnd = new Uint8Array(starts.length);
  const waiting = Array.from(starts, (): number[] => []);
  const alive = new Uint8Array(stateCount);
  const queue: number[] = [];
  const mark = (state: number) => {
    if (alive[state]) return;
    alive[state] = 1;
    queue.push(state);
  };
  finals.forEach(mark);
  for (let state = queue.pop(); state !== undefined; state = queue.pop()) {
    for (let i = before.offsets[state]!; i < before.offsets[state + 1]!; i++) mark(before.values[i]!);
    for (let i = callsBefore.offsets[state]!; i < callsBefore.offsets[state + 1]!; i += 2) {
      const [caller, rule] = [callsBefore.values[i]!, callsBefore.values[i + 1]!];
      if (canEnd[rule]) mark(caller);
      else waiting[rule]!.push(caller);
    }
    const rule = ruleOfStart.get(state);
    if (rule === undefined) continue;
    canEnd[rule] = 1;
    waiting[rule]!.forEach(mark);
  }
  return alive;
}

/** Ranks the rules so that each comes before those it can begin with. Throws ArgumentError `grammar.left-recursion`. */
function orderRules(
  { free, calls }: BuiltStates,
  names: readonly string[],
  starts: Uint32Array,
  isAlive: Uint8Array,
): Uint32Array {
  const beginnings = Array.from(starts, (start) => {
    const rules = new Set<number>();
    const seen = new Set([start]);
    for (const state of seen) {
      if (!isAlive[state]) continue;
      for (let i = free.offsets[state]!; i < free.offsets[state + 1]!; i++) seen.add(free.values[i]!);
      for (let i = calls.offsets[state]!; i < calls.offsets[state + 1]!; i += 2) {
        const [rule, back] = [calls.values[i]!, calls.values[i + 1]!];
        if (isAlive[starts[rule]!] && isAlive[back]) rules.add(rule);
      }
    }
    return [...rules];
  });
  // Depth first with a stack of our own: a chain of rules may be longer than the machine's.
  const ranks = new Uint32Array(starts.length);
  const mark = Array.from(starts, (): 'new' | 'open' | 'done' => 'new');
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

function byteClasses({ values }: Lists): Pick<Network, 'classOf' | 'classCount'> {
  const isBorder = new Uint8Array(257);
  for (let i = 0; i < values.length; i += 3) {
    isBorder[values[i]!] = 1;
    isBorder[values[i + 1]! + 1] = 1;
  }
  const classOf = new Uint8Array(256);
  let current = 0;
  for (let byte = 1; byte < 256; byte++) classOf[byte] = isBorder[byte] ? ++current : current;
  return { classOf, classCount: current + 1 };
}
