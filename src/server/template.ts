import { ArgumentError } from '../base/errors.ts';
import { type AdapterChoice, templateWith } from '../model/adapter/select.ts';
import { chatTemplateFor } from '../tokenizer/chat/chat-template.ts';
import type { ServedModel } from './world.ts';

/**
 * The template of a conversation, a name or Jinja text: `chosen` (the server's), else that of the adapters that answer, else the model's own,
 * else what the vocabulary shows (undefined), else 'plain'.
 */
export function templateOf(
  { tokenizer, facts }: Pick<ServedModel, 'tokenizer' | 'facts'>,
  chosen: string | undefined,
  adapters: AdapterChoice | null = null,
): string | undefined {
  const template = chosen ?? templateWith(facts.chatTemplate, facts.adapters, adapters);
  if (template !== null) return template;
  try {
    chatTemplateFor(tokenizer, undefined);
    return undefined;
  } catch (error) {
    if (error instanceof ArgumentError && error.code === 'chat.no-template') return 'plain';
    throw error;
  }
}
