/**
 * Ends a text before a line that is indented by less than it should be (llama-server's `n_indent`): the block that a gap is in has been
 * left. Blank characters at the beginning of a line are held back until it is known how it goes on; empty lines go through.
 */
export class LineGuard {
  /** A line has begun after the first. */
  hasBreak = false;
  isOver = false;
  private readonly least: number;
  /** The beginning of a line, of blanks alone; null: within a line. */
  private held: string | null = null;

  constructor(leastIndent: number) {
    this.least = leastIndent;
  }

  /** What of the text goes on. */
  push(text: string): string {
    if (this.isOver) return '';
    if (this.least === 0) {
      this.hasBreak ||= text.includes('\n');
      return text;
    }
    let out = '';
    for (const character of text) {
      if (character === '\n') {
        out += (this.held ?? '') + character;
        this.held = '';
        this.hasBreak = true;
      } else if (this.held === null) out += character;
      else if (character === ' ' || character === '\t') this.held += character;
      else if (this.held.length < this.least) {
        this.isOver = true;
        return out;
      } else {
        out += this.held + character;
        this.held = null;
      }
    }
    return out;
  }

  end(): string {
    return this.isOver ? '' : (this.held ?? '');
  }
}
