/** POST /v1/responses: what a request may hold, and the same request in the words of /v1/chat/completions. */
import { z } from 'zod';
import { ApiError } from '../api-error.ts';
import type { ChatRequest } from './chat.ts';
import { toolName } from './constrained.ts';
import { generationFields } from './generation-fields.ts';

const ignored = z.unknown().optional();
const text = z.string();
const id = z.string().max(128).nullish();

const part = z.union(
  [
    z.strictObject({
      type: z.enum(['input_text', 'output_text', 'text', 'summary_text', 'reasoning_text']),
      text,
      annotations: ignored,
      logprobs: ignored,
      prompt_cache_breakpoint: ignored,
    }),
    z.strictObject({ type: z.literal('refusal'), refusal: text }),
  ],
  'only text parts are supported',
);
const content = z.union([text, z.array(part).max(1024)]);

const message = z.strictObject({
  type: z.literal('message').nullish(),
  role: z.enum(['user', 'assistant', 'system', 'developer']),
  content,
  id,
  status: ignored,
  phase: ignored,
});
const functionCall = z.strictObject({
  type: z.literal('function_call'),
  call_id: text,
  name: text,
  arguments: text,
  id,
  status: ignored,
  namespace: ignored,
  caller: ignored,
  async: ignored,
});
/** Calls of tools that take free text, which another service offered. */
const customCall = z.strictObject({
  type: z.literal('custom_tool_call'),
  call_id: text,
  name: text,
  input: text,
  id,
  status: ignored,
  namespace: ignored,
  caller: ignored,
  async: ignored,
});
const functionCallOutput = z.strictObject({
  type: z.enum(['function_call_output', 'custom_tool_call_output']),
  call_id: text,
  output: content,
  id,
  name: ignored,
  status: ignored,
  namespace: ignored,
  caller: ignored,
});
const reasoning = z.strictObject({
  type: z.literal('reasoning'),
  id,
  summary: z.array(part).nullish(),
  content: z.array(part).nullish(),
  encrypted_content: ignored,
  status: ignored,
});
const reference = z.strictObject({ type: z.literal('item_reference').nullish(), id: z.string().max(128) });
const item = z.union([message, functionCall, customCall, functionCallOutput, reasoning, reference]);

export type Item = z.infer<typeof item>;

const functionTool = z.strictObject({
  type: z.literal('function'),
  name: toolName,
  description: z.string().nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
  strict: z.boolean().nullish(),
  // About programs that call it, and about when it is told of: it is told of at once.
  allowed_callers: ignored,
  async: ignored,
  defer_loading: ignored,
  output_schema: ignored,
});
/** Tools that OpenAI's servers run themselves; they cannot be offered, and the client is told so. */
const hostedTool = z.looseObject({ type: z.string().refine((type) => type !== 'function') });

const { n: _, n_predict, max_tokens, stream_options, ...shared } = generationFields;

export const responsesSchema = z.strictObject({
  ...shared,
  input: z
    .union([text, z.array(item).max(4096)])
    .describe('a text, or the items of a conversation: messages, calls, their outputs, thoughts'),
  instructions: text.nullish().describe('a system message in front; not kept for the next response'),
  previous_response_id: id.describe('goes on from an earlier response; how many are kept is bounded'),
  store: z.boolean().nullish().describe('false: the response cannot be gone on with (default true: in memory)'),
  max_output_tokens: z.int().min(1).nullish().describe('tokens to generate at most, thoughts included'),
  tools: z
    .array(z.union([functionTool, hostedTool]))
    .max(128)
    .nullish()
    .describe(
      'functions that may be called; tools of other types are not offered, which the header cria-not-held says',
    ),
  tool_choice: z
    .union([
      z.enum(['none', 'auto', 'required']),
      z.strictObject({ type: z.literal('function'), name: toolName }),
      z.strictObject({
        type: z.literal('allowed_tools'),
        mode: z.enum(['auto', 'required']),
        tools: z.array(z.strictObject({ type: z.literal('function'), name: toolName })).max(128),
      }),
    ])
    .nullish()
    .describe('whether a function may, must, or must not be called, and which'),
  parallel_tool_calls: z
    .boolean()
    .nullish()
    .describe('several calls in one answer; absent: where the chat template knows of tools'),
  text: z
    .strictObject({
      format: z
        .discriminatedUnion('type', [
          z.strictObject({ type: z.literal('text') }),
          z.strictObject({ type: z.literal('json_object') }),
          z.strictObject({
            type: z.literal('json_schema'),
            name: toolName.nullish(),
            description: z.string().nullish(),
            schema: z.record(z.string(), z.unknown()),
            strict: z.boolean().nullish(),
          }),
        ])
        .nullish(),
      verbosity: ignored,
    })
    .nullish()
    .describe('format: what the answer is: a text, any JSON object, or JSON of a schema'),
  reasoning: z
    .looseObject({})
    .nullish()
    .describe("accepted without effect: how long a model thinks is its template's to say"),
  include: z
    .array(
      z.enum([
        'reasoning.encrypted_content',
        'web_search_call.action.sources',
        'web_search_call.results',
        'code_interpreter_call.outputs',
        'file_search_call.results',
        'computer_call_output.output.image_url',
        'message.input_image.image_url',
      ]),
    )
    .nullish()
    .describe('accepted without effect: thoughts are in the open, and of the others there are none'),
  context_management: z.array(z.looseObject({})).nullish().describe('accepted without effect: nothing is cut'),
  truncation: z
    .enum(['disabled', 'auto'])
    .nullish()
    .describe('accepted without effect: nothing is cut, and what does not fit is refused'),
  max_tool_calls: z.int().nullish().describe('accepted without effect: it is about tools that the server runs'),
  stream_options: z.looseObject({}).nullish().describe('accepted without effect'),
  client_metadata: z.looseObject({}).nullish().describe('accepted without effect: nothing is kept of it'),
  background: z.literal(false).nullish().describe('a response is made while its client waits'),
  top_logprobs: z.literal(0).nullish().describe('log-probabilities are reported by /v1/chat/completions'),
});

export type ResponsesRequest = z.infer<typeof responsesSchema>;

/** What of earlier responses a request needs. */
export interface EarlierNeeds {
  readonly previous: string | null;
  readonly items: readonly string[];
}

/** null: nothing. */
export function needsOf({ previous_response_id: previous, input }: ResponsesRequest): EarlierNeeds | null {
  const items = Array.isArray(input) ? input.filter(isReference).map(({ id }) => id) : [];
  return previous == null && items.length === 0 ? null : { previous: previous ?? null, items };
}

/** What was kept: the conversation that is gone on with, and single items by their ids. */
export interface Earlier {
  readonly conversation: readonly Item[];
  readonly items: Readonly<Record<string, Item>>;
}

/** The whole conversation, but for the instructions. */
export function itemsOf({ input }: ResponsesRequest, { conversation, items }: Earlier): readonly Item[] {
  if (typeof input === 'string') return [...conversation, { role: 'user', content: input }];
  const given = input.map((one) => (isReference(one) ? items[one.id]! : one));
  return [...conversation, ...given];
}

function isReference(one: Item): one is z.infer<typeof reference> {
  return !('role' in one) && (one.type == null || one.type === 'item_reference');
}

/** Throws ApiError 400 where there is nothing to answer. */
export function chatRequestOf(request: ResponsesRequest, items: readonly Item[]): ChatRequest {
  const {
    input: _input,
    instructions,
    previous_response_id: _previous,
    store: _store,
    max_output_tokens,
    tools: _tools,
    tool_choice: choice,
    text: form,
    reasoning: _reasoning,
    include: _include,
    context_management: _management,
    truncation: _truncation,
    max_tool_calls: _max,
    stream_options: _options,
    client_metadata: _metadata,
    background: _background,
    top_logprobs: _top,
    ...rest
  } = request;
  if (items.length === 0) {
    throw new ApiError(400, 'missing_required_parameter', 'input: expected a text or at least one item.', {
      param: 'input',
    });
  }
  const allowed = typeof choice === 'object' && choice?.type === 'allowed_tools' ? choice : null;
  const tools = functionsOf(request)
    .filter(({ name }) => !allowed || allowed.tools.some((tool) => tool.name === name))
    .map(({ type, ...described }) => ({ type, function: described }));
  const system = instructions == null ? [] : [{ role: 'system' as const, content: instructions }];
  return {
    ...rest,
    messages: [...system, ...messagesOf(items)],
    max_tokens: max_output_tokens,
    tools,
    tool_choice: choiceOf(choice),
    response_format: formatOf(form?.format),
  } as ChatRequest;
}

type FunctionTool = z.infer<typeof functionTool>;

export function functionsOf({ tools }: ResponsesRequest): FunctionTool[] {
  return (tools ?? []).filter((tool): tool is FunctionTool => tool.type === 'function');
}

function choiceOf(choice: ResponsesRequest['tool_choice']): ChatRequest['tool_choice'] {
  if (typeof choice !== 'object' || choice === null) return choice;
  return choice.type === 'allowed_tools' ? choice.mode : { type: 'function', function: { name: choice.name } };
}

type Format = NonNullable<ResponsesRequest['text']>['format'];

function formatOf(format: Format): ChatRequest['response_format'] {
  if (format?.type !== 'json_schema') return format;
  const { type, ...described } = format;
  return { type, json_schema: described };
}

/** Thoughts go to the message or call that follows them; calls to the assistant's message before them. */
function messagesOf(items: readonly Item[]): ChatRequest['messages'] {
  const messages: ChatRequest['messages'] = [];
  let thoughts = '';
  const assistant = (more: { content: string | null; tool_calls?: object[] }) => {
    const thought = thoughts === '' ? {} : { reasoning_content: thoughts };
    messages.push({ role: 'assistant', ...more, ...thought } as ChatRequest['messages'][number]);
    thoughts = '';
  };
  for (const one of items) {
    if ('role' in one) {
      if (one.role === 'assistant') assistant({ content: textOf(one.content) });
      else messages.push({ role: one.role, content: textOf(one.content) });
    } else if (one.type === 'reasoning') {
      thoughts += textOf(one.content?.length ? one.content : (one.summary ?? []));
    } else if (one.type === 'function_call' || one.type === 'custom_tool_call') {
      const given = one.type === 'function_call' ? one.arguments : { input: one.input };
      const call = { id: one.call_id, type: 'function' as const, function: { name: one.name, arguments: given } };
      const last = messages.at(-1);
      if (thoughts === '' && last?.role === 'assistant') last.tool_calls = [...(last.tool_calls ?? []), call];
      else assistant({ content: null, tool_calls: [call] });
    } else if (one.type === 'function_call_output' || one.type === 'custom_tool_call_output') {
      messages.push({ role: 'tool', tool_call_id: one.call_id, content: textOf(one.output) });
    }
  }
  return messages;
}

function textOf(given: z.infer<typeof content>): string {
  if (typeof given === 'string') return given;
  return given.map((one) => ('text' in one ? one.text : one.refusal)).join('\n');
}
