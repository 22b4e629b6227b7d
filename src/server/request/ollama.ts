/** Ollama's /api: what requests may hold, and the same requests in the words of our other endpoints. */
import { z } from 'zod';
import { ApiError } from '../api-error.ts';
import type { ChatRequest } from './chat.ts';
import { toolFields } from './constrained.ts';
import { generationFields } from './generation-fields.ts';

const withoutEffect = (why: string) => z.unknown().optional().describe(`accepted without effect: ${why}`);
const perServer = withoutEffect('it is a setting of the whole server');

/** The fields of our own that Ollama has under the same names. */
const { seed, temperature, top_k, top_p, min_p, typical_p, repeat_last_n, repeat_penalty, stop, ...others } =
  generationFields as Record<string, z.ZodType>;
const { presence_penalty, frequency_penalty, mirostat, mirostat_tau, mirostat_eta } = others;

const options = z
  .strictObject({
    ...known({ seed, temperature, top_k, top_p, min_p, typical_p, repeat_last_n, repeat_penalty, stop }),
    ...known({ presence_penalty, frequency_penalty, mirostat, mirostat_tau, mirostat_eta }),
    num_predict: z
      .int()
      .min(-2)
      .nullish()
      .describe('tokens to generate at most; negative: until the text or the context ends'),
    num_ctx: perServer,
    num_batch: perServer,
    num_gpu: perServer,
    main_gpu: perServer,
    num_thread: perServer,
    numa: perServer,
    low_vram: perServer,
    f16_kv: perServer,
    use_mmap: perServer,
    use_mlock: perServer,
    num_keep: withoutEffect('nothing is cut'),
    vocab_only: perServer,
    tfs_z: withoutEffect('Ollama has it no more'),
    penalize_newline: withoutEffect('Ollama has it no more'),
  })
  .nullish()
  .describe('how tokens are chosen; absent: the defaults of this server');

function known(fields: Readonly<Record<string, z.ZodType | undefined>>): Record<string, z.ZodType> {
  return Object.fromEntries(Object.entries(fields).flatMap(([name, field]) => (field ? [[name, field]] : [])));
}

const model = z.string().max(256).describe("the served model's name, or an adapter's; :latest may follow");
const format = z
  .union([z.enum(['', 'json']), z.record(z.string(), z.unknown())])
  .nullish()
  .describe("'json': the answer is JSON; a schema: JSON that is valid for it");
const images = z.array(z.unknown()).max(0, 'only texts are read').nullish();
const think = z
  .union([z.boolean(), z.enum(['low', 'medium', 'high'])])
  .nullish()
  .describe("given to the chat template as enable_thinking; a model's thoughts come as thinking either way");

const shared = {
  model,
  format,
  options,
  think,
  stream: z.boolean().nullish().describe('lines of JSON, one for each part (default true)'),
  keep_alive: withoutEffect('the model stays loaded'),
  logprobs: z.literal(false).nullish().describe('log-probabilities are reported by /v1/chat/completions'),
  top_logprobs: z.literal(0).nullish(),
};

const message = z.strictObject({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  content: z.string().nullish(),
  thinking: z.string().nullish(),
  images,
  tool_calls: z
    .array(
      z.strictObject({
        id: z.string().nullish(),
        type: z.literal('function').nullish(),
        function: z.strictObject({
          name: z.string(),
          arguments: z.record(z.string(), z.unknown()).nullish(),
          index: z.int().nullish(),
        }),
      }),
    )
    .max(128)
    .nullish(),
  tool_name: z.string().nullish(),
  tool_call_id: z.string().nullish(),
});

export const ollamaChatSchema = z.strictObject({
  ...shared,
  messages: z.array(message).max(4096).nullish().describe('the conversation; empty: only whether the model is there'),
  tools: toolFields.tools,
});

export const ollamaGenerateSchema = z.strictObject({
  ...shared,
  prompt: z.string().nullish().describe('what the model answers; empty: only whether the model is there'),
  system: z.string().nullish().describe('a system message in front of the prompt'),
  // Clients of Ollama's own write these, empty.
  suffix: z.literal('').nullish().describe('nothing follows: /infill fills gaps'),
  template: z.literal('').nullish().describe("the model's own, or the server's --template"),
  context: z.array(z.int()).max(0, 'conversations are not kept as tokens: send /api/chat their messages').nullish(),
  raw: z.boolean().nullish().describe('the prompt is read as it is, without the chat template'),
  images,
});

export const ollamaEmbedSchema = z.strictObject({
  model,
  input: z.union([z.string(), z.array(z.string()).min(1).max(2048)]).describe('a text or several'),
  dimensions: z.int().min(1).nullish().describe('the first so many numbers of each vector, made unit length again'),
  truncate: z.boolean().nullish().describe('accepted without effect: nothing is cut, and what does not fit is refused'),
  keep_alive: withoutEffect('the model stays loaded'),
  options: z.looseObject({}).nullish().describe('accepted without effect: they are about generating'),
});

export const ollamaShowSchema = z.strictObject({
  model: model.nullish(),
  name: model.nullish().describe('the older name of model'),
  verbose: z.boolean().nullish().describe('accepted without effect: what is known is told'),
});

export const ollamaPullSchema = z.strictObject({
  model: model.nullish(),
  name: model.nullish().describe('the older name of model'),
  insecure: withoutEffect('nothing is fetched'),
  stream: z.boolean().nullish().describe('lines of JSON (default true)'),
});

export type OllamaChat = z.infer<typeof ollamaChatSchema>;
export type OllamaGenerate = z.infer<typeof ollamaGenerateSchema>;

/** Ollama's clients write `:latest` behind names that have no tag. */
export function plainName(name: string): string {
  return name.replace(/:latest$/, '');
}

/** Throws ApiError 400 where there is no name. */
export function namedModel({ model, name }: z.infer<typeof ollamaShowSchema>): string {
  const given = model ?? name;
  if (given == null) {
    throw new ApiError(400, 'missing_required_parameter', 'model is missing, expected a string.', { param: 'model' });
  }
  return plainName(given);
}

/** What generating requests share. */
function fieldsOf({ model, options, format, think, stream }: Pick<OllamaChat, keyof typeof shared>) {
  const { num_predict, ...given } = (options ?? {}) as Record<string, unknown>;
  const sampling = Object.fromEntries(Object.entries(given).filter(([key]) => key in generationFields));
  const limit = num_predict as number | null | undefined;
  const isForm = format != null && format !== '';
  return {
    ...sampling,
    model: plainName(model),
    stream: stream ?? true,
    ...(limit != null && limit >= 0 && { max_tokens: limit }),
    ...(think != null && { chat_template_kwargs: { enable_thinking: think !== false } }),
    ...(isForm && { response_format: formOf(format) }),
  };
}

function formOf(format: 'json' | Readonly<Record<string, unknown>>): object {
  if (format === 'json') return { type: 'json_object' };
  return { type: 'json_schema', json_schema: { schema: format } };
}

/** null: there is nothing to answer. */
export function chatOfOllamaChat(request: OllamaChat): ChatRequest | null {
  if (!request.messages?.length) return null;
  // Results without ids belong to the calls before them, in their order.
  const messages = request.messages.map(({ role, content, thinking, tool_calls: calls, tool_name, tool_call_id }) => ({
    role,
    content: content ?? '',
    ...(role === 'tool' && { tool_call_id, ...(tool_name != null && { name: tool_name }) }),
    ...(role === 'assistant' && thinking && { reasoning_content: thinking }),
    ...(role === 'assistant' &&
      calls?.length && {
        tool_calls: calls.map(({ id, function: { name, arguments: given } }) => ({
          id,
          type: 'function',
          function: { name, arguments: given ?? {} },
        })),
      }),
  }));
  return { ...fieldsOf(request), messages, tools: request.tools } as ChatRequest;
}

/** null: there is nothing to answer. */
export function chatOfOllamaGenerate(request: OllamaGenerate): ChatRequest | null {
  const { prompt, system } = request;
  if (!prompt) return null;
  const messages = [...(system ? [{ role: 'system', content: system }] : []), { role: 'user', content: prompt }];
  return { ...fieldsOf(request), messages } as ChatRequest;
}
