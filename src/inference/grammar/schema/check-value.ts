/** Whether a value satisfies facts, and whether two facts can hold for the same value: for enum, const and oneOf. */
import { accepts } from '../accepts.ts';
import { sequence } from '../expression.ts';
import { determinize, intersect, isEmpty } from '../regular.ts';
import type { Conjunction, SchemaDocument } from './document.ts';
import { type Facts, type ObjectPart, sameJson, type TypeName } from './facts.ts';
import { patternExpression, textExpression } from './strings.ts';

export interface Checker {
  readonly document: SchemaDocument;
  factsOf(conjunction: Conjunction): Facts[];
}

export function satisfies(checker: Checker, facts: Facts, value: unknown): boolean {
  const type = typeOf(value);
  if (!facts.types.has(type)) return false;
  if (facts.literals && !facts.literals.some((literal) => sameJson(literal, value))) return false;
  const each = (conjunction: Conjunction, inner: unknown) =>
    checker.factsOf(conjunction).some((alternative) => satisfies(checker, alternative, inner));
  if (typeof value === 'number') return satisfiesNumber(facts, value);
  if (typeof value === 'string') return satisfiesText(checker, facts, value);
  if (Array.isArray(value)) {
    const { minItems, maxItems, arrays } = facts;
    return (
      value.length >= minItems && value.length <= maxItems && value.every((item, i) => each(itemOf(arrays, i), item))
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
  return accepts(patternExpression(document, pattern, pointer), JSON.stringify(key).slice(1, -1));
}

function typeOf(value: unknown): TypeName {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value as TypeName;
}

function satisfiesNumber({ isInteger, min, max, multiplesOf }: Facts, value: number): boolean {
  if (isInteger && !Number.isInteger(value)) return false;
  if (min && (min.isExclusive ? value <= min.value : value < min.value)) return false;
  if (max && (max.isExclusive ? value >= max.value : value > max.value)) return false;
  return multiplesOf.every((divisor) => {
    const ratio = value / divisor;
    return Math.abs(ratio - Math.round(ratio)) <= 1e-9 * Math.max(1, Math.abs(ratio));
  });
}

function satisfiesText(checker: Checker, facts: Facts, value: string): boolean {
  const length = Array.from(value).length;
  if (length < facts.minLength || length > facts.maxLength) return false;
  if (facts.patterns.length + facts.formats.length === 0) return true;
  const free = { ...facts, minLength: 0, maxLength: Number.POSITIVE_INFINITY };
  return accepts(textExpression(checker.document, free), JSON.stringify(value).slice(1, -1));
}

/** Certainly no value satisfies both. `depth`: how far below properties and items to look. */
export function areDisjoint(checker: Checker, a: Facts, b: Facts, depth = 4): boolean {
  checker.document.spend(1);
  const common = [...a.types].filter((type) => b.types.has(type));
  if (common.length === 0) return true;
  if (a.literals?.every((value) => !satisfies(checker, b, value))) return true;
  if (b.literals?.every((value) => !satisfies(checker, a, value))) return true;
  const conjunctionsDiffer = (first: Conjunction, second: Conjunction) =>
    depth > 0 &&
    checker.factsOf(first).every((x) => checker.factsOf(second).every((y) => areDisjoint(checker, x, y, depth - 1)));
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
  const [first, second] = [a, b].map((facts) => determinize(sequence(textExpression(document, facts))));
  return isEmpty(intersect(first!, second!));
}
