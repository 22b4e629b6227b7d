import { CriaError } from '../base/errors.ts';
import { type ChatMessage, chatTemplateFor, type RenderedChat } from '../tokenizer/chat/chat-template.ts';
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
  /** How the assistant's turn begins: the model goes on from there. */
  readonly continuation?: string | undefined;
}

/**
 * The conversation through the chat template. What people wrote never becomes a special token. The beginning-of-sequence token that
 * the model's files ask for is put first where the template does not write it. `now`: the clock that the template's strftime_now reads.
 */
export function encodeChat(tokenizer: Tokenizer, prompt: ChatPrompt, now?: () => Date): Uint32Array {
  const { continuation = '' } = prompt;
  const begun = continuation === '' ? [] : [{ text: continuation, trusted: false }];
  const ids = tokenizer.encodeSegments([...renderChat(tokenizer, prompt, now).segments, ...begun]);
  if (!tokenizer.addBos || tokenizer.bosId === null || ids[0] === tokenizer.bosId) return ids;
  return Uint32Array.of(tokenizer.bosId, ...ids);
}

/**
 * A template that refuses a system message gets its text in front of the first user message instead, as the makers of such models
 * advise (Gemma, Mistral); `systemFolded` says so.
 */
export function renderChat(
  tokenizer: Tokenizer,
  prompt: ChatPrompt,
  now?: () => Date,
): RenderedChat & { readonly systemFolded: boolean } {
  const { messages, template, tools = null, variables = {}, addGenerationPrompt = true } = prompt;
  const program = chatTemplateFor(tokenizer, template);
  const options = { tools, variables, addGenerationPrompt, ...(now && { now }) };
  try {
    return { ...program.render(messages, options), systemFolded: false };
  } catch (error) {
    const folded = isRefusal(error) ? foldSystem(messages) : null;
    if (folded === null) throw error;
    try {
      return { ...program.render(folded, options), systemFolded: true };
    } catch {
      throw error; // it was not the system message that it refused
    }
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof CriaError && error.code === 'chat.template-refuses';
}

/** The conversation with its system message inside the first user message; null where there is none, or nothing to put it into. */
function foldSystem(messages: readonly ChatMessage[]): ChatMessage[] | null {
  const [first, ...rest] = messages;
  const user = rest.findIndex(({ role }) => role === 'user');
  const content = rest[user]?.content;
  if (first?.role !== 'system' || typeof first.content !== 'string' || typeof content !== 'string') return null;
  return rest.map((message, i) => (i === user ? { ...message, content: `${first.content}\n\n${content}` } : message));
}
