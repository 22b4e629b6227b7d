/** Parts of replies that several endpoints have. */
import { z } from 'zod';

export const count: z.ZodType = z.int().min(0);
export const id: z.ZodType = z.string();
export const unixSeconds: z.ZodType = z.int().min(0);

export const usage: z.ZodType = z.object({
  prompt_tokens: count,
  completion_tokens: count,
  total_tokens: count,
  prompt_tokens_details: z.object({ cached_tokens: count }),
});

/** Without an answer that is generated. */
export const promptUsage: z.ZodType = z.object({ prompt_tokens: count, total_tokens: count });

export const timings: z.ZodType = z.object({
  cache_n: count.describe('prompt tokens that the cache held'),
  prompt_n: count.describe('prompt tokens that were computed'),
  prompt_ms: z.number(),
  prompt_per_token_ms: z.number(),
  prompt_per_second: z.number(),
  predicted_n: count,
  predicted_ms: z.number(),
  predicted_per_token_ms: z.number(),
  predicted_per_second: z.number(),
  draft_n: count.optional().describe('tokens that were guessed'),
  draft_n_accepted: count.optional().describe('of them, those that were right'),
});

const token = { token: z.string(), logprob: z.number(), bytes: z.array(z.int().min(0).max(255)) };
export const chatLogprob: z.ZodType = z.object({ ...token, top_logprobs: z.array(z.object(token)) });

export const modelState: z.ZodType = z.enum(['on disk', 'loading', 'loaded', 'leaving']);

export const success: z.ZodType = z.object({ success: z.literal(true) });

/** What failed in a stream after its first byte. */
export const streamError: z.ZodType = z.object({
  error: z.object({ message: z.string(), type: z.string(), param: z.string().nullable(), code: z.string() }),
});
