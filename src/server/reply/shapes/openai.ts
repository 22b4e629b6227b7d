/** Replies of OpenAI's endpoints. */
import { z } from 'zod';
import { chatLogprob, count, id, modelState, promptUsage, streamError, timings, unixSeconds, usage } from './common.ts';

const head = { id, created: unixSeconds, model: z.string(), system_fingerprint: z.string() };
const chatLogprobs = z.object({ content: z.array(chatLogprob), refusal: z.null() }).nullable();
const finish = z.enum(['stop', 'length', 'tool_calls']);
const call = z.object({
  id,
  type: z.literal('function'),
  function: z.object({ name: z.string(), arguments: z.string() }),
});

export const chatCompletion: z.ZodType = z.object({
  ...head,
  object: z.literal('chat.completion'),
  choices: z.array(
    z.object({
      index: count,
      message: z.object({
        role: z.literal('assistant'),
        reasoning_content: z.string().optional(),
        content: z.string().nullable(),
        refusal: z.null(),
        tool_calls: z.array(call).optional(),
      }),
      finish_reason: finish,
      logprobs: chatLogprobs,
    }),
  ),
  usage,
  timings: timings.optional().describe('where there is one answer'),
});

const delta = z.object({
  role: z.literal('assistant').optional(),
  content: z.string().optional(),
  reasoning_content: z.string().optional(),
  tool_calls: z
    .array(
      z.object({
        index: count,
        id: id.optional(),
        type: z.literal('function').optional(),
        function: z.object({ name: z.string().optional(), arguments: z.string() }),
      }),
    )
    .optional(),
});

export const chatChunk: z.ZodType = z.union([
  z.object({
    ...head,
    object: z.literal('chat.completion.chunk'),
    choices: z.array(z.object({ index: count, delta, logprobs: chatLogprobs, finish_reason: finish.nullable() })),
    usage: usage.nullable().optional().describe('with stream_options.include_usage: in the last event'),
    timings: timings.optional(),
  }),
  streamError,
]);

const completionChoice = z.object({
  index: count,
  text: z.string(),
  logprobs: z
    .object({
      tokens: z.array(z.string()),
      token_logprobs: z.array(z.number().nullable()),
      top_logprobs: z.array(z.record(z.string(), z.number()).nullable()),
      text_offset: z.array(count),
    })
    .nullable(),
  finish_reason: z.enum(['stop', 'length']).nullable(),
});
const completionFields = {
  ...head,
  object: z.literal('text_completion'),
  choices: z.array(completionChoice),
  timings: timings.optional(),
};
export const completion: z.ZodType = z.object({ ...completionFields, usage });
export const completionChunk: z.ZodType = z.union([
  z.object({ ...completionFields, usage: usage.nullable().optional() }),
  streamError,
]);

export const embeddingList: z.ZodType = z.object({
  object: z.literal('list'),
  data: z.array(
    z.object({
      object: z.literal('embedding'),
      index: count,
      embedding: z.union([z.array(z.number()), z.string()]).describe('numbers, or f32 in base64'),
    }),
  ),
  model: z.string(),
  usage: promptUsage,
});

export const model: z.ZodType = z.object({
  id,
  object: z.literal('model'),
  created: unixSeconds,
  owned_by: z.string(),
  parent: z.string().optional().describe('of an adapter: the model that it belongs to'),
  meta: z.object({
    n_vocab: count.optional().describe('as most of these: known once the model has been loaded'),
    n_ctx: count.optional(),
    n_ctx_train: count.optional(),
    n_embd: count.optional(),
    n_params: count.optional(),
    size: count,
    format: z.string().optional(),
    dtypes: z.array(z.string()).optional(),
    device: z.string().optional(),
    chat: z.boolean().optional().describe('whether it converses; otherwise it goes on with texts'),
    status: z.object({ state: modelState, progress: z.number().optional() }),
    adapter: z.object({ scale: z.number(), format: z.string(), n_params: count }).optional(),
  }),
});
export const modelList: z.ZodType = z.object({ object: z.literal('list'), data: z.array(model) });

const status = z.enum(['in_progress', 'completed', 'incomplete']);
const outputText = z.object({
  type: z.literal('output_text'),
  text: z.string(),
  annotations: z.array(z.never()),
  logprobs: z.array(z.never()),
});
const reasoningText = z.object({ type: z.literal('reasoning_text'), text: z.string() });
const item = z.union([
  z.object({ id, type: z.literal('message'), role: z.literal('assistant'), status, content: z.array(outputText) }),
  z.object({
    id,
    type: z.literal('reasoning'),
    status,
    summary: z.array(z.never()),
    content: z.array(reasoningText),
  }),
  z.object({ id, type: z.literal('function_call'), status, call_id: id, name: z.string(), arguments: z.string() }),
]);

export const response: z.ZodType = z.object({
  id,
  object: z.literal('response'),
  created_at: unixSeconds,
  model: z.string(),
  instructions: z.string().nullable(),
  max_output_tokens: count.nullable(),
  metadata: z.record(z.string(), z.unknown()),
  parallel_tool_calls: z.boolean(),
  previous_response_id: z.string().nullable(),
  store: z.boolean(),
  temperature: z.number().nullable(),
  text: z.object({ format: z.record(z.string(), z.unknown()) }),
  tool_choice: z.union([z.string(), z.record(z.string(), z.unknown())]),
  tools: z.array(z.record(z.string(), z.unknown())),
  top_p: z.number().nullable(),
  truncation: z.literal('disabled'),
  background: z.literal(false),
  status,
  error: z.null(),
  incomplete_details: z.object({ reason: z.literal('max_output_tokens') }).nullable(),
  output: z.array(item),
  usage: z
    .object({
      input_tokens: count,
      input_tokens_details: z.object({ cached_tokens: count }),
      output_tokens: count,
      output_tokens_details: z.object({ reasoning_tokens: count }),
      total_tokens: count,
    })
    .nullable(),
  timings: timings.optional(),
});

const event = <Type extends string, Fields extends z.ZodRawShape>(types: readonly [Type, ...Type[]], fields: Fields) =>
  z.object({ type: z.enum(types), sequence_number: count, ...fields });
const place = { output_index: count };
const itemPlace = { ...place, item_id: id };
const partPlace = { ...itemPlace, content_index: z.literal(0) };
const part = z.union([outputText, reasoningText]);
const noLogprobs = { logprobs: z.array(z.never()) };

export const responseEvent: z.ZodType = z.union([
  event(['response.created', 'response.in_progress', 'response.completed', 'response.incomplete'], { response }),
  event(['response.output_item.added', 'response.output_item.done'], { ...place, item }),
  event(['response.content_part.added', 'response.content_part.done'], { ...partPlace, part }),
  event(['response.output_text.delta'], { ...partPlace, delta: z.string(), ...noLogprobs }),
  event(['response.output_text.done'], { ...partPlace, text: z.string(), ...noLogprobs }),
  event(['response.reasoning_text.delta'], { ...partPlace, delta: z.string() }),
  event(['response.reasoning_text.done'], { ...partPlace, text: z.string() }),
  event(['response.function_call_arguments.delta'], { ...itemPlace, delta: z.string() }),
  event(['response.function_call_arguments.done'], { ...itemPlace, name: z.string(), arguments: z.string() }),
  event(['error'], { code: z.string(), message: z.string(), param: z.null() }),
]);

export const deletedResponse: z.ZodType = z.object({
  id,
  object: z.literal('response.deleted'),
  deleted: z.literal(true),
});
