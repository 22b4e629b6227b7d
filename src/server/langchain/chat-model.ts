import type { CallbackManagerForLLMRun } from '@langchain/core/callbacks/manager';
import type { BaseLanguageModelInput, StructuredOutputMethodOptions } from '@langchain/core/language_models/base';
import {
  BaseChatModel,
  type BaseChatModelCallOptions,
  type BaseChatModelParams,
  type BindToolsInput,
} from '@langchain/core/language_models/chat_models';
import {
  assembleStructuredOutputPipeline,
  createContentParser,
} from '@langchain/core/language_models/structured_output';
import { AIMessageChunk, type BaseMessage, type UsageMetadata } from '@langchain/core/messages';
import { ChatGenerationChunk, type ChatResult } from '@langchain/core/outputs';
import type { Runnable } from '@langchain/core/runnables';
import { convertToOpenAITool } from '@langchain/core/utils/function_calling';
import { toJsonSchema } from '@langchain/core/utils/json_schema';
import type { GenerationResult } from '../../inference/generation.ts';
import type { ToolEvent } from '../../inference/grammar/tool-reader.ts';
import { type GenerationOptions, generationOptions } from '../../inference/options.ts';
import type { RemoteModel } from '../../inference/remote/model.ts';
import { type ConversationRequest, startAnswer } from '../in-process.ts';
import { toRequestMessage } from './messages.ts';

export interface ChatCriaFields extends GenerationOptions, BaseChatModelParams {
  /** A model of Llama.load(), or one that is loading. Closing it is up to the caller. */
  readonly model: RemoteModel | Promise<RemoteModel>;
  /** A chat template's name or Jinja text; absent: the model's own, and without one `plain`, which goes on with texts. */
  readonly template?: string;
}

export interface ChatCriaCallOptions extends BaseChatModelCallOptions, Omit<GenerationOptions, 'stop'> {
  /** OpenAI's form; bindTools() makes it. */
  readonly tools?: ConversationRequest['tools'];
  /** The answer is JSON of this schema; withStructuredOutput() makes it. */
  readonly jsonSchema?: Record<string, unknown>;
  /** The answer is a text of this grammar, in llama.cpp's notation (GBNF). */
  readonly grammar?: string;
}

/** LangChain's chat model on a model in this process: invoke, stream, tools, structured output. */
export class ChatCria extends BaseChatModel<ChatCriaCallOptions> {
  private readonly model: RemoteModel | Promise<RemoteModel>;
  private readonly template: string | undefined;
  private readonly options: GenerationOptions;

  constructor(fields: ChatCriaFields) {
    super(fields);
    this.model = fields.model;
    this.template = fields.template;
    this.options = generationOptionsOf(fields);
  }

  static override lc_name(): string {
    return 'ChatCria';
  }

  _llmType(): string {
    return 'cria';
  }

  override bindTools(tools: BindToolsInput[], options: Partial<ChatCriaCallOptions> = {}) {
    const offered = tools.map((tool) => convertToOpenAITool(tool as Parameters<typeof convertToOpenAITool>[0]));
    return this.withConfig({ ...options, tools: offered as NonNullable<ConversationRequest['tools']> });
  }

  /** The answer is JSON of the schema by a grammar, whatever `method` says: there is no other way that cannot fail. */
  override withStructuredOutput<Output extends Record<string, unknown>>(
    schema: Parameters<typeof createContentParser<Output>>[0],
    config?: StructuredOutputMethodOptions<false>,
  ): Runnable<BaseLanguageModelInput, Output>;
  override withStructuredOutput<Output extends Record<string, unknown>>(
    schema: Parameters<typeof createContentParser<Output>>[0],
    config?: StructuredOutputMethodOptions<true>,
  ): Runnable<BaseLanguageModelInput, { raw: BaseMessage; parsed: Output }>;
  override withStructuredOutput<Output extends Record<string, unknown>>(
    schema: Parameters<typeof createContentParser<Output>>[0],
    config?: StructuredOutputMethodOptions<boolean>,
  ): unknown {
    const jsonSchema = toJsonSchema(schema as Parameters<typeof toJsonSchema>[0]) as Record<string, unknown>;
    const parser = createContentParser<Output>(schema);
    return assembleStructuredOutputPipeline(this.withConfig({ jsonSchema }), parser, config?.includeRaw);
  }

  async _generate(
    messages: BaseMessage[],
    options: this['ParsedCallOptions'],
    runManager?: CallbackManagerForLLMRun,
  ): Promise<ChatResult> {
    let whole: ChatGenerationChunk | undefined;
    for await (const chunk of this._streamResponseChunks(messages, options, runManager)) {
      whole = whole ? whole.concat(chunk) : chunk;
    }
    return { generations: whole ? [whole] : [] };
  }

  override async *_streamResponseChunks(
    messages: BaseMessage[],
    options: this['ParsedCallOptions'],
    runManager?: CallbackManagerForLLMRun,
  ): AsyncGenerator<ChatGenerationChunk> {
    const model = await this.model;
    const { stop, signal } = options;
    const generation = {
      ...this.options,
      ...generationOptionsOf(options),
      ...(stop && { stop }),
      ...(signal && { signal }),
    };
    const answer = await startAnswer(model, this.template, requestOf(messages, options), generation);
    let calls = 0;
    try {
      const chunksOf = function* (events: readonly ToolEvent[]) {
        for (const event of events) {
          if (event.kind === 'call') calls++;
          yield chunkOf(event, calls - 1);
        }
      };
      for await (const piece of answer.pieces) {
        for (const chunk of chunksOf(answer.reader.push(piece))) {
          yield chunk;
          await runManager?.handleLLMNewToken(chunk.text, undefined, undefined, undefined, undefined, { chunk });
        }
      }
      yield* chunksOf(answer.reader.end());
      const result = await answer.result;
      if (result.finishReason === 'abort') signal?.throwIfAborted();
      yield lastChunk(result, calls, model.facts.name);
    } finally {
      await answer.pieces.return?.();
    }
  }
}

function requestOf(messages: readonly BaseMessage[], options: ChatCriaCallOptions): ConversationRequest {
  const { tools, tool_choice: choice, jsonSchema, grammar } = options;
  return {
    messages: messages.map(toRequestMessage),
    ...(tools && { tools }),
    ...(choice !== undefined && { tool_choice: toolChoiceOf(choice) }),
    ...(jsonSchema && { response_format: { type: 'json_object', schema: jsonSchema } }),
    ...(grammar !== undefined && { grammar }),
  };
}

/** LangChain's 'any' is OpenAI's 'required'; another word is the name of a tool. */
function toolChoiceOf(choice: string | Record<string, unknown>): NonNullable<ConversationRequest['tool_choice']> {
  if (typeof choice !== 'string') return choice as Exclude<NonNullable<ConversationRequest['tool_choice']>, string>;
  if (choice === 'auto' || choice === 'none' || choice === 'required') return choice;
  return choice === 'any' ? 'required' : { type: 'function', function: { name: choice } };
}

function chunkOf(event: ToolEvent, index: number): ChatGenerationChunk {
  if (event.kind === 'text')
    return new ChatGenerationChunk({ text: event.text, message: new AIMessageChunk(event.text) });
  const part = { index, type: 'tool_call_chunk' as const };
  const chunk =
    event.kind === 'call'
      ? { ...part, name: event.name, args: '', id: `call_${crypto.randomUUID()}` }
      : { ...part, args: event.text };
  return new ChatGenerationChunk({ text: '', message: new AIMessageChunk({ content: '', tool_call_chunks: [chunk] }) });
}

function lastChunk(result: GenerationResult, calls: number, name: string): ChatGenerationChunk {
  const { promptIds, timings, seed, finishReason } = result;
  const usage_metadata: UsageMetadata = {
    input_tokens: promptIds.length,
    output_tokens: timings.predicted_n,
    total_tokens: promptIds.length + timings.predicted_n,
    input_token_details: { cache_read: timings.cache_n },
  };
  const finish_reason = calls > 0 && finishReason === 'stop' ? 'tool_calls' : finishReason;
  const response_metadata = { finish_reason, model_name: name, seed };
  return new ChatGenerationChunk({
    text: '',
    // LangChain's own type of usage_metadata comes out as never under this compiler, in its constructor too.
    message: Object.assign(new AIMessageChunk(''), { usage_metadata, response_metadata }),
  });
}

/** Of all that LangChain passes along, the options of a generation. */
function generationOptionsOf(given: object): GenerationOptions {
  return Object.fromEntries(
    Object.entries(given).filter(([name, value]) => Object.hasOwn(generationOptions, name) && value !== undefined),
  );
}
