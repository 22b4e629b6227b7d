/**
 * Answers of models that reason first: the block between two tags at the beginning is told apart from the answer proper. The opening tag
 * may be the end of the prompt already, as some templates write it.
 */

/** How published models mark their reasoning: Qwen, DeepSeek and most others; Mistral; Cohere. */
export const reasoningTags = [
  { open: '<think>', close: '</think>' },
  { open: '[THINK]', close: '[/THINK]' },
  { open: '<thinking>', close: '</thinking>' },
  { open: '<|START_THINKING|>', close: '<|END_THINKING|>' },
] as const;
export type ReasoningTag = (typeof reasoningTags)[number];

/** The tag that a prompt ends with, where the model is to begin inside a block; null elsewhere. */
export function openedBy(promptEnd: string): ReasoningTag | null {
  const end = promptEnd.trimEnd();
  return reasoningTags.find(({ open }) => end.endsWith(open)) ?? null;
}

export interface ReadAnswer {
  readonly reasoning: string;
  readonly answer: string;
}

/** Sorts the texts of an answer as they come. What may be the beginning of a tag is held back until it is known. */
export class ReasoningReader {
  private state: 'start' | 'inside' | 'after' = 'start';
  private tag: ReasoningTag | null;
  private held = '';
  private isFresh = false;

  constructor(opened: ReasoningTag | null = null) {
    this.tag = opened;
    if (opened !== null) this.state = 'inside';
  }

  /** The tag of the block that it is in; null outside of one. */
  get inside(): ReasoningTag | null {
    return this.state === 'inside' ? this.tag : null;
  }

  push(text: string): ReadAnswer {
    this.held += text;
    if (this.state === 'start') this.begin();
    if (this.state === 'start') return { reasoning: '', answer: '' };
    return this.state === 'inside' ? this.reason() : { reasoning: '', answer: this.takeAnswer() };
  }

  /** What is still held back: the end of the answer, or of a block that was not closed. */
  flush(): ReadAnswer {
    const rest = this.take(this.held.length);
    return this.state === 'inside' ? { reasoning: rest, answer: '' } : { reasoning: '', answer: rest };
  }

  private begin(): void {
    const shown = this.held.trimStart();
    const tag = reasoningTags.find(({ open }) => shown.startsWith(open));
    if (tag) {
      this.tag = tag;
      this.state = 'inside';
      this.held = shown.slice(tag.open.length);
    } else if (!reasoningTags.some(({ open }) => open.startsWith(shown))) this.state = 'after';
  }

  private reason(): ReadAnswer {
    const { close } = this.tag!;
    const at = this.held.indexOf(close);
    if (at < 0) {
      let keep = Math.min(close.length - 1, this.held.length);
      while (keep > 0 && !close.startsWith(this.held.slice(-keep))) keep--;
      return { reasoning: this.take(this.held.length - keep), answer: '' };
    }
    const reasoning = this.take(at);
    this.take(close.length);
    this.state = 'after';
    this.isFresh = true;
    return { reasoning, answer: this.takeAnswer() };
  }

  /** White space between the block and the answer belongs to neither. */
  private takeAnswer(): string {
    if (this.isFresh) this.held = this.held.trimStart();
    if (this.held !== '') this.isFresh = false;
    return this.take(this.held.length);
  }

  private take(length: number): string {
    const taken = this.held.slice(0, length);
    this.held = this.held.slice(length);
    return taken;
  }
}
