/** Replies of llama-server's own endpoints. */
import { z } from 'zod';
import { count, promptUsage, streamError, timings } from './common.ts';

const likely = {
  id: count,
  token: z.string(),
  bytes: z.array(z.int().min(0).max(255)),
  logprob: z.number().optional(),
  prob: z.number().optional().describe('with post_sampling_probs, instead of logprob'),
};
const content = {
  index: z.literal(0),
  model: z.string(),
  content: z.string(),
  tokens_evaluated: count.describe('tokens of the prompt'),
  tokens: z.array(count).optional().describe('with return_tokens'),
  completion_probabilities: z
    .array(
      z.object({
        ...likely,
        top_logprobs: z.array(z.object(likely)).optional(),
        top_probs: z.array(z.object(likely)).optional(),
      }),
    )
    .optional()
    .describe('with n_probs'),
  tokens_predicted: count,
};

/** With `response_fields` it holds those alone, by their paths. */
export const nativeCompletion: z.ZodType = z.object({
  ...content,
  prompt: z.string(),
  stop: z.literal(true),
  stop_type: z.enum(['limit', 'word', 'eos']),
  stopping_word: z.string(),
  truncated: z.boolean().describe('part of what was given was left out'),
  has_new_line: z.boolean(),
  tokens_cached: count,
  generation_settings: z.object({ n_ctx: count, seed: count }),
  timings,
});
export const nativeChunk: z.ZodType = z.union([
  z.object({ ...content, stop: z.literal(false) }),
  nativeCompletion,
  streamError,
]);

export const rerank: z.ZodType = z.object({
  object: z.literal('list'),
  model: z.string(),
  usage: promptUsage,
  results: z.array(
    z.object({ index: count, relevance_score: z.number(), document: z.object({ text: z.string() }).optional() }),
  ),
});

export const slots: z.ZodType = z.array(
  z.object({
    id: count,
    n_ctx: count,
    speculative: z.boolean().describe('tokens are guessed ahead (--draft)'),
    is_processing: z.boolean(),
    n_tokens: count.describe('tokens of the last answer and its prompt'),
  }),
);
const slot = { id_slot: count };
const file = { filename: z.string() };
export const slotAction: z.ZodType = z.union([
  z.object({ ...slot, ...file, n_saved: count, n_written: count, timings: z.object({ save_ms: z.number() }) }),
  z.object({ ...slot, ...file, n_restored: count, n_read: count, timings: z.object({ restore_ms: z.number() }) }),
  z.object({ ...slot, n_erased: count, n_erased_from_cache: count }),
]);

export const props: z.ZodType = z.object({
  default_generation_settings: z.object({ n_ctx: count }),
  total_slots: count,
  model_alias: z.string(),
  model_path: z.string(),
  chat_template: z.string(),
  bos_token: z.string(),
  eos_token: z.string(),
  modalities: z.object({ vision: z.literal(false), audio: z.literal(false) }),
  endpoint_slots: z.boolean(),
  endpoint_props: z.boolean(),
  endpoint_metrics: z.boolean(),
  build_info: z.string(),
});

export const loraAdapters: z.ZodType = z.array(z.object({ id: count, name: z.string(), scale: z.number() }));

const bytes = z.array(z.int().min(0).max(255));
export const tokens: z.ZodType = z.object({
  tokens: z.union([z.array(count), z.array(z.object({ id: count, piece: z.union([z.string(), bytes]) }))]),
});
export const detokenized: z.ZodType = z.object({ content: z.string() });
export const rendered: z.ZodType = z.object({ prompt: z.string() });
export const health: z.ZodType = z.object({ status: z.literal('ok') });
