/** The text of an answer that may call tools: what is said is passed on as it comes, calls are kept until they are whole. */
import { parseToolCalls, type ToolCall, type ToolFormat } from '../../inference/grammar/tools.ts';
import { StopStrings } from '../../inference/stop-strings.ts';

/** What announces a call, where a text does. */
const announcements: Readonly<Record<ToolFormat, readonly string[]>> = {
  hermes: ['<tool_call>'],
  mistral: ['[TOOL_CALLS]'],
  llama3: [],
};

export class ToolText {
  private readonly format: ToolFormat;
  private readonly watch: StopStrings;
  private state: 'start' | 'text' | 'call' = 'start';
  private start = '';
  private passed = 0;

  constructor(format: ToolFormat) {
    this.format = format;
    this.watch = new StopStrings(announcements[format]);
  }

  /** What is certainly said, of the next part of the text. */
  push(text: string): string {
    if (this.state === 'call') return '';
    if (this.state === 'start') {
      this.start += text;
      const first = this.start.trimStart()[0];
      if (first === undefined) return '';
      // A special token that announces a call leaves no text: then the call itself comes first.
      this.state = first === '{' || first === '[' ? 'call' : 'text';
      if (this.state === 'call') return '';
      text = this.start;
    }
    const { text: certain, stop } = this.watch.push(text);
    if (stop !== null) this.state = 'call';
    this.passed += certain.length;
    return certain;
  }

  /** The rest of what is said, and the calls. */
  end(whole: string): { readonly rest: string; readonly content: string; readonly calls: readonly ToolCall[] } {
    const { content, calls } = parseToolCalls(whole, this.format);
    return { rest: content.slice(this.passed), content, calls };
  }
}
