import { ArgumentError } from '../base/errors.ts';
import { chatTemplateFor } from '../tokenizer/chat/chat-template.ts';
import type { ServedModel } from './world.ts';

/** The template of a served model where nobody chose one: its own (undefined), or 'plain' where its files and vocabulary show none. */
export function defaultTemplate({ tokenizer, facts }: Pick<ServedModel, 'tokenizer' | 'facts'>): 'plain' | undefined {
  try {
    chatTemplateFor(tokenizer, facts.chatTemplate ?? undefined);
    return undefined;
  } catch (error) {
    if (error instanceof ArgumentError && error.code === 'chat.no-template') return 'plain';
    throw error;
  }
}
