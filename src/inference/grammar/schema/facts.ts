/**
 * What a schema asks for, sorted by type. Everything that holds together (siblings, allOf, $ref) is gathered into one Facts; every
 * alternative (anyOf, oneOf) makes a Facts of its own, so that a schema is a list of them, of which one must hold.
 */
import {
  type Conjunction,
  escapePointer,
  isSchema,
  type JsonSchema,
  type Located,
  type SchemaDocument,
} from './document.ts';
import type { Bound } from './numbers.ts';

export const typeNames = ['null', 'boolean', 'number', 'string', 'array', 'object'] as const;
export type TypeName = (typeof typeNames)[number];

/** One schema's say about items: the first ones each, then the rest. */
export interface ArrayPart {
  readonly prefix: readonly Located[];
  /** null: anything. */
  readonly rest: Located | null;
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
  /** Where `const` or `enum` list the values. */
  readonly literals: readonly unknown[] | null;
  readonly min: Bound | null;
  readonly max: Bound | null;
  readonly multiplesOf: readonly number[];
  readonly minLength: number;
  readonly maxLength: number;
  readonly patterns: readonly string[];
  readonly formats: readonly string[];
  readonly minItems: number;
  readonly maxItems: number;
  readonly arrays: readonly ArrayPart[];
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
  literals: null,
  min: null,
  max: null,
  multiplesOf: [],
  minLength: 0,
  maxLength: Number.POSITIVE_INFINITY,
  patterns: [],
  formats: [],
  minItems: 0,
  maxItems: Number.POSITIVE_INFINITY,
  arrays: [],
  minProperties: 0,
  maxProperties: Number.POSITIVE_INFINITY,
  required: new Set(),
  objects: [],
  propertyNames: [],
  pointer: '#',
};

const MAX_ALTERNATIVES = 256;

/** Say nothing about which values are valid. */
export const annotations = new Set(
  (
    '$schema $id id $anchor $comment $defs definitions $vocabulary title description default examples example deprecated readOnly ' +
    'writeOnly contentEncoding contentMediaType contentSchema discriminator externalDocs xml'
  ).split(' '),
);

const known = new Set(
  (
    '$ref allOf anyOf oneOf type nullable enum const minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength ' +
    'pattern format items prefixItems additionalItems minItems maxItems properties required additionalProperties ' +
    'patternProperties propertyNames minProperties maxProperties uniqueItems'
  ).split(' '),
);

/** The keywords of a schema that are about values. */
export function assertions(schema: JsonSchema): string[] {
  return typeof schema === 'boolean' ? [] : Object.keys(schema).filter((key) => !isAnnotation(key));
}

function isAnnotation(key: string): boolean {
  return annotations.has(key) || key.startsWith('x-');
}

/** Whether two alternatives of a oneOf can never both hold. */
type Disjoint = (a: Facts, b: Facts) => boolean;

/** All alternatives of a conjunction. What cannot be said is told to the document. */
export function factsOf(document: SchemaDocument, conjunction: Conjunction, disjoint: Disjoint): Facts[] {
  const add = (facts: Facts, { schema, pointer }: Located, open: ReadonlySet<string>): Facts[] => {
    document.spend(1);
    if (typeof schema === 'boolean') return schema ? [facts] : [];
    if (open.has(pointer)) {
      document.problem(pointer, 'refers to itself without anything in between');
      return [];
    }
    const inner = new Set(open).add(pointer);
    let list: Facts[] = [];
    const own = addKeywords(document, facts, schema, pointer);
    if (own) list.push(own);
    if (schema.$ref !== undefined) {
      const target = document.resolve(schema.$ref, pointer);
      list = target ? list.flatMap((one) => add(one, target, inner)) : [];
    }
    for (const part of schemasIn(document, schema, 'allOf', pointer))
      list = list.flatMap((one) => add(one, part, inner));
    for (const keyword of ['anyOf', 'oneOf'] as const) {
      if (schema[keyword] === undefined) continue;
      const branches = schemasIn(document, schema, keyword, pointer);
      list = list.flatMap((one) => {
        const lists = branches.map((branch) => add(one, branch, inner));
        if (keyword === 'oneOf') checkDisjoint(document, lists, `${pointer}/oneOf`, disjoint);
        return lists.flat();
      });
      if (list.length > MAX_ALTERNATIVES) {
        document.problem(
          `${pointer}/${keyword}`,
          `makes more than ${MAX_ALTERNATIVES} alternatives together with the others`,
        );
        return list.slice(0, 1);
      }
    }
    return list;
  };
  return conjunction.reduce<Facts[]>(
    (list, located) => list.flatMap((one) => add(one, located, new Set())).slice(0, MAX_ALTERNATIVES + 1),
    [{ ...anything, pointer: conjunction[0]?.pointer ?? '#' }],
  );
}

function checkDisjoint(document: SchemaDocument, lists: readonly Facts[][], pointer: string, disjoint: Disjoint): void {
  for (const [j, second] of lists.entries()) {
    for (let i = 0; i < j; i++) {
      if (second.every((b) => lists[i]!.every((a) => disjoint(a, b)))) continue;
      document.problem(
        pointer,
        `a value might fit both ${i} and ${j}, expected alternatives that exclude each other. Use anyOf`,
      );
    }
  }
}

/** The schemas of a list keyword, each with its place. */
export function schemasIn(
  document: SchemaDocument,
  schema: Exclude<JsonSchema, boolean>,
  keyword: string,
  pointer: string,
): Located[] {
  const list = schema[keyword];
  if (list === undefined) return [];
  if (!Array.isArray(list) || !list.every(isSchema)) {
    document.problem(`${pointer}/${keyword}`, 'expected a list of schemas');
    return [];
  }
  return list.map((inner, i) => ({ schema: inner as JsonSchema, pointer: `${pointer}/${keyword}/${i}` }));
}

/** The facts with one schema's own keywords; null where nothing is left. */
function addKeywords(
  document: SchemaDocument,
  facts: Facts,
  schema: Exclude<JsonSchema, boolean>,
  pointer: string,
): Facts | null {
  const read = new KeywordReader(document, schema, pointer);
  for (const key of Object.keys(schema)) {
    if (!known.has(key) && !isAnnotation(key)) document.problem(`${pointer}/${escapePointer(key)}`, 'is not supported');
  }
  if (schema.uniqueItems !== undefined && schema.uniqueItems !== false) {
    document.problem(`${pointer}/uniqueItems`, 'is not supported');
  }
  const { types, isInteger } = read.types();
  const joined = new Set([...facts.types].filter((type) => types.has(type)));
  const literals = read.literals();
  const format = read.text('format');
  const isNumberFormat = format === 'int32' || format === 'int64' || format === 'float' || format === 'double';
  const limit = format === 'int32' ? 2 ** 31 : format === 'int64' ? 2 ** 63 : null;
  const pattern = read.text('pattern');
  const multipleOf = read.number('multipleOf');
  if (multipleOf !== null && !(multipleOf > 0)) document.problem(`${pointer}/multipleOf`, 'expected a number above 0');
  const properties = read.schemaMap('properties');
  const patterns = read.schemaMap('patternProperties');
  const additional = read.schema('additionalProperties');
  const names = read.schema('propertyNames');
  const saysObjects = properties.size + patterns.size > 0 || additional !== null;
  const arrays = read.items();
  const next: Facts = {
    types: joined,
    isInteger: facts.isInteger || isInteger,
    literals: both(facts.literals, literals),
    min: tighter(
      facts.min,
      tighter(
        read.bound('minimum', 'exclusiveMinimum'),
        limit === null ? null : { value: -limit, isExclusive: false },
        1,
      ),
      1,
    ),
    max: tighter(
      facts.max,
      tighter(
        read.bound('maximum', 'exclusiveMaximum'),
        limit === null ? null : { value: limit, isExclusive: true },
        -1,
      ),
      -1,
    ),
    multiplesOf: multipleOf === null || !(multipleOf > 0) ? facts.multiplesOf : [...facts.multiplesOf, multipleOf],
    minLength: Math.max(facts.minLength, read.count('minLength') ?? 0),
    maxLength: Math.min(facts.maxLength, read.count('maxLength') ?? Number.POSITIVE_INFINITY),
    patterns: pattern === null ? facts.patterns : [...facts.patterns, pattern],
    formats: format === null || isNumberFormat ? facts.formats : [...facts.formats, format],
    minItems: Math.max(facts.minItems, read.count('minItems') ?? 0),
    maxItems: Math.min(facts.maxItems, read.count('maxItems') ?? Number.POSITIVE_INFINITY),
    arrays: arrays ? [...facts.arrays, arrays] : facts.arrays,
    minProperties: Math.max(facts.minProperties, read.count('minProperties') ?? 0),
    maxProperties: Math.min(facts.maxProperties, read.count('maxProperties') ?? Number.POSITIVE_INFINITY),
    required: new Set([...facts.required, ...read.texts('required')]),
    objects: saysObjects
      ? [
          ...facts.objects,
          { properties, patterns: [...patterns].map(([key, value]) => ({ pattern: key, value })), additional },
        ]
      : facts.objects,
    propertyNames: names ? [...facts.propertyNames, names] : facts.propertyNames,
    pointer: facts.pointer,
  };
  return joined.size === 0 ? null : next;
}

/** The tighter of two bounds; `sign` 1 for lower ones, −1 for upper ones. */
function tighter(a: Bound | null, b: Bound | null, sign: 1 | -1): Bound | null {
  if (!a || !b) return a ?? b;
  if (a.value === b.value) return a.isExclusive ? a : b;
  return sign * (a.value - b.value) > 0 ? a : b;
}

function both(a: readonly unknown[] | null, b: readonly unknown[] | null): readonly unknown[] | null {
  if (!a || !b) return a ?? b;
  return a.filter((value) => b.some((other) => sameJson(value, other)));
}

export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [keys, others] = [Object.keys(a), Object.keys(b)];
  return (
    keys.length === others.length &&
    keys.every(
      (key) =>
        Object.hasOwn(b, key) && sameJson((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]),
    )
  );
}

/** Reads keywords, telling the document of values that are none. */
class KeywordReader {
  private readonly document: SchemaDocument;
  private readonly keywords: Exclude<JsonSchema, boolean>;
  private readonly pointer: string;

  constructor(document: SchemaDocument, keywords: Exclude<JsonSchema, boolean>, pointer: string) {
    this.document = document;
    this.keywords = keywords;
    this.pointer = pointer;
  }

  types(): { readonly types: ReadonlySet<TypeName>; readonly isInteger: boolean } {
    const { type, nullable } = this.keywords;
    if (type === undefined) return { types: anything.types, isInteger: false };
    const list: unknown[] = Array.isArray(type) ? type : [type];
    const names = list.filter((name) => name === 'integer' || typeNames.includes(name as TypeName));
    if (names.length < list.length || list.length === 0) {
      this.complain(
        'type',
        `expected ${typeNames.join(', ')}, integer or a list of them, found ${JSON.stringify(type)}`,
      );
    }
    const types = new Set(names.map((name) => (name === 'integer' ? 'number' : name) as TypeName));
    if (nullable === true) types.add('null');
    return { types, isInteger: names.includes('integer') && !names.includes('number') };
  }

  literals(): readonly unknown[] | null {
    const { enum: values } = this.keywords;
    if (values !== undefined && !Array.isArray(values)) this.complain('enum', 'expected a list of values');
    const listed = Array.isArray(values) ? values : null;
    return Object.hasOwn(this.keywords, 'const') ? both(listed, [this.keywords.const]) : listed;
  }

  number(keyword: string): number | null {
    const value = this.keywords[keyword];
    if (value === undefined) return null;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    this.complain(keyword, `expected a number, found ${JSON.stringify(value)}`);
    return null;
  }

  count(keyword: string): number | null {
    const value = this.number(keyword);
    if (value === null || (Number.isSafeInteger(value) && value >= 0)) return value;
    this.complain(keyword, `expected a count, found ${value}`);
    return null;
  }

  text(keyword: string): string | null {
    const value = this.keywords[keyword];
    if (value === undefined || typeof value === 'string') return value ?? null;
    this.complain(keyword, `expected a text, found ${JSON.stringify(value)}`);
    return null;
  }

  texts(keyword: string): readonly string[] {
    const value = this.keywords[keyword];
    if (value === undefined) return [];
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
    this.complain(keyword, 'expected a list of texts');
    return [];
  }

  /** A limit; draft 4 has a flag where later drafts have a second number. */
  bound(inclusive: string, exclusive: string): Bound | null {
    const sign = inclusive === 'minimum' ? 1 : -1;
    const isFlag = typeof this.keywords[exclusive] === 'boolean';
    const value = this.number(inclusive);
    const first = value === null ? null : { value, isExclusive: isFlag && this.keywords[exclusive] === true };
    const other = isFlag ? null : this.number(exclusive);
    return tighter(first, other === null ? null : { value: other, isExclusive: true }, sign);
  }

  schema(keyword: string): Located | null {
    const value = this.keywords[keyword];
    if (value === undefined) return null;
    const pointer = `${this.pointer}/${keyword}`;
    if (isSchema(value)) return { schema: value, pointer };
    this.complain(keyword, 'expected a schema');
    return null;
  }

  schemaMap(keyword: string): Map<string, Located> {
    const value = this.keywords[keyword];
    if (value === undefined) return new Map();
    if (!isSchema(value) || typeof value === 'boolean' || !Object.values(value).every(isSchema)) {
      this.complain(keyword, 'expected an object of schemas');
      return new Map();
    }
    return new Map(
      Object.entries(value).map(([key, schema]) => [
        key,
        { schema: schema as JsonSchema, pointer: `${this.pointer}/${keyword}/${escapePointer(key)}` },
      ]),
    );
  }

  /** items and prefixItems; or, as before draft 2020-12, a list of items and additionalItems. */
  items(): ArrayPart | null {
    const { items, prefixItems } = this.keywords;
    const isOld = Array.isArray(items);
    const prefix = schemasIn(this.document, this.keywords, isOld ? 'items' : 'prefixItems', this.pointer);
    const rest = this.schema(isOld ? 'additionalItems' : 'items');
    return items === undefined && prefixItems === undefined ? null : { prefix, rest };
  }

  private complain(keyword: string, text: string): void {
    this.document.problem(`${this.pointer}/${keyword}`, text);
  }
}
