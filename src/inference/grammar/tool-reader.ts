/**
 * An answer that may call tools, taken apart as it comes: what is said, and each call's name and arguments. It reads what
 * toolsGrammar() lets through; between calls whatever the notation puts there is skipped.
 */
import { StopStrings } from '../text/stop-strings.ts';
import { PythonicReader } from './pythonic.ts';
import { type Notation, notations, type ToolFormat } from './tools.ts';

export type ToolEvent =
  /** More of what is said. */
  | { readonly kind: 'text'; readonly text: string }
  /** A call begins. */
  | { readonly kind: 'call'; readonly name: string }
  /** More of the arguments of the last call: JSON as the model writes it. */
  | { readonly kind: 'arguments'; readonly text: string };

export class ToolReader {
  private readonly notation: Notation;
  private readonly announcement: StopStrings;
  private readonly python: PythonicReader | null;
  /** A call is its name, and then the JSON of its arguments. */
  private readonly isBare: boolean;
  private state: 'start' | 'text' | 'between' | 'name' | 'key' | 'value' | 'rest' = 'start';
  /** Read, and not yet understood. */
  private pending = '';
  /** Space at the end of what is said belongs to it only if more is said. */
  private space = '';
  /** Where in a JSON value: how deep, and in a string, maybe behind a backslash. */
  private depth = 0;
  private quoted: 'no' | 'yes' | 'escape' = 'no';

  constructor(format: ToolFormat) {
    this.isBare = format === 'mistralArgs';
    this.python = format === 'pythonic' ? new PythonicReader() : null;
    this.notation = notations[format];
    this.announcement = new StopStrings(this.notation.begin === null ? [] : [this.notation.begin]);
  }

  /** `isAnnouncement`: this is the token that announces calls, which may have left no text. */
  push(text: string, isAnnouncement = false): ToolEvent[] {
    if (this.state === 'start' || this.state === 'text') return this.readText(text, isAnnouncement);
    this.pending += text;
    return this.readCalls();
  }

  /** What was held back, at the end of the text. */
  end(): ToolEvent[] {
    if (this.state !== 'text' && this.state !== 'start') return [];
    const text = this.space + this.pending + this.announcement.flush();
    return text === '' ? [] : [{ kind: 'text', text }];
  }

  private readText(text: string, isAnnouncement: boolean): ToolEvent[] {
    const { begin } = this.notation;
    if (begin === null && this.state === 'start') {
      this.pending += text;
      const first = this.pending.trimStart()[0];
      if (first === undefined) return [];
      if (first === this.notation.first) return this.beginCalls('');
      this.state = 'text';
      text = this.pending;
      this.pending = '';
    }
    const { text: certain, stop, rest } = this.announcement.push(text);
    if (stop !== null) return [...this.say(certain), ...this.beginCalls(rest)];
    return isAnnouncement
      ? [...this.say(certain + this.announcement.flush()), ...this.beginCalls('')]
      : this.say(certain);
  }

  private beginCalls(text: string): ToolEvent[] {
    this.state = 'between';
    this.pending += text;
    if (this.python) this.pending = this.pending.trimStart().slice(1); // the list's bracket
    return this.readCalls();
  }

  private say(text: string): ToolEvent[] {
    if (text !== '') this.state = 'text';
    const all = this.space + text;
    const said = all.trimEnd();
    this.space = said === '' ? all : all.slice(said.length);
    return said === '' ? [] : [{ kind: 'text', text: said }];
  }

  private readCalls(): ToolEvent[] {
    if (this.python) {
      const text = this.pending;
      this.pending = '';
      return this.python.push(text);
    }
    const events: ToolEvent[] = [];
    while (this.readPart(events));
    return events;
  }

  /** True while there is more to be understood. */
  private readPart(events: ToolEvent[]): boolean {
    switch (this.state) {
      case 'between':
        return this.isBare ? this.skip(/^(?:\s|\[TOOL_CALLS\])*(?=[\w.-])/, 'name') : this.skip(/\{/, 'name');
      case 'name': {
        if (this.isBare) {
          const head = /^([\w.-]+)(?:\[ARGS\]|\s)*(?=\{)/.exec(this.pending);
          if (!head) return false;
          events.push({ kind: 'call', name: head[1]! });
          return this.skip(head[0].length, 'value');
        }
        const name = /^\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")/.exec(this.pending);
        if (!name) return false;
        events.push({ kind: 'call', name: JSON.parse(name[1]!) as string });
        return this.skip(name[0].length, 'key');
      }
      case 'key':
        return this.skip(/^\s*,\s*"\w+"\s*:\s*(?=\S)/, 'value');
      case 'value':
        return this.readValue(events);
      case 'rest':
        return this.isBare ? this.skip(0, 'between') : this.skip(/\}/, 'between');
      default:
        return false;
    }
  }

  private skip(what: RegExp | number, next: typeof this.state): boolean {
    const found = typeof what === 'number' ? null : what.exec(this.pending);
    if (typeof what !== 'number' && !found) return false;
    this.pending = this.pending.slice(found ? found.index + found[0].length : (what as number));
    this.state = next;
    return true;
  }

  /** A JSON value of any kind: it ends with its last bracket or quote, a number or a word before what cannot be in it. */
  private readValue(events: ToolEvent[]): boolean {
    const { pending } = this;
    let at = 0;
    let ended = false;
    while (at < pending.length && !ended) {
      const character = pending[at]!;
      if (this.quoted !== 'no') {
        this.quoted =
          this.quoted === 'escape' ? 'yes' : character === '\\' ? 'escape' : character === '"' ? 'no' : 'yes';
        ended = this.quoted === 'no' && this.depth === 0;
      } else if (character === '"') this.quoted = 'yes';
      else if (character === '{' || character === '[') this.depth++;
      else if (this.depth === 0 && /[\s,}\]]/.test(character)) {
        ended = true;
        break;
      } else if (character === '}' || character === ']') ended = --this.depth === 0;
      at++;
    }
    if (at > 0) events.push({ kind: 'arguments', text: pending.slice(0, at) });
    this.pending = pending.slice(at);
    if (ended) this.state = 'rest';
    return ended;
  }
}

export interface ToolCall {
  readonly name: string;
  /** JSON, as OpenAI's clients expect it; of a call that was cut short, its beginning. */
  readonly arguments: string;
}

/** What a run of events comes to. */
export function gatherToolEvents(events: Iterable<ToolEvent>): { content: string; calls: ToolCall[] } {
  let content = '';
  const calls: { name: string; arguments: string }[] = [];
  for (const event of events) {
    if (event.kind === 'text') content += event.text;
    else if (event.kind === 'call') calls.push({ name: event.name, arguments: '' });
    else calls.at(-1)!.arguments += event.text;
  }
  return { content, calls };
}
