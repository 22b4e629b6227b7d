/** POST /completion, GET and POST /props, as llama-server has them. */
import { z } from 'zod';
import { ApiError, toApiError } from '../api-error.ts';
import { startGenerations } from '../generations.ts';
import type { Desk } from '../preparing/desk.ts';
import { mergeAnswers, usageOf } from '../reply/choices.ts';
import { toDataEvents } from '../reply/event-stream.ts';
import { NativeWriter } from '../reply/native-writer.ts';
import { TokenNames } from '../reply/token-names.ts';
import { type NativeShape, nativeSchema, nativeShapeOf } from '../request/native.ts';
import { parseBody } from '../request/parse.ts';
import { templateOf } from '../template.ts';
import type { Call, Core, Reply } from '../world.ts';
import { constraintOf } from './constraint.ts';
import { prepareRawTurn, type Turn } from './conversation.ts';

export interface NativeTurn {
  readonly turn: Turn;
  readonly native: NativeShape;
  readonly text: string;
  /** Part of what was given is left out. */
  readonly truncated: boolean;
}

export function prepareNative(desk: Desk, body: unknown): NativeTurn {
  const request = parseBody(nativeSchema, body);
  const { prompt } = request;
  return nativeTurn(desk, request, typeof prompt === 'string' ? prompt : joinedIds(desk, prompt));
}

/** Ids and texts in one prompt. Throws ApiError 400: of texts alone, each would be a prompt. */
function joinedIds({ model }: Desk, parts: readonly (string | number)[]): number[] {
  if (parts.every((part) => typeof part === 'string')) {
    throw new ApiError(
      400,
      'invalid_value',
      'prompt: expected one text, found a list of texts. Ask for one at a time.',
      {
        param: 'prompt',
      },
    );
  }
  return parts.flatMap((part, i) => {
    if (typeof part === 'number') return [part];
    const bos = i === 0 && model.tokenizer.addBos;
    return [...model.tokenizer.encode(part, { bos, special: 'parse' })];
  });
}

export function nativeTurn(
  desk: Desk,
  request: Parameters<typeof nativeShapeOf>[0],
  prompt: string | readonly number[],
  truncated = false,
): NativeTurn {
  const turn = prepareRawTurn(desk, request as Parameters<typeof prepareRawTurn>[1], prompt, true);
  const text = typeof prompt === 'string' ? prompt : desk.model.tokenizer.decode(turn.prompt, { special: 'text' });
  const logprobs = request.n_probs || -1;
  return { turn: { ...turn, options: { ...turn.options, logprobs } }, native: nativeShapeOf(request), text, truncated };
}

export async function nativeCompletion(core: Core, call: Call, prepared: NativeTurn): Promise<Reply> {
  const { signal, notes } = call;
  const { shape, prompt, options, asked, constraint: spec } = prepared.turn;
  Object.assign(notes, { promptTokens: prompt.length, user: shape.user ?? undefined, stream: shape.stream });
  const { constraint, headers } = await constraintOf(core, spec, signal, notes);
  const adapters = asked.adapters ?? undefined;
  const plan = { prompts: [prompt], n: 1, slot: shape.slot, options: { ...options, constraint, adapters } };
  const generations = await startGenerations(core, plan, signal);
  const objects = nativeObjects(core, generations, prepared, notes);
  if (shape.stream) {
    const failed = (error: unknown) => {
      notes.error = error;
      return toApiError(error).body;
    };
    return { kind: 'events', events: toDataEvents(objects, failed), headers };
  }
  let body: object = {};
  for await (const object of objects) body = object;
  return { kind: 'json', body, headers };
}

async function* nativeObjects(
  core: Core,
  generations: Awaited<ReturnType<typeof startGenerations>>,
  { turn, native, text, truncated }: NativeTurn,
  notes: Call['notes'],
): AsyncGenerator<object, void> {
  const { model, clocks } = core;
  const promptTokens = turn.prompt.length;
  const { contextLength, tokenizer } = model;
  const head = { model: turn.shape.model, prompt: text, promptTokens, truncated, contextLength };
  const writer = new NativeWriter(head, native, new TokenNames(tokenizer), clocks.monotonic);
  try {
    for await (const event of mergeAnswers(generations.answers)) {
      const part = 'piece' in event ? writer.push(event.piece) : writer.rest();
      if (part && turn.shape.stream) yield part;
      if (writer.isOver) generations.abort();
    }
    const results = await generations.finish();
    const usage = usageOf(promptTokens, results, generations.cachedTokens(results));
    const [result] = results;
    Object.assign(notes, { completionTokens: usage.completion_tokens, seed: result!.seed });
    yield writer.end(result!, usage.prompt_tokens_details.cached_tokens, !turn.shape.stream);
  } finally {
    generations.abort();
  }
}

export async function props({ model, settings }: Core): Promise<Reply> {
  const { tokenizer, facts, contextLength } = model;
  const piece = (id: number | null) => (id === null || !model.hasTokenizer ? '' : tokenizer.pieceOf(id));
  const body = {
    default_generation_settings: { n_ctx: contextLength },
    total_slots: settings.parallel,
    model_alias: settings.modelId,
    model_path: facts.name,
    chat_template: templateOf(model, settings.template) ?? '',
    bos_token: model.hasTokenizer ? piece(tokenizer.bosId) : '',
    eos_token: model.hasTokenizer ? piece(tokenizer.eosId) : '',
    modalities: { vision: false, audio: false },
    endpoint_slots: true,
    endpoint_props: settings.props ?? false,
    endpoint_metrics: true,
    build_info: `cria ${settings.version}`,
  };
  return { kind: 'json', body };
}

/** llama-server names no property yet that may be changed, so any field is refused. */
export const propsSchema = z.strictObject({});

export function prepareProps(_desk: Desk, body: unknown): null {
  parseBody(propsSchema, body);
  return null;
}

export async function setProps({ settings }: Core): Promise<Reply> {
  if (settings.props) return { kind: 'json', body: { success: true } };
  throw new ApiError(501, 'not_supported', "this server's properties cannot be changed. Start it with --props.");
}
