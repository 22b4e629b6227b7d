/** Replies of Ollama's endpoints. */
import { z } from 'zod';
import { count, id, modelState } from './common.ts';

const head = { model: z.string(), created_at: z.iso.datetime() };
/** In the last object, or the only one. */
const end = {
  done: z.boolean(),
  done_reason: z.enum(['stop', 'length', 'load']).optional(),
  total_duration: count.optional().describe('nanoseconds, as all durations'),
  load_duration: count.optional(),
  prompt_eval_count: count.optional(),
  prompt_eval_duration: count.optional(),
  eval_count: count.optional(),
  eval_duration: count.optional(),
};

export const ollamaChat: z.ZodType = z.object({
  ...head,
  message: z.object({
    role: z.literal('assistant'),
    content: z.string(),
    thinking: z.string().optional(),
    tool_calls: z
      .array(z.object({ id, function: z.object({ name: z.string(), arguments: z.record(z.string(), z.unknown()) }) }))
      .optional(),
  }),
  ...end,
});
export const ollamaGenerate: z.ZodType = z.object({
  ...head,
  response: z.string(),
  thinking: z.string().optional(),
  ...end,
});

export const ollamaEmbeddings: z.ZodType = z.object({
  model: z.string(),
  embeddings: z.array(z.array(z.number())),
  total_duration: count,
  load_duration: count,
  prompt_eval_count: count,
});

const details = z.object({
  parent_model: z.string(),
  format: z.string(),
  family: z.string(),
  families: z.array(z.string()),
  parameter_size: z.string(),
  quantization_level: z.string(),
});
const described = { name: z.string(), model: z.string(), size: count, digest: z.string(), details };

const held = z.object({
  state: modelState,
  progress: z.number().nullable(),
  memory: z.record(z.string(), z.unknown()).nullable(),
  requests: count,
  last_used: z.iso.datetime().nullable(),
});

export const ollamaTags: z.ZodType = z.object({
  models: z.array(z.object({ ...described, modified_at: z.iso.datetime() })),
});
export const ollamaPs: z.ZodType = z.object({
  models: z.array(
    z.object({ ...described, expires_at: z.iso.datetime(), size_vram: count, context_length: count, cria: held }),
  ),
});
export const ollamaVersion: z.ZodType = z.object({ version: z.string() });
export const ollamaShow: z.ZodType = z.object({
  modelfile: z.string(),
  parameters: z.string(),
  license: z.string(),
  template: z.string(),
  details,
  model_info: z.record(z.string(), z.union([z.string(), z.number()])),
  capabilities: z.array(z.string()),
  modified_at: z.iso.datetime(),
});
export const ollamaPull: z.ZodType = z.object({ status: z.literal('success') });
export const ollamaError: z.ZodType = z.object({ error: z.string() });
