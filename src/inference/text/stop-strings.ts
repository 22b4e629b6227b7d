/**
 * Finds stop strings in text that arrives in pieces, wherever the pieces' borders lie. Text that may still become a stop string is
 * held back; everything else is let through at once.
 */
export class StopStrings {
  private readonly stops: readonly string[];
  private held = '';

  constructor(stops: readonly string[]) {
    this.stops = stops.filter((stop) => stop !== '');
  }

  /**
   * The text that is now certain; the stop string that was met, if any: the earliest in the text, the longest among equals; and what
   * came behind it.
   */
  push(text: string): { readonly text: string; readonly stop: string | null; readonly rest: string } {
    if (this.stops.length === 0) return { text, stop: null, rest: '' };
    const pending = this.held + text;
    let at = pending.length;
    let found: string | null = null;
    for (const stop of this.stops) {
      const place = pending.indexOf(stop);
      if (place < 0 || place > at || (place === at && found !== null && stop.length <= found.length)) continue;
      at = place;
      found = stop;
    }
    if (found !== null) {
      this.held = '';
      return { text: pending.slice(0, at), stop: found, rest: pending.slice(at + found.length) };
    }
    const certain = pending.length - this.mayBegin(pending);
    this.held = pending.slice(certain);
    return { text: pending.slice(0, certain), stop: null, rest: '' };
  }

  /** What was held back, at the end of the text. */
  flush(): string {
    const text = this.held;
    this.held = '';
    return text;
  }

  /** Length of the longest end of the text that is the beginning of a stop string. */
  private mayBegin(text: string): number {
    let longest = 0;
    for (const stop of this.stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
