/** Generations whose text must be something: the options that say so, and the typed one. */
import { ArgumentError, CriaError } from '../../base/errors.ts';
import type { GenerationResult } from '../generation.ts';
import type { CompiledConstraint, ConstraintSpec } from '../grammar/compile-constraint.ts';
import { type JsonSchema, parseSchema } from '../grammar/schema/json-schema.ts';
import { GenerationStream } from './generation-stream.ts';

/** What the text must be; one of them. */
export interface ConstraintOptions {
  /** A grammar in llama.cpp's notation (GBNF); its rule `root` is the whole text. */
  readonly grammar?: string | undefined;
  /** A JSON Schema, or its text: the text is JSON that is valid for it. What of it cannot be held is refused. */
  readonly jsonSchema?: JsonSchema | string | undefined;
  /** Any of these and tools, as the server says it, or one that was compiled elsewhere. */
  readonly constraint?: ConstraintSpec | CompiledConstraint | undefined;
}

/**
 * A schema of zod 4, or of any library that speaks Standard Schema with JSON Schema: it says what to write, and checks and types
 * what was written. No such library is part of Cria.
 */
export interface TypedSchema<Output = unknown> {
  readonly '~standard': {
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly jsonSchema: { readonly input: (options: { readonly target: string }) => Record<string, unknown> };
  };
}

type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path?: readonly unknown[] | undefined }[] };

/** A generation with a schema: its pieces are JSON text, its value is parsed and typed. */
export class TypedGeneration<Output> extends GenerationStream {
  private readonly schema: TypedSchema<Output>;

  constructor(schema: TypedSchema<Output>, ...[start, abort]: ConstructorParameters<typeof GenerationStream>) {
    super(start, abort);
    this.schema = schema;
  }

  /**
   * What was written, when the generation has ended. Throws CriaError `generate.incomplete` when it ended too early, `generate.value`
   * when the schema checks more than its JSON Schema says.
   */
  async value(): Promise<Output> {
    const result = await this.result;
    const checked = await this.schema['~standard'].validate(parse(result));
    if (checked.issues === undefined) return checked.value;
    const issues = checked.issues.map(
      ({ message, path = [] }) => `${path.map(pathPart).join('.') || 'value'}: ${message}`,
    );
    throw new CriaError('generate.value', `generate: the schema refuses ${result.text}: ${issues.join('; ')}.`);
  }
}

function pathPart(part: unknown): string {
  return String(typeof part === 'object' && part !== null && 'key' in part ? part.key : part);
}

function parse({ text, finishReason }: GenerationResult): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CriaError(
      'generate.incomplete',
      `generate: expected a whole JSON text, found one that ended early (${finishReason}) after ${text.length} characters. Raise maxTokens or contextLength.`,
      { cause },
    );
  }
}

/** Throws ArgumentError `generate.constraint`. */
export function constraintOf({
  grammar,
  jsonSchema,
  constraint,
  schema,
}: ConstraintOptions & { readonly schema?: TypedSchema | undefined }): ConstraintSpec | CompiledConstraint | null {
  const given = Object.entries({ grammar, jsonSchema, constraint, schema }).filter(([, value]) => value !== undefined);
  if (given.length > 1) {
    throw new ArgumentError(
      'generate.constraint',
      `generate: expected one of grammar, jsonSchema, constraint and schema, found ${given.map(([name]) => name).join(' and ')}.`,
    );
  }
  if (grammar !== undefined) return { kind: 'grammar', grammar };
  if (jsonSchema !== undefined) return { kind: 'json_schema', schema: parseSchema(jsonSchema), exact: true };
  if (schema !== undefined) return { kind: 'json_schema', schema: jsonSchemaOf(schema), strict: true };
  return constraint ?? null;
}

function jsonSchemaOf(schema: TypedSchema): JsonSchema {
  const converter = schema['~standard']?.jsonSchema?.input;
  if (typeof converter !== 'function') {
    throw new ArgumentError(
      'generate.schema',
      'generate: expected a schema that can say itself as JSON Schema (zod from 4.2 on, or another with Standard JSON Schema), found one that cannot. Give jsonSchema instead.',
    );
  }
  try {
    return converter({ target: 'draft-2020-12' });
  } catch (cause) {
    throw new ArgumentError(
      'generate.schema',
      `generate: the schema has no JSON Schema: ${(cause as Error).message}.`,
      { cause },
    );
  }
}
