/**
 * Tools for models whose chat template knows nothing of them: the functions are described in the system message, and calls and their
 * results are text, in the notation of Hermes' and Qwen's templates.
 */
import type { ChatMessage } from '../../tokenizer/chat/chat-template.ts';
import { type FunctionTool, toolSignature } from './tool-signature.ts';

/** Whether the template shows the functions that it is given. */
export function templateShowsTools(template: string): boolean {
  return /\btools\b/.test(template);
}

const instructions = (functions: string) => `You may call these functions:
<tools>
${functions}
</tools>
To call one, write
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>`;

/** The same conversation, with `tools` (as OpenAI's clients give them) and all calls in its texts. */
export function withToolTexts(
  messages: readonly ChatMessage[],
  tools: readonly { readonly function: FunctionTool }[],
): ChatMessage[] {
  const told = messages.map(toText);
  if (tools.length === 0) return told;
  const described = instructions(tools.map(({ function: one }) => toolSignature(one)).join('\n'));
  const [first] = told;
  const hasSystem = first?.role === 'system';
  const system = { role: 'system', content: hasSystem ? `${String(first.content)}\n\n${described}` : described };
  return [system, ...told.slice(hasSystem ? 1 : 0)];
}

interface WrittenCall {
  readonly function: { readonly name: string; readonly arguments: unknown };
}

function toText({ role, content, tool_calls: calls, tool_call_id: _, ...rest }: ChatMessage): ChatMessage {
  if (role === 'tool') return { role: 'user', content: `<tool_response>\n${String(content)}\n</tool_response>` };
  if (!Array.isArray(calls)) return { role, content, ...rest };
  const written = (calls as WrittenCall[]).map(
    ({ function: { name, arguments: given } }) =>
      `<tool_call>\n${JSON.stringify({ name, arguments: given })}\n</tool_call>`,
  );
  return { role, content: [content, ...written].filter((text) => text !== '').join('\n'), ...rest };
}
