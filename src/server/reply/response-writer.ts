/** An answer as OpenAI's Responses: items, one after another, and the events that tell of them. */
import type { Item } from '../request/responses.ts';
import type { TurnEnd } from './choices.ts';
import type { AnswerEvent } from './thinking.ts';

export interface ResponseEvent {
  readonly type: string;
  readonly [key: string]: unknown;
}

/** What of a response is known before it begins. */
export interface ResponseHead {
  readonly id: string;
  readonly [key: string]: unknown;
}

type Kind = 'reasoning' | 'text' | 'call';

interface OpenItem {
  readonly kind: Kind;
  readonly id: string;
  readonly name: string;
  readonly callId: string;
  text: string;
}

type Status = 'in_progress' | 'completed' | 'incomplete';

export class ResponseWriter {
  private readonly head: ResponseHead;
  private readonly randomId: () => string;
  private readonly output: Item[] = [];
  private open: OpenItem | null = null;
  private sequence = 0;

  constructor(head: ResponseHead, randomId: () => string) {
    this.head = head;
    this.randomId = randomId;
  }

  /** `onEnd` gets the whole response, and its items as a client would send them back. */
  async *events(
    turn: AsyncIterable<AnswerEvent | TurnEnd>,
    onEnd: (response: object, output: readonly Item[]) => void,
  ): AsyncGenerator<ResponseEvent, void> {
    yield this.event('response.created', { response: this.response('in_progress') });
    yield this.event('response.in_progress', { response: this.response('in_progress') });
    for await (const event of turn) {
      switch (event.kind) {
        case 'reasoning':
        case 'text':
          if (this.open?.kind !== event.kind) yield* this.begin(event.kind, '');
          yield* this.more(event.text);
          break;
        case 'call':
          yield* this.begin('call', event.name);
          break;
        case 'arguments':
          yield* this.more(event.text);
          break;
        case 'end': {
          const status = event.result.finishReason === 'stop' ? 'completed' : 'incomplete';
          yield* this.finish(status);
          const response = this.response(status, event);
          onEnd(response, this.output);
          yield this.event(`response.${status}`, { response });
          break;
        }
        default:
          event satisfies never;
      }
    }
  }

  /** The last event where something failed after the first. */
  failure(code: string, message: string): ResponseEvent {
    return this.event('error', { code, message, param: null });
  }

  private *begin(kind: Kind, name: string): Generator<ResponseEvent> {
    yield* this.finish('completed');
    const prefix = { reasoning: 'rs', text: 'msg', call: 'fc' }[kind];
    const open = { kind, id: `${prefix}_${this.randomId()}`, name, callId: `call_${this.randomId()}`, text: '' };
    this.open = open;
    yield this.event('response.output_item.added', { ...this.place, item: itemOf(open, 'in_progress') });
    if (kind !== 'call') yield this.event('response.content_part.added', { ...this.partPlace, part: partOf(kind, '') });
  }

  private *more(delta: string): Generator<ResponseEvent> {
    const open = this.open!;
    open.text += delta;
    const place = open.kind === 'call' ? this.itemPlace : this.partPlace;
    const noLogprobs = open.kind === 'text' ? { logprobs: [] } : {};
    yield this.event(`${eventNames[open.kind]}.delta`, { ...place, delta, ...noLogprobs });
  }

  private *finish(status: Status): Generator<ResponseEvent> {
    const { open } = this;
    if (!open) return;
    const name = eventNames[open.kind];
    if (open.kind === 'call') {
      yield this.event(`${name}.done`, { ...this.itemPlace, name: open.name, arguments: open.text });
    } else {
      const noLogprobs = open.kind === 'text' ? { logprobs: [] } : {};
      yield this.event(`${name}.done`, { ...this.partPlace, text: open.text, ...noLogprobs });
      yield this.event('response.content_part.done', { ...this.partPlace, part: partOf(open.kind, open.text) });
    }
    const item = itemOf(open, status);
    yield this.event('response.output_item.done', { ...this.place, item });
    this.output.push(item);
    this.open = null;
  }

  private get place() {
    return { output_index: this.output.length };
  }

  private get itemPlace() {
    return { ...this.place, item_id: this.open!.id };
  }

  private get partPlace() {
    return { ...this.itemPlace, content_index: 0 };
  }

  private event(type: string, fields: object): ResponseEvent {
    return { type, sequence_number: this.sequence++, ...fields };
  }

  private response(status: Status, end: TurnEnd | null = null): object {
    const usage = end && {
      input_tokens: end.usage.prompt_tokens,
      input_tokens_details: end.usage.prompt_tokens_details,
      output_tokens: end.usage.completion_tokens,
      output_tokens_details: { reasoning_tokens: end.thoughtTokens },
      total_tokens: end.usage.total_tokens,
    };
    return {
      ...this.head,
      status,
      error: null,
      incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
      output: [...this.output],
      usage,
      ...(end && { timings: end.result.timings }),
    };
  }
}

const eventNames = {
  reasoning: 'response.reasoning_text',
  text: 'response.output_text',
  call: 'response.function_call_arguments',
} as const;

function partOf(kind: Exclude<Kind, 'call'>, text: string) {
  return kind === 'text'
    ? { type: 'output_text' as const, text, annotations: [], logprobs: [] }
    : { type: 'reasoning_text' as const, text };
}

function itemOf({ kind, id, name, callId, text }: OpenItem, status: Status): Item {
  const isBegun = status === 'in_progress';
  switch (kind) {
    case 'text':
      return { id, type: 'message', role: 'assistant', status, content: isBegun ? [] : [partOf(kind, text)] };
    case 'reasoning':
      return { id, type: 'reasoning', status, summary: [], content: isBegun ? [] : [partOf(kind, text)] };
    case 'call':
      return { id, type: 'function_call', status, call_id: callId, name, arguments: text };
    default:
      return kind satisfies never;
  }
}
