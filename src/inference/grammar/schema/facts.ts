/**
 * What a schema asks for, sorted by type. Everything that holds together (siblings, allOf, $ref) is gathered into one Facts; every
 * alternative (anyOf, oneOf, and what "not", "if" and dependencies come to) makes a Facts of its own, so that a schema is a list of
 * them, of which one must hold.
 */
import type { Conjunction, Located, SchemaDocument } from './document.ts';
import { isStringFormat, numberFormats } from './formats.ts';
import type { JsonSchema } from './json-schema.ts';
import { EXCLUDED, FRACTION, KeywordReader, NOT_PATTERN, noteUnknown, schemasIn, tighter } from './keywords.ts';
import { negate } from './negate.ts';
import type { Bound } from './numbers.ts';
import { canonicalJson, type TypeName, typeNames } from './types.ts';

/** One schema's say about items: the first ones each, then the rest. */
export interface ArrayPart {
  readonly prefix: readonly Located[];
  /** null: anything. */
  readonly rest: Located | null;
}

export interface ContainsPart {
  readonly value: Located;
  readonly min: number;
  readonly max: number;
}

export interface ObjectPart {
  readonly properties: ReadonlyMap<string, Located>;
  readonly patterns: readonly { readonly pattern: string; readonly value: Located }[];
  /** null: nothing said. */
  readonly additional: Located | null;
}

export interface Facts {
  readonly types: ReadonlySet<TypeName>;
  readonly isInteger: boolean;
  readonly isFraction: boolean;
  /** Where `const` or `enum` list the values. */
  readonly literals: readonly unknown[] | null;
  /** Values that it is not. */
  readonly excluded: readonly unknown[];
  readonly min: Bound | null;
  readonly max: Bound | null;
  readonly multiplesOf: readonly number[];
  readonly minLength: number;
  readonly maxLength: number;
  readonly patterns: readonly string[];
  readonly notPatterns: readonly string[];
  readonly formats: readonly string[];
  readonly minItems: number;
  readonly maxItems: number;
  readonly isUnique: boolean;
  readonly arrays: readonly ArrayPart[];
  readonly contains: readonly ContainsPart[];
  readonly minProperties: number;
  readonly maxProperties: number;
  readonly required: ReadonlySet<string>;
  readonly objects: readonly ObjectPart[];
  readonly propertyNames: Conjunction;
  /** The place to name in problems. */
  readonly pointer: string;
}

const anything: Facts = {
  types: new Set(typeNames),
  isInteger: false,
  isFraction: false,
  literals: null,
  excluded: [],
  min: null,
  max: null,
  multiplesOf: [],
  minLength: 0,
  maxLength: Number.POSITIVE_INFINITY,
  patterns: [],
  notPatterns: [],
  formats: [],
  minItems: 0,
  maxItems: Number.POSITIVE_INFINITY,
  isUnique: false,
  arrays: [],
  contains: [],
  minProperties: 0,
  maxProperties: Number.POSITIVE_INFINITY,
  required: new Set(),
  objects: [],
  propertyNames: [],
  pointer: '#',
};

const MAX_ALTERNATIVES = 128;

export interface Judge {
  /** Certainly no value satisfies both. */
  areDisjoint(a: Facts, b: Facts): boolean;
  /** Certainly no value satisfies it, as a look at its required members says. */
  isImpossible(facts: Facts): boolean;
}

type Keywords = Exclude<JsonSchema, boolean>;

/** All alternatives of a conjunction. What cannot be said is told to the document. */
export function factsOf(document: SchemaDocument, conjunction: Conjunction, judge: Judge): Facts[] {
  return new Gatherer(document, judge).all(conjunction);
}

/** At least what the conjunction asks for is true of all its values: some keywords are not looked at. Says nothing to the document. */
export function looseFactsOf(document: SchemaDocument, conjunction: Conjunction): Facts[] {
  return document.quietly(() => new Gatherer(document, null).all(conjunction));
}

class Gatherer {
  private readonly document: SchemaDocument;
  /** null: nothing but what surely holds is looked at. */
  private readonly judge: Judge | null;

  constructor(document: SchemaDocument, judge: Judge | null) {
    this.document = document;
    this.judge = judge;
  }

  all(conjunction: Conjunction): Facts[] {
    return conjunction.reduce<Facts[]>(
      (list, located) => this.expand(list, located.pointer, (facts) => this.add(facts, located, new Set())),
      [{ ...anything, pointer: conjunction[0]?.pointer ?? '#' }],
    );
  }

  /** Alternatives of alternatives, unless they are too many: then this part is not held. */
  private expand(list: readonly Facts[], pointer: string, each: (facts: Facts) => readonly Facts[]): Facts[] {
    const { judge } = this;
    let all = list.flatMap(each);
    if (judge && all.length > list.length) all = all.filter((facts) => !judge.isImpossible(facts));
    if (all.length <= MAX_ALTERNATIVES) return all;
    this.document.unheld(pointer, `makes more than ${MAX_ALTERNATIVES} alternatives together with the others`);
    return [...list];
  }

  private add(facts: Facts, { schema, pointer }: Located, open: ReadonlySet<string>): Facts[] {
    const { document } = this;
    document.budget.spend(10);
    if (typeof schema === 'boolean') return schema ? [facts] : [];
    if (open.has(pointer)) {
      document.problem(pointer, 'refers to itself without anything in between');
      return [];
    }
    const inner = new Set(open).add(pointer);
    const own = this.addKeywords(facts, schema, pointer);
    if (!own) return [];
    let list: Facts[] = [own];
    for (const keyword of ['$ref', '$dynamicRef', '$recursiveRef']) {
      if (schema[keyword] === undefined) continue;
      const target = document.resolve(schema[keyword], `${pointer}/${keyword}`);
      if (target) list = list.flatMap((one) => this.add(one, target, inner));
    }
    for (const part of schemasIn(document, schema, 'allOf', pointer)) {
      list = this.expand(list, part.pointer, (one) => this.add(one, part, inner));
    }
    if (schema.anyOf !== undefined) {
      const branches = schemasIn(document, schema, 'anyOf', pointer);
      list = this.expand(list, `${pointer}/anyOf`, (one) => branches.flatMap((part) => this.add(one, part, inner)));
    }
    list = this.addOneOf(list, schema, pointer, inner);
    if (this.judge) {
      list = this.addNot(list, schema, pointer, inner);
      list = this.addIf(list, schema, pointer, inner);
      list = this.addDependencies(list, schema, pointer, inner);
    }
    return this.addUnevaluated(list, facts, schema, pointer);
  }

  private addAny(facts: Facts, options: readonly JsonSchema[], pointer: string, open: ReadonlySet<string>): Facts[] {
    return options.flatMap((schema, i) => this.add(facts, { schema, pointer: `${pointer}!${i}` }, open));
  }

  private addOneOf(list: Facts[], schema: Keywords, pointer: string, open: ReadonlySet<string>): Facts[] {
    if (schema.oneOf === undefined) return list;
    const { document, judge } = this;
    const branches = schemasIn(document, schema, 'oneOf', pointer);
    const place = `${pointer}/oneOf`;
    return this.expand(list, place, (one) => {
      const lists = branches.map((branch) => this.add(one, branch, open));
      if (!judge) return lists.flat();
      const others = document.guarded(place, () => overlaps(lists, judge), 0.5);
      return lists.flatMap((facts, i) => {
        for (const j of others?.[i] ?? []) {
          const { options, isExact } = negate(document, branches[j]!);
          if (!isExact) {
            document.unheld(
              place,
              `a value might fit both ${Math.min(i, j)} and ${Math.max(i, j)}: that it fits one only`,
            );
          } else facts = facts.flatMap((fact) => this.addAny(fact, options, `${branches[j]!.pointer}~`, open));
        }
        return facts;
      });
    });
  }

  private addNot(list: Facts[], schema: Keywords, pointer: string, open: ReadonlySet<string>): Facts[] {
    const of = new KeywordReader(this.document, schema, pointer).schema('not');
    if (!of) return list;
    const { options, isExact } = negate(this.document, of);
    if (isExact) return this.expand(list, of.pointer, (one) => this.addAny(one, options, `${of.pointer}~`, open));
    this.document.unheld(of.pointer, 'is not held');
    return list;
  }

  private addIf(list: Facts[], schema: Keywords, pointer: string, open: ReadonlySet<string>): Facts[] {
    const read = new KeywordReader(this.document, schema, pointer);
    const [condition, then, otherwise] = [read.schema('if'), read.schema('then'), read.schema('else')];
    if (!condition || (!then && !otherwise)) return list;
    const { options, isExact } = negate(this.document, condition);
    if (!isExact) {
      this.document.unheld(condition.pointer, 'is not held, with what follows from it');
      return list;
    }
    const holds: Located = { schema: { allOf: [condition.schema, then?.schema ?? true] }, pointer: `${pointer}/then~` };
    const fails = options.map((not) => ({ allOf: [not, otherwise?.schema ?? true] }));
    return this.expand(list, condition.pointer, (one) => [
      ...this.add(one, holds, open),
      ...this.addAny(one, fails, `${pointer}/else~`, open),
    ]);
  }

  private addDependencies(list: Facts[], schema: Keywords, pointer: string, open: ReadonlySet<string>): Facts[] {
    for (const keyword of ['dependentRequired', 'dependentSchemas', 'dependencies']) {
      const all = schema[keyword];
      if (typeof all !== 'object' || all === null) continue;
      for (const [key, wanted] of Object.entries(all)) {
        const place = `${pointer}/${keyword}/${key}`;
        const then: JsonSchema = Array.isArray(wanted) ? { required: wanted } : (wanted as JsonSchema);
        const has: JsonSchema = { type: 'object', required: [key], allOf: [then] };
        const hasNot: JsonSchema[] = [
          { type: 'object', properties: { [key]: false } },
          { type: typeNames.filter((name) => name !== 'object') },
        ];
        list = this.expand(list, place, (one) =>
          this.addAny(one, one.required.has(key) ? [has, hasNot[1]!] : [has, ...hasNot], `${place}~`, open),
        );
      }
    }
    return list;
  }

  /** What no other keyword of this schema, or of those that it brings together, has looked at. */
  private addUnevaluated(list: Facts[], before: Facts, schema: Keywords, pointer: string): Facts[] {
    const read = new KeywordReader(this.document, schema, pointer);
    const [members, items] = [read.schema('unevaluatedProperties'), read.schema('unevaluatedItems')];
    if (!members && !items) return list;
    return list.map((facts) => {
      const objects = facts.objects.slice(before.objects.length);
      const arrays = facts.arrays.slice(before.arrays.length);
      const names = new Map(
        objects.flatMap(({ properties }) => [...properties.keys()].map((key) => [key, whatever] as const)),
      );
      const patterns = objects.flatMap((part) => part.patterns.map(({ pattern }) => ({ pattern, value: whatever })));
      const length = arrays.reduce((most, { prefix }) => Math.max(most, prefix.length), 0);
      return {
        ...facts,
        ...(members &&
          objects.every(({ additional }) => additional === null) && {
            objects: [...facts.objects, { properties: names, patterns, additional: members }],
          }),
        ...(items &&
          arrays.every(({ rest }) => rest === null) && {
            arrays: [...facts.arrays, { prefix: Array.from({ length }, () => whatever), rest: items }],
          }),
      };
    });
  }

  /** The facts with one schema's own keywords; null where nothing is left. */
  private addKeywords(facts: Facts, schema: Keywords, pointer: string): Facts | null {
    const { document } = this;
    const read = new KeywordReader(document, schema, pointer);
    noteUnknown(document, schema, pointer);
    const { types, isInteger } = read.types();
    const joined = new Set([...facts.types].filter((type) => types.has(type)));
    const literals = Object.hasOwn(schema, 'const') ? both(read.values('enum'), [schema.const]) : read.values('enum');
    const format = read.text('format');
    const isNumberFormat = format !== null && numberFormats.has(format);
    const limit = format === 'int32' ? 2 ** 31 : format === 'int64' ? 2 ** 63 : null;
    const isKnown = format !== null && isStringFormat(format);
    if (format !== null && !isKnown && !isNumberFormat) {
      document.note(`${pointer}/format`, `${JSON.stringify(format)} is no format that is looked at`);
    }
    const pattern = read.text('pattern');
    const notPattern = read.text(NOT_PATTERN);
    const multipleOf = read.number('multipleOf');
    if (multipleOf !== null && !(multipleOf > 0))
      document.problem(`${pointer}/multipleOf`, 'expected a number above 0');
    const object = objectPart(read);
    const names = read.schema('propertyNames');
    const array = arrayPart(document, read, schema, pointer);
    const contained = read.schema('contains');
    const next: Facts = {
      types: joined,
      isInteger: facts.isInteger || isInteger,
      isFraction: facts.isFraction || read.flag(FRACTION),
      literals: both(facts.literals, literals),
      excluded: [...facts.excluded, ...(read.values(EXCLUDED) ?? [])],
      min: tighter(facts.min, tighter(read.bound('minimum', 'exclusiveMinimum'), atLeast(limit), 1), 1),
      max: tighter(facts.max, tighter(read.bound('maximum', 'exclusiveMaximum'), below(limit), -1), -1),
      multiplesOf: multipleOf === null || !(multipleOf > 0) ? facts.multiplesOf : [...facts.multiplesOf, multipleOf],
      minLength: Math.max(facts.minLength, read.count('minLength') ?? 0),
      maxLength: Math.min(facts.maxLength, read.count('maxLength') ?? Number.POSITIVE_INFINITY),
      patterns: pattern === null ? facts.patterns : [...facts.patterns, pattern],
      notPatterns: notPattern === null ? facts.notPatterns : [...facts.notPatterns, notPattern],
      formats: isKnown ? [...facts.formats, format] : facts.formats,
      minItems: Math.max(facts.minItems, read.count('minItems') ?? 0),
      maxItems: Math.min(facts.maxItems, read.count('maxItems') ?? Number.POSITIVE_INFINITY),
      isUnique: facts.isUnique || read.flag('uniqueItems'),
      arrays: array ? [...facts.arrays, array] : facts.arrays,
      contains: contained
        ? [
            ...facts.contains,
            {
              value: contained,
              min: read.count('minContains') ?? 1,
              max: read.count('maxContains') ?? Number.POSITIVE_INFINITY,
            },
          ]
        : facts.contains,
      minProperties: Math.max(facts.minProperties, read.count('minProperties') ?? 0),
      maxProperties: Math.min(facts.maxProperties, read.count('maxProperties') ?? Number.POSITIVE_INFINITY),
      required: new Set([...facts.required, ...read.texts('required')]),
      objects: object ? [...facts.objects, object] : facts.objects,
      propertyNames: names ? [...facts.propertyNames, names] : facts.propertyNames,
      pointer: facts.pointer,
    };
    return joined.size === 0 ? null : next;
  }
}

const whatever: Located = { schema: true, pointer: '' };

/** For each alternative the others that a value might fit as well. */
function overlaps(lists: readonly Facts[][], judge: Judge): number[][] {
  const found = lists.map((): number[] => []);
  for (const [j, second] of lists.entries()) {
    for (let i = 0; i < j; i++) {
      if (second.every((b) => lists[i]!.every((a) => judge.areDisjoint(a, b)))) continue;
      found[i]!.push(j);
      found[j]!.push(i);
    }
  }
  return found;
}

function objectPart(read: KeywordReader): ObjectPart | null {
  const properties = read.schemaMap('properties');
  const patterns = [...read.schemaMap('patternProperties')].map(([pattern, value]) => ({ pattern, value }));
  const additional = read.schema('additionalProperties');
  return properties.size + patterns.length > 0 || additional !== null ? { properties, patterns, additional } : null;
}

/** items and prefixItems; or, as before draft 2020-12, a list of items and additionalItems. */
function arrayPart(document: SchemaDocument, read: KeywordReader, schema: Keywords, pointer: string): ArrayPart | null {
  const { items, prefixItems } = schema;
  const isOld = Array.isArray(items);
  const prefix = schemasIn(document, schema, isOld ? 'items' : 'prefixItems', pointer);
  const rest = read.schema(isOld ? 'additionalItems' : 'items');
  return items === undefined && prefixItems === undefined ? null : { prefix, rest };
}

function atLeast(limit: number | null): Bound | null {
  return limit === null ? null : { value: -limit, isExclusive: false };
}

function below(limit: number | null): Bound | null {
  return limit === null ? null : { value: limit, isExclusive: true };
}

function both(a: readonly unknown[] | null, b: readonly unknown[] | null): readonly unknown[] | null {
  if (!a || !b) return a ?? b;
  const second = new Set(b.map(canonicalJson));
  return a.filter((value) => second.has(canonicalJson(value)));
}
