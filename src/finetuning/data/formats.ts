/**
 * Layouts of fine-tuning data, one table: how each is recognised by its fields, and what its rows become. A row that does not fit is
 * refused with the reason.
 */
import { type Exchange, trainedWithInstruction } from '../gatt.ts';
import { has, isRow, messagesOf, type Row, textOf, toolsOf, turnProblem } from './rows.ts';
import { Refusal, type SftSample, type TrainedMessage } from './sample.ts';

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
    fields: 'instruction, input (may be missing), output; system, history: [[question, answer]]',
    fits: (row) => has(row, 'instruction') && 'output' in row,
    convert(row, { isAlpaca }) {
      const asked = alpacaPrompt(row, isAlpaca);
      if (asked instanceof Refusal) return asked;
      const output = textOf(row, 'output');
      if (output instanceof Refusal) return output;
      return { kind: 'chat', messages: [...asked, { role: 'assistant', content: output }] };
    },
  },
  sharegpt: {
    fields: 'conversations: [{ from, value }], system, tools',
    fits: (row) => Array.isArray(row.conversations),
    convert: (row) => chat(row, 'conversations'),
  },
  messages: {
    fields: 'messages: [{ role, content, tool_calls }], tools',
    fits: (row) => Array.isArray(row.messages),
    convert: (row) => chat(row, 'messages'),
  },
  completion: {
    fields: 'prompt, completion: texts, or lists of messages; system, tools',
    fits: (row) => has(row, 'prompt') && 'completion' in row,
    convert: (row) => completion(row, row.completion),
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
  const tools = toolsOf(row.tools, row.functions);
  if (tools instanceof Refusal) return tools;
  const all = [...systemOf(row), ...messages];
  return turnProblem(all) ?? { kind: 'chat', messages: all, tools };
}

/** The messages of a row's prompt, a text or a list. */
export function askedBy({ prompt, ...row }: Row): TrainedMessage[] | Refusal {
  const asked = typeof prompt === 'string' ? [{ role: 'user', content: prompt }] : messagesOf(prompt, 'prompt');
  return asked instanceof Refusal ? asked : [...systemOf(row), ...asked];
}

/** A row's own field for what stands before the conversation. */
export function systemOf({ system }: Row): TrainedMessage[] {
  return typeof system === 'string' && system.trim() !== '' ? [{ role: 'system', content: system }] : [];
}

/** What Alpaca's rows ask, earlier turns included; `isAlpaca`: in the words of its own two prompts. */
export function alpacaPrompt(row: Row, isAlpaca: boolean): TrainedMessage[] | Refusal {
  const instruction = textOf(row, 'instruction');
  if (instruction instanceof Refusal) return instruction;
  const input = row.input ?? '';
  if (typeof input !== 'string') return new Refusal('input is not a text');
  const history = row.history ?? [];
  if (!Array.isArray(history)) return new Refusal('history is not a list of turns');
  const earlier: TrainedMessage[] = [];
  for (const turn of history as readonly unknown[]) {
    const [user, assistant] = Array.isArray(turn) ? (turn as readonly unknown[]) : [];
    if (typeof user !== 'string' || typeof assistant !== 'string')
      return new Refusal('a turn of history is not two texts');
    if (user.trim() === '' || assistant.trim() === '') return new Refusal('a turn of history is empty');
    earlier.push({ role: 'user', content: user }, { role: 'assistant', content: assistant });
  }
  const system = systemOf(row);
  if (isAlpaca && system.length === 0)
    system.push({ role: 'system', content: input === '' ? ALPACA : ALPACA_WITH_INPUT });
  const heading = isAlpaca ? '### Input:\n' : '';
  const content = input === '' ? instruction : `${instruction}\n\n${heading}${input}`;
  return [...system, ...earlier, { role: 'user', content }];
}

/** A row's prompt and what follows it; of message lists, only the answer's own turns carry loss. */
export function completion(row: Row, answer: unknown): SftSample | Refusal {
  const { prompt, tools, functions } = row;
  const given = toolsOf(tools, functions);
  if (given instanceof Refusal) return given;
  // What a template writes makes a conversation of them.
  const isPlain = systemOf(row).length === 0 && given === null;
  if (typeof prompt === 'string' && typeof answer === 'string' && isPlain) {
    if (answer.trim() === '') return new Refusal('completion is empty');
    return { kind: 'completion', prompt, completion: answer };
  }
  const asked = askedBy(row);
  if (asked instanceof Refusal) return asked;
  const said = typeof answer === 'string' ? [{ role: 'assistant', content: answer }] : messagesOf(answer, 'completion');
  if (said instanceof Refusal) return said;
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
