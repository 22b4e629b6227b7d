/** Rows with two answers, or with one that somebody liked or not, or with a prompt alone. */
import type { ChatMessage } from '../../tokenizer/chat/chat-template.ts';
import { sampledWithInstruction, trainedWithInstruction } from '../gatt.ts';
import { type PreferenceRating, preferenceRatings } from '../losses/reward-model.ts';
import {
  alpacaPrompt,
  askedBy,
  completion,
  detectFormat,
  type FormatContext,
  formats,
  ghostDialogue,
  systemOf,
} from './formats.ts';
import { fieldsOf, has, isRow, messagesOf, type Row, toolsOf, turnProblem } from './rows.ts';
import {
  type ChatSample,
  type PairSample,
  type PromptSample,
  type RatedSample,
  Refusal,
  type SftSample,
  type TrainedMessage,
} from './sample.ts';

/**
 * Two answers: `chosen` and `rejected` as texts or message lists, with `prompt` or with a common beginning of whole turns; texts in
 * the layout of HH-RLHF (`\n\nHuman:`, `\n\nAssistant:`) become messages. Lists that repeat the prompt are whole conversations. What is
 * asked may also stand in Alpaca's fields, in `messages` or `conversations`, or as OpenAI has it (`input`). `margin` is a number, `rating` a level of Llama 2's.
 */
export function pairOf(given: Row, context: FormatContext): PairSample | Refusal {
  const row = withPrompt(given, context);
  if (row instanceof Refusal) return row;
  const { chosen, rejected } = row;
  if (!has(row, 'chosen') && !has(row, 'rejected')) {
    const hint = has(row, 'label') ? ': dpo.loss kto learns from single answers with a label' : '';
    return new Refusal(`neither chosen nor rejected among its fields (${fieldsOf(row)})${hint}`);
  }
  for (const [name, value] of [
    ['chosen', chosen],
    ['rejected', rejected],
  ] as const) {
    if (value === undefined || value === null) return new Refusal(`${name} is missing`);
  }
  if (JSON.stringify(chosen) === JSON.stringify(rejected)) return new Refusal('chosen and rejected are the same');
  const extras = preferenceOf(row);
  if (extras instanceof Refusal) return extras;
  const both = bothAnswers(row);
  return both instanceof Refusal ? both : { kind: 'pair', ...both, ...extras };
}

type Both = { readonly chosen: SftSample; readonly rejected: SftSample };

/** The row with its answers as texts or lists, and what other layouts ask as `prompt`. */
function withPrompt(row: Row, { isAlpaca }: FormatContext): Row | Refusal {
  const { input, preferred_output: better, non_preferred_output: worse } = row;
  if (isRow(input) && has(row, 'preferred_output', 'non_preferred_output'))
    return { ...row, prompt: input.messages, tools: input.tools, chosen: better, rejected: worse };
  const listed = (answer: unknown) => (isRow(answer) ? [answer] : answer);
  const both = { ...row, chosen: listed(row.chosen), rejected: listed(row.rejected) };
  if (has(row, 'prompt') || !has(row, 'chosen', 'rejected')) return both;
  if (has(row, 'instruction')) {
    const prompt = alpacaPrompt(row, isAlpaca);
    return prompt instanceof Refusal ? prompt : { ...both, system: null, prompt };
  }
  const asked = isWhole(row.chosen) ? null : (row.messages ?? row.conversations);
  return has({ asked }, 'asked') ? { ...both, prompt: asked } : both;
}

/** Whether an answer is a list that begins before it. */
function isWhole(answer: unknown): boolean {
  const first: unknown = Array.isArray(answer) ? answer[0] : null;
  return isRow(first) && ['user', 'human', 'system'].includes(String(first.role ?? first.from));
}

function bothAnswers(row: Row): Both | Refusal {
  const { chosen, rejected } = row;
  const areWhole = isWhole(chosen) && isWhole(rejected);
  if (has(row, 'prompt') && !areWhole) {
    const good = completion(row, chosen);
    if (good instanceof Refusal) return inField('chosen', good);
    const bad = completion(row, rejected);
    return bad instanceof Refusal ? inField('rejected', bad) : { chosen: good, rejected: bad };
  }
  const [good, bad] = [conversation(chosen, 'chosen'), conversation(rejected, 'rejected')];
  if (good instanceof Refusal) return good;
  if (bad instanceof Refusal) return bad;
  const tools = toolsOf(row.tools, row.functions);
  if (tools instanceof Refusal) return tools;
  const system = systemOf(row);
  for (const messages of [good, bad]) messages.unshift(...system);
  let common = 0;
  while (common < good.length && common < bad.length && isSame(good[common]!, bad[common]!)) common++;
  if (common === 0)
    return new Refusal('chosen and rejected have no common beginning of whole turns, and there is no prompt');
  if (has(row, 'prompt')) {
    const asked = askedBy({ prompt: row.prompt });
    if (asked instanceof Refusal) return asked;
    const last = asked.at(-1)!;
    if (!good.slice(0, common).some((message) => message.role === last.role && message.content === last.content))
      return new Refusal('chosen and rejected are whole conversations, in which the prompt is not asked');
  }
  if (common === good.length || common === bad.length) return new Refusal('one answer is the beginning of the other');
  for (const [name, messages] of [
    ['chosen', good],
    ['rejected', bad],
  ] as const) {
    if (messages[common]!.role !== 'assistant')
      return new Refusal(`${name} differs in a turn that is not the assistant's`);
    if (messages.at(-1)!.role !== 'assistant') return new Refusal(`${name} does not end with the assistant`);
    const problem = turnProblem(messages);
    if (problem) return problem;
  }
  const answer = (messages: readonly ChatMessage[]): SftSample => ({
    kind: 'chat',
    messages: messages.map((message, i) => (i < common ? { ...message, train: false } : message)),
    tools,
  });
  return { chosen: answer(good), rejected: answer(bad) };
}

function inField(name: string, { reason }: Refusal): Refusal {
  return new Refusal(`${name}: ${reason}`);
}

function isSame(a: ChatMessage, b: ChatMessage): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Messages, or a text in the layout of HH-RLHF. */
function conversation(value: unknown, name: string): ChatMessage[] | Refusal {
  if (typeof value !== 'string') return messagesOf(value, name);
  const turns = value.split(/(?:^|\n\n)(Human|Assistant):/);
  if (turns.length < 3 || turns[0]!.trim() !== '') return new Refusal(`${name} is a text, and there is no prompt`);
  const messages: ChatMessage[] = [];
  for (let i = 1; i + 1 < turns.length; i += 2) {
    const content = turns[i + 1]!.trim();
    const role = turns[i] === 'Human' ? 'user' : 'assistant';
    if (content === '') return new Refusal(`${name}: an empty turn of the ${role}`);
    messages.push({ role, content });
  }
  return messages;
}

function preferenceOf({ margin, rating }: Row): { margin?: number; rating?: PreferenceRating } | Refusal {
  if (margin !== undefined && margin !== null && !(typeof margin === 'number' && Number.isFinite(margin))) {
    return new Refusal('margin is not a number');
  }
  if (rating !== undefined && rating !== null) {
    const level = typeof rating === 'string' ? levelOf(rating) : null;
    if (level === null) return new Refusal(`rating is none of ${preferenceRatings.join(', ')}`);
    return { rating: level, ...(typeof margin === 'number' && { margin }) };
  }
  return typeof margin === 'number' ? { margin } : {};
}

/** "significantly better", "negligibly better / unsure" and the bare words. */
function levelOf(rating: string): PreferenceRating | null {
  const words = rating.trim().toLowerCase();
  if (words === 'unsure') return 'negligibly';
  return preferenceRatings.find((level) => words === level || words.startsWith(`${level} `)) ?? null;
}

/** One answer with `label`: true where it was liked. The answer is that of a row of sft data; of conversations, the last turn. */
export function ratedOf(row: Row, context: FormatContext): RatedSample | Refusal {
  if (typeof row.label !== 'boolean') return new Refusal('label is not true or false');
  const format = detectFormat(row);
  if (format === null || format === 'text') return new Refusal(`no prompt with a completion (${fieldsOf(row)})`);
  const converted = formats[format].convert(row, context);
  const sample = format === 'completion' ? converted : lastTurnOnly(converted);
  return sample instanceof Refusal ? sample : { kind: 'rated', sample, isLiked: row.label };
}

function lastTurnOnly(sample: SftSample | Refusal): SftSample | Refusal {
  if (sample instanceof Refusal || sample.kind !== 'chat') return sample;
  const last = sample.messages.findLastIndex(({ role }) => role === 'user');
  return { ...sample, messages: sample.messages.map((one, i) => (i < last ? { ...one, train: false } : one)) };
}

/** What is asked: `prompt` as a text or messages, or any row of sft data without its last answer. */
export function promptOf(row: Row, context: FormatContext): PromptSample | Refusal {
  const { tag, answer } = row;
  const extras = {
    ...(tag === 'safety' && { isSafety: true }),
    ...(typeof answer === 'string' && { answer }),
  };
  if (tag !== undefined && tag !== null && tag !== 'safety' && tag !== 'helpfulness') {
    return new Refusal('tag is neither safety nor helpfulness');
  }
  const tools = toolsOf(row.tools, row.functions);
  if (tools instanceof Refusal) return tools;
  if (typeof row.prompt === 'string' && systemOf(row).length === 0 && tools === null)
    return { kind: 'completion', prompt: row.prompt, ...extras };
  const asked = askedAlone(row, context);
  if (asked !== null) {
    if (asked instanceof Refusal) return asked;
    if (asked.at(-1)!.role === 'assistant') return new Refusal('prompt ends with the assistant');
    return { kind: 'chat', messages: asked, tools, ...extras };
  }
  if (Array.isArray(row.dialogue)) return ghostPrompt(row);
  const format = detectFormat(row);
  if (format === null || format === 'text') return new Refusal('no prompt');
  const sample = formats[format].convert(row, context);
  if (sample instanceof Refusal) return sample;
  if (sample.kind === 'completion') return { kind: 'completion', prompt: sample.prompt, ...extras };
  if (sample.kind === 'text') return new Refusal('no prompt');
  const { messages }: ChatSample = sample;
  const last = messages.findLastIndex(({ role }) => role === 'assistant');
  return { kind: 'chat', messages: messages.slice(0, last), tools, ...extras };
}

/** The messages of a row that has no answer; null: it has one, or none of these fields. */
function askedAlone(row: Row, { isAlpaca }: FormatContext): TrainedMessage[] | Refusal | null {
  if (has(row, 'prompt')) return askedBy(row);
  if (has(row, 'instruction') && !has(row, 'output') && !Array.isArray(row.dialogue))
    return alpacaPrompt(row, isAlpaca);
  const list = row.messages ?? row.conversations;
  if (!Array.isArray(list)) return null;
  const messages = messagesOf(list, 'messages');
  if (messages instanceof Refusal) return messages;
  return messages.at(-1)!.role === 'assistant' ? null : [...systemOf(row), ...messages];
}

/** What is drawn with the instruction in every turn, and trained with it in the first. */
function ghostPrompt(row: Row): PromptSample | Refusal {
  const parts = ghostDialogue(row);
  if (parts instanceof Refusal) return parts;
  const { instruction, dialogue } = parts;
  const plain = (messages: readonly { role: string; content: string }[]) =>
    messages.slice(0, -1).map(({ role, content }) => ({ role, content }));
  return {
    kind: 'chat',
    messages: plain(sampledWithInstruction(instruction, dialogue)),
    trainedAs: { kind: 'chat', messages: plain(trainedWithInstruction(instruction, dialogue)) },
  };
}
