/** What every endpoint replies: openapi.json is made of this table, and the tests hold real replies against it. */
import { z } from 'zod';
import * as anthropic from './anthropic.ts';
import { success } from './common.ts';
import * as native from './native.ts';
import * as ollama from './ollama.ts';
import * as openai from './openai.ts';

/** A schema, under the name that it has in openapi.json. */
type Named = readonly [name: string, schema: z.ZodType];

interface Stream {
  readonly type: 'text/event-stream' | 'application/x-ndjson';
  readonly each: Named;
}

export interface ReplyShape {
  readonly json?: Named;
  /** A text of this media type. */
  readonly text?: string;
  /** Refusals; absent: as OpenAI's. */
  readonly error?: Named;
  /** One after another: the data of events, or lines. */
  readonly stream?: Stream;
}

const events = (name: string, schema: z.ZodType): Stream => ({
  type: 'text/event-stream',
  each: [name, schema],
});
const lines = (name: string, schema: z.ZodType): Stream => ({
  type: 'application/x-ndjson',
  each: [`${name}Line`, z.union([schema, ollama.ollamaError])],
});
const asAnthropic = { error: ['MessageError', anthropic.messageError] } as const;
const asOllama = { error: ['OllamaError', ollama.ollamaError] } as const;
const nativeReply: ReplyShape = {
  json: ['NativeCompletion', native.nativeCompletion],
  stream: events('NativeChunk', native.nativeChunk),
};
const rerank: ReplyShape = { json: ['Rerank', native.rerank] };
const health: ReplyShape = { json: ['Health', native.health] };

/** By method and path; paths of /v1 reply the same without it. */
export const replyShapes: Readonly<Record<string, ReplyShape>> = {
  'POST /v1/chat/completions': {
    json: ['ChatCompletion', openai.chatCompletion],
    stream: events('ChatCompletionChunk', openai.chatChunk),
  },
  'POST /v1/responses': { json: ['Response', openai.response], stream: events('ResponseEvent', openai.responseEvent) },
  'GET /v1/responses/:id': { json: ['Response', openai.response] },
  'DELETE /v1/responses/:id': { json: ['DeletedResponse', openai.deletedResponse] },
  'POST /v1/messages': {
    ...asAnthropic,
    json: ['Message', anthropic.message],
    stream: events('MessageEvent', z.union([anthropic.messageEvent, anthropic.messageError])),
  },
  'POST /v1/messages/count_tokens': { ...asAnthropic, json: ['TokenCount', anthropic.tokenCount] },
  'POST /v1/completions': {
    json: ['Completion', openai.completion],
    stream: events('CompletionChunk', openai.completionChunk),
  },
  'POST /v1/embeddings': { json: ['EmbeddingList', openai.embeddingList] },
  'POST /api/chat': {
    ...asOllama,
    json: ['OllamaChat', ollama.ollamaChat],
    stream: lines('OllamaChat', ollama.ollamaChat),
  },
  'POST /api/generate': {
    ...asOllama,
    json: ['OllamaGenerate', ollama.ollamaGenerate],
    stream: lines('OllamaGenerate', ollama.ollamaGenerate),
  },
  'POST /api/embed': { ...asOllama, json: ['OllamaEmbeddings', ollama.ollamaEmbeddings] },
  'POST /api/show': { ...asOllama, json: ['OllamaShow', ollama.ollamaShow] },
  'POST /api/pull': {
    ...asOllama,
    json: ['OllamaPull', ollama.ollamaPull],
    stream: lines('OllamaPull', ollama.ollamaPull),
  },
  'GET /api/tags': { json: ['OllamaTags', ollama.ollamaTags] },
  'GET /api/ps': { json: ['OllamaPs', ollama.ollamaPs] },
  'GET /api/version': { json: ['OllamaVersion', ollama.ollamaVersion] },
  'POST /v1/rerank': rerank,
  'POST /v1/reranking': rerank,
  'POST /completion': nativeReply,
  'POST /infill': nativeReply,
  'GET /slots': { json: ['Slots', native.slots] },
  'POST /slots/:id': { json: ['SlotAction', native.slotAction] },
  'POST /props': { json: ['Success', success] },
  'GET /props': { json: ['Props', native.props] },
  'GET /v1/models': { json: ['ModelList', openai.modelList] },
  'GET /v1/models/:model': { json: ['Model', openai.model] },
  'GET /lora-adapters': { json: ['LoraAdapters', native.loraAdapters] },
  'POST /lora-adapters': { json: ['Success', success] },
  'POST /tokenize': { json: ['Tokens', native.tokens] },
  'POST /detokenize': { json: ['Text', native.detokenized] },
  'POST /apply-template': { json: ['RenderedPrompt', native.rendered] },
  'GET /health': health,
  'GET /v1/health': health,
  'GET /metrics': { text: 'text/plain; version=0.0.4; charset=utf-8' },
};

/** The shape of an endpoint's reply. */
export function replyShapeOf(method: string, path: string): ReplyShape | undefined {
  return replyShapes[`${method} ${path}`] ?? replyShapes[`${method} /v1${path}`];
}
