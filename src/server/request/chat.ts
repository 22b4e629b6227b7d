/** POST /v1/chat/completions, /apply-template: what a request may hold. */
import { z } from 'zod';
import type { ChatPrompt } from '../../inference/chat-prompt.ts';
import type { ChatMessage } from '../../tokenizer/chat/chat-template.ts';
import { ApiError } from '../api-error.ts';
import { constrainedFields, toolFields } from './constrained.ts';
import { generationFields } from './generation-fields.ts';

/** Fields of messages that clients send back, or of other services, and that change no text. */
const ignored = z.unknown().optional();
const partExtras = { cache_control: ignored, annotations: ignored, prompt_cache_breakpoint: ignored };
const part = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('text'), text: z.string(), ...partExtras }),
    z.strictObject({ type: z.literal('refusal'), refusal: z.string(), ...partExtras }),
  ],
  'only text parts are supported',
);
const content = z.union([z.string(), z.array(part).max(1024)]);

const calledFunction = z.strictObject({
  name: z.string(),
  arguments: z.union([z.string(), z.record(z.string(), z.unknown())]).nullish(),
});
const functionCall = z.strictObject({
  id: z.string().nullish(),
  type: z.literal('function').nullish(),
  index: ignored,
  function: calledFunction,
});
/** Of a tool that takes free text, which another service offered. */
const customCall = z.strictObject({
  id: z.string().nullish(),
  type: z.literal('custom'),
  index: ignored,
  custom: z.strictObject({ name: z.string(), input: z.string() }),
});

const messageExtras = { name: z.string().max(256).nullish(), cache_control: ignored, id: ignored, metadata: ignored };
const message = z.discriminatedUnion('role', [
  z.strictObject({ role: z.enum(['system', 'developer', 'user']), content: content.nullable(), ...messageExtras }),
  z.strictObject({
    role: z.literal('assistant'),
    content: content.nullish(),
    tool_calls: z
      .array(z.union([functionCall, customCall]))
      .max(128)
      .nullish(),
    /** What the model thought: a template may show it again. */
    reasoning_content: z.string().nullish(),
    reasoning: ignored,
    reasoning_details: ignored,
    // What clients send back of an answer as they got it.
    refusal: z.string().nullish(),
    audio: z.null().optional(),
    /** The older form of a single call. */
    function_call: calledFunction.nullish(),
    annotations: ignored,
    index: ignored,
    status: ignored,
    type: z.literal('message').optional(),
    ...messageExtras,
  }),
  z.strictObject({
    role: z.enum(['tool', 'function']),
    content: content.nullable(),
    tool_call_id: z.string().nullish(),
    is_error: ignored,
    status: ignored,
    ...messageExtras,
  }),
]);

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);

export const templateFields = {
  messages: z.array(message).min(1).max(4096).describe('the conversation'),
  chat_template_kwargs: z
    .record(z.string().regex(/^\w{1,64}$/), z.union([scalar, z.array(scalar).max(256)]))
    .nullish()
    .describe("more variables for the model's chat template"),
  add_generation_prompt: z
    .boolean()
    .nullish()
    .describe("end with the beginning of the assistant's turn (default true)"),
};

export const chatSchema = z.strictObject({
  ...templateFields,
  ...generationFields,
  ...constrainedFields,
  modalities: z.array(z.literal('text')).max(1).nullish().describe('answers are texts'),
  reasoning_format: z
    .enum(['auto', 'none', 'deepseek'])
    .nullish()
    .describe('none: what the model thinks stays in the content; otherwise it is reasoning_content'),
  max_completion_tokens: z.int().min(0).nullish().describe("OpenAI's newer name of max_tokens"),
  logprobs: z.boolean().nullish().describe('report the log-probability of every token'),
  top_logprobs: z.int().min(0).max(20).nullish().describe('and of this many likeliest ones'),
});

export const templateSchema = z.strictObject({ ...templateFields, ...toolFields, model: generationFields.model });

export type ChatRequest = z.infer<typeof chatSchema>;
type TemplateRequest = z.infer<typeof templateSchema>;

/** Variables of the template's own that no request may take the place of. */
const reserved = ['messages', 'tools', 'documents', 'bos_token', 'eos_token', 'add_generation_prompt', 'chat_template'];

/** `template`: the server's choice; undefined: the model's own. */
export function chatPromptOf(request: TemplateRequest, template: string | undefined): ChatPrompt {
  const variables = request.chat_template_kwargs ?? {};
  const taken = Object.keys(variables).find((name) => reserved.includes(name));
  if (taken !== undefined) {
    throw new ApiError(400, 'invalid_value', `chat_template_kwargs: ${taken} is the server's to set.`, {
      param: 'chat_template_kwargs',
    });
  }
  const addGenerationPrompt = request.add_generation_prompt ?? true;
  const messages = request.messages.map(toMessage);
  const last = messages.at(-1)!;
  // A beginning of the answer, which the model goes on with.
  const continues = addGenerationPrompt && messages.length > 1 && last.role === 'assistant' && !last.tool_calls;
  return {
    messages: continues ? messages.slice(0, -1) : messages,
    template,
    variables,
    addGenerationPrompt,
    ...(continues && { continuation: last.content as string }),
  };
}

function toMessage(message: TemplateRequest['messages'][number]): ChatMessage {
  const { role, content, name } = message;
  const calls = message.role === 'assistant' ? callsOf(message) : [];
  const isResult = message.role === 'tool' || message.role === 'function';
  return {
    ...(name != null && { name }),
    ...(isResult && { tool_call_id: message.tool_call_id ?? '' }),
    ...(message.role === 'assistant' && message.reasoning_content && { reasoning_content: message.reasoning_content }),
    // Models know the older name of the same thing.
    role: role === 'developer' ? 'system' : isResult ? 'tool' : role,
    ...(calls.length > 0 && { tool_calls: calls.map(toTemplateCall) }),
    content: Array.isArray(content) ? content.map(textOf).join('\n') : (content ?? ''),
  };
}

function textOf(given: z.infer<typeof part>): string {
  return given.type === 'text' ? given.text : given.refusal;
}

type Assistant = Extract<TemplateRequest['messages'][number], { role: 'assistant' }>;

function callsOf({ tool_calls: calls, function_call: older }: Assistant): z.infer<typeof functionCall>[] {
  const given = (calls ?? []).map((call) => {
    if (!('custom' in call)) return call;
    const { name, input } = call.custom;
    return { id: call.id, function: { name, arguments: { input } } };
  });
  return older ? [...given, { function: older }] : given;
}

/** Templates want arguments as an object; on OpenAI's wire they are its text. */
function toTemplateCall({ id, function: { name, arguments: given } }: z.infer<typeof functionCall>, i: number) {
  return { id: id ?? `call_${i}`, type: 'function', function: { name, arguments: argumentsOf(given ?? '{}') } };
}

function argumentsOf(given: string | Readonly<Record<string, unknown>>): unknown {
  if (typeof given !== 'string') return given;
  try {
    return JSON.parse(given) as unknown;
  } catch {
    return given;
  }
}

/** −1: off; otherwise how many alternatives. Throws ApiError. */
export function chatLogprobs(request: z.infer<typeof chatSchema>): number {
  if (request.logprobs) return request.top_logprobs ?? 0;
  if (request.top_logprobs == null) return -1;
  throw new ApiError(400, 'invalid_value', 'top_logprobs: expected only with logprobs: true.', {
    param: 'top_logprobs',
  });
}
