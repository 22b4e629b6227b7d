/** What a model thinks before it answers, told apart from the answer: <think> … </think>, as templates of today write it. */
import type { Piece } from '../../inference/generation.ts';
import type { ToolEvent } from '../../inference/grammar/tool-reader.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import type { AnswerReader } from './answer-reader.ts';

export type ThinkingFormat = keyof typeof marks;

const marks = {
  think: ['<think>', '</think>'],
  mistral: ['[THINK]', '[/THINK]'],
} as const;

/** More of what is thought. */
export type AnswerEvent = ToolEvent | { readonly kind: 'reasoning'; readonly text: string };

export interface Thinking {
  readonly format: ThinkingFormat;
  /** The prompt ends with the beginning of the thoughts. */
  readonly isBegun: boolean;
}

/** `template`: the Jinja text in use; null: it knows no thoughts. */
export function thinkingOf(template: string, tokenizer: Tokenizer, prompt: Uint32Array): Thinking | null {
  const formats = Object.entries(marks) as [ThinkingFormat, readonly [string, string]][];
  const [format, [begin]] = formats.find(
    ([, [open, close]]) => template.includes(open) || template.includes(close),
  ) ?? [null, ['']];
  if (format === null) return null;
  const end = tokenizer.decode(prompt.subarray(-16), { special: 'text' });
  return { format, isBegun: end.trimEnd().endsWith(begin) };
}

/** Thoughts come first, if they come; all that follows them is `answer`'s to read. */
export class ThinkingReader {
  private readonly answer: AnswerReader;
  private readonly open: string;
  private readonly close: string;
  private readonly openId: number | null;
  private readonly closeId: number | null;
  private state: 'start' | 'thinking' | 'gap' | 'answer';
  /** Read, and not yet told: it may be a part of a mark, or white space at an edge. */
  private held = '';
  private hasThought = false;

  constructor(tokenizer: Tokenizer, { format, isBegun }: Thinking, answer: AnswerReader) {
    this.answer = answer;
    [this.open, this.close] = marks[format];
    this.openId = tokenizer.idOf(this.open);
    this.closeId = tokenizer.idOf(this.close);
    this.state = isBegun ? 'thinking' : 'start';
  }

  push(piece: Piece): AnswerEvent[] {
    const { id } = piece;
    // A mark may be a special token, which leaves no text, or several ordinary ones.
    if (this.state === 'start' && id === this.openId) return this.go('thinking', '');
    if (this.state === 'thinking' && id === this.closeId) return [...this.think(this.held), ...this.go('gap', '')];
    if (this.state === 'answer') return this.answer.push(piece);
    return this.read(piece.text, id);
  }

  /** What was held back, at the end. */
  end(): AnswerEvent[] {
    if (this.state === 'thinking') return this.think(this.held);
    if (this.state !== 'start') return this.answer.end();
    return [...this.say(this.held), ...this.answer.end()];
  }

  private read(text: string, id = -1): AnswerEvent[] {
    this.held += text;
    switch (this.state) {
      case 'start': {
        const begun = this.held.trimStart();
        if (begun.startsWith(this.open)) return this.go('thinking', begun.slice(this.open.length));
        if (this.open.startsWith(begun)) return [];
        return this.say(this.held, id);
      }
      case 'thinking': {
        const at = this.held.indexOf(this.close);
        if (at >= 0) {
          const rest = this.held.slice(at + this.close.length);
          return [...this.think(this.held.slice(0, at)), ...this.go('gap', rest)];
        }
        const certain = this.held.length - heldBack(this.held, this.close);
        const told = this.held.slice(0, certain);
        this.held = this.held.slice(certain);
        return told === '' ? [] : this.thought(told);
      }
      case 'gap': {
        const begun = this.held.trimStart();
        return begun === '' ? [] : this.say(begun, id);
      }
      default:
        return this.say(this.held, id);
    }
  }

  private go(state: 'thinking' | 'gap', rest: string): AnswerEvent[] {
    this.state = state;
    this.held = '';
    return rest === '' ? [] : this.read(rest);
  }

  /** The last of the thoughts: white space at their end is not of them. */
  private think(text: string): AnswerEvent[] {
    this.held = '';
    return this.thought(text.trimEnd());
  }

  private thought(given: string): AnswerEvent[] {
    const text = this.hasThought ? given : given.trimStart();
    if (text === '') return [];
    this.hasThought = true;
    return [{ kind: 'reasoning', text }];
  }

  private say(text: string, id = -1): AnswerEvent[] {
    this.state = 'answer';
    this.held = '';
    return text === '' ? [] : this.answer.push({ id, text });
  }
}

/** How many characters at the end of a text may be the beginning of a mark, or white space before it. */
function heldBack(text: string, mark: string): number {
  for (let length = Math.min(text.length, mark.length - 1); length > 0; length--) {
    if (mark.startsWith(text.slice(-length))) return length + spaceAtEnd(text.slice(0, -length));
  }
  return spaceAtEnd(text);
}

function spaceAtEnd(text: string): number {
  return text.length - text.trimEnd().length;
}
