/**
 * What the user of `chat` says next: from a terminal with line editing and history, or line by line from a pipe.
 *
 * A message is one line; several pasted lines; or the lines between `"""` and `"""`.
 */
import { createInterface } from 'node:readline';
import type { Io } from '../io.ts';

export interface Reader {
  /** The next message; null when there is no more (Ctrl-D, end of the pipe). */
  next(prompt: string): Promise<string | null>;
  close(): void;
}

const QUOTES = '"""';
/** Lines that arrive together within this time are one paste. */
const PASTE_MS = 15;

export function createReader(io: Io, history: string[]): Reader {
  const terminal = io.stdin.isTTY === true && io.stdout.isTTY === true;
  return terminal ? new TerminalReader(io, history) : new PipeReader(io);
}

class PipeReader implements Reader {
  private readonly lines: AsyncIterator<string>;
  private readonly interface: ReturnType<typeof createInterface>;

  constructor(io: Io) {
    this.interface = createInterface({ input: io.stdin, crlfDelay: Number.POSITIVE_INFINITY });
    this.lines = this.interface[Symbol.asyncIterator]();
    io.signal.addEventListener('abort', () => this.close());
  }

  async next(): Promise<string | null> {
    return readMessage(async () => {
      const { value, done } = await this.lines.next();
      return done ? null : value;
    });
  }

  close(): void {
    this.interface.close();
  }
}

/**
 * A readline interface per line: while an answer streams there is none, so that Ctrl-C is the process's signal, what is typed
 * ahead waits in the terminal, and nothing is redrawn into the answer.
 */
class TerminalReader implements Reader {
  private readonly io: Io;
  private readonly history: string[];

  constructor(io: Io, history: string[]) {
    this.io = io;
    this.history = history;
  }

  async next(prompt: string): Promise<string | null> {
    const message = await readMessage((isFirst) => this.line(isFirst ? prompt : '… '));
    if (message !== null && message.trim() !== '') {
      const [last] = this.history;
      const entry = message.replaceAll('\n', ' ');
      if (entry !== last) this.history.unshift(entry);
    }
    return message;
  }

  close(): void {}

  /** One line, or several that were pasted at once. */
  private line(prompt: string): Promise<string | null> {
    const { stdin, stdout, stderr } = this.io;
    const reader = createInterface({
      input: stdin,
      output: stdout as unknown as NodeJS.WritableStream,
      prompt,
      terminal: true,
      history: [...this.history],
      historySize: 1000,
    });
    return new Promise((resolve) => {
      const lines: string[] = [];
      let timer: NodeJS.Timeout | null = null;
      const finish = (line: string | null) => {
        if (timer) clearTimeout(timer);
        resolve(line);
        reader.close(); // calls finish again, which a settled promise ignores
      };
      reader.on('line', (line) => {
        lines.push(line);
        if (timer) clearTimeout(timer);
        // A paste that ends within a line goes on until Enter.
        timer = setTimeout(() => {
          if (reader.line === '') finish(lines.join('\n'));
        }, PASTE_MS);
      });
      reader.on('SIGINT', () => {
        if (reader.line === '' && lines.length === 0) {
          stderr.write('\n(Ctrl-D or /exit leaves)\n');
        } else {
          lines.length = 0;
          stdout.write('\n');
        }
        reader.write(null, { ctrl: true, name: 'e' });
        reader.write(null, { ctrl: true, name: 'u' });
        reader.prompt();
      });
      // The terminal has gone, and cannot be told to leave raw mode.
      reader.on('error', () => resolve(null));
      reader.on('close', () => finish(lines.length > 0 ? lines.join('\n') : null));
      reader.prompt();
    });
  }
}

/** A line, or what stands between two triple quotes. */
async function readMessage(line: (isFirst: boolean) => Promise<string | null>): Promise<string | null> {
  const first = await line(true);
  if (first === null || !first.startsWith(QUOTES)) return first;
  let text = first.slice(QUOTES.length);
  while (!text.trimEnd().endsWith(QUOTES)) {
    const next = await line(false);
    if (next === null) return text.trim() === '' ? null : text.replace(/^\n/, '');
    text += `\n${next}`;
  }
  return text.trimEnd().slice(0, -QUOTES.length).replace(/^\n/, '').replace(/\n$/, '');
}
