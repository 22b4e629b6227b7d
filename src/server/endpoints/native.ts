/** POST /completion and GET /props, as llama-server has them. */
import { z } from 'zod';
import { toApiError } from '../api-error.ts';
import type { Desk } from '../preparing/desk.ts';
import type { TurnEnd } from '../reply/choices.ts';
import { toDataEvents } from '../reply/event-stream.ts';
import { grammarFields } from '../request/constrained.ts';
import { generationFields } from '../request/generation-fields.ts';
import { parseBody } from '../request/parse.ts';
import type { Call, Core, Reply } from '../world.ts';
import { prepareRawTurn, startTurn, type Turn, turnEvents } from './conversation.ts';

const { n: _n, stream_options: _options, ...shared } = generationFields;

export const nativeSchema = z.strictObject({
  ...shared,
  ...grammarFields,
  prompt: z
    .union([z.string(), z.array(z.int().min(0)).min(1)])
    .describe('a text, in which special tokens are those tokens, or token ids'),
});

export function prepareNative(desk: Desk, body: unknown): { readonly turn: Turn; readonly text: string } {
  const request = parseBody(nativeSchema, body);
  const turn = prepareRawTurn(desk, request as Parameters<typeof prepareRawTurn>[1], request.prompt, true);
  const text = typeof request.prompt === 'string' ? request.prompt : desk.model.tokenizer.decode(turn.prompt);
  return { turn, text };
}

export async function nativeCompletion(
  core: Core,
  call: Call,
  { turn, text: prompt }: ReturnType<typeof prepareNative>,
): Promise<Reply> {
  const { generations, headers } = await startTurn(core, call, turn);
  const { model } = turn.shape;
  const head = { index: 0, model, tokens_evaluated: turn.prompt.length };
  const objects = async function* () {
    for await (const event of turnEvents(core, generations, turn, call.notes)) {
      if (event.kind === 'text') yield { ...head, content: event.text, stop: false };
      else if (event.kind === 'end') yield { ...head, content: '', ...endOf(event), prompt };
    }
  };
  if (turn.shape.stream) {
    const failed = (error: unknown) => {
      call.notes.error = error;
      return toApiError(error).body;
    };
    return { kind: 'events', events: toDataEvents(objects(), failed), headers };
  }
  let content = '';
  let last: object = {};
  for await (const object of objects()) {
    content += object.content;
    last = object;
  }
  return { kind: 'json', body: { ...last, content }, headers };
}

function endOf({ result, usage }: TurnEnd) {
  const { finishReason, stop, timings } = result;
  const kind = finishReason !== 'stop' ? 'limit' : stop !== null ? 'word' : 'eos';
  return {
    stop: true,
    stop_type: kind,
    stopping_word: stop ?? '',
    truncated: false,
    tokens_predicted: usage.completion_tokens,
    tokens_cached: usage.prompt_tokens_details.cached_tokens,
    timings,
  };
}

export async function props({ model, settings }: Core): Promise<Reply> {
  const { tokenizer, facts, contextLength } = model;
  const piece = (id: number | null) => (id === null ? '' : tokenizer.pieceOf(id));
  const body = {
    default_generation_settings: { n_ctx: contextLength },
    model_alias: settings.modelId,
    chat_template: settings.template ?? facts.chatTemplate ?? '',
    bos_token: model.hasTokenizer ? piece(tokenizer.bosId) : '',
    modalities: { vision: false, audio: false },
    build_info: `cria ${settings.version}`,
  };
  return { kind: 'json', body };
}
