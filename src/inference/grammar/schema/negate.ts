/** What a value is that is not valid for a schema, said as schemas. */
import type { Located, SchemaDocument } from './document.ts';
import { isStringFormat, numberFormats } from './formats.ts';
import { isSchema, type JsonSchema } from './json-schema.ts';
import { assertions, EXCLUDED, FRACTION, KeywordReader, NOT_PATTERN } from './keywords.ts';
import { typeNames, typesOf } from './types.ts';

export interface Negation {
  /** A value that is valid for one of these is not valid for the schema. */
  readonly options: readonly JsonSchema[];
  /** And the other way round. */
  readonly isExact: boolean;
}

const inexact: Negation = { options: [], isExact: false };
const MAX_DEPTH = 12;
const MAX_OPTIONS = 64;

/** De Morgan's way: a schema's keywords hold together, so it fails where one of them fails. */
export function negate(document: SchemaDocument, located: Located, depth = 0): Negation {
  const { schema, pointer } = located;
  document.budget.spend(10);
  if (typeof schema === 'boolean') return { options: schema ? [] : [true], isExact: true };
  if (depth > MAX_DEPTH) return inexact;
  const options: JsonSchema[] = [];
  for (const keyword of assertions(schema)) {
    const found = negateKeyword(document, keyword, schema, pointer, depth);
    if (!found || options.length + found.length > MAX_OPTIONS) return inexact;
    options.push(...found);
  }
  return { options, isExact: true };
}

function negateKeyword(
  document: SchemaDocument,
  keyword: string,
  schema: Exclude<JsonSchema, boolean>,
  pointer: string,
  depth: number,
): readonly JsonSchema[] | null {
  const value = schema[keyword];
  const read = new KeywordReader(document, schema, pointer);
  const inner = (part: unknown, name: string): readonly JsonSchema[] | null => {
    if (!isSchema(part)) return null;
    const { options, isExact } = negate(document, { schema: part, pointer: `${pointer}/${name}` }, depth + 1);
    return isExact ? options : null;
  };
  /** Any of some schemas, as one. */
  const any = (schemas: readonly JsonSchema[]): JsonSchema => (schemas.length === 1 ? schemas[0]! : { anyOf: schemas });
  switch (keyword) {
    case '$ref': {
      const target = document.quietly(() => document.resolve(value, pointer));
      if (!target) return null;
      const { options, isExact } = negate(document, target, depth + 1);
      return isExact ? options : null;
    }
    case 'type': {
      const { names, unknown } = typesOf(value);
      if (unknown) return null;
      const kept = new Set<string>(names.map((name) => (name === 'integer' ? 'number' : name)));
      if (schema.nullable === true) kept.add('null');
      const others = typeNames.filter((name) => !kept.has(name));
      const isWhole = names.includes('integer') && !names.includes('number');
      return [
        ...(others.length > 0 ? [{ type: others }] : []),
        ...(isWhole ? [{ type: 'number', [FRACTION]: true }] : []),
      ];
    }
    case 'nullable':
      return []; // with the type
    case 'const':
      return [{ [EXCLUDED]: [value] }];
    case 'enum':
      return Array.isArray(value) ? [{ [EXCLUDED]: value }] : null;
    case EXCLUDED:
      return [{ enum: value }];
    case 'minimum': {
      const bound = read.number(keyword);
      const keepsOut = schema.exclusiveMinimum === true; // draft 4
      return bound === null ? null : [{ type: 'number', [keepsOut ? 'maximum' : 'exclusiveMaximum']: bound }];
    }
    case 'maximum': {
      const bound = read.number(keyword);
      const keepsOut = schema.exclusiveMaximum === true;
      return bound === null ? null : [{ type: 'number', [keepsOut ? 'minimum' : 'exclusiveMinimum']: bound }];
    }
    case 'exclusiveMinimum':
      return typeof value === 'number' ? [{ type: 'number', maximum: value }] : [];
    case 'exclusiveMaximum':
      return typeof value === 'number' ? [{ type: 'number', minimum: value }] : [];
    case 'format':
      return typeof value === 'string' && (isStringFormat(value) || numberFormats.has(value)) ? null : [];
    case 'uniqueItems':
      return value === true ? null : [];
    case 'additionalProperties':
    case 'additionalItems':
      return isSchema(value) && assertions(value).length === 0 && value !== false ? [] : null;
    case 'minLength':
      return fewer('string', 'maxLength', read.count(keyword));
    case 'minItems':
      return fewer('array', 'maxItems', read.count(keyword));
    case 'minProperties':
      return fewer('object', 'maxProperties', read.count(keyword));
    case 'maxLength':
      return more('string', 'minLength', read.count(keyword));
    case 'maxItems':
      return more('array', 'minItems', read.count(keyword));
    case 'maxProperties':
      return more('object', 'minProperties', read.count(keyword));
    case 'pattern':
      return [{ type: 'string', [NOT_PATTERN]: value }];
    case NOT_PATTERN:
      return [{ type: 'string', pattern: value }];
    case 'required':
      if (!Array.isArray(value)) return null;
      return value.map((key: string) => ({ type: 'object', properties: { [key]: false } }));
    case 'properties': {
      if (!isSchema(value) || typeof value === 'boolean') return null;
      const options: JsonSchema[] = [];
      for (const [key, part] of Object.entries(value)) {
        const not = inner(part, `properties/${key}`);
        if (!not) return null;
        if (not.length > 0) options.push({ type: 'object', required: [key], properties: { [key]: any(not) } });
      }
      return options;
    }
    case 'items': {
      if (schema.prefixItems !== undefined || Array.isArray(value)) return null;
      const not = inner(value, 'items');
      return not && (not.length === 0 ? [] : [{ type: 'array', contains: any(not) }]);
    }
    case 'contains': {
      if (schema.minContains !== undefined || schema.maxContains !== undefined) return null;
      const not = inner(value, 'contains');
      return not && [{ type: 'array', items: not.length === 0 ? false : any(not) }];
    }
    case 'allOf': {
      if (!Array.isArray(value)) return null;
      const all = value.map((part, i) => inner(part, `allOf/${i}`));
      return all.includes(null) ? null : all.flatMap((not) => not!);
    }
    case 'anyOf': {
      if (!Array.isArray(value)) return null;
      const all = value.map((part, i) => inner(part, `anyOf/${i}`));
      return all.includes(null) ? null : [{ allOf: all.map((not) => (not!.length === 0 ? false : any(not!))) }];
    }
    case 'oneOf':
      return Array.isArray(value) && value.length === 1 ? inner(value[0], 'oneOf/0') : null;
    case 'not':
      return isSchema(value) ? [value] : null;
    default:
      return null;
  }
}

function fewer(type: string, limit: string, count: number | null): readonly JsonSchema[] | null {
  if (count === null) return null;
  return count === 0 ? [] : [{ type, [limit]: count - 1 }];
}

function more(type: string, limit: string, count: number | null): readonly JsonSchema[] | null {
  return count === null ? null : [{ type, [limit]: count + 1 }];
}
