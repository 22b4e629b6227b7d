/** Every endpoint: the router, openapi.json and the tests read this one table. */
import type { z } from 'zod';
import type { ApiError } from '../api-error.ts';
import type { House } from '../models/models.ts';
import type { Desk } from '../preparing/desk.ts';
import { failedData, namedEvent } from '../reply/event-stream.ts';
import { chatSchema, templateSchema } from '../request/chat.ts';
import { countTokensSchema, messagesSchema } from '../request/messages.ts';
import { infillSchema, nativeSchema } from '../request/native.ts';
import {
  ollamaChatSchema,
  ollamaEmbedSchema,
  ollamaGenerateSchema,
  ollamaPullSchema,
  ollamaShowSchema,
} from '../request/ollama.ts';
import { responsesSchema } from '../request/responses.ts';
import { completionSchema, detokenizeSchema, embeddingSchema, tokenizeSchema } from '../request/texts.ts';
import type { Call, Core, Reply } from '../world.ts';
import { chatCompletions, prepareChat } from './chat-completions.ts';
import { completions, prepareCompletion } from './completions.ts';
import { embeddings, prepareEmbeddings } from './embeddings.ts';
import { prepareInfill } from './infill.ts';
import { countTokens, messages, messagesError, prepareCount, prepareMessages } from './messages.ts';
import { nativeCompletion, prepareNative, prepareProps, props, propsSchema, setProps } from './native.ts';
import {
  ollamaAnswer,
  ollamaEmbed,
  ollamaError,
  ollamaPs,
  ollamaPull,
  ollamaShow,
  ollamaTags,
  ollamaVersion,
  prepareOllamaChat,
  prepareOllamaEmbed,
  prepareOllamaGenerate,
  prepareOllamaShow,
  preparePull,
} from './ollama.ts';
import { prepareRerank, rerank, rerankSchema } from './rerank.ts';
import { deleteResponse, failedResponse, oneResponse, prepareResponse, responses } from './responses.ts';
import { prepareSlot, slotAction, slotSchema, slots } from './slots.ts';
import {
  health,
  loraAdapters,
  loraAdaptersSchema,
  metrics,
  models,
  oneModel,
  prepareLoraAdapters,
  setLoraAdapters,
} from './status.ts';
import { applyTemplate, detokenize, tokenize } from './tokens.ts';

export interface Endpoint {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** In Hono's and OpenAPI's common form but for the braces: /v1/models/:model */
  readonly path: string;
  readonly summary: string;
  readonly schema: z.ZodObject | z.ZodArray | null;
  /** Without an API key: what a load balancer asks. */
  readonly open: boolean;
  /** Reads the request's body, in a worker; plain data comes back. null: there is no body. */
  readonly prepare: ((desk: Desk, body: unknown, earlier?: unknown) => unknown) | null;
  /** How the path's clients want to be refused; null: as OpenAI's. */
  readonly errorBody: ((error: ApiError) => object) | null;
  /** A body that says `stream: true` is answered by server-sent events: the last one where there is no answer. null: never. */
  readonly failedEvent: ((error: ApiError) => string) | null;
  readonly answer: Answer;
}

/** Of the model that is asked for (`prepared`: what prepare() returned), or of the whole server, whatever is in memory. */
export type Answer =
  | { readonly of: 'model'; run(core: Core, call: Call, prepared: unknown, parameter: string): Promise<Reply> }
  | { readonly of: 'server'; run(house: House, parameter: string): Promise<Reply> };

function post<Prepared>(
  path: string,
  summary: string,
  schema: z.ZodObject | z.ZodArray,
  // biome-ignore lint/suspicious/noExplicitAny: each endpoint knows what it kept.
  prepare: (desk: Desk, body: unknown, earlier?: any) => Prepared,
  run: (core: Core, call: Call, prepared: Prepared, parameter: string) => Promise<Reply>,
  errorBody: Endpoint['errorBody'] = null,
  failedEvent: Endpoint['failedEvent'] = null,
): Endpoint {
  const answer = { of: 'model', run } as Answer;
  return { method: 'POST', path, summary, schema, open: false, prepare, answer, errorBody, failedEvent };
}

function get(
  path: string,
  summary: string,
  run: (house: House, parameter: string) => Promise<Reply>,
  open = false,
  method: 'GET' | 'DELETE' = 'GET',
): Endpoint {
  const answer = { of: 'server', run } as const;
  return { method, path, summary, schema: null, open, prepare: null, answer, errorBody: null, failedEvent: null };
}

/** Of the model that the query names, as in `?model=NAME`. */
function getOfModel(path: string, summary: string, run: (core: Core, call: Call) => Promise<Reply>): Endpoint {
  const answer = { of: 'model', run } as const;
  return {
    method: 'GET',
    path,
    summary,
    schema: null,
    open: false,
    prepare: null,
    answer,
    errorBody: null,
    failedEvent: null,
  };
}

/** A reply that the worker wrote as a whole. */
const asWritten = async (_core: Core, _call: Call, body: Uint8Array<ArrayBuffer>): Promise<Reply> => ({
  kind: 'text',
  body,
  type: 'application/json',
});

const named: readonly Endpoint[] = [
  post('/v1/chat/completions', "the assistant's next turn", chatSchema, prepareChat, chatCompletions, null, failedData),
  post('/v1/responses', 'the next turn, as items', responsesSchema, prepareResponse, responses, null, failedResponse),
  get('/v1/responses/:id', 'a response that is kept', oneResponse),
  get('/v1/responses/:id', 'forgets a response', deleteResponse, false, 'DELETE'),
  post(
    '/v1/messages',
    "the next turn, as Anthropic's blocks",
    messagesSchema,
    prepareMessages,
    messages,
    messagesError,
    (error) => namedEvent(messagesError(error)),
  ),
  post(
    '/v1/messages/count_tokens',
    'how many tokens the model would read',
    countTokensSchema,
    prepareCount,
    countTokens,
    messagesError,
  ),
  post(
    '/v1/completions',
    'the continuation of a text',
    completionSchema,
    prepareCompletion,
    completions,
    null,
    failedData,
  ),
  post('/v1/embeddings', 'texts as vectors of unit length', embeddingSchema, prepareEmbeddings, embeddings),
  post('/api/chat', 'the next turn, as Ollama has it', ollamaChatSchema, prepareOllamaChat, ollamaAnswer, ollamaError),
  post('/api/generate', 'the answer to a text', ollamaGenerateSchema, prepareOllamaGenerate, ollamaAnswer, ollamaError),
  post(
    '/api/embed',
    'texts as vectors of unit length',
    ollamaEmbedSchema,
    prepareOllamaEmbed,
    ollamaEmbed,
    ollamaError,
  ),
  post('/api/show', 'the model', ollamaShowSchema, prepareOllamaShow, ollamaShow, ollamaError),
  post('/api/pull', 'whether the model is there', ollamaPullSchema, preparePull, ollamaPull, ollamaError),
  get('/api/tags', 'what is served', ollamaTags),
  get('/api/ps', 'what is loaded', ollamaPs),
  get('/api/version', "the server's version", ollamaVersion),
  post('/v1/rerank', 'texts by their nearness to a query', rerankSchema, prepareRerank, rerank),
  post('/v1/reranking', 'the same', rerankSchema, prepareRerank, rerank),
  post(
    '/completion',
    'the continuation of a text, as llama-server has it',
    nativeSchema,
    prepareNative,
    nativeCompletion,
    null,
    failedData,
  ),
  post(
    '/infill',
    'the text of a gap, as llama-server has it',
    infillSchema,
    prepareInfill,
    nativeCompletion,
    null,
    failedData,
  ),
  getOfModel('/slots', 'which answers are remembered, as llama-server has it', slots),
  post('/slots/:id', 'saves, restores or erases a slot: ?action=', slotSchema, prepareSlot, slotAction),
  post(
    '/props',
    "changes the server's settings, of which none can be changed yet",
    propsSchema,
    prepareProps,
    setProps,
  ),
  getOfModel('/props', "the model and the server's settings, as llama-server has them", props),
  get('/v1/models', 'what is served', models),
  get('/v1/models/:model', 'one model', oneModel),
  getOfModel('/lora-adapters', 'the adapters that requests may choose', loraAdapters),
  post(
    '/lora-adapters',
    'the scale of each for requests that do not say',
    loraAdaptersSchema,
    prepareLoraAdapters,
    setLoraAdapters,
  ),
  post('/tokenize', 'text to token ids', tokenizeSchema, tokenize, asWritten),
  post('/detokenize', 'token ids to text', detokenizeSchema, detokenize, asWritten),
  post('/apply-template', 'messages as the text that the model reads', templateSchema, applyTemplate, asWritten),
  get('/health', 'whether the server answers', health, true),
  get('/v1/health', 'the same', health, true),
  get('/metrics', "the server's numbers, for Prometheus", metrics),
];

/** What begins with /v1 is there without it too, as clients with a base address of their own ask for it. */
const bare = named
  .filter(({ path }) => path.startsWith('/v1/') && !named.some((other) => other.path === path.slice(3)))
  .map((endpoint) => ({ ...endpoint, path: endpoint.path.slice(3) }));

export const endpoints: readonly Endpoint[] = [...named, ...bare];
