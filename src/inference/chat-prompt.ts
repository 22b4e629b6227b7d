import { type ChatMessage, chatTemplateFor } from '../tokenizer/chat/chat-template.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** A conversation that the model is to go on with. */
export interface ChatPrompt {
  readonly messages: readonly ChatMessage[];
  /** A built-in template's name or Jinja text; absent: the model's own. */
  readonly template?: string | undefined;
  readonly tools?: readonly unknown[] | null | undefined;
  /** More variables for the template. */
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
  /** Ends with the beginning of the assistant's turn; default true. */
  readonly addGenerationPrompt?: boolean | undefined;
}

/**
 * The conversation through the chat template. What people wrote never becomes a special token. The beginning-of-sequence token that
 * the model's files ask for is put first where the template does not write it.
 */
export function encodeChat(tokenizer: Tokenizer, prompt: ChatPrompt): Uint32Array {
  const { messages, template, tools = null, variables = {}, addGenerationPrompt = true } = prompt;
  const rendered = chatTemplateFor(tokenizer, template).render(messages, { tools, variables, addGenerationPrompt });
  const ids = tokenizer.encodeSegments(rendered.segments);
  if (!tokenizer.addBos || tokenizer.bosId === null || ids[0] === tokenizer.bosId) return ids;
  return Uint32Array.of(tokenizer.bosId, ...ids);
}
