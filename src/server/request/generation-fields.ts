/**
 * The parameters that every generating endpoint shares, as zod fields: the sampling table under llama-server's wire names, and
 * OpenAI's own. null means absent, as OpenAI's clients send it.
 */
import { z } from 'zod';
import { type LogitBias, type OptionSpec, wireName } from '../../inference/option-table.ts';
import { type GenerationOptions, generationOptions } from '../../inference/options.ts';
import { ApiError } from '../api-error.ts';
import { fieldsWithoutEffect } from './fields.ts';

/** Options that have a field of their own below, or none on the wire. */
const special = ['maxTokens', 'stop', 'logprobs', 'promptLogprobs', 'logitBias', 'parseSpecial'] as const;

type TableKey = Exclude<keyof typeof generationOptions, (typeof special)[number]>;

const tableEntries: readonly (readonly [key: TableKey, wire: string, spec: OptionSpec])[] = Object.entries(
  generationOptions,
)
  .filter(([key]) => !(special as readonly string[]).includes(key))
  .map(([key, spec]) => [key as TableKey, wireName(key, spec), spec]);

function fieldOf(spec: OptionSpec): z.ZodType {
  switch (spec.kind) {
    case 'number':
    case 'integer': {
      let number = spec.kind === 'integer' ? z.int() : z.number();
      if (spec.min !== undefined) number = number.min(spec.min);
      if (spec.max !== undefined) number = number.max(spec.max);
      return number;
    }
    case 'flag':
      return z.boolean();
    case 'texts':
      return z.union([z.string(), z.array(z.string().min(1)).max(64)]);
    case 'names':
      return z.array(z.enum(spec.choices as [string, ...string[]])).max(32);
    case 'bias':
      return logitBias;
    default:
      return spec satisfies never;
  }
}

/** OpenAI's { "15043": -100 }, or llama-server's [[15043, -100], [" Hello", false]]. */
const logitBias = z.union([
  z.record(z.string().regex(/^\d+$/, 'expected token ids as keys'), z.number().min(-100).max(100)),
  z.array(z.tuple([z.union([z.int().min(0), z.string().min(1)]), z.union([z.number(), z.literal(false)])])).max(4096),
]);

const tableFields: Record<string, z.ZodType> = Object.fromEntries(
  tableEntries.map(([, wire, spec]) => [
    wire,
    fieldOf(spec)
      .nullish()
      .describe(`${spec.help} (default ${JSON.stringify(spec.default)})`),
  ]),
);

const count = z.int().min(0);

export const generationFields = {
  model: z.string().max(256).nullish().describe("the served model's id, or an adapter's name; absent: that model"),
  adapters: z
    .union([z.array(z.string().max(256)).max(64), z.record(z.string().max(256), z.number().min(-1e4).max(1e4))])
    .nullish()
    .describe('the adapters that the answer is computed with: names, or names with a scale each; [] is none'),
  lora: z
    .array(z.strictObject({ id: z.int().min(0), scale: z.number().min(-1e4).max(1e4) }))
    .max(64)
    .nullish()
    .describe("llama-server's name for adapters: by their numbers in GET /lora-adapters"),
  max_tokens: count.nullish().describe('tokens to generate at most; absent: until the text or the context ends'),
  n_predict: z.int().min(-1).nullish().describe("llama-server's name for max_tokens; −1: no limit"),
  n: z.int().min(1).max(128).nullish().describe('how many answers; with a seed, answer i uses seed + i'),
  stop: z
    .union([z.string().min(1).max(1024), z.array(z.string().min(1).max(1024)).max(64)])
    .nullish()
    .describe('texts that end the answer'),
  stream: z.boolean().nullish().describe('server-sent events instead of one object'),
  stream_options: z
    .object({ include_usage: z.boolean().nullish() })
    .nullish()
    .describe('include_usage: a last event with the token counts; of the others none has an effect'),
  logit_bias: logitBias.nullish().describe('added to the logits of tokens'),
  user: z.string().max(512).nullish().describe("the caller's name for its user; goes into the server's log"),
  safety_identifier: z.string().max(512).nullish().describe('as user'),
  id_slot: z.int().min(-1).nullish().describe('the slot of /slots that remembers the answer; −1: any'),
  ...fieldsWithoutEffect,
  ...tableFields,
};

/** What those fields come to. The shared fields are read loosely as the table's part has no static names. */
export interface SharedFields {
  readonly model?: string | null | undefined;
  readonly adapters?: readonly string[] | Readonly<Record<string, number>> | null | undefined;
  readonly lora?: readonly { readonly id: number; readonly scale: number }[] | null | undefined;
  readonly max_tokens?: number | null | undefined;
  readonly max_completion_tokens?: number | null | undefined;
  readonly n_predict?: number | null | undefined;
  readonly n?: number | null | undefined;
  readonly stop?: string | readonly string[] | null | undefined;
  readonly stream?: boolean | null | undefined;
  readonly stream_options?: { readonly include_usage?: boolean | null | undefined } | null | undefined;
  readonly logit_bias?: z.infer<typeof logitBias> | null | undefined;
  readonly user?: string | null | undefined;
  readonly safety_identifier?: string | null | undefined;
  readonly id_slot?: number | null | undefined;
}

/** How many answers, and how they are given. */
export interface Shape {
  readonly n: number;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly user: string | null;
  readonly slot: number | null;
}

export function shapeOf(fields: SharedFields): Shape {
  const stream = fields.stream ?? false;
  const includeUsage = fields.stream_options?.include_usage ?? false;
  const user = fields.user ?? fields.safety_identifier ?? null;
  return { n: fields.n ?? 1, stream, includeUsage, user, slot: fields.id_slot ?? null };
}

/** The engine's options; `maxTokens` is −1 where none was given. */
export function optionsOf(fields: SharedFields): GenerationOptions & { readonly maxTokens: number } {
  const given = fields as Readonly<Record<string, unknown>>;
  const options: Record<string, unknown> = {};
  for (const [key, wire] of tableEntries) if (given[wire] != null) options[key] = given[wire];
  return {
    ...(options as GenerationOptions),
    maxTokens: maxTokensOf(fields),
    ...(fields.stop != null && { stop: typeof fields.stop === 'string' ? [fields.stop] : fields.stop }),
    ...(fields.logit_bias != null && { logitBias: biasOf(fields.logit_bias) }),
  };
}

function maxTokensOf(fields: SharedFields): number {
  const names = ['max_tokens', 'max_completion_tokens', 'n_predict'] as const;
  const given = names.filter((name) => fields[name] != null);
  const values = new Set(given.map((name) => fields[name]!));
  if (values.size > 1) {
    throw new ApiError(400, 'invalid_value', `${given.join(' and ')} differ, expected one of them.`, {
      param: given[1]!,
    });
  }
  return [...values][0] ?? -1;
}

function biasOf(bias: z.infer<typeof logitBias>): LogitBias {
  return Array.isArray(bias) ? bias : Object.entries(bias).map(([id, value]) => [Number(id), value] as const);
}
