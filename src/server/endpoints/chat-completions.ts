/** POST /v1/chat/completions. */
import type { ChatPrompt } from '../../inference/chat-prompt.ts';
import type { GenerationResult, Piece } from '../../inference/generation.ts';
import { gatherToolEvents, type ToolCall } from '../../inference/grammar/tool-reader.ts';
import type { ToolFormat } from '../../inference/grammar/tools.ts';
import { encodePrompt } from '../../inference/prompt.ts';
import { type Generations, startGenerations } from '../generations.ts';
import type { Desk } from '../preparing/desk.ts';
import { answerReader } from '../reply/answer-reader.ts';
import { finishReasonOf, mergeAnswers, usageOf } from '../reply/choices.ts';
import { toEventStream } from '../reply/event-stream.ts';
import { type AnswerEvent, type Thinking, ThinkingReader, thinkingOf } from '../reply/thinking.ts';
import { TokenNames } from '../reply/token-names.ts';
import { chatLogprobs, chatSchema } from '../request/chat.ts';
import { optionsOf, type Shape, shapeOf } from '../request/generation-fields.ts';
import { parseBody } from '../request/parse.ts';
import type { Call, Core, Reply } from '../world.ts';
import { constraintOf } from './constraint.ts';
import { askedFor, checkCharacters, checkLength, conversationOf, encoderOf } from './prompts.ts';

export function prepareChat(desk: Desk, body: unknown) {
  const request = parseBody(chatSchema, body);
  const { model } = desk;
  const asked = askedFor(desk, request);
  const logprobs = chatLogprobs(request);
  const { messages, constraint } = conversationOf(desk, request);
  const options = { ...optionsOf(request), logprobs };
  checkCharacters(model, charactersOf(messages), 'messages');
  const prompt = encodePrompt(encoderOf(model), messages, { parseSpecial: false });
  checkLength(model, prompt, 'messages', desk.settings.refuseBeyondContext ? options : {});
  const { spec, tools } = constraint;
  // A form, or a call that must be made, leaves no room for thoughts.
  const isFree = spec === null || (spec.kind === 'tools' && spec.choice === 'auto');
  const tellsThoughts = isFree && request.reasoning_format !== 'none';
  const shape: ChatShape = {
    ...shapeOf(request),
    model: asked.model,
    logprobs: logprobs >= 0,
    toolFormat: tools?.format ?? null,
    thinking: tellsThoughts ? thinkingOf(messages.template, model.tokenizer, prompt) : null,
  };
  return { prompt, options, shape, adapters: asked.adapters, constraint: spec && JSON.stringify(spec) };
}

export async function chatCompletions(
  core: Core,
  { signal, notes }: Call,
  { prompt, options, shape, adapters, constraint: spec }: ReturnType<typeof prepareChat>,
): Promise<Reply> {
  Object.assign(notes, { promptTokens: prompt.length, user: shape.user ?? undefined, stream: shape.stream });
  const { constraint, headers } = await constraintOf(core, spec, signal, notes);
  const plan = { prompts: [prompt], n: shape.n, options: { ...options, constraint, adapters: adapters ?? undefined } };
  const generations = await startGenerations(core, plan, signal);
  const writer = new ChatWriter(core, generations, prompt.length, shape, notes);
  if (!shape.stream) return { kind: 'json', body: await writer.whole(), headers };
  const events = toEventStream(writer.chunks(), (error) => Object.assign(notes, { error }));
  return { kind: 'events', events, headers };
}

function charactersOf({ messages }: ChatPrompt): number {
  return messages.reduce((sum, { content }) => sum + String(content).length, 0);
}

interface ChatShape extends Shape {
  readonly model: string;
  readonly logprobs: boolean;
  /** How calls are written; null: nothing may be called. */
  readonly toolFormat: ToolFormat | null;
  /** How thoughts are told apart; null: they are not. */
  readonly thinking: Thinking | null;
}

/** The answer in OpenAI's shapes. */
class ChatWriter {
  private readonly core: Core;
  private readonly generations: Generations;
  private readonly promptTokens: number;
  private readonly shape: ChatShape;
  private readonly notes: Record<string, unknown>;
  private readonly names: TokenNames;
  private readonly head: Readonly<Record<string, unknown>>;

  constructor(
    core: Core,
    generations: Generations,
    promptTokens: number,
    shape: ChatShape,
    notes: Record<string, unknown>,
  ) {
    this.core = core;
    this.generations = generations;
    this.promptTokens = promptTokens;
    this.shape = shape;
    this.notes = notes;
    this.names = new TokenNames(core.model.tokenizer);
    this.head = {
      id: `chatcmpl-${core.randomId()}`,
      created: core.clocks.unixSeconds(),
      model: shape.model,
      system_fingerprint: `cria-${core.settings.version}`,
    };
  }

  async whole(): Promise<unknown> {
    const { answers } = this.generations;
    const { toolFormat: tools, thinking, logprobs } = this.shape;
    const contents = answers.map(() => [] as unknown[]);
    const readers = answers.map(() => this.reader());
    const said = answers.map(() => [] as AnswerEvent[]);
    const isRead = tools !== null || thinking !== null;
    if (logprobs || isRead) {
      for await (const event of mergeAnswers(answers)) {
        const { index } = event;
        if (!('piece' in event)) said[index]!.push(...readers[index]!.end());
        else {
          if (logprobs) contents[index]!.push(this.names.chat(event.piece));
          said[index]!.push(...readers[index]!.push(event.piece));
        }
      }
    }
    const { usage, results, timings } = await this.end();
    return {
      ...this.head,
      object: 'chat.completion',
      choices: results.map((result, index) => ({
        index,
        ...this.message(result, isRead ? gather(said[index]!) : { reasoning: '', content: result.text, calls: [] }),
        logprobs: logprobs ? { content: contents[index], refusal: null } : null,
      })),
      usage,
      ...timings,
    };
  }

  async *chunks(): AsyncGenerator<unknown, void> {
    const { answers } = this.generations;
    try {
      for (const index of answers.keys()) yield this.chunk(index, { role: 'assistant', content: '' }, null, null);
      const readers = answers.map(() => this.reader());
      const calls = answers.map(() => 0);
      let open = answers.length;
      for await (const event of mergeAnswers(answers)) {
        if ('piece' in event) {
          const { piece, index } = event;
          // A token's log-probability goes with the first thing that it says; if it says nothing, alone.
          let logprob: unknown = this.shape.logprobs ? this.names.chat(piece) : null;
          for (const part of readers[index]!.push(piece)) {
            if (part.kind === 'call') calls[index]!++;
            yield this.chunk(index, this.delta(part, calls[index]! - 1), logprob, null);
            logprob = null;
          }
          if (logprob !== null) yield this.chunk(index, {}, logprob, null);
        } else {
          const { result, index } = event;
          for (const part of readers[index]!.end()) yield this.chunk(index, this.delta(part, 0), null, null);
          const finish = finishOf(result, calls[index]!);
          const { timings } = --open === 0 ? await this.end() : { timings: {} };
          yield { ...this.chunk(event.index, {}, null, finish), ...timings };
        }
      }
      const { usage } = await this.end();
      if (this.shape.includeUsage) yield { ...this.chunkHead, choices: [], usage };
    } finally {
      this.generations.abort();
    }
  }

  private reader(): { push(piece: Piece): AnswerEvent[]; end(): AnswerEvent[] } {
    const { tokenizer } = this.core.model;
    const { toolFormat, thinking } = this.shape;
    const answer = answerReader(tokenizer, toolFormat);
    return thinking ? new ThinkingReader(tokenizer, thinking, answer) : answer;
  }

  /** OpenAI's way: a call's name first, its arguments as they come. `call`: how many were before it. */
  private delta(event: AnswerEvent, call: number): object {
    switch (event.kind) {
      case 'reasoning':
        return { reasoning_content: event.text };
      case 'text':
        return { content: event.text };
      case 'call':
        return { tool_calls: [{ index: call, ...this.wireCall({ name: event.name, arguments: '' }) }] };
      case 'arguments':
        return { tool_calls: [{ index: call, function: { arguments: event.text } }] };
      default:
        return event satisfies never;
    }
  }

  private message(result: GenerationResult, { reasoning, content, calls }: Gathered) {
    const message = {
      role: 'assistant',
      ...(reasoning !== '' && { reasoning_content: reasoning }),
      content: content === '' && calls.length > 0 ? null : content,
      refusal: null,
      ...(calls.length > 0 && { tool_calls: calls.map((call) => this.wireCall(call)) }),
    };
    return { message, finish_reason: finishOf(result, calls.length) };
  }

  private wireCall(call: ToolCall) {
    return { id: `call_${this.core.randomId()}`, type: 'function', function: call };
  }

  private get chunkHead(): Readonly<Record<string, unknown>> {
    return { ...this.head, object: 'chat.completion.chunk' };
  }

  private chunk(index: number, delta: object, logprob: unknown, finish: string | null): Record<string, unknown> {
    const logprobs = logprob === null ? null : { content: [logprob], refusal: null };
    return {
      ...this.chunkHead,
      choices: [{ index, delta, logprobs, finish_reason: finish }],
      ...(this.shape.includeUsage && { usage: null }),
    };
  }

  private async end() {
    const results = await this.generations.finish();
    const usage = usageOf(this.promptTokens, results, this.generations.cachedTokens(results));
    Object.assign(this.notes, { completionTokens: usage.completion_tokens, seed: results[0]!.seed });
    // llama-server's numbers are of one answer.
    return { results, usage, timings: results.length === 1 ? { timings: results[0]!.timings } : {} };
  }
}

interface Gathered {
  readonly reasoning: string;
  readonly content: string;
  readonly calls: readonly ToolCall[];
}

function gather(events: readonly AnswerEvent[]): Gathered {
  const thoughts = events.filter((event) => event.kind === 'reasoning');
  const rest = events.filter((event) => event.kind !== 'reasoning');
  return { reasoning: thoughts.map(({ text }) => text).join(''), ...gatherToolEvents(rest) };
}

/** Calls that max_tokens cut short are not to be made: then it says so. */
function finishOf({ finishReason }: GenerationResult, calls: number): string {
  return calls > 0 && finishReason === 'stop' ? 'tool_calls' : finishReasonOf(finishReason);
}
