/** LangChain's messages in the words of POST /v1/chat/completions. */
import type { AIMessage, BaseMessage, ToolMessage } from '@langchain/core/messages';
import { UnsupportedError } from '../../base/errors.ts';
import type { ConversationRequest } from '../in-process.ts';

type Message = ConversationRequest['messages'][number];

/** Throws UnsupportedError `langchain.message` for what the model cannot read. */
export function toRequestMessage(message: BaseMessage): Message {
  const content = textOf(message);
  const kind = message.getType();
  switch (kind) {
    case 'human':
      return { role: 'user', content };
    case 'system':
    case 'developer':
      return { role: 'system', content };
    case 'tool':
      return { role: 'tool', content, tool_call_id: (message as ToolMessage).tool_call_id };
    case 'ai': {
      const calls = (message as AIMessage).tool_calls ?? [];
      if (calls.length === 0) return { role: 'assistant', content };
      return {
        role: 'assistant',
        content,
        tool_calls: calls.map(({ id, name, args }) => ({
          id: id ?? name,
          type: 'function',
          function: { name, arguments: JSON.stringify(args) },
        })),
      };
    }
    default:
      throw unsupported(`a message of type ${kind}`);
  }
}

function textOf({ content }: BaseMessage): string {
  if (typeof content === 'string') return content;
  return content
    .map((part) => {
      if (part.type === 'text' && typeof part.text === 'string') return part.text;
      throw unsupported(`a part of type ${part.type}`);
    })
    .join('\n');
}

function unsupported(what: string): UnsupportedError {
  return new UnsupportedError(
    'langchain.message',
    `ChatCria: the messages hold ${what}, expected texts of system, human, ai and tool: the model reads text only.`,
  );
}
