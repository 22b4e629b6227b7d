/** POST /v1/completions, /v1/embeddings, /tokenize, /detokenize: what a request may hold. */
import { z } from 'zod';
import { poolings } from '../../inference/reading/embedding.ts';
import { grammarFields } from './constrained.ts';
import { generationFields } from './generation-fields.ts';

const id = z.int().min(0).max(0xffffffff);
/** A text, token ids, or several of either. */
const texts = z.union(
  [z.string(), z.array(id).min(1), z.array(z.string()).min(1).max(2048), z.array(z.array(id).min(1)).min(1).max(2048)],
  'expected a text, token ids, or a list of up to 2048 of either, nothing of it empty',
);

export const completionSchema = z.strictObject({
  prompt: texts.describe('a text, token ids, or a list of either'),
  ...generationFields,
  ...grammarFields,
  logprobs: z.int().min(0).max(20).nullish().describe('report log-probabilities, of this many likeliest tokens too'),
  best_of: z.literal(1).nullish().describe('each answer is drawn once'),
  suffix: z.literal('').nullish().describe('nothing follows'),
  echo: z.boolean().nullish().describe('put the prompt in front of the answer; with logprobs, those of its tokens too'),
  parse_special: z.boolean().nullish().describe('special tokens written in the prompt are those tokens'),
});

export const embeddingSchema = z.strictObject({
  input: texts.describe('a text, token ids, or a list of either'),
  model: generationFields.model,
  adapters: generationFields.adapters,
  lora: generationFields.lora,
  encoding_format: z.enum(['float', 'base64']).nullish(),
  dimensions: z
    .int()
    .min(1)
    .nullish()
    .describe('the first so many numbers of each vector, made unit length again (Matryoshka)'),
  pooling: z.enum(poolings).nullish().describe("which state stands for the text; absent: the server's choice"),
  user: generationFields.user,
});

export const tokenizeSchema = z.strictObject({
  content: z.string(),
  add_special: z.boolean().nullish().describe("put the model's first token in front (default false)"),
  parse_special: z.boolean().nullish().describe('special tokens in the text are those tokens (default true)'),
  with_pieces: z.boolean().nullish().describe('also the text of each token, or its bytes'),
  model: generationFields.model,
});

export const detokenizeSchema = z.strictObject({ tokens: z.array(id), model: generationFields.model });

/** One entry per text; ids stay ids. */
export function listOf(input: z.infer<typeof texts>): readonly (string | readonly number[])[] {
  if (typeof input === 'string') return [input];
  return typeof input[0] === 'number' ? [input as number[]] : (input as string[] | number[][]);
}
