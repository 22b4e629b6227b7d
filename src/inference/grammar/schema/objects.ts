/**
 * JSON objects and arrays. Properties come in the order in which the schema declares them, then the required ones that it does not declare,
 * then any others that it permits. White space stands where JSON.stringify puts it.
 */
import { choice, type Expression, type GraphEdge, impossible, repeat, rule, sequence, text } from '../expression.ts';
import { determinize, intersect, isEmpty, subtract, toExpression } from '../regular.ts';
import { itemOf, propertyOf, satisfies } from './check-value.ts';
import type { Conjunction, SchemaDocument } from './document.ts';
import type { Facts, ObjectPart } from './facts.ts';
import { canonicalText, guarded, patternExpression, textExpression } from './strings.ts';

/** What the schema compiler offers to its parts. */
export interface Rules {
  readonly document: SchemaDocument;
  /** Objects that do not say what else they may hold hold nothing else. */
  readonly isStrict: boolean;
  factsOf(conjunction: Conjunction): Facts[];
  /** The expression of a value for which all of these hold. */
  valueOf(conjunction: Conjunction): Expression;
  /** A rule of this name, made when it is first asked for. */
  shared(name: string, make: () => Expression): Expression;
}

const MAX_STATES = 20_000;
const MAX_PATTERNS = 5;
const space = rule('space');
const comma = sequence(',', space);

export function arrayExpression(rules: Rules, { minItems, maxItems, arrays, pointer }: Facts): Expression {
  if (arrays.length === 0 && minItems === 0 && maxItems === Number.POSITIVE_INFINITY) return rule('array');
  const prefixLength = arrays.reduce((length, { prefix }) => Math.max(length, prefix.length), 0);
  const isOpen = maxItems === Number.POSITIVE_INFINITY;
  // State i: i items so far; the last one, where there is no end, goes on to itself.
  const last = isOpen ? Math.max(prefixLength, minItems, 1) : maxItems;
  if (last > MAX_STATES) {
    rules.document.problem(pointer, `${last} items are not supported: expected at most ${MAX_STATES}`);
    return impossible;
  }
  const edges: GraphEdge[] = [];
  const put = (from: number, to: number) => {
    const item = rules.valueOf(itemOf(arrays, from));
    edges.push({ from, to, label: from === 0 ? sequence(space, item) : sequence(comma, item) });
  };
  for (let i = 0; i < last; i++) put(i, i + 1);
  if (isOpen) put(last, last);
  const finals = Array.from({ length: last + 1 }, (_, i) => i).filter((i) => i >= minItems);
  const items: Expression = { kind: 'graph', stateCount: last + 1, finals, edges };
  return sequence('[', items, space, ']');
}

export function objectExpression(rules: Rules, facts: Facts): Expression {
  const { document } = rules;
  const { objects, required, minProperties, maxProperties, propertyNames, pointer } = facts;
  const isFree = objects.length + required.size + propertyNames.length + minProperties === 0;
  if (isFree && maxProperties === Number.POSITIVE_INFINITY) return rule('object');

  const isNameAllowed = (key: string) =>
    propertyNames.length === 0 || rules.factsOf(propertyNames).some((names) => satisfies(rules, names, key));
  const declared = [...new Set([...objects.flatMap(({ properties }) => [...properties.keys()]), ...required])];
  const open = openMembers(rules, facts, declared);
  const keys = declared.filter((key) => isNameAllowed(key) || required.has(key));
  if (open.length > 0 && minProperties > Math.max(1, required.size)) {
    // The same name twice would count once.
    document.problem(
      pointer,
      `minProperties ${minProperties} together with open names is not supported: expected at most ${Math.max(1, required.size)}`,
    );
  }

  // State (i, count): the first i declared names are behind us, `count` members are written (as far as it matters).
  const isCounted = minProperties > 1 || maxProperties < keys.length + (open.length > 0 ? Number.POSITIVE_INFINITY : 0);
  const most = isCounted
    ? Math.min(maxProperties, Math.max(minProperties, maxProperties < Number.POSITIVE_INFINITY ? maxProperties : 0))
    : 1;
  const counts = Math.max(1, most) + 1;
  const stateCount = (keys.length + 1) * counts;
  if (stateCount > MAX_STATES) {
    document.problem(
      pointer,
      `needs ${stateCount} states, expected at most ${MAX_STATES}. Leave minProperties and maxProperties out`,
    );
    return impossible;
  }
  const edges: GraphEdge[] = [];
  const put = (from: number, to: number, count: number, member: Expression) => {
    if (count >= maxProperties) return;
    const next = Math.min(count + 1, counts - 1);
    edges.push({
      from: from * counts + count,
      to: to * counts + next,
      label: count === 0 ? sequence(space, member) : sequence(comma, member),
    });
  };
  for (const [i, key] of keys.entries()) {
    const value = isNameAllowed(key) ? rules.valueOf(propertyOf(document, objects, key)) : impossible;
    const member = sequence(JSON.stringify(key), ':', space, value);
    for (let count = 0; count < counts; count++) {
      put(i, i + 1, count, member);
      if (!required.has(key)) edges.push({ from: i * counts + count, to: (i + 1) * counts + count, label: null });
    }
  }
  for (const member of open) for (let count = 0; count < counts; count++) put(keys.length, keys.length, count, member);
  const finals = Array.from({ length: counts }, (_, count) => count)
    .filter((count) => count >= Math.min(minProperties, counts - 1))
    .map((count) => keys.length * counts + count);
  return sequence('{', { kind: 'graph', stateCount, finals, edges }, space, '}');
}

/** Members whose names are not declared: for each set of name patterns that a name may match, the names and what holds for the value. */
function openMembers(rules: Rules, facts: Facts, declared: readonly string[]): Expression[] {
  const { document, isStrict } = rules;
  const { objects, propertyNames, pointer } = facts;
  if (isStrict && objects.length > 0 && objects.every(({ additional }) => additional === null)) {
    const hasPatterns = objects.some(({ patterns }) => patterns.length > 0);
    if (!hasPatterns) return [];
  }
  const patterns = [...new Set(objects.flatMap((part) => part.patterns.map(({ pattern }) => pattern)))];
  if (patterns.length > MAX_PATTERNS) {
    document.problem(
      pointer,
      `${patterns.length} patternProperties are not supported: expected at most ${MAX_PATTERNS}`,
    );
    return [];
  }
  const members: Expression[] = [];
  for (let bits = 0; bits < 1 << patterns.length; bits++) {
    const matched = patterns.filter((_, i) => (bits >> i) & 1);
    const value = objects.flatMap((part) => valuesOf(part, matched));
    if (value.some(({ schema }) => schema === false)) continue;
    if (
      isStrict &&
      matched.length === 0 &&
      objects.every(({ additional }) => additional === null) &&
      objects.length > 0
    )
      continue;
    const others = patterns.filter((pattern) => !matched.includes(pattern));
    const names = nameRule(rules, facts, declared, matched, others, propertyNames);
    if (names) members.push(sequence(names, ':', space, rules.valueOf(value)));
  }
  return members;
}

function valuesOf({ patterns, additional }: ObjectPart, matched: readonly string[]): Conjunction {
  const found = patterns.filter(({ pattern }) => matched.includes(pattern)).map(({ value }) => value);
  return found.length > 0 ? found : additional ? [additional] : [];
}

/** Names, with their quotes, that are not declared and match these patterns and not those; null where there is none. */
function nameRule(
  rules: Rules,
  facts: Facts,
  declared: readonly string[],
  matched: readonly string[],
  others: readonly string[],
  propertyNames: Conjunction,
): Expression | null {
  const { document } = rules;
  const patternOf = (pattern: string) => determinize(patternExpression(document, pattern, facts.pointer));
  let isNone = false;
  const expression = guarded(document, facts.pointer, () => {
    let names = determinize(canonicalText);
    if (propertyNames.length > 0) names = determinize(nameExpression(rules, propertyNames));
    for (const pattern of matched) names = intersect(names, patternOf(pattern));
    for (const pattern of others) names = subtract(names, patternOf(pattern));
    if (declared.length > 0) {
      names = subtract(names, determinize(choice(...declared.map((key) => text(JSON.stringify(key).slice(1, -1))))));
    }
    isNone = isEmpty(names);
    return toExpression(names);
  });
  if (isNone || expression === impossible) return null;
  const key = JSON.stringify([declared, matched, others, propertyNames.map(({ pointer }) => pointer)]);
  return rules.shared(`name ${key}`, () => sequence('"', expression, '"'));
}

function nameExpression(rules: Rules, propertyNames: Conjunction): Expression {
  const options = rules
    .factsOf(propertyNames)
    .filter(({ types }) => types.has('string'))
    .map((names) =>
      names.literals
        ? choice(
            ...names.literals
              .filter((value): value is string => typeof value === 'string' && satisfies(rules, names, value))
              .map((value) => text(JSON.stringify(value).slice(1, -1))),
            impossible,
          )
        : textExpression(rules.document, names),
    );
  return choice(...options, impossible);
}

/** Rules that the values of every schema share. */
export const jsonRules: Readonly<Record<string, Expression>> = {
  /** Nothing, a space, or one or two line ends with indentation: what JSON.stringify and json.dumps write. */
  space: choice(
    '',
    ' ',
    sequence('\n', repeat(choice('\n'), 0, 1), choice(repeat(text(' '), 0, 32), repeat(text('\t'), 1, 16))),
  ),
  value: choice(rule('object'), rule('array'), rule('string'), rule('number'), 'true', 'false', 'null'),
  array: sequence(
    '[',
    choice('', sequence(space, rule('value'), repeat(sequence(comma, rule('value')), 0, null))),
    space,
    ']',
  ),
  member: sequence(rule('string'), ':', space, rule('value')),
  object: sequence(
    '{',
    choice('', sequence(space, rule('member'), repeat(sequence(comma, rule('member')), 0, null))),
    space,
    '}',
  ),
};
