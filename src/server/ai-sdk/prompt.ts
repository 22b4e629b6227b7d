/** A call of the AI SDK in the words of POST /v1/chat/completions. */
import type { LanguageModelV4CallOptions, LanguageModelV4Prompt, SharedV4Warning } from '@ai-sdk/provider';
import { UnsupportedError } from '../../base/errors.ts';
import type { ConversationRequest } from '../in-process.ts';

type Message = ConversationRequest['messages'][number];
type Part = Exclude<LanguageModelV4Prompt[number]['content'], string>[number];

/** The conversation, its tools and the form of its answer; what the model cannot have is a warning. Throws UnsupportedError `ai-sdk.part`. */
export function requestOf(
  { prompt, tools = [], toolChoice, responseFormat }: LanguageModelV4CallOptions,
  grammar: string | undefined,
  warnings: SharedV4Warning[],
): ConversationRequest {
  const functions = tools.flatMap((tool) => {
    if (tool.type === 'function') return [tool];
    warnings.push({ type: 'unsupported', feature: `provider tool ${tool.id}`, details: 'Cria runs none itself' });
    return [];
  });
  const schema = responseFormat?.type === 'json' ? responseFormat.schema : undefined;
  return {
    messages: prompt.flatMap((message) => messagesOf(message, warnings)),
    ...(functions.length > 0 && {
      tools: functions.map(({ name, description, inputSchema, strict }) => ({
        type: 'function' as const,
        function: { name, description, parameters: inputSchema as Record<string, unknown>, strict },
      })),
      tool_choice: toolChoice?.type === 'tool' ? functionChoice(toolChoice.toolName) : (toolChoice?.type ?? 'auto'),
    }),
    ...(responseFormat?.type === 'json' && {
      response_format: { type: 'json_object' as const, schema: schema as Record<string, unknown> | undefined },
    }),
    ...(grammar !== undefined && { grammar }),
  };
}

const functionChoice = (name: string) => ({ type: 'function' as const, function: { name } });

function messagesOf(message: LanguageModelV4Prompt[number], warnings: SharedV4Warning[]): Message[] {
  switch (message.role) {
    case 'system':
      return [{ role: 'system', content: message.content }];
    case 'user':
      return [{ role: 'user', content: textOf(message.content) }];
    case 'assistant': {
      const said = message.content.filter(({ type }) => type !== 'reasoning' && type !== 'tool-call');
      if (message.content.some(({ type }) => type === 'reasoning')) {
        warnings.push({ type: 'other', message: 'The reasoning of earlier turns is not shown to the model.' });
      }
      const calls = message.content.flatMap((part) =>
        part.type === 'tool-call'
          ? [{ id: part.toolCallId, name: part.toolName, arguments: JSON.stringify(part.input ?? {}) }]
          : [],
      );
      return [
        {
          role: 'assistant',
          content: textOf(said),
          ...(calls.length > 0 && {
            tool_calls: calls.map(({ id, ...called }) => ({ id, type: 'function' as const, function: called })),
          }),
        },
      ];
    }
    case 'tool':
      return message.content.map((part) => {
        if (part.type !== 'tool-result') throw unsupported(part.type);
        return { role: 'tool' as const, tool_call_id: part.toolCallId, content: resultOf(part.output) };
      });
    default:
      return message satisfies never;
  }
}

function textOf(parts: readonly Part[]): string {
  return parts
    .map((part) => {
      if (part.type === 'text') return part.text;
      throw unsupported(part.type === 'file' ? `file (${part.mediaType})` : part.type);
    })
    .join('\n');
}

type ToolOutput = Extract<Part, { type: 'tool-result' }>['output'];

function resultOf(output: ToolOutput): string {
  switch (output.type) {
    case 'text':
    case 'error-text':
      return output.value;
    case 'json':
    case 'error-json':
      return JSON.stringify(output.value);
    case 'execution-denied':
      return `The call was not made: ${output.reason ?? 'it was denied'}.`;
    case 'content':
      return output.value
        .map((part) => {
          if (part.type === 'text') return part.text;
          throw unsupported(part.type);
        })
        .join('\n');
    default:
      return output satisfies never;
  }
}

function unsupported(what: string): UnsupportedError {
  return new UnsupportedError(
    'ai-sdk.part',
    `cria: a message holds a part of the kind ${what}, expected texts, tool calls and their results: the model reads text only.`,
  );
}
