/** Ollama's /api, for the models that are served. */
import { type ApiError, toApiError } from '../api-error.ts';
import type { House, Listed } from '../models/models.ts';
import type { Desk } from '../preparing/desk.ts';
import { toLines } from '../reply/event-stream.ts';
import { OllamaWriter } from '../reply/ollama-writer.ts';
import { notOffered } from '../request/constrained.ts';
import {
  chatOfOllamaChat,
  chatOfOllamaGenerate,
  namedModel,
  ollamaChatSchema,
  ollamaEmbedSchema,
  ollamaGenerateSchema,
  ollamaPullSchema,
  ollamaShowSchema,
  plainName,
} from '../request/ollama.ts';
import { parseBody } from '../request/parse.ts';
import { templateOf } from '../template.ts';
import type { Call, Clocks, Core, Reply } from '../world.ts';
import { prepareRawTurn, prepareTurn, startTurn, type Turn, turnEvents } from './conversation.ts';
import { embeddings, prepareEmbeddings } from './embeddings.ts';
import { checkModel } from './prompts.ts';

export function ollamaError({ message }: ApiError): object {
  return { error: message };
}

export interface PreparedOllama {
  readonly kind: 'chat' | 'generate';
  readonly model: string;
  readonly stream: boolean;
  /** null: there is nothing to answer. */
  readonly turn: Turn | null;
}

export function prepareOllamaChat(desk: Desk, body: unknown): PreparedOllama {
  const request = parseBody(ollamaChatSchema, body);
  const chat = chatOfOllamaChat(request);
  checkModel(desk, plainName(request.model));
  return {
    kind: 'chat',
    model: request.model,
    stream: request.stream ?? true,
    turn: chat && prepareTurn(desk, chat, { notHeld: notOffered(request.tools) }),
  };
}

export function prepareOllamaGenerate(desk: Desk, body: unknown): PreparedOllama {
  const request = parseBody(ollamaGenerateSchema, body);
  const chat = chatOfOllamaGenerate(request);
  checkModel(desk, plainName(request.model));
  const turn =
    chat &&
    (request.raw ? prepareRawTurn(desk, chat, request.prompt ?? '') : prepareTurn(desk, chat, { param: 'prompt' }));
  return { kind: 'generate', model: request.model, stream: request.stream ?? true, turn };
}

export async function ollamaAnswer(
  core: Core,
  call: Call,
  { kind, model, stream, turn }: PreparedOllama,
): Promise<Reply> {
  const now = () => new Date(core.clocks.unixSeconds() * 1000).toISOString();
  const writer = new OllamaWriter({ model, now, randomId: core.randomId }, kind, core.clocks.monotonic);
  if (!turn) return { kind: 'json', body: writer.loaded() };
  const { generations, headers } = await startTurn(core, call, turn);
  const events = turnEvents(core, generations, turn, call.notes);
  if (!stream) return { kind: 'json', body: await writer.whole(events), headers };
  const failed = (error: unknown) => {
    call.notes.error = error;
    return ollamaError(toApiError(error));
  };
  return lines(writer.lines(events), failed, headers);
}

function lines(
  objects: AsyncIterable<object>,
  failed: (error: unknown) => object,
  headers: Readonly<Record<string, string>>,
): Reply {
  return {
    kind: 'events',
    events: toLines(objects, failed),
    headers: { ...headers, 'content-type': 'application/x-ndjson' },
  };
}

export function prepareOllamaEmbed(desk: Desk, body: unknown) {
  const { model, input, dimensions } = parseBody(ollamaEmbedSchema, body);
  return { model, embedding: prepareEmbeddings(desk, { model: plainName(model), input, dimensions }) };
}

export async function ollamaEmbed(
  core: Core,
  call: Call,
  { model, embedding }: ReturnType<typeof prepareOllamaEmbed>,
): Promise<Reply> {
  const started = core.clocks.monotonic();
  const reply = (await embeddings(core, call, embedding)) as {
    body: { data: readonly { embedding: number[] }[]; usage: { prompt_tokens: number } };
  };
  const { data, usage } = reply.body;
  const body = {
    model,
    embeddings: data.map((one) => one.embedding),
    total_duration: Math.round((core.clocks.monotonic() - started) * 1e6),
    load_duration: 0,
    prompt_eval_count: usage.prompt_tokens,
  };
  return { kind: 'json', body };
}

/** What Ollama tells of a model wherever it names it. Of one that was never loaded only its size is known. */
async function describe({ settings, facts, bytes }: Pick<Listed, 'settings' | 'facts' | 'bytes'>, clocks: Clocks) {
  const size = facts?.weightBytes ?? bytes;
  const identity = JSON.stringify([settings.modelId, facts?.format, facts?.dtypes, size, facts?.config]);
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(identity)));
  return {
    name: settings.modelId,
    model: settings.modelId,
    modified_at: timeOf(clocks.unixSeconds()),
    size,
    digest: Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join(''),
    details: {
      parent_model: '',
      format: facts?.format ?? '',
      family: 'llama',
      families: ['llama'],
      parameter_size: facts ? sizeOf(facts.parameterCount) : '',
      quantization_level: (facts?.dtypes[0] ?? '').toUpperCase(),
    },
  };
}

const timeOf = (unixSeconds: number) => new Date(unixSeconds * 1000).toISOString();

function sizeOf(parameters: number): string {
  const [unit, letter] = parameters >= 1e9 ? [1e9, 'B'] : parameters >= 1e6 ? [1e6, 'M'] : [1e3, 'K'];
  return `${(parameters / unit).toFixed(1)}${letter}`;
}

export async function ollamaTags({ models, clocks }: House): Promise<Reply> {
  return { kind: 'json', body: { models: await Promise.all(models.list().map((one) => describe(one, clocks))) } };
}

/**
 * What is in memory, or on its way. `expires_at` is Ollama's, and far away: a model goes when another needs its memory. `size` is the
 * memory that it takes; `cria` has the parts, and what `cria ps` prints besides.
 */
export async function ollamaPs({ models, clocks }: House): Promise<Reply> {
  const loaded = models.list().filter(({ state }) => state !== 'on disk');
  return { kind: 'json', body: { models: await Promise.all(loaded.map((one) => describeLoaded(one, clocks))) } };
}

async function describeLoaded(one: Listed, clocks: Clocks) {
  const { modified_at: _, ...described } = await describe(one, clocks);
  const { core, state, progress, users, waiting, lastUsed, bytes } = one;
  const memory = core?.model.isRunning ? ((await core.model.memory?.()) ?? null) : null;
  return {
    ...described,
    size: memory ? memory.weights + memory.cache + memory.arena : bytes,
    expires_at: '9999-12-31T23:59:59Z',
    size_vram: 0,
    context_length: core?.model.contextLength ?? 0,
    cria: {
      state,
      progress,
      memory,
      requests: users + waiting,
      last_used: lastUsed === null ? null : timeOf(lastUsed),
    },
  };
}

export async function ollamaVersion({ version }: House): Promise<Reply> {
  return { kind: 'json', body: { version } };
}

export function prepareOllamaShow(desk: Desk, body: unknown): null {
  checkModel(desk, namedModel(parseBody(ollamaShowSchema, body)));
  return null;
}

export async function ollamaShow(core: Core): Promise<Reply> {
  const { facts, config } = core.model;
  const { settings } = core;
  const { details, modified_at } = await describe({ settings, facts, bytes: facts.weightBytes }, core.clocks);
  const template = templateOf(core.model, settings.template) ?? '';
  const capabilities = [
    'completion',
    ...(template === 'plain' ? [] : ['tools']),
    ...(/<think>|\[THINK\]/.test(template) ? ['thinking'] : []),
    'embedding',
  ];
  const body = {
    modelfile: '',
    parameters: '',
    license: '',
    template,
    details,
    model_info: {
      'general.architecture': 'llama',
      'general.basename': facts.name,
      'general.parameter_count': facts.parameterCount,
      'llama.context_length': config.contextLength,
      'llama.embedding_length': config.width,
      'llama.vocab_size': config.vocabSize,
    },
    capabilities,
    modified_at,
  };
  return { kind: 'json', body };
}

export function preparePull(desk: Desk, body: unknown): { readonly stream: boolean } {
  const request = parseBody(ollamaPullSchema, body);
  checkModel(desk, namedModel(request));
  return { stream: request.stream ?? true };
}

/** The served model is there already; nothing else is fetched, which checkModel() said. */
export async function ollamaPull(_core: Core, _call: Call, { stream }: ReturnType<typeof preparePull>): Promise<Reply> {
  const done = { status: 'success' };
  if (!stream) return { kind: 'json', body: done };
  const once = async function* () {
    yield done;
  };
  return lines(once(), (error) => ollamaError(toApiError(error)), {});
}
