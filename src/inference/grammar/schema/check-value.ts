/** Whether a value satisfies facts, and whether two facts can hold for the same value: for enum, const and oneOf. */
import { isEmptyTerm, matchesTerm } from '../regex/automaton.ts';
import type { Conjunction, SchemaDocument } from './document.ts';
import type { Facts, ObjectPart } from './facts.ts';
import { patternOf, textTerm } from './strings.ts';
import { canonicalJson, typeOfValue } from './types.ts';

export interface Checker {
  readonly document: SchemaDocument;
  factsOf(conjunction: Conjunction): Facts[];
  /** As factsOf, but without what only narrows them; it never comes back to itself. */
  looseFactsOf(conjunction: Conjunction): Facts[];
}

export function satisfies(checker: Checker, facts: Facts, value: unknown): boolean {
  checker.document.budget.spend(1);
  const type = typeOfValue(value);
  if (!facts.types.has(type)) return false;
  if (facts.literals && !hasValue(facts.literals, value)) return false;
  if (facts.excluded.length > 0 && hasValue(facts.excluded, value)) return false;
  const each = (conjunction: Conjunction, inner: unknown) =>
    conjunction.length === 0 ||
    checker.factsOf(conjunction).some((alternative) => satisfies(checker, alternative, inner));
  if (typeof value === 'number') return satisfiesNumber(facts, value);
  if (typeof value === 'string') return satisfiesText(checker, facts, value);
  if (Array.isArray(value)) {
    const { minItems, maxItems, isUnique, arrays, contains } = facts;
    return (
      value.length >= minItems &&
      value.length <= maxItems &&
      (!isUnique || new Set(value.map(canonicalJson)).size === value.length) &&
      value.every((item, i) => each(itemOf(arrays, i), item)) &&
      contains.every(({ value: wanted, min, max }) => {
        const count = value.filter((item) => each([wanted], item)).length;
        return count >= min && count <= max;
      })
    );
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value);
    const { minProperties, maxProperties, required, objects, propertyNames } = facts;
    return (
      entries.length >= minProperties &&
      entries.length <= maxProperties &&
      [...required].every((key) => Object.hasOwn(value, key)) &&
      entries.every(
        ([key, inner]) =>
          (propertyNames.length === 0 || each(propertyNames, key)) &&
          each(propertyOf(checker.document, objects, key), inner),
      )
    );
  }
  return true;
}

const canonicalValues = new WeakMap<readonly unknown[], ReadonlySet<string>>();

/** Long enumerations are looked through once. */
function hasValue(list: readonly unknown[], value: unknown): boolean {
  let known = canonicalValues.get(list);
  if (!known) canonicalValues.set(list, (known = new Set(list.map(canonicalJson))));
  return known.has(canonicalJson(value));
}

/** What holds for item i. */
export function itemOf(arrays: Facts['arrays'], i: number): Conjunction {
  return arrays.flatMap(({ prefix, rest }) => (i < prefix.length ? [prefix[i]!] : rest ? [rest] : []));
}

/** What holds for the property of this name. */
export function propertyOf(document: SchemaDocument, objects: readonly ObjectPart[], key: string): Conjunction {
  return objects.flatMap(({ properties, patterns, additional }) => {
    const own = properties.get(key);
    const found = patterns.filter(({ pattern, value }) => hasPattern(document, pattern, key, value.pointer));
    const all = [...(own ? [own] : []), ...found.map(({ value }) => value)];
    return all.length > 0 ? all : additional ? [additional] : [];
  });
}

function hasPattern(document: SchemaDocument, pattern: string, key: string, pointer: string): boolean {
  const term = patternOf(document, pattern, pointer);
  return term !== null && matchesTerm(document.terms, term, key);
}

function satisfiesNumber({ isInteger, isFraction, min, max, multiplesOf }: Facts, value: number): boolean {
  if ((isInteger && !Number.isInteger(value)) || (isFraction && Number.isInteger(value))) return false;
  if (min && (min.isExclusive ? value <= min.value : value < min.value)) return false;
  if (max && (max.isExclusive ? value >= max.value : value > max.value)) return false;
  return multiplesOf.every((divisor) => {
    const ratio = value / divisor;
    return Math.abs(ratio - Math.round(ratio)) <= 1e-9 * Math.max(1, Math.abs(ratio));
  });
}

function satisfiesText({ document }: Checker, facts: Facts, value: string): boolean {
  const length = Array.from(value).length;
  if (length < facts.minLength || length > facts.maxLength) return false;
  if (facts.patterns.length + facts.notPatterns.length + facts.formats.length === 0) return true;
  const free = { ...facts, minLength: 0, maxLength: Number.POSITIVE_INFINITY, excluded: [] };
  return matchesTerm(document.terms, textTerm(document, free), value);
}

/** Certainly no value satisfies it: a member that it requires could have none. */
export function isImpossible(checker: Checker, facts: Facts): boolean {
  if (facts.types.size !== 1 || !facts.types.has('object')) return false;
  const look = (given: Conjunction) => checker.looseFactsOf(given);
  const loose: Checker = { document: checker.document, factsOf: look, looseFactsOf: look };
  for (const key of facts.required) {
    const members = propertyOf(checker.document, facts.objects, key);
    if (members.length < 2 && members[0]?.schema !== false) continue;
    const isNothing = look(members).every(
      (member) =>
        member.minLength > member.maxLength ||
        (member.literals !== null && !member.literals.some((value) => satisfies(loose, member, value))),
    );
    if (isNothing) return true;
  }
  return false;
}

/** Certainly no value satisfies both. `depth`: how far below properties and items to look. */
export function areDisjoint(checker: Checker, a: Facts, b: Facts, depth = 4): boolean {
  checker.document.budget.spend(5);
  const common = [...a.types].filter((type) => b.types.has(type));
  if (common.length === 0) return true;
  const look = (given: Conjunction) => checker.looseFactsOf(given);
  const loose: Checker = { document: checker.document, factsOf: look, looseFactsOf: look };
  if (a.literals?.every((value) => !satisfies(loose, b, value))) return true;
  if (b.literals?.every((value) => !satisfies(loose, a, value))) return true;
  const conjunctionsDiffer = (first: Conjunction, second: Conjunction) =>
    depth > 0 &&
    checker
      .looseFactsOf(first)
      .every((x) => checker.looseFactsOf(second).every((y) => areDisjoint(checker, x, y, depth - 1)));
  return common.every((type) => {
    switch (type) {
      case 'number':
        return isBelow(a, b) || isBelow(b, a);
      case 'string':
        return a.minLength > b.maxLength || b.minLength > a.maxLength || textsDiffer(checker, a, b);
      case 'array': {
        if (a.minItems > b.maxItems || b.minItems > a.maxItems) return true;
        const both = Math.min(16, Math.max(a.minItems, b.minItems));
        return Array.from({ length: both }, (_, i) => i).some((i) =>
          conjunctionsDiffer(itemOf(a.arrays, i), itemOf(b.arrays, i)),
        );
      }
      case 'object': {
        if (a.minProperties > b.maxProperties || b.minProperties > a.maxProperties) return true;
        const keys = new Set([...a.required, ...b.required]);
        const value = (facts: Facts, key: string) => propertyOf(checker.document, facts.objects, key);
        return [...keys].some((key) => conjunctionsDiffer(value(a, key), value(b, key)));
      }
      default:
        return false;
    }
  });
}

function isBelow({ max }: Facts, { min }: Facts): boolean {
  if (!max || !min) return false;
  return max.value < min.value || (max.value === min.value && (max.isExclusive || min.isExclusive));
}

function textsDiffer({ document }: Checker, a: Facts, b: Facts): boolean {
  const isFree = (facts: Facts) => facts.patterns.length + facts.formats.length === 0;
  if (isFree(a) || isFree(b)) return false;
  const differ = () => isEmptyTerm(document.terms, document.terms.and(textTerm(document, a), textTerm(document, b)));
  return document.quietly(() => document.guarded(a.pointer, differ)) ?? false;
}
