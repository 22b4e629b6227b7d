/**
 * Layouts of fine-tuning data, one table: how each is recognised by its fields, and what its rows become. A row that does not fit is
 * refused with the reason.
 */
import { type Exchange, trainedWithInstruction } from '../gatt.ts';
import { has, isRow, messagesOf, type Row, textOf, toolsOf, turnProblem } from './rows.ts';
import { Refusal, type SftSample } from './sample.ts';

export interface Format {
  /** For people: the fields. */
  readonly fields: string;
  fits(row: Row): boolean;
  convert(row: Row, context: FormatContext): SftSample | Refusal;
}

export interface FormatContext {
  /** The template is one of Alpaca's: its prompts' first sentence stands where a system text would. Else it is left out. */
  readonly isAlpaca: boolean;
}

/** Stanford Alpaca's two prompts: train.py, PROMPT_DICT. The fields' own words stand in the user's turn. */
const ALPACA_WITH_INPUT =
  'Below is an instruction that describes a task, paired with an input that provides further context. ' +
  'Write a response that appropriately completes the request.';
const ALPACA =
  'Below is an instruction that describes a task. Write a response that appropriately completes the request.';

export const formats = {
  alpaca: {
    fields: 'instruction, input (may be missing), output',
    fits: (row) => has(row, 'instruction') && 'output' in row,
    convert(row, { isAlpaca }) {
      const instruction = textOf(row, 'instruction');
      if (instruction instanceof Refusal) return instruction;
      const output = textOf(row, 'output');
      if (output instanceof Refusal) return output;
      const input = row.input ?? '';
      if (typeof input !== 'string') return new Refusal('input is not a text');
      const heading = isAlpaca ? '### Input:\n' : '';
      return {
        kind: 'chat',
        messages: [
          ...(isAlpaca ? [{ role: 'system', content: input === '' ? ALPACA : ALPACA_WITH_INPUT }] : []),
          { role: 'user', content: input === '' ? instruction : `${instruction}\n\n${heading}${input}` },
          { role: 'assistant', content: output },
        ],
      };
    },
  },
  sharegpt: {
    fields: 'conversations: [{ from, value }]',
    fits: (row) => Array.isArray(row.conversations),
    convert: (row) => chat(row, 'conversations'),
  },
  messages: {
    fields: 'messages: [{ role, content, tool_calls }], tools',
    fits: (row) => Array.isArray(row.messages),
    convert: (row) => chat(row, 'messages'),
  },
  completion: {
    fields: 'prompt, completion: texts, or lists of messages',
    fits: (row) => has(row, 'prompt') && 'completion' in row,
    convert: (row) => completion(row.prompt, row.completion, row.tools),
  },
  gatt: {
    fields: 'instruction, dialogue: [[question, answer]] sampled with the instruction in every turn',
    fits: (row) => Array.isArray(row.dialogue),
    convert(row) {
      const parts = ghostDialogue(row);
      if (parts instanceof Refusal) return parts;
      const messages = trainedWithInstruction(parts.instruction, parts.dialogue);
      if (messages.at(-1)!.content.trim() === '') return new Refusal('the last answer is empty');
      return { kind: 'chat', messages: messages.map(({ role, content, loss }) => ({ role, content, train: loss })) };
    },
  },
  text: {
    fields: 'text',
    fits: (row) => 'text' in row,
    convert(row) {
      const text = textOf(row, 'text');
      return text instanceof Refusal ? text : { kind: 'text', text };
    },
  },
} as const satisfies Readonly<Record<string, Format>>;

export type FormatName = keyof typeof formats;
export const formatNames = Object.keys(formats) as FormatName[];

/** The layout of a row, by its fields. */
export function detectFormat(row: Row): FormatName | null {
  return formatNames.find((name) => formats[name].fits(row)) ?? null;
}

/** A dialogue that holds an instruction to the end (ghost attention, Llama 2 §3.3). The last answer may be missing: it is then drawn. */
export function ghostDialogue(
  row: Row,
): { readonly instruction: string; readonly dialogue: readonly Exchange[] } | Refusal {
  const instruction = textOf(row, 'instruction');
  if (instruction instanceof Refusal) return instruction;
  const turns = row.dialogue;
  if (!Array.isArray(turns) || turns.length === 0) return new Refusal('dialogue is not a list of turns');
  const dialogue: Exchange[] = [];
  for (const [i, turn] of turns.entries()) {
    const [user, assistant = ''] = Array.isArray(turn) ? (turn as unknown[]) : [];
    const isLast = i === turns.length - 1;
    if (typeof user !== 'string' || typeof assistant !== 'string')
      return new Refusal('a turn of dialogue is not two texts');
    if (user.trim() === '' || (!isLast && assistant.trim() === '')) return new Refusal('a turn of dialogue is empty');
    dialogue.push({ user, assistant });
  }
  return { instruction, dialogue };
}

function chat(row: Row, field: string): SftSample | Refusal {
  const messages = messagesOf(row[field], field);
  if (messages instanceof Refusal) return messages;
  const tools = toolsOf(row.tools);
  if (tools instanceof Refusal) return tools;
  const system = typeof row.system === 'string' && row.system.trim() !== '' ? row.system : null;
  const all = system === null ? messages : [{ role: 'system', content: system }, ...messages];
  return turnProblem(all) ?? { kind: 'chat', messages: all, tools };
}

/** A prompt and what follows it; of message lists, only the answer's own turns carry loss. */
export function completion(prompt: unknown, answer: unknown, tools: unknown): SftSample | Refusal {
  if (typeof prompt === 'string' && typeof answer === 'string') {
    if (answer.trim() === '') return new Refusal('completion is empty');
    return { kind: 'completion', prompt, completion: answer };
  }
  const asked = typeof prompt === 'string' ? [{ role: 'user', content: prompt }] : messagesOf(prompt, 'prompt');
  if (asked instanceof Refusal) return asked;
  const said = typeof answer === 'string' ? [{ role: 'assistant', content: answer }] : messagesOf(answer, 'completion');
  if (said instanceof Refusal) return said;
  const given = toolsOf(tools);
  if (given instanceof Refusal) return given;
  const messages = [
    ...asked.map((message) => (message.role === 'assistant' ? { ...message, train: false } : message)),
    ...said,
  ];
  if (!said.some(({ content, tool_calls }) => tool_calls !== undefined || String(content).trim() !== '')) {
    return new Refusal('completion is empty');
  }
  return turnProblem(messages) ?? { kind: 'chat', messages, tools: given };
}

/** A row under other field names: `fields` says which of its fields is meant by ours. */
export function renamed(value: unknown, fields: Readonly<Record<string, string>>): Row | Refusal {
  if (!isRow(value)) return new Refusal('not an object with fields');
  if (Object.keys(fields).length === 0) return value;
  const row: Record<string, unknown> = { ...value };
  for (const [ours, theirs] of Object.entries(fields)) {
    row[ours] = value[theirs];
    if (!Object.hasOwn(fields, theirs)) delete row[theirs];
  }
  return row;
}
