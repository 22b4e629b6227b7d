/** One conversation at the terminal: messages, slash commands, and an answer that Ctrl-C stops. */
import { writeFileSync } from 'node:fs';
import { CriaError } from '../../base/errors.ts';
import { harmless } from '../../base/harmless.ts';
import type { Timings } from '../../inference/generation.ts';
import type { GenerationOptions } from '../../inference/options.ts';
import type { Chat } from '../../inference/remote/chat.ts';
import { type Io, writeLine, writeResult } from '../io.ts';
import { didYouMean } from '../parse/did-you-mean.ts';
import { describeTimings } from '../terminal/timings.ts';

/** What a session needs of a model. */
export interface Speaker {
  readonly chat: Chat;
  readonly contextLength: number;
  /** How many tokens the conversation is. */
  contextUsed(): Promise<number>;
}

interface SlashCommand {
  readonly help: string;
  run(session: Session, rest: string): unknown;
}

/** In the order of /help. */
const slashCommands: Readonly<Record<string, SlashCommand>> = {
  help: { help: 'this list', run: (session) => session.note(helpText()) },
  reset: { help: 'forget the conversation', run: (session) => session.reset() },
  system: {
    help: 'show the system message, or set it: /system You are a poet.',
    run: (session, rest) => session.system(rest),
  },
  regen: { help: 'answer the last message again', run: (session) => session.regenerate() },
  undo: { help: 'take back the last message and its answer', run: (session) => session.undo() },
  save: { help: 'write the conversation as JSON: /save FILE', run: (session, rest) => session.save(rest) },
  stats: { help: 'speed of the last answer, and how full the context is', run: (session) => session.stats() },
  exit: { help: 'leave (or Ctrl-D)', run: (session) => session.leave() },
};

export class Session {
  private readonly speaker: Speaker;
  private readonly options: GenerationOptions;
  private readonly io: Io;
  private lastTimings: Timings | null = null;
  private left = false;

  constructor(speaker: Speaker, options: GenerationOptions, io: Io) {
    this.speaker = speaker;
    this.options = options;
    this.io = io;
  }

  /** A message or a slash command. False: the user wants to leave. */
  async take(input: string): Promise<boolean> {
    if (input.trim() === '') return true;
    const [, name, rest = ''] = /^\/(\S*)\s*([\s\S]*)$/.exec(input) ?? [];
    if (name === undefined) {
      await this.answer(input);
      return true;
    }
    if (!Object.hasOwn(slashCommands, name)) {
      const names = Object.keys(slashCommands).map((known) => `/${known}`);
      this.note(
        `/${name} is not a command${didYouMean(`/${name}`, names)}. Begin with a space to send it as a message.`,
      );
      return true;
    }
    await slashCommands[name]!.run(this, rest.trim());
    return !this.left;
  }

  /** For the person, never part of an answer. */
  note(text: string): void {
    const { stderr, env } = this.io;
    const dim = stderr.isTTY === true && !env.NO_COLOR;
    const shown = harmless(text);
    stderr.write(dim ? `\x1b[2m${shown}\x1b[22m\n` : `${shown}\n`);
  }

  leave(): void {
    this.left = true;
  }

  reset(): void {
    const { messages } = this.speaker.chat;
    messages.length = messages[0]?.role === 'system' ? 1 : 0;
    this.note('The conversation is empty.');
  }

  system(text: string): void {
    const { messages } = this.speaker.chat;
    const has = messages[0]?.role === 'system';
    if (text === '') {
      this.note(has ? String(messages[0]!.content) : 'There is no system message.');
      return;
    }
    if (has) messages.shift();
    messages.unshift({ role: 'system', content: text });
    this.note('From now on the conversation begins with this.');
  }

  async regenerate(): Promise<void> {
    const message = this.takeBack();
    if (message === null) this.note('There is no answer yet.');
    else await this.answer(message);
  }

  undo(): void {
    const message = this.takeBack();
    this.note(message === null ? 'There is nothing to take back.' : `Taken back: ${message}`);
  }

  save(path: string): void {
    if (path === '') {
      this.note('Where to? /save FILE');
      return;
    }
    try {
      writeFileSync(path, `${JSON.stringify({ messages: this.speaker.chat.messages }, null, 2)}\n`);
      this.note(`Written to ${path}.`);
    } catch (error) {
      this.note((error as Error).message);
    }
  }

  async stats(): Promise<void> {
    const used = await this.speaker.contextUsed();
    if (this.lastTimings) this.note(describeTimings(this.lastTimings));
    this.note(`context: ${used} of ${this.speaker.contextLength} tokens`);
  }

  /** Streams the answer to stdout. What is wrong with it is a note: the conversation goes on. */
  private async answer(message: string): Promise<void> {
    const { io } = this;
    const stop = new AbortController();
    const release = io.onInterrupt(() => stop.abort());
    try {
      const signal = AbortSignal.any([stop.signal, io.signal]);
      const stream = this.speaker.chat.send(message, { ...this.options, signal });
      let begun = false;
      let last = '';
      for await (const { text } of stream) {
        const shown = begun ? text : text.trimStart();
        if (shown === '') continue;
        begun = true;
        writeResult(io.stdout, shown);
        last = shown;
      }
      const { finishReason, timings } = await stream.result;
      this.lastTimings = timings;
      if (!last.endsWith('\n')) writeLine(io.stdout);
      if (finishReason === 'abort') this.note('(stopped)');
      if (finishReason === 'length')
        this.note('(cut off: --max-tokens, or the end of the context; /reset or /undo makes room)');
    } catch (error) {
      if (!(error instanceof CriaError)) throw error;
      this.note(error.message);
    } finally {
      release();
    }
  }

  /** Removes the last question with its answer and returns the question. */
  private takeBack(): string | null {
    const { messages } = this.speaker.chat;
    const index = messages.findLastIndex(({ role }) => role === 'user');
    if (index < 0) return null;
    const message = String(messages[index]!.content);
    messages.length = index;
    return message;
  }
}

function helpText(): string {
  const rows = Object.entries(slashCommands).map(([name, { help }]) => `/${name.padEnd(8)}${help}`);
  return [...rows, '"""      begins and ends a message of several lines', 'Ctrl-C   stops an answer'].join('\n');
}
