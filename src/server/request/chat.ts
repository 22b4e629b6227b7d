/** POST /v1/chat/completions, /apply-template: what a request may hold. */
import { z } from 'zod';
import type { ChatPrompt } from '../../inference/chat-prompt.ts';
import type { ChatMessage } from '../../tokenizer/chat/chat-template.ts';
import { ApiError } from '../api-error.ts';
import { constrainedFields, toolFields } from './constrained.ts';
import { generationFields } from './generation-fields.ts';

const textPart = z.strictObject({ type: z.literal('text', 'only text parts are supported'), text: z.string() });
const content = z.union([z.string(), z.array(textPart).min(1).max(1024)]);

const toolCall = z.strictObject({
  id: z.string(),
  type: z.literal('function'),
  function: z.strictObject({ name: z.string(), arguments: z.string() }),
});

const message = z.discriminatedUnion('role', [
  z.strictObject({ role: z.enum(['system', 'developer', 'user']), content, name: z.string().max(64).optional() }),
  z.strictObject({
    role: z.literal('assistant'),
    content: content.nullish(),
    name: z.string().max(64).optional(),
    tool_calls: z.array(toolCall).max(128).nullish(),
    // What clients send back of an answer as they got it.
    refusal: z.null().optional(),
    audio: z.null().optional(),
    function_call: z.null().optional(),
    annotations: z.array(z.never()).nullish(),
  }),
  z.strictObject({ role: z.literal('tool'), content, tool_call_id: z.string() }),
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
  modalities: z.array(z.literal('text')).length(1).nullish().describe('answers are texts'),
  max_completion_tokens: z.int().min(0).nullish().describe("OpenAI's newer name of max_tokens"),
  logprobs: z.boolean().nullish().describe('report the log-probability of every token'),
  top_logprobs: z.int().min(0).max(20).nullish().describe('and of this many likeliest ones'),
});

export const templateSchema = z.strictObject({ ...templateFields, ...toolFields, model: generationFields.model });

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
  return {
    messages: request.messages.map(toMessage),
    template,
    variables,
    addGenerationPrompt: request.add_generation_prompt ?? true,
  };
}

function toMessage(message: TemplateRequest['messages'][number]): ChatMessage {
  const { role, content } = message;
  return {
    ...('name' in message && message.name !== undefined && { name: message.name }),
    ...('tool_call_id' in message && { tool_call_id: message.tool_call_id }),
    // Models know the older name of the same thing.
    role: role === 'developer' ? 'system' : role,
    ...('tool_calls' in message && message.tool_calls && { tool_calls: message.tool_calls.map(toTemplateCall) }),
    content: Array.isArray(content) ? content.map(({ text }) => text).join('\n') : (content ?? ''),
  };
}

/** Templates want arguments as an object; on OpenAI's wire they are its text. */
function toTemplateCall({ function: called, ...rest }: z.infer<typeof toolCall>) {
  try {
    return { ...rest, function: { ...called, arguments: JSON.parse(called.arguments) as unknown } };
  } catch {
    return { ...rest, function: called };
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
