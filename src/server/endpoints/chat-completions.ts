/** POST /v1/chat/completions. */
import type { GenerationResult } from '../../inference/generation.ts';
import { gatherToolEvents, type ToolCall } from '../../inference/grammar/tool-reader.ts';
import type { Generations } from '../generations.ts';
import type { Desk } from '../preparing/desk.ts';
import { finishReasonOf, mergeAnswers, usageOf } from '../reply/choices.ts';
import { toEventStream } from '../reply/event-stream.ts';
import type { AnswerEvent } from '../reply/thinking.ts';
import { TokenNames } from '../reply/token-names.ts';
import { chatSchema } from '../request/chat.ts';
import { notOffered } from '../request/constrained.ts';
import { parseBody } from '../request/parse.ts';
import type { Call, Core, Reply } from '../world.ts';
import { type ChatShape, prepareTurn, startTurn, type Turn, turnReader } from './conversation.ts';

export function prepareChat(desk: Desk, body: unknown): Turn {
  const request = parseBody(chatSchema, body);
  return prepareTurn(desk, request, { notHeld: notOffered(request.tools) });
}

export async function chatCompletions(core: Core, call: Call, turn: Turn): Promise<Reply> {
  const { shape, prompt } = turn;
  const { notes } = call;
  const { generations, headers } = await startTurn(core, call, turn);
  const writer = new ChatWriter(core, generations, prompt.length, shape, notes);
  if (!shape.stream) return { kind: 'json', body: await writer.whole(), headers };
  const events = toEventStream(writer.chunks(), (error) => Object.assign(notes, { error }));
  return { kind: 'events', events, headers };
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
          for (const part of readers[index]!.end()) {
            if (part.kind === 'call') calls[index]!++;
            yield this.chunk(index, this.delta(part, calls[index]! - 1), null, null);
          }
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

  private reader() {
    return turnReader(this.core.model.tokenizer, this.shape);
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
