import type { Piece } from '../../inference/generation.ts';
import { type ToolEvent, ToolReader } from '../../inference/grammar/tool-reader.ts';
import { notations, type ToolFormat } from '../../inference/grammar/tools.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';

/** What an answer says, piece by piece. */
export interface AnswerReader {
  push(piece: Piece): ToolEvent[];
  /** What was held back, at the end. */
  end(): ToolEvent[];
}

/** `format`: how calls of tools are written; null: all of the answer is text. */
export function answerReader(tokenizer: Tokenizer, format: ToolFormat | null): AnswerReader {
  if (!format) return { push: ({ text }) => (text === '' ? [] : [{ kind: 'text', text }]), end: () => [] };
  const { begin } = notations[format];
  const announcement = begin === null ? null : tokenizer.idOf(begin);
  const reader = new ToolReader(format);
  return { push: ({ id, text }) => reader.push(text, id === announcement), end: () => reader.end() };
}
