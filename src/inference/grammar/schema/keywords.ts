/** Which keywords there are, and one schema's own, read one by one; values that are none are told to the document. */
import { escapePointer, type Located, type SchemaDocument } from './document.ts';
import { isSchema, type JsonSchema } from './json-schema.ts';
import type { Bound } from './numbers.ts';
import { type TypeName, typeNames, typesOf } from './types.ts';

/** Say nothing about which values are valid. */
const annotations = new Set(
  (
    '$schema $id id $anchor $dynamicAnchor $recursiveAnchor $comment $defs definitions $vocabulary title description default examples ' +
    'example deprecated readOnly writeOnly contentEncoding contentMediaType contentSchema discriminator externalDocs xml'
  ).split(' '),
);

/** Keywords of our own: what a negated schema comes to. See negate.ts. */
export const NOT_PATTERN = '\u0000not pattern';
export const EXCLUDED = '\u0000excluded';
export const FRACTION = '\u0000fraction';

const known = new Set(
  (
    '$ref $dynamicRef $recursiveRef allOf anyOf oneOf not if then else type nullable enum const minimum maximum exclusiveMinimum ' +
    'exclusiveMaximum multipleOf minLength maxLength pattern format items prefixItems additionalItems unevaluatedItems contains ' +
    'minContains maxContains minItems maxItems uniqueItems properties required additionalProperties unevaluatedProperties ' +
    'patternProperties propertyNames minProperties maxProperties dependentRequired dependentSchemas dependencies'
  ).split(' '),
);

/** The keywords of a schema that are about values. */
export function assertions(schema: JsonSchema): string[] {
  if (typeof schema === 'boolean') return [];
  return Object.keys(schema).filter((key) => known.has(key) || key.startsWith('\u0000'));
}

/** A word about keywords that nobody here knows: they may be another program's, or misspelled. */
export function noteUnknown(document: SchemaDocument, schema: Exclude<JsonSchema, boolean>, pointer: string): void {
  for (const key of Object.keys(schema)) {
    if (known.has(key) || annotations.has(key) || key.startsWith('\u0000') || key.startsWith('x-')) continue;
    document.note(`${pointer}/${escapePointer(key)}`, 'is no keyword of JSON Schema and is not looked at');
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

/** The tighter of two bounds; `sign` 1 for lower ones, −1 for upper ones. */
export function tighter(a: Bound | null, b: Bound | null, sign: 1 | -1): Bound | null {
  if (!a || !b) return a ?? b;
  if (a.value === b.value) return a.isExclusive ? a : b;
  return sign * (a.value - b.value) > 0 ? a : b;
}

export class KeywordReader {
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
    if (type === undefined) return { types: new Set(typeNames), isInteger: false };
    const { names, unknown } = typesOf(type);
    if (unknown) {
      const expected = `expected ${typeNames.join(', ')}, integer or a list of them`;
      this.complain('type', `${expected}, found ${JSON.stringify(type)}`);
    }
    const types = new Set(names.map((name) => (name === 'integer' ? 'number' : name) as TypeName));
    if (nullable === true) types.add('null');
    return { types, isInteger: names.includes('integer') && !names.includes('number') };
  }

  values(keyword: string): readonly unknown[] | null {
    const value = this.keywords[keyword];
    if (value === undefined || Array.isArray(value)) return value ?? null;
    this.complain(keyword, 'expected a list of values');
    return null;
  }

  flag(keyword: string): boolean {
    return this.keywords[keyword] === true;
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
    // Draft 3 says so of a property itself; what stands there is the property's schema's parent's business.
    if (keyword === 'required' && typeof value === 'boolean') {
      this.document.note(`${this.pointer}/required`, 'is not a list of names and is not looked at');
      return [];
    }
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

  private complain(keyword: string, text: string): void {
    this.document.problem(`${this.pointer}/${keyword}`, text);
  }
}
