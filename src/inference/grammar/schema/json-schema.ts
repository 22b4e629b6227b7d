import { ArgumentError } from '../../../base/errors.ts';

export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

/** A schema from its text, or from an object as a program has it. Throws ArgumentError `schema.invalid`. */
export function parseSchema(schema: JsonSchema | string): JsonSchema {
  try {
    return JSON.parse(typeof schema === 'string' ? schema : JSON.stringify(schema)) as JsonSchema;
  } catch (cause) {
    throw new ArgumentError(
      'schema.invalid',
      `json schema: expected JSON, found what is none: ${(cause as Error).message}.`,
      { cause },
    );
  }
}

export function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'boolean' || (typeof value === 'object' && value !== null && !Array.isArray(value));
}
