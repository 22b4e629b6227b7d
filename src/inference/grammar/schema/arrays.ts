/** JSON arrays, item by item. White space stands where JSON.stringify puts it. */
import { type Expression, type GraphEdge, impossible, rule, sequence } from '../expression.ts';
import { type Checker, itemOf, satisfies } from './check-value.ts';
import type { Conjunction } from './document.ts';
import type { ContainsPart, Facts } from './facts.ts';
import { negate } from './negate.ts';
import type { Rules } from './rules.ts';
import { canonicalJson } from './types.ts';

const MAX_STATES = 20_000;
/** Sets of values that may stand in an array of which no two are equal. */
const MAX_SETS = 512;
const space = rule('space');
const comma = sequence(',', space);

/** How often an item of a kind must stand; `others` where it may not stand more often. */
interface Counted {
  readonly value: ContainsPart['value'];
  readonly min: number;
  readonly max: number;
  /** What is not of the kind, any of them; empty where nobody counts how often it stands at most. */
  readonly others: Conjunction;
}

export function arrayExpression(
  rules: Rules & Checker,
  facts: Facts,
  literal: (value: unknown) => Expression,
): Expression {
  const { document } = rules;
  const { arrays, contains, pointer } = facts;
  let { minItems, maxItems } = facts;
  if (facts.excluded.some((value) => canonicalJson(value) === '[]')) minItems = Math.max(minItems, 1);
  const isFree = arrays.length + contains.length + minItems === 0 && maxItems === Number.POSITIVE_INFINITY;
  if (facts.isUnique && maxItems > 1) {
    const whole = uniqueItems(rules, { ...facts, minItems }, literal);
    if (whole) return whole;
    document.unheld(pointer, 'uniqueItems is not held: expected items of few values');
  }
  if (isFree) return rule('array');
  const prefixLength = arrays.reduce((length, { prefix }) => Math.max(length, prefix.length), 0);
  const counted = countedParts(rules, contains);
  const counts = counted.map(({ min, max }) => (max === Number.POSITIVE_INFINITY ? min : max) + 1);
  const states = counts.reduce((product, count) => product * count, 1);
  /** One state for i items where there is no end: the last, which goes on to itself. */
  const lastOf = () => (maxItems === Number.POSITIVE_INFINITY ? Math.max(prefixLength, minItems, 1) : maxItems);
  if ((lastOf() + 1) * states > MAX_STATES) {
    document.unheld(pointer, `${lastOf()} items are not held: expected at most ${MAX_STATES}`);
    [minItems, maxItems] = [Math.min(minItems, 1), Number.POSITIVE_INFINITY];
    if ((lastOf() + 1) * states > MAX_STATES) return rule('array');
  }
  const last = lastOf();
  const isOpen = maxItems === Number.POSITIVE_INFINITY;
  const edges: GraphEdge[] = [];
  // State: items so far, and how often each counted kind has stood.
  const put = (from: number, to: number) => {
    const base = itemOf(arrays, from);
    for (let state = 0; state < states; state++) {
      for (const [next, item] of steps(counted, counts, state, base)) {
        const value = rules.valueOf(item);
        const label = from === 0 ? sequence(space, value) : sequence(comma, value);
        edges.push({ from: from * states + state, to: to * states + next, label });
      }
    }
  };
  for (let i = 0; i < last; i++) put(i, i + 1);
  if (isOpen) put(last, last);
  const finals: number[] = [];
  for (let i = minItems; i <= last; i++) {
    for (let state = 0; state < states; state++) if (isEnough(counted, counts, state)) finals.push(i * states + state);
  }
  const items: Expression = { kind: 'graph', stateCount: (last + 1) * states, finals, edges };
  return sequence('[', items, space, ']');
}

function countedParts(rules: Rules & Checker, contains: Facts['contains']): Counted[] {
  const { document } = rules;
  return contains.flatMap(({ value, min, max }, i): Counted[] => {
    if (min === 0 && max === Number.POSITIVE_INFINITY) return [];
    if (i > 1) {
      document.unheld(value.pointer, 'is not held: expected at most two kinds of items to be counted');
      return [];
    }
    if (max === Number.POSITIVE_INFINITY) return [{ value, min, max, others: [] }];
    const { options, isExact } = negate(document, value);
    if (!isExact) {
      document.unheld(value.pointer, 'is not held: how often it stands at most');
      return min === 0 ? [] : [{ value, min, max: Number.POSITIVE_INFINITY, others: [] }];
    }
    return [{ value, min, max, others: [{ schema: { anyOf: options }, pointer: `${value.pointer}~` }] }];
  });
}

/** Where an item leads from a state of counts, and what it must be for that. */
function steps(
  counted: readonly Counted[],
  counts: readonly number[],
  state: number,
  base: Conjunction,
): [next: number, item: Conjunction][] {
  let found: [next: number, item: Conjunction][] = [[0, base]];
  let unit = 1;
  for (const [k, { value, max, others }] of counted.entries()) {
    const so = Math.floor(state / unit) % counts[k]!;
    const isFull = so === counts[k]! - 1;
    const options: [count: number, more: Conjunction][] = [[so, others]];
    // Where only enough of them are wanted, one more than enough changes nothing.
    if (!isFull) options.push([so + 1, [value]]);
    else if (max === Number.POSITIVE_INFINITY) options.splice(0, 1, [so, []]);
    const size = unit;
    found = found.flatMap(([next, item]) =>
      options.map(([count, more]): [number, Conjunction] => [next + count * size, [...item, ...more]]),
    );
    unit *= counts[k]!;
  }
  return found;
}

function isEnough(counted: readonly Counted[], counts: readonly number[], state: number): boolean {
  let rest = state;
  return counted.every(({ min }, k) => {
    const count = rest % counts[k]!;
    rest = Math.floor(rest / counts[k]!);
    return count >= min;
  });
}

/** Arrays of a few possible values, each of which stands once: a state for each set of those that have stood. null: too many. */
function uniqueItems(rules: Rules & Checker, facts: Facts, literal: (value: unknown) => Expression): Expression | null {
  const { arrays, contains, minItems, maxItems } = facts;
  if (contains.length > 0 || arrays.some(({ prefix }) => prefix.length > 0)) return null;
  const values = valuesOf(rules, itemOf(arrays, 0));
  if (values === null || values.length > 16) return null;
  const most = Math.min(maxItems, values.length);
  const edges: GraphEdge[] = [];
  const ids = new Map<number, number>([[0, 0]]);
  const finals: number[] = [];
  for (const [set, from] of ids) {
    const size = values.filter((_, i) => (set >> i) & 1).length;
    if (size >= minItems) finals.push(from);
    if (size === most) continue;
    for (const [i, value] of values.entries()) {
      if ((set >> i) & 1) continue;
      const next = set | (1 << i);
      if (!ids.has(next)) ids.set(next, ids.size);
      if (ids.size > MAX_SETS) return null;
      const item = rules.shared(`literal ${canonicalJson(value)}`, () => literal(value));
      edges.push({ from, to: ids.get(next)!, label: size === 0 ? sequence(space, item) : sequence(comma, item) });
    }
  }
  if (finals.length === 0) return impossible;
  return sequence('[', { kind: 'graph', stateCount: ids.size, finals, edges }, space, ']');
}

/** All values that an item may have; null where they are not listed. */
function valuesOf(rules: Checker, item: Conjunction): unknown[] | null {
  if (item.length === 0) return null;
  const found = new Map<string, unknown>();
  for (const facts of rules.factsOf(item)) {
    const isListed = [...facts.types].every((type) => type === 'boolean' || type === 'null');
    const all = facts.literals ?? (isListed ? [null, true, false] : null);
    if (!all) return null;
    for (const value of all) if (satisfies(rules, facts, value)) found.set(canonicalJson(value), value);
  }
  return [...found.values()];
}
