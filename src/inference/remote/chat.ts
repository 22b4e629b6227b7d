import { ArgumentError } from '../../base/errors.ts';
import type { ChatMessage } from '../../tokenizer/chat/chat-template.ts';
import type { ChatPrompt } from '../chat-prompt.ts';
import type { GenerationOptions } from '../options.ts';
import type { GenerationStream } from './generation-stream.ts';
import type { ConstraintOptions } from './typed.ts';

export interface ChatOptions extends Omit<ChatPrompt, 'messages' | 'addGenerationPrompt'> {
  /** The system message, which opens the conversation. */
  readonly system?: string | undefined;
  /** Turns that went before. */
  readonly messages?: readonly ChatMessage[] | undefined;
}

type Generate = (
  prompt: ChatPrompt,
  options: GenerationOptions & ConstraintOptions & { readonly signal?: AbortSignal },
) => GenerationStream;

/**
 * A conversation. Every turn sends the whole of it; the engine's cache knows the part that it has read before.
 * An answer that was stopped early stays in the conversation as far as it came.
 */
export class Chat {
  /** The turns so far, to be read or edited between turns. */
  readonly messages: ChatMessage[] = [];
  private readonly generate: Generate;
  private readonly options: Omit<ChatPrompt, 'messages'>;
  private busy = false;

  constructor(generate: Generate, { system, messages = [], ...options }: ChatOptions) {
    this.generate = generate;
    this.options = options;
    if (system !== undefined) this.messages.push({ role: 'system', content: system });
    this.messages.push(...messages);
  }

  /** Adds the user's message and generates the answer. */
  send(
    content: string,
    options: GenerationOptions & ConstraintOptions & { readonly signal?: AbortSignal } = {},
  ): GenerationStream {
    if (this.busy) {
      throw new ArgumentError(
        'chat.busy',
        'chat.send: the answer before is still being generated, expected one turn at a time. Read it to its end, or abort it.',
      );
    }
    this.busy = true;
    const before = this.messages.length;
    this.messages.push({ role: 'user', content });
    const stream = this.generate({ ...this.options, messages: [...this.messages] }, options);
    stream.result.then(
      ({ text }) => {
        this.busy = false;
        this.messages.push({ role: 'assistant', content: text });
      },
      () => {
        // The turn did not take place.
        this.busy = false;
        this.messages.length = before;
      },
    );
    return stream;
  }
}
