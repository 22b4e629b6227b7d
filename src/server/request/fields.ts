/**
 * Request fields that real clients send and that change nothing here, and those that are refused because they would change the text.
 * A field that is in neither list and that no schema knows is refused as unknown.
 */
import { z } from 'zod';

const text = z.string().max(1024);
const scalars = z.record(z.string().max(256), z.union([z.string().max(4096), z.number(), z.boolean(), z.null()]));

/** Accepted without effect, with the reason. */
const withoutEffect: Readonly<Record<string, readonly [schema: z.ZodType, why: string]>> = {
  metadata: [scalars, 'nothing is kept of a request'],
  store: [z.boolean(), 'nothing is kept of a request'],
  service_tier: [text, 'there is one'],
  prompt_cache_key: [text, 'every prompt finds what the cache holds of it'],
  prompt_cache_retention: [text, 'the cache forgets what was not used for longest'],
  prompt_cache_options: [z.looseObject({}), 'the cache forgets what was not used for longest'],
  cache_prompt: [z.boolean(), 'the cache changes no text'],
  prediction: [z.record(z.string(), z.unknown()), 'it would only be a guess to save time'],
  reasoning_effort: [text, "how long a model thinks is its template's to say: chat_template_kwargs"],
  verbosity: [text, 'the model says as much as it says'],
  timings_per_token: [z.boolean(), 'timings come at the end'],
  return_tokens: [z.boolean(), 'tokens are what /tokenize says'],
  return_progress: [z.boolean(), 'progress is not reported'],
};

/** Refused, and what to do instead. */
export const refusedFields: Readonly<Record<string, string>> = {
  functions: 'give tools instead',
  function_call: 'give tool_choice instead',
  audio: 'answers are texts',
  web_search_options: 'nothing is searched for; offer a tool',
  images: 'only texts are read',
  suffix: 'what is to follow a text cannot be given',
  moderation: 'texts are not judged here',
  prompt: 'prompts are not kept here; give their text',
  conversation: 'conversations are not kept here; give previous_response_id',
  best_of: 'each answer is drawn once: give n',
};

export const fieldsWithoutEffect: Record<string, z.ZodType> = Object.fromEntries(
  Object.entries(withoutEffect).map(([name, [schema, why]]) => [
    name,
    schema.nullish().describe(`accepted without effect: ${why}`),
  ]),
);
