/** Where a request says what its answer must look like: response_format, tools, grammar, json_schema. */
import { z } from 'zod';
import type { ConstraintSpec } from '../../inference/grammar/compile-constraint.ts';
import type { JsonSchema } from '../../inference/grammar/schema/json-schema.ts';
import { type ToolFormat, type ToolsSpec, toolFormatOf } from '../../inference/grammar/tools.ts';
import { ApiError } from '../api-error.ts';
import { templateShowsTools } from './tool-messages.ts';

const schema = z.record(z.string(), z.unknown());
export const toolName = z.string().regex(/^[\w.-]{1,128}$/, 'expected letters, digits, _ . and -');

/** llama-server's names, of both generating endpoints. */
export const grammarFields = {
  grammar: z
    .string()
    .max(1 << 20)
    .nullish()
    .describe("the answer is a text of this grammar, in llama.cpp's notation (GBNF)"),
  json_schema: schema.nullish().describe('the answer is JSON that is valid for this schema'),
};

const functionTool = z.strictObject({
  type: z.literal('function'),
  function: z.strictObject({
    name: toolName,
    description: z.string().nullish(),
    parameters: schema.nullish(),
    strict: z.boolean().nullish(),
  }),
  cache_control: z.unknown().optional(),
});
/** Tools that take free text, or that others run; they cannot be offered, and the client is told so. */
const otherTool = z.looseObject({ type: z.string().refine((type) => type !== 'function') });
const namedFunction = z.strictObject({ type: z.literal('function'), function: z.strictObject({ name: toolName }) });

export const toolFields = {
  tools: z
    .array(z.union([functionTool, otherTool]))
    .max(128)
    .nullish()
    .describe(
      'functions that the answer may call; tools of other types are not offered, which the header cria-not-held says',
    ),
  tool_choice: z
    .union([
      z.enum(['none', 'auto', 'required']),
      namedFunction,
      z.strictObject({
        type: z.literal('allowed_tools'),
        allowed_tools: z.strictObject({ mode: z.enum(['auto', 'required']), tools: z.array(namedFunction).max(128) }),
      }),
    ])
    .nullish()
    .describe('whether it may, must, or must call a certain one; with tools, absent: it may'),
  parallel_tool_calls: z
    .boolean()
    .nullish()
    .describe('several calls in one answer; absent: where the chat template knows of tools'),
};

export const constrainedFields = {
  ...grammarFields,
  ...toolFields,
  response_format: z
    .discriminatedUnion('type', [
      z.strictObject({ type: z.literal('text') }),
      z.strictObject({ type: z.literal('json_object'), schema: schema.nullish() }),
      z.strictObject({
        type: z.literal('json_schema'),
        json_schema: z.strictObject({
          name: toolName.nullish(),
          description: z.string().nullish(),
          schema: schema.nullish(),
          strict: z.boolean().nullish(),
        }),
      }),
    ])
    .nullish()
    .describe('what the answer is: a text, any JSON object, or JSON of a schema'),
};

type Fields = z.infer<z.ZodObject<typeof constrainedFields>>;
type FunctionTool = z.infer<typeof functionTool>;
type GrammarFields = z.infer<z.ZodObject<typeof grammarFields>>;

/** grammar or json_schema. Throws ApiError 400 where there are both. */
export function grammarConstraint({ grammar, json_schema: schema }: GrammarFields): ConstraintSpec | null {
  if (grammar != null && schema != null) throw conflict('grammar', 'json_schema');
  if (grammar != null) return { kind: 'grammar', grammar };
  return schema == null ? null : { kind: 'json_schema', schema };
}

export interface ChatConstraint {
  readonly spec: ConstraintSpec | null;
  /** What the template is told of, and how calls are written; null: nothing may be called. */
  readonly tools: { readonly offered: readonly FunctionTool[]; readonly format: ToolFormat } | null;
}

/** `template`: the Jinja text in use, which teaches the notation of calls. Throws ApiError 400. */
export function chatConstraint(fields: Fields, template: string | null): ChatConstraint {
  const given = (['grammar', 'json_schema', 'response_format'] as const).filter(
    (key) => fields[key] != null && !(key === 'response_format' && fields.response_format?.type === 'text'),
  );
  if (given.length > 1) throw conflict(given[0]!, given[1]!);
  const tools = toolsOf(fields, template);
  const format = fields.response_format;
  if (tools && given[0] && given[0] !== 'response_format') throw conflict('tools', given[0]);
  if (tools) return { spec: { ...tools.spec, answer: answerOf(format) }, tools };
  if (format?.type === 'json_object') {
    return {
      spec: format.schema ? { kind: 'json_schema', schema: format.schema } : { kind: 'json_object' },
      tools: null,
    };
  }
  if (format?.type === 'json_schema') {
    const { schema, strict } = format.json_schema;
    return {
      spec: schema ? { kind: 'json_schema', schema, strict: strict ?? false } : { kind: 'json_object' },
      tools: null,
    };
  }
  return { spec: grammarConstraint(fields), tools: null };
}

/** Beside tools: what the answer is where nothing is called; null: any text. */
function answerOf(format: Fields['response_format']): JsonSchema | null {
  const anyObject = { type: 'object' };
  if (format?.type === 'json_object') return format.schema ?? anyObject;
  return format?.type === 'json_schema' ? (format.json_schema.schema ?? anyObject) : null;
}

/** One line for each kind of tool that cannot be offered. */
export function notOffered(tools: readonly { readonly type: string }[] | null | undefined): string[] {
  const kinds = new Set((tools ?? []).filter(({ type }) => type !== 'function').map(({ type }) => type.slice(0, 64)));
  return [...kinds].map((type) => `tools: ${type} is not offered, as only functions are`);
}

function toolsOf(
  { tools: given, tool_choice: chosen, parallel_tool_calls: parallel }: Fields,
  template: string | null,
) {
  const functions = (given ?? []).filter((one): one is FunctionTool => one.type === 'function');
  const allowed = typeof chosen === 'object' && chosen?.type === 'allowed_tools' ? chosen.allowed_tools : null;
  const choice = allowed ? allowed.mode : (chosen as Exclude<typeof chosen, { type: 'allowed_tools' }>);
  const tools = allowed
    ? functions.filter(({ function: { name } }) => allowed.tools.some((one) => one.function.name === name))
    : functions;
  if (tools.length === 0) {
    if (choice === 'required' || typeof choice === 'object') {
      if (choice === null) return null;
      throw new ApiError(400, 'invalid_value', 'tool_choice: a call cannot be made without tools.', {
        param: 'tool_choice',
      });
    }
    return null;
  }
  if (choice === 'none') return null;
  const format = toolFormatOf(template);
  const spec: ToolsSpec = {
    kind: 'tools',
    tools: tools.map(({ function: { name, parameters, strict } }) => ({ name, parameters, strict })),
    choice: typeof choice === 'object' && choice !== null ? { name: choice.function.name } : (choice ?? 'auto'),
    // A function that is named is called once.
    parallel:
      (parallel ?? (template !== null && templateShowsTools(template))) &&
      (choice == null || typeof choice === 'string'),
    format,
  };
  return { spec, offered: tools, format };
}

function conflict(one: string, other: string): ApiError {
  return new ApiError(400, 'invalid_value', `${one} and ${other}: expected one of them.`, { param: other });
}
