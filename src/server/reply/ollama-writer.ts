/** An answer as Ollama's lines of JSON: what was said since the last one, and at the end the counts. */
import type { TurnEnd } from './choices.ts';
import type { AnswerEvent } from './thinking.ts';

export interface OllamaHead {
  readonly model: string;
  /** The time of day, in ISO 8601. */
  readonly now: () => string;
  readonly randomId: () => string;
}

interface Part {
  readonly text: string;
  readonly thinking: string;
  readonly calls: readonly object[];
}

interface Line {
  readonly part: Part;
  readonly isLast: boolean;
  readonly body: object;
}

const nothing: Part = { text: '', thinking: '', calls: [] };

export class OllamaWriter {
  private readonly head: OllamaHead;
  private readonly kind: 'chat' | 'generate';
  private readonly started: number;
  private readonly clock: () => number;
  /** A call's arguments are an object: they are told when they are whole. */
  private call: { readonly name: string; text: string } | null = null;

  /** `clock`: milliseconds. */
  constructor(head: OllamaHead, kind: 'chat' | 'generate', clock: () => number) {
    this.head = head;
    this.kind = kind;
    this.clock = clock;
    this.started = clock();
  }

  /** As it comes. */
  async *lines(turn: AsyncIterable<AnswerEvent | TurnEnd>): AsyncGenerator<object, void> {
    for await (const { body } of this.parts(turn)) yield body;
  }

  /** All of it as one object. */
  async whole(turn: AsyncIterable<AnswerEvent | TurnEnd>): Promise<object> {
    const sum = { text: '', thinking: '', calls: [] as object[] };
    let whole: object = {};
    for await (const { part, isLast, body } of this.parts(turn)) {
      sum.text += part.text;
      sum.thinking += part.thinking;
      sum.calls.push(...part.calls);
      if (isLast) whole = { ...body, ...this.content(sum) };
    }
    return whole;
  }

  private async *parts(turn: AsyncIterable<AnswerEvent | TurnEnd>): AsyncGenerator<Line, void> {
    for await (const event of turn) {
      switch (event.kind) {
        case 'reasoning':
          yield this.line({ ...nothing, thinking: event.text });
          break;
        case 'text':
          yield this.line({ ...nothing, text: event.text });
          break;
        case 'call':
          yield* this.finishCall();
          this.call = { name: event.name, text: '' };
          break;
        case 'arguments':
          this.call!.text += event.text;
          break;
        case 'end':
          yield* this.finishCall();
          yield this.end(event);
          break;
        default:
          event satisfies never;
      }
    }
  }

  /** Where there was nothing to answer. */
  loaded(): object {
    return { ...this.base, ...this.content(nothing), done: true, done_reason: 'load' };
  }

  private *finishCall(): Generator<Line> {
    const { call } = this;
    if (!call) return;
    this.call = null;
    const given = objectOf(call.text);
    // One that was cut short is no call.
    if (given === null) return;
    const called = { id: `call_${this.head.randomId()}`, function: { name: call.name, arguments: given } };
    yield this.line({ ...nothing, calls: [called] });
  }

  private line(part: Part): Line {
    return { part, isLast: false, body: { ...this.base, ...this.content(part), done: false } };
  }

  private end({ result, usage }: TurnEnd): Line {
    const { timings, finishReason } = result;
    const nanoseconds = (ms: number) => Math.round(ms * 1e6);
    const body = {
      ...this.base,
      ...this.content(nothing),
      done: true,
      done_reason: finishReason === 'stop' ? 'stop' : 'length',
      total_duration: nanoseconds(this.clock() - this.started),
      load_duration: 0,
      prompt_eval_count: usage.prompt_tokens,
      prompt_eval_duration: nanoseconds(timings.prompt_ms),
      eval_count: usage.completion_tokens,
      eval_duration: nanoseconds(timings.predicted_ms),
    };
    return { part: nothing, isLast: true, body };
  }

  private get base() {
    return { model: this.head.model, created_at: this.head.now() };
  }

  private content({ text, thinking, calls }: Part): object {
    const thought = thinking === '' ? {} : { thinking };
    if (this.kind === 'generate') return { response: text, ...thought };
    const called = calls.length === 0 ? {} : { tool_calls: calls };
    return { message: { role: 'assistant', content: text, ...thought, ...called } };
  }
}

function objectOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
