/** An answer as Anthropic's Messages: blocks, one after another, and the events that tell of them. */
import type { TurnEnd } from './choices.ts';
import type { AnswerEvent } from './thinking.ts';

export interface MessageEvent {
  readonly type: string;
  readonly [key: string]: unknown;
}

type Kind = 'thinking' | 'text' | 'tool_use';

interface Block {
  readonly kind: Kind;
  readonly id: string;
  readonly name: string;
  text: string;
}

export class MessageWriter {
  private readonly head: { readonly id: string; readonly model: string };
  private readonly promptTokens: number;
  private readonly randomId: () => string;
  private readonly blocks: Block[] = [];
  private isOpen = false;

  /** `promptTokens`: known before the answer begins; how many of them the cache held is known at its end. */
  constructor(head: { readonly id: string; readonly model: string }, promptTokens: number, randomId: () => string) {
    this.head = head;
    this.promptTokens = promptTokens;
    this.randomId = randomId;
  }

  /** `onEnd` gets the whole message. */
  async *events(
    turn: AsyncIterable<AnswerEvent | TurnEnd>,
    onEnd: (message: object) => void,
  ): AsyncGenerator<MessageEvent, void> {
    yield { type: 'message_start', message: this.message(null) };
    for await (const event of turn) {
      switch (event.kind) {
        case 'reasoning':
          if (this.current !== 'thinking') yield* this.begin('thinking', '');
          yield this.delta(event.text);
          break;
        case 'text':
          if (this.current !== 'text') yield* this.begin('text', '');
          yield this.delta(event.text);
          break;
        case 'call':
          yield* this.begin('tool_use', event.name);
          break;
        case 'arguments':
          yield this.delta(event.text);
          break;
        case 'end': {
          yield* this.finish();
          const message = this.message(event);
          onEnd(message);
          const { stop_reason, stop_sequence, usage } = message;
          yield { type: 'message_delta', delta: { stop_reason, stop_sequence }, usage };
          yield { type: 'message_stop' };
          break;
        }
        default:
          event satisfies never;
      }
    }
  }

  private get current(): Kind | null {
    return this.isOpen ? this.blocks.at(-1)!.kind : null;
  }

  private *begin(kind: Kind, name: string): Generator<MessageEvent> {
    yield* this.finish();
    const block: Block = { kind, id: `toolu_${this.randomId()}`, name, text: '' };
    this.blocks.push(block);
    this.isOpen = true;
    yield { type: 'content_block_start', index: this.blocks.length - 1, content_block: contentOf(block) };
  }

  private delta(text: string): MessageEvent {
    const block = this.blocks.at(-1)!;
    block.text += text;
    const deltas = {
      thinking: { type: 'thinking_delta', thinking: text },
      text: { type: 'text_delta', text },
      tool_use: { type: 'input_json_delta', partial_json: text },
    };
    return { type: 'content_block_delta', index: this.blocks.length - 1, delta: deltas[block.kind] };
  }

  private *finish(): Generator<MessageEvent> {
    if (!this.isOpen) return;
    this.isOpen = false;
    yield { type: 'content_block_stop', index: this.blocks.length - 1 };
  }

  private message(end: TurnEnd | null) {
    const cached = end?.usage.prompt_tokens_details.cached_tokens ?? 0;
    return {
      ...this.head,
      type: 'message',
      role: 'assistant',
      content: this.blocks.map(contentOf),
      ...stopOf(end, this.blocks),
      usage: {
        input_tokens: this.promptTokens - cached,
        cache_read_input_tokens: cached,
        cache_creation_input_tokens: 0,
        output_tokens: end?.usage.completion_tokens ?? 0,
        ...(end && { output_tokens_details: { thinking_tokens: end.thoughtTokens } }),
      },
    };
  }
}

/** Calls that max_tokens cut short are not to be made: then it says so. */
function stopOf(end: TurnEnd | null, blocks: readonly Block[]) {
  if (!end) return { stop_reason: null, stop_sequence: null };
  const { finishReason, stop } = end.result;
  if (finishReason !== 'stop') return { stop_reason: 'max_tokens', stop_sequence: null };
  if (stop !== null) return { stop_reason: 'stop_sequence', stop_sequence: stop };
  const calls = blocks.some(({ kind }) => kind === 'tool_use');
  return { stop_reason: calls ? 'tool_use' : 'end_turn', stop_sequence: null };
}

function contentOf({ kind, id, name, text }: Block) {
  switch (kind) {
    case 'text':
      return { type: kind, text, citations: null };
    case 'thinking':
      return { type: kind, thinking: text, signature: '' };
    case 'tool_use':
      return { type: kind, id, name, input: inputOf(text) };
    default:
      return kind satisfies never;
  }
}

/** Of a call that was cut short nothing is an object yet. */
function inputOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return {};
  }
}
