/** What a conversation at the terminal needs of a model, and a model as that. */
import { renderChat } from '../../inference/chat-prompt.ts';
import type { GenerationOptions } from '../../inference/options.ts';
import type { GenerationStream } from '../../inference/remote/generation-stream.ts';
import type { RemoteModel } from '../../inference/remote/model.ts';
import { usualNames } from '../../model/adapter/select.ts';
import type { ChatMessage } from '../../tokenizer/chat/chat-template.ts';

export interface Speaker {
  readonly contextLength: number;
  /** The conversation as the model reads it, up to where its answer begins. `thinks`: whether the template may let it reason. */
  prompt(messages: readonly ChatMessage[], thinks: boolean): Promise<Uint32Array>;
  /** Whether the template refuses a system message, which then stands in front of the first user message. */
  foldsSystem(messages: readonly ChatMessage[]): boolean;
  generate(ids: Uint32Array, options: GenerationOptions & { readonly signal: AbortSignal }): GenerationStream;
  /** The text of tokens, special ones as they are written. */
  textOf(ids: ArrayLike<number>): string;
  /** The tokens of a text, special ones among them. */
  idsOf(text: string): Uint32Array;
}

export function speakerOf(model: RemoteModel, template: string | undefined): Speaker {
  const variables = (thinks: boolean) => (thinks ? {} : { variables: { enable_thinking: false, thinking: false } });
  return {
    contextLength: model.contextLength,
    prompt: (messages, thinks) => model.encodePrompt({ messages, template, ...variables(thinks) }),
    foldsSystem: (messages) => renderChat(model.tokenizer, { messages, template }, () => new Date()).systemFolded,
    // Ids do not say that they are a conversation.
    generate: (ids, options) => model.generate(ids, { ...options, adapters: usualNames(model.facts.adapters, true) }),
    textOf: (ids) => model.tokenizer.decode(ids, { special: 'text' }),
    idsOf: (text) => model.tokenizer.encode(text, { special: 'parse' }),
  };
}
