/** POST /v1/rerank: texts in the order of how near they are to a query, as Jina and llama-server have it. */
import { z } from 'zod';
import type { Desk } from '../preparing/desk.ts';
import { generationFields } from '../request/generation-fields.ts';
import { parseBody } from '../request/parse.ts';
import { embeddingSchema } from '../request/texts.ts';
import type { Call, Core, Reply } from '../world.ts';
import { embeddings, prepareEmbeddings } from './embeddings.ts';

const document = z.union([z.string(), z.strictObject({ text: z.string() })]);

export const rerankSchema = z.strictObject({
  model: generationFields.model,
  query: z.string().min(1).describe('what the texts are compared with'),
  documents: z.array(document).min(1).max(2047).describe('the texts'),
  top_n: z.int().min(1).nullish().describe('only so many, the nearest ones'),
  return_documents: z.boolean().nullish().describe('with their texts (default false)'),
  pooling: embeddingSchema.shape.pooling,
  user: generationFields.user,
});

export function prepareRerank(desk: Desk, body: unknown) {
  const { query, documents, top_n, return_documents, model, pooling, user } = parseBody(rerankSchema, body);
  const texts = documents.map((one) => (typeof one === 'string' ? one : one.text));
  return {
    embedding: prepareEmbeddings(desk, { model, pooling, user, input: [query, ...texts] }),
    texts: return_documents ? texts : null,
    top: top_n ?? texts.length,
  };
}

/** Relevance is the cosine of the two texts' vectors: a model of language has no judge of its own. */
export async function rerank(
  core: Core,
  call: Call,
  { embedding, texts, top }: ReturnType<typeof prepareRerank>,
): Promise<Reply> {
  const { body } = (await embeddings(core, call, embedding)) as {
    body: { data: readonly { embedding: number[] }[]; model: string; usage: object };
  };
  const [query, ...documents] = body.data.map((one) => one.embedding) as [number[], ...number[][]];
  const results = documents
    .map((vector, index) => ({
      index,
      relevance_score: vector.reduce((sum, value, i) => sum + value * query[i]!, 0),
      ...(texts && { document: { text: texts[index] } }),
    }))
    .sort((a, b) => b.relevance_score - a.relevance_score)
    .slice(0, top);
  return { kind: 'json', body: { object: 'list', model: body.model, usage: body.usage, results } };
}
