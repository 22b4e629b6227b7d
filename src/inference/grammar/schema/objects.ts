/**
 * JSON objects. Properties come in the order in which the schema declares them, then the required ones that it does not declare, then any
 * others that it permits. White space stands where JSON.stringify puts it.
 */
import { type Expression, type GraphEdge, impossible, rule, sequence } from '../expression.ts';
import { isEmptyTerm } from '../regex/automaton.ts';
import { otherTexts } from '../regex/other-texts.ts';
import type { Term } from '../regex/terms.ts';
import { type Checker, propertyOf, satisfies } from './check-value.ts';
import type { Conjunction } from './document.ts';
import type { Facts, ObjectPart } from './facts.ts';
import type { Rules } from './rules.ts';
import { patternOf, quoted, spelled, textTerm } from './strings.ts';
import { canonicalJson } from './types.ts';

const MAX_STATES = 20_000;
/** Sets of patterns that a name may match. */
const MAX_NAME_CLASSES = 32;
const space = rule('space');
const comma = sequence(',', space);

export function objectExpression(rules: Rules & Checker, facts: Facts): Expression {
  const { document } = rules;
  const { objects, required, propertyNames, pointer } = facts;
  let { minProperties, maxProperties } = facts;
  if (facts.excluded.some((value) => canonicalJson(value) === '{}')) minProperties = Math.max(minProperties, 1);
  const isFree = objects.length + required.size + propertyNames.length + minProperties === 0;
  if (isFree && maxProperties === Number.POSITIVE_INFINITY) return rule('object');

  const nameFacts = propertyNames.length === 0 ? [] : rules.factsOf(propertyNames);
  const isNameAllowed = (key: string) =>
    propertyNames.length === 0 || nameFacts.some((names) => satisfies(rules, names, key));

  const declared = [...new Set([...objects.flatMap(({ properties }) => [...properties.keys()]), ...required])];
  const open = openMembers(rules, facts, declared);
  const keys = declared.filter((key) => isNameAllowed(key) || required.has(key));
  if (open.length > 0 && minProperties > Math.max(1, required.size)) {
    // The same name twice would count once.
    const most = Math.max(1, required.size);
    document.unheld(
      pointer,
      `minProperties ${minProperties} is not held together with open names: expected at most ${most}`,
    );
    minProperties = most;
  }

  // State (i, count): the first i declared names are behind us, `count` members are written (as far as it matters).
  const isCounted = minProperties > 1 || maxProperties < keys.length + (open.length > 0 ? Number.POSITIVE_INFINITY : 0);
  const most = isCounted
    ? Math.min(maxProperties, Math.max(minProperties, maxProperties < Number.POSITIVE_INFINITY ? maxProperties : 0))
    : 1;
  let counts = Math.max(1, most) + 1;
  let stateCount = (keys.length + 1) * counts;
  if (stateCount > MAX_STATES && counts > 2) {
    document.unheld(
      pointer,
      `minProperties and maxProperties are not held: they need ${stateCount} states, expected at most ${MAX_STATES}`,
    );
    [minProperties, maxProperties, counts] = [0, Number.POSITIVE_INFINITY, 2];
    stateCount = (keys.length + 1) * counts;
  }
  const edges: GraphEdge[] = [];
  const put = (from: number, to: number, members: readonly Expression[]) => {
    if (members.length === 0) return;
    /** By the state that follows the member: what follows the separator alone. */
    const separated = new Map<number, number>();
    for (let count = 0; count < Math.min(counts, maxProperties); count++) {
      const after = to * counts + Math.min(count + 1, counts - 1);
      let middle = separated.get(after);
      if (middle === undefined) {
        separated.set(after, (middle = stateCount++));
        for (const member of members) edges.push({ from: middle, to: after, label: member });
      }
      edges.push({ from: from * counts + count, to: middle, label: count === 0 ? space : comma });
    }
  };
  for (const [i, key] of keys.entries()) {
    const value = isNameAllowed(key) ? rules.valueOf(propertyOf(document, objects, key)) : impossible;
    put(i, i + 1, [sequence(JSON.stringify(key), ':', space, value)]);
    if (required.has(key)) continue;
    for (let count = 0; count < counts; count++) {
      edges.push({ from: i * counts + count, to: (i + 1) * counts + count, label: null });
    }
  }
  put(keys.length, keys.length, open);
  const finals = Array.from({ length: counts }, (_, count) => count)
    .filter((count) => count >= Math.min(minProperties, counts - 1))
    .map((count) => keys.length * counts + count);
  return sequence('{', { kind: 'graph', stateCount, finals, edges }, space, '}');
}

interface NameClass {
  readonly names: Term;
  /** Of the patterns, those that the names match. */
  readonly matched: readonly string[];
}

/** Members whose names are not declared: for each set of name patterns that a name may match, the names and what holds for the value. */
function openMembers(rules: Rules & Checker, facts: Facts, declared: readonly string[]): Expression[] {
  const { document } = rules;
  const { objects, pointer } = facts;
  const saysNothing = objects.length > 0 && objects.every(({ additional }) => additional === null);
  const isClosed = document.isStrict && saysNothing;
  const patterns = [...new Set(objects.flatMap((part) => part.patterns.map(({ pattern }) => pattern)))];
  // Nothing else at all, as most closed objects say it: their names need not be worked out.
  if (patterns.length === 0 && (isClosed || valuesOf(objects, []).some(({ schema }) => schema === false))) return [];
  if (patterns.length === 0 && facts.propertyNames.length === 0 && declared.length > 0) {
    return [sequence(otherNameRule(rules, declared), ':', space, rules.valueOf(valuesOf(objects, [])))];
  }
  const classes = document.guarded(pointer, () => nameClasses(rules, facts, declared, patterns));
  if (!classes) return [sequence(rule('string'), ':', space, rule('value'))];
  const members: Expression[] = [];
  for (const { names, matched } of classes) {
    const value = valuesOf(objects, matched);
    if (value.some(({ schema }) => schema === false) || (isClosed && matched.length === 0)) continue;
    const name = names === document.terms.anything ? rule('string') : nameRule(rules, names, pointer);
    members.push(sequence(name, ':', space, rules.valueOf(value)));
  }
  return members;
}

/** undefined, said, where the names cannot be told apart. */
function nameClasses(
  rules: Rules & Checker,
  { propertyNames, pointer }: Facts,
  declared: readonly string[],
  patterns: readonly string[],
): NameClass[] | undefined {
  const { document } = rules;
  const { terms } = document;
  const wanted = propertyNames.length === 0 ? terms.anything : namesTerm(rules, propertyNames);
  const names = declared.length === 0 ? wanted : terms.and(wanted, terms.not(terms.words(declared)));
  let classes: NameClass[] = [{ names, matched: [] }];
  for (const pattern of patterns) {
    const term = patternOf(document, pattern, pointer);
    if (term === null) return undefined;
    classes = classes.flatMap(({ names, matched }) => [
      { names: terms.and(names, terms.not(term)), matched },
      { names: terms.and(names, term), matched: [...matched, pattern] },
    ]);
    classes = classes.filter((found) => !isEmptyTerm(terms, found.names));
    if (classes.length <= MAX_NAME_CLASSES) continue;
    document.unheld(pointer, `patternProperties make more than ${MAX_NAME_CLASSES} kinds of names and are not held`);
    return undefined;
  }
  return patterns.length > 0 || propertyNames.length === 0
    ? classes
    : classes.filter((found) => !isEmptyTerm(terms, found.names));
}

function valuesOf(objects: readonly ObjectPart[], matched: readonly string[]): Conjunction {
  return objects.flatMap(({ patterns, additional }) => {
    const found = patterns.filter(({ pattern }) => matched.includes(pattern)).map(({ value }) => value);
    return found.length > 0 ? found : additional ? [additional] : [];
  });
}

function nameRule(rules: Rules, names: Term, pointer: string): Expression {
  const { document } = rules;
  return rules.shared(
    `name ${names.id}`,
    () => document.guarded(pointer, () => quoted(rules, names)) ?? rule('string'),
  );
}

/** Any name but the declared ones. */
function otherNameRule(rules: Rules, declared: readonly string[]): Expression {
  const sorted = declared.toSorted();
  return rules.shared(`name not in ${JSON.stringify(sorted)}`, () => {
    rules.document.budget.spend(sorted.reduce((sum, { length }) => sum + 1 + length, 0));
    return sequence(
      '"',
      otherTexts(sorted, (set) => spelled(rules, set)),
      '"',
    );
  });
}

function namesTerm(rules: Checker, propertyNames: Conjunction): Term {
  const { document } = rules;
  const { terms } = document;
  const options = rules
    .factsOf(propertyNames)
    .filter(({ types }) => types.has('string'))
    .map((names) => {
      if (!names.literals) return textTerm(document, names);
      const fitting = names.literals.filter((value) => typeof value === 'string' && satisfies(rules, names, value));
      return terms.words(fitting as string[]);
    });
  return terms.or(...options);
}
