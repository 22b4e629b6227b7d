/** Replies of Anthropic's endpoints. */
import { z } from 'zod';
import { count, id } from './common.ts';

const block = z.union([
  z.object({ type: z.literal('text'), text: z.string(), citations: z.null() }),
  z.object({ type: z.literal('thinking'), thinking: z.string(), signature: z.literal('') }),
  z.object({ type: z.literal('tool_use'), id, name: z.string(), input: z.unknown() }),
]);
const usage = z.object({
  input_tokens: count,
  cache_read_input_tokens: count,
  cache_creation_input_tokens: count,
  output_tokens: count,
  output_tokens_details: z.object({ thinking_tokens: count }).optional(),
});
const stop = {
  stop_reason: z.enum(['end_turn', 'max_tokens', 'stop_sequence', 'tool_use']).nullable(),
  stop_sequence: z.string().nullable(),
};

export const message: z.ZodType = z.object({
  id,
  model: z.string(),
  type: z.literal('message'),
  role: z.literal('assistant'),
  content: z.array(block),
  ...stop,
  usage,
});

const index = { index: count };

export const messageEvent: z.ZodType = z.union([
  z.object({ type: z.literal('message_start'), message }),
  z.object({ type: z.literal('content_block_start'), ...index, content_block: block }),
  z.object({
    type: z.literal('content_block_delta'),
    ...index,
    delta: z.union([
      z.object({ type: z.literal('text_delta'), text: z.string() }),
      z.object({ type: z.literal('thinking_delta'), thinking: z.string() }),
      z.object({ type: z.literal('input_json_delta'), partial_json: z.string() }),
    ]),
  }),
  z.object({ type: z.literal('content_block_stop'), ...index }),
  z.object({ type: z.literal('message_delta'), delta: z.object(stop), usage }),
  z.object({ type: z.literal('message_stop') }),
]);

export const messageError: z.ZodType = z.object({
  type: z.literal('error'),
  error: z.object({ type: z.string(), message: z.string(), code: z.string(), param: z.string().nullable() }),
});

export const tokenCount: z.ZodType = z.object({ input_tokens: count });
