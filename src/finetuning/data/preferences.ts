/** Rows with two answers, or with one that somebody liked or not, or with a prompt alone. */
import type { ChatMessage } from '../../tokenizer/chat/chat-template.ts';
import { sampledWithInstruction, trainedWithInstruction } from '../gatt.ts';
import { type PreferenceRating, preferenceRatings } from '../losses/reward-model.ts';
import { completion, detectFormat, type FormatContext, formats, ghostDialogue } from './formats.ts';
import { fieldsOf, has, messagesOf, type Row, turnProblem } from './rows.ts';
import {
  type ChatSample,
  type PairSample,
  type PromptSample,
  type RatedSample,
  Refusal,
  type SftSample,
} from './sample.ts';

/**
 * Two answers: `chosen` and `rejected` as texts or message lists, with `prompt` or with a common beginning of whole turns; texts in
 * the layout of HH-RLHF (`\n\nHuman:`, `\n\nAssistant:`) become messages. `margin` is a number, `rating` a level of Llama 2's.
 */
export function pairOf(row: Row): PairSample | Refusal {
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

function bothAnswers({ prompt, chosen, rejected, tools }: Row): Both | Refusal {
  if (has({ prompt }, 'prompt')) {
    const good = completion(prompt, chosen, tools);
    if (good instanceof Refusal) return inField('chosen', good);
    const bad = completion(prompt, rejected, tools);
    return bad instanceof Refusal ? inField('rejected', bad) : { chosen: good, rejected: bad };
  }
  const [good, bad] = [conversation(chosen, 'chosen'), conversation(rejected, 'rejected')];
  if (good instanceof Refusal) return good;
  if (bad instanceof Refusal) return bad;
  let common = 0;
  while (common < good.length && common < bad.length && isSame(good[common]!, bad[common]!)) common++;
  if (common === 0)
    return new Refusal('chosen and rejected have no common beginning of whole turns, and there is no prompt');
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

/** One answer with `label`: true where it was liked. */
export function ratedOf(row: Row): RatedSample | Refusal {
  if (typeof row.label !== 'boolean') return new Refusal('label is not true or false');
  const sample = completion(row.prompt, row.completion, row.tools);
  return sample instanceof Refusal ? sample : { kind: 'rated', sample, isLiked: row.label };
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
  if (typeof row.prompt === 'string') return { kind: 'completion', prompt: row.prompt, ...extras };
  if (Array.isArray(row.prompt)) {
    const messages = messagesOf(row.prompt, 'prompt');
    if (messages instanceof Refusal) return messages;
    if (messages.at(-1)!.role === 'assistant') return new Refusal('prompt ends with the assistant');
    return { kind: 'chat', messages, ...extras };
  }
  if (Array.isArray(row.dialogue)) return ghostPrompt(row);
  const format = detectFormat(row);
  if (format === null || format === 'text') return new Refusal('no prompt');
  const sample = formats[format].convert(row, context);
  if (sample instanceof Refusal) return sample;
  if (sample.kind === 'completion') return { kind: 'completion', prompt: sample.prompt, ...extras };
  if (sample.kind === 'text') return new Refusal('no prompt');
  const { messages, tools = null }: ChatSample = sample;
  const last = messages.findLastIndex(({ role }) => role === 'assistant');
  return { kind: 'chat', messages: messages.slice(0, last), tools, ...extras };
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
