import type { Tokenizer } from '../tokenizer/tokenizer.ts';

export interface ChatPrompt {
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly template?: string | undefined;
}
export function encodeChat(_tokenizer: Tokenizer, _prompt: ChatPrompt): Uint32Array {
  throw new Error('pending: src/tokenizer/chat');
}
