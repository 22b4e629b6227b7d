/** Reading fields of a stranger's row: what is there is checked, what is not what it should be is a reason to refuse. */
import type { ChatMessage } from '../../tokenizer/chat/chat-template.ts';
import { Refusal, type TrainedMessage } from './sample.ts';

export type Row = Readonly<Record<string, unknown>>;

export function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function has(row: Row, ...names: readonly string[]): boolean {
  return names.every((name) => row[name] !== undefined && row[name] !== null);
}

/** Names of a row's first fields, for people. */
export function fieldsOf(row: Row): string {
  return Object.keys(row).slice(0, 8).join(', ') || 'none';
}

/** A text that must be there and hold something. */
export function textOf(row: Row, name: string): string | Refusal {
  const value = row[name];
  if (value === undefined || value === null) return new Refusal(`${name} is missing`);
  if (typeof value !== 'string') return new Refusal(`${name} is not a text`);
  return value.trim() === '' ? new Refusal(`${name} is empty`) : value;
}

/** Names of speakers in the layouts people use, and the roles that templates know. */
const roles: Readonly<Record<string, string>> = {
  human: 'user',
  user: 'user',
  prompter: 'user',
  gpt: 'assistant',
  chatgpt: 'assistant',
  bing: 'assistant',
  bard: 'assistant',
  assistant: 'assistant',
  model: 'assistant',
  function_call: 'assistant',
  system: 'system',
  developer: 'developer',
  tool: 'tool',
  function: 'tool',
  observation: 'tool',
  ipython: 'ipython',
};

/** A list of messages, `role`/`content` or `from`/`value`, as templates want it. */
export function messagesOf(value: unknown, what: string): TrainedMessage[] | Refusal {
  if (!Array.isArray(value)) return new Refusal(`${what} is not a list`);
  if (value.length === 0) return new Refusal(`${what} is empty`);
  const messages: TrainedMessage[] = [];
  for (const each of value) {
    const message = messageOf(each);
    if (message instanceof Refusal) return message;
    messages.push(message);
  }
  return messages;
}

function messageOf(value: unknown): TrainedMessage | Refusal {
  if (!isRow(value)) return new Refusal('a message is not an object');
  const { role, from, content, value: said, train, training, loss, weight, ...rest } = value;
  const name = role ?? from;
  if (typeof name !== 'string') return new Refusal('a message without a role');
  const known = Object.hasOwn(roles, name) ? roles[name]! : null;
  if (known === null) return new Refusal(`unknown role ${JSON.stringify(name.slice(0, 40))}`);
  const given = contentOf(role === undefined ? said : content);
  if (given instanceof Refusal) return given;
  const isCall = name === 'function_call'; // ShareGPT with tools: the text is the call, or a list of them
  const text = isCall ? '' : given;
  // OpenAI's older form has one call, and no list.
  const older = isRow(rest.function_call) ? [rest.function_call] : undefined;
  const calls = callsOf(isCall ? parsedCalls(given) : (rest.tool_calls ?? older));
  if (calls instanceof Refusal) return calls;
  if (text.trim() === '' && calls === null && known !== 'tool' && known !== 'system') {
    return new Refusal(`an empty turn of the ${known}`);
  }
  const flag = flagOf(train ?? training ?? loss, weight);
  if (flag instanceof Refusal) return flag;
  const { tool_calls: _, function_call: __, ...others } = rest;
  const extras = Object.fromEntries(Object.entries(others).filter(([, each]) => each !== null && each !== undefined));
  return {
    role: known,
    content: text,
    ...extras,
    ...(calls !== null && { tool_calls: calls }),
    ...(flag !== null && { train: flag }),
  };
}

function contentOf(content: unknown): string | Refusal {
  if (content === null || content === undefined) return '';
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return new Refusal('a content that is neither a text nor a list of parts');
  let text = '';
  for (const part of content) {
    if (typeof part === 'string') text += part;
    else if (isRow(part) && part.type === 'text' && typeof part.text === 'string') text += part.text;
    else return new Refusal(`a content part that is no text (${JSON.stringify(isRow(part) ? part.type : part)})`);
  }
  return text;
}

function parsedCalls(text: string): unknown {
  try {
    const calls = JSON.parse(text) as unknown;
    return Array.isArray(calls) ? calls : [calls];
  } catch {
    return [text];
  }
}

/** Calls with their arguments as objects: templates write these as JSON, and would write a text with its quotation marks. */
function callsOf(value: unknown): readonly unknown[] | null | Refusal {
  if (value === undefined || value === null) return null;
  if (!Array.isArray(value)) return new Refusal('tool_calls is not a list');
  if (value.length === 0) return null;
  const calls: unknown[] = [];
  for (const call of value) {
    const named = isRow(call) ? (isRow(call.function) ? call.function : call) : null;
    if (named === null || typeof named.name !== 'string') return new Refusal('a tool call without a name');
    let given: unknown = named.arguments ?? {};
    if (typeof given === 'string') {
      try {
        given = JSON.parse(given) as unknown;
      } catch {
        return new Refusal('a tool call whose arguments are not JSON');
      }
    }
    const id = (call as Row).id;
    calls.push({
      type: 'function',
      ...(typeof id === 'string' && { id }),
      function: { name: named.name, arguments: given },
    });
  }
  return calls;
}

function flagOf(train: unknown, weight: unknown): boolean | null | Refusal {
  if (typeof train === 'boolean') return train;
  if (weight === 0 || weight === 1) return weight === 1;
  if ((train ?? weight) === undefined || (train ?? weight) === null) return null;
  return new Refusal('a train flag that is not true or false, or a weight that is not 0 or 1');
}

/** `functions`: OpenAI's older field, where a tool has no object around it. */
export function toolsOf(value: unknown, functions?: unknown): readonly unknown[] | null | Refusal {
  if (Array.isArray(functions) && functions.length > 0 && !value)
    return functions.map((each) => ({ type: 'function', function: each as unknown }));
  if (value === undefined || value === null || value === '') return null;
  let list: unknown = value;
  if (typeof value === 'string') {
    try {
      list = JSON.parse(value) as unknown;
    } catch {
      return new Refusal('tools is not JSON');
    }
  }
  if (!Array.isArray(list)) return new Refusal('tools is not a list');
  return list.length === 0 ? null : list;
}

/** What no training can use, whatever the template. */
export function turnProblem(messages: readonly ChatMessage[]): Refusal | null {
  const spoken = messages.filter(({ role }) => role !== 'system' && role !== 'developer');
  if (!spoken.some(({ role }) => role === 'assistant')) return new Refusal('no turn of the assistant');
  if (spoken[0]!.role === 'assistant') return new Refusal('begins with the assistant');
  const twice = spoken.findIndex(({ role }, i) => role === 'user' && spoken[i + 1]?.role === 'user');
  return twice === -1 ? null : new Refusal('two user turns in a row');
}
