/** POST /v1/messages, /v1/messages/count_tokens: what a request may hold, and the same request in the words of /v1/chat/completions. */
import { z } from 'zod';
import { ApiError } from '../api-error.ts';
import type { ChatRequest } from './chat.ts';
import { toolName } from './constrained.ts';
import { generationFields } from './generation-fields.ts';

const ignored = z.unknown().optional();
const cached = { cache_control: ignored };

const textBlock = z.strictObject({ type: z.literal('text'), text: z.string(), citations: ignored, ...cached });
const texts = z.union([z.string(), z.array(textBlock).max(1024)]);
/** A document that is a text; others are refused. */
const textDocument = z.strictObject({
  type: z.literal('document'),
  source: z.discriminatedUnion(
    'type',
    [
      z.strictObject({ type: z.literal('text'), media_type: z.literal('text/plain'), data: z.string() }),
      z.strictObject({ type: z.literal('content'), content: texts }),
    ],
    'only documents that are texts are read',
  ),
  title: z.string().nullish(),
  context: z.string().nullish(),
  citations: ignored,
  ...cached,
});
const searchResult = z.strictObject({
  type: z.literal('search_result'),
  title: z.string(),
  source: z.string(),
  content: z.array(textBlock).max(1024),
  citations: ignored,
  ...cached,
});
const readable = z.discriminatedUnion(
  'type',
  [textBlock, textDocument, searchResult],
  'only texts, documents that are texts and search results are supported',
);
const block = z.discriminatedUnion(
  'type',
  [
    textBlock,
    textDocument,
    searchResult,
    z.strictObject({ type: z.literal('thinking'), thinking: z.string(), signature: ignored }),
    z.strictObject({ type: z.literal('redacted_thinking'), data: z.string() }),
    z.strictObject({
      type: z.literal('tool_use'),
      id: z.string(),
      name: z.string(),
      input: z.record(z.string(), z.unknown()),
      caller: ignored,
      toolset_name: ignored,
      ...cached,
    }),
    z.strictObject({
      type: z.literal('tool_result'),
      tool_use_id: z.string(),
      content: z.union([z.string(), z.array(readable).max(1024)]).nullish(),
      is_error: z.boolean().nullish(),
      toolset_name: ignored,
      ...cached,
    }),
  ],
  'only texts, thoughts, calls of tools and their results are supported',
);

const tool = z.strictObject({
  type: z.literal('custom').nullish(),
  name: toolName,
  description: z.string().nullish(),
  input_schema: z.record(z.string(), z.unknown()),
  strict: z.boolean().nullish(),
  eager_input_streaming: ignored,
  input_examples: ignored,
  // It is told of at once.
  defer_loading: ignored,
  allowed_callers: ignored,
  ...cached,
});
/** Tools that Anthropic's servers run, or whose schema only they know. */
const otherTool = z.looseObject({ type: z.string().refine((type) => type !== 'custom'), name: z.string().nullish() });

const parallel = { disable_parallel_tool_use: z.boolean().nullish() };

const jsonOutput = z
  .strictObject({ type: z.literal('json_schema'), schema: z.record(z.string(), z.unknown()) })
  .nullish();

/** Fields about how Anthropic's service runs. */
function elsewhere<Name extends string>(why: string, names: readonly Name[]): Record<Name, typeof ignored> {
  const field = z.unknown().optional().describe(`accepted without effect: ${why}`);
  return Object.fromEntries(names.map((name) => [name, field])) as Record<Name, typeof ignored>;
}

const conversationFields = {
  model: generationFields.model,
  messages: z
    .array(
      z.strictObject({
        role: z.enum(['user', 'assistant', 'system']),
        content: z.union([z.string(), z.array(block).max(4096)]),
      }),
    )
    .min(1)
    .max(4096)
    .describe('the conversation'),
  system: texts.nullish().describe('what the model is told in front of it'),
  tools: z
    .array(z.union([tool, otherTool]))
    .max(128)
    .nullish()
    .describe(
      'tools that may be called; those without an input_schema are not offered, which the header cria-not-held says',
    ),
  tool_choice: z
    .discriminatedUnion('type', [
      z.strictObject({ type: z.literal('auto'), ...parallel }),
      z.strictObject({ type: z.literal('any'), ...parallel }),
      z.strictObject({ type: z.literal('none') }),
      z.strictObject({ type: z.literal('tool'), name: toolName, ...parallel }),
    ])
    .nullish()
    .describe('whether a tool may, must, or must not be called, and which'),
  thinking: z
    .looseObject({ type: z.enum(['enabled', 'disabled', 'adaptive']) })
    .nullish()
    .describe(
      "accepted without effect: whether a model thinks is its template's to say; thoughts come as thinking blocks",
    ),
  output_config: z
    .strictObject({
      effort: ignored,
      task_budget: ignored,
      format: jsonOutput,
    })
    .nullish()
    .describe('format: the answer is JSON of a schema'),
  output_format: jsonOutput.describe('the older place of output_config.format'),
  ...elsewhere('there is one place', ['inference_geo', 'speed', 'workspace_id', 'user_profile_id']),
  ...elsewhere('nothing is counted', ['diagnostics', 'betas']),
  mcp_servers: z.array(z.unknown()).max(0, 'no other servers are asked; offer their tools').nullish(),
  cache_control: z
    .unknown()
    .optional()
    .describe('accepted without effect: every prompt finds what the cache holds of it'),
  context_management: z.looseObject({}).nullish().describe('accepted without effect: nothing is cut'),
};

const { model: _model, n: _n, n_predict, max_tokens, stop, stream_options, logit_bias, ...sampling } = generationFields;

export const messagesSchema = z.strictObject({
  ...sampling,
  ...conversationFields,
  max_tokens: z.int().min(1).describe('tokens to generate at most'),
  stop_sequences: z
    .array(z.string().min(1).max(1024))
    .max(64)
    .nullish()
    .describe('texts that end the answer; which one did is stop_sequence'),
  metadata: z
    .looseObject({ user_id: z.string().max(512).nullish() })
    .nullish()
    .describe("user_id goes into the server's log"),
});

export const countTokensSchema = z.strictObject(conversationFields);

export type MessagesRequest = z.infer<typeof messagesSchema>;
type CountRequest = z.infer<typeof countTokensSchema>;

/** One line for each tool that cannot be offered. */
export function messagesNotOffered({ tools }: CountRequest): string[] {
  return (tools ?? []).flatMap((given) =>
    isOwnTool(given) ? [] : [`tools: ${given.type} is not offered, as it has no input_schema`],
  );
}

function isOwnTool(given: NonNullable<CountRequest['tools']>[number]): given is z.infer<typeof tool> {
  return given.type == null || given.type === 'custom';
}

/** What is to be counted of a request, too. Throws ApiError 400. */
export function chatOfConversation(request: CountRequest): ChatRequest {
  const { system, messages, tools, tool_choice: choice, output_config: output, model } = request;
  const format = output?.format ?? request.output_format;
  const disabled = choice == null || choice.type === 'none' ? null : choice.disable_parallel_tool_use;
  const offered = (tools ?? []).filter(isOwnTool).map(({ name, description, input_schema, strict }) => ({
    type: 'function' as const,
    function: { name, description, parameters: input_schema, strict },
  }));
  const choices = { auto: 'auto', any: 'required', none: 'none' } as const;
  return {
    model,
    messages: [
      ...(system == null ? [] : [{ role: 'system' as const, content: textOf(system) }]),
      ...messages.flatMap(turnsOf),
    ],
    tools: offered,
    tool_choice: !choice
      ? null
      : choice.type === 'tool'
        ? { type: 'function', function: { name: choice.name } }
        : choices[choice.type],
    parallel_tool_calls: disabled == null ? null : !disabled,
    ...(format && { response_format: { type: 'json_schema', json_schema: { schema: format.schema, strict: true } } }),
  } as ChatRequest;
}

/** Throws ApiError 400. */
export function chatOfMessages(request: MessagesRequest): ChatRequest {
  const { system, messages, tools, tool_choice, output_config, thinking, context_management, ...rest } = request;
  const {
    output_format,
    inference_geo,
    speed,
    workspace_id,
    user_profile_id,
    diagnostics,
    betas,
    mcp_servers,
    ...own
  } = rest;
  const { cache_control, stop_sequences: stop, metadata, ...options } = own;
  return { ...options, user: metadata?.user_id, stop, ...chatOfConversation(request) } as ChatRequest;
}

type Message = ChatRequest['messages'][number];

/** Results of tools are messages of their own, before what the user says with them. */
function turnsOf({ role, content }: CountRequest['messages'][number], index: number): Message[] {
  const blocks = typeof content === 'string' ? [{ type: 'text' as const, text: content }] : content;
  const said = blocks.flatMap((one) => (isReadable(one) ? [readableText(one)] : []));
  const misplaced = blocks.find(({ type }) => {
    if (type === 'text') return false;
    if (type === 'document' || type === 'search_result') return role !== 'user';
    return role === 'system' || (type === 'tool_result') !== (role === 'user');
  });
  if (misplaced) {
    const message = `messages.${index}: a ${misplaced.type} block is not expected in a message of the ${role}.`;
    throw new ApiError(400, 'invalid_value', message, { param: `messages.${index}` });
  }
  if (role !== 'assistant') {
    const results = blocks.flatMap((one): Message[] => {
      if (one.type !== 'tool_result') return [];
      return [{ role: 'tool', tool_call_id: one.tool_use_id, content: resultOf(one) }];
    });
    const isOnlyResults = results.length > 0 && said.length === 0;
    return isOnlyResults ? results : [...results, { role, content: said.join('\n') }];
  }
  const thoughts = blocks.flatMap((one) => (one.type === 'thinking' ? [one.thinking] : []));
  const calls = blocks.flatMap((one) =>
    one.type === 'tool_use'
      ? [{ id: one.id, type: 'function' as const, function: { name: one.name, arguments: one.input } }]
      : [],
  );
  return [
    {
      role,
      content: said.join('\n'),
      ...(thoughts.length > 0 && { reasoning_content: thoughts.join('\n') }),
      ...(calls.length > 0 && { tool_calls: calls }),
    },
  ];
}

/** A failure is told to the model, which no template has a field for. */
function resultOf({ content, is_error: failed }: Extract<z.infer<typeof block>, { type: 'tool_result' }>): string {
  const told = typeof content === 'string' ? content : (content ?? []).map(readableText).join('\n');
  return failed ? `Error: ${told}` : told;
}

type Readable = z.infer<typeof readable>;

function isReadable(one: z.infer<typeof block>): one is Readable {
  return one.type === 'text' || one.type === 'document' || one.type === 'search_result';
}

/** A document's title and what it is stand in front of it. */
function readableText(one: Readable): string {
  if (one.type === 'text') return one.text;
  if (one.type === 'search_result') return [one.title, one.source, textOf(one.content)].join('\n');
  const { source, title, context } = one;
  const body = source.type === 'text' ? source.data : textOf(source.content);
  return [title, context, body].filter((part) => part != null && part !== '').join('\n');
}

function textOf(given: z.infer<typeof texts>): string {
  return typeof given === 'string' ? given : given.map(({ text }) => text).join('\n');
}
