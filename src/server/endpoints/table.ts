/** Every endpoint: the router, openapi.json and the tests read this one table. */
import type { z } from 'zod';
import { chatSchema, templateSchema } from '../request/chat.ts';
import { completionSchema, detokenizeSchema, embeddingSchema, tokenizeSchema } from '../request/texts.ts';
import type { Call, Core, Reply } from '../world.ts';
import { chatCompletions } from './chat-completions.ts';
import { completions } from './completions.ts';
import { embeddings } from './embeddings.ts';
import { health, metrics, models, oneModel } from './status.ts';
import { applyTemplate, detokenize, tokenize } from './tokens.ts';

export interface Endpoint {
  readonly method: 'GET' | 'POST';
  /** In Hono's and OpenAPI's common form but for the braces: /v1/models/:model */
  readonly path: string;
  readonly summary: string;
  readonly schema: z.ZodObject | null;
  /** Without an API key: what a load balancer asks. */
  readonly open: boolean;
  run(core: Core, call: Call, parameter: string): Promise<Reply>;
}

const post = (path: string, summary: string, schema: z.ZodObject, run: Endpoint['run']): Endpoint => ({
  method: 'POST',
  path,
  summary,
  schema,
  open: false,
  run,
});
const get = (path: string, summary: string, run: Endpoint['run'], open = false): Endpoint => ({
  method: 'GET',
  path,
  summary,
  schema: null,
  open,
  run,
});

export const endpoints: readonly Endpoint[] = [
  post('/v1/chat/completions', "the assistant's next turn", chatSchema, chatCompletions),
  post('/v1/completions', 'the continuation of a text', completionSchema, completions),
  post('/v1/embeddings', 'texts as vectors of unit length', embeddingSchema, embeddings),
  get('/v1/models', 'what is served', models),
  get('/v1/models/:model', 'one model', (core, _call, id) => oneModel(core, id)),
  post('/tokenize', 'text to token ids', tokenizeSchema, tokenize),
  post('/detokenize', 'token ids to text', detokenizeSchema, detokenize),
  post('/apply-template', 'messages as the text that the model reads', templateSchema, applyTemplate),
  get('/health', 'whether the server answers', health, true),
  get('/v1/health', 'the same', health, true),
  get('/metrics', "the server's numbers, for Prometheus", metrics),
];
