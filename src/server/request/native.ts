/** POST /completion and /infill: what a request may hold, under llama-server's names. */
import { z } from 'zod';
import { grammarFields } from './constrained.ts';
import { generationFields } from './generation-fields.ts';

const { n: _n, stream_options: _options, ...shared } = generationFields;

/** What both have beside the sampling parameters. */
const codeFields = {
  n_probs: z
    .int()
    .min(0)
    .max(1000)
    .nullish()
    .describe('report so many of the likeliest tokens in completion_probabilities'),
  return_tokens: z.boolean().nullish().describe('the generated tokens in the field tokens'),
  response_fields: z
    .array(z.string().max(256))
    .max(256)
    .nullish()
    .describe('only these fields of the last object, as in "timings/prompt_ms"'),
  n_indent: z
    .int()
    .min(0)
    .nullish()
    .describe('end before a line, after the first, that is indented by fewer spaces or tabs'),
  t_max_predict_ms: z
    .number()
    .nullish()
    .describe('end so long after the first token, once there is a line break; 0 or less: never'),
  t_max_prompt_ms: z
    .number()
    .nullish()
    .describe('accepted without effect: as in llama-server, prompts are read to the end'),
};

const ids = z.int().min(0);

export const nativeSchema = z.strictObject({
  ...shared,
  ...codeFields,
  ...grammarFields,
  prompt: z
    .union([z.string(), z.array(ids).min(1), z.array(z.union([ids, z.string()])).min(1)])
    .describe('a text, in which special tokens are those tokens; token ids; or a list of both'),
});

export const infillSchema = z.strictObject({
  ...shared,
  ...codeFields,
  ...grammarFields,
  input_prefix: z.string().describe('what stands before the gap'),
  input_suffix: z.string().describe('what stands after it'),
  input_extra: z
    .array(z.strictObject({ text: z.string(), filename: z.string().max(1024).nullish() }))
    .max(1024)
    .nullish()
    .describe('other files, or parts of them; the last is the nearest'),
  prompt: z.string().nullish().describe('more of what stands before the gap: it follows input_prefix'),
});

type NativeRequest = Pick<z.infer<typeof nativeSchema>, keyof typeof codeFields>;

/** Of a request, what is not the engine's to know. */
export interface NativeShape {
  /** What is told of each token; null: nothing. */
  readonly probabilities: 'logprob' | 'prob' | null;
  readonly tokens: boolean;
  readonly fields: readonly string[] | null;
  readonly leastIndent: number;
  /** null: no limit. */
  readonly predictMs: number | null;
}

export function nativeShapeOf(request: NativeRequest): NativeShape {
  const isAfter = (request as { post_sampling_probs?: boolean | null }).post_sampling_probs ?? false;
  const { n_probs, return_tokens, response_fields, n_indent, t_max_predict_ms: ms } = request;
  return {
    probabilities: n_probs ? (isAfter ? 'prob' : 'logprob') : null,
    tokens: return_tokens ?? false,
    fields: response_fields && response_fields.length > 0 ? response_fields : null,
    leastIndent: n_indent ?? 0,
    predictMs: ms != null && ms > 0 ? ms : null,
  };
}
