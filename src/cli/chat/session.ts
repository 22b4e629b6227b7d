/** One conversation at the terminal: messages, slash commands, and an answer that Ctrl-C stops. */
import { writeFileSync } from 'node:fs';
import { CriaError } from '../../base/errors.ts';
import { harmless } from '../../base/harmless.ts';
import type { Timings } from '../../inference/generation.ts';
import type { GenerationOptions } from '../../inference/options.ts';
import type { ChatMessage } from '../../tokenizer/chat/chat-template.ts';
import { type Io, writeLine, writeResult } from '../io.ts';
import { didYouMean } from '../parse/did-you-mean.ts';
import { describeTimings } from '../terminal/timings.ts';
import { type Answer, generateAnswer } from './answer.ts';
import type { Speaker } from './speaker.ts';

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

export interface SessionSettings {
  readonly options: GenerationOptions;
  readonly system?: string | undefined;
  /** Tokens of reasoning at most; −1: no limit, 0: none. */
  readonly reasoningBudget: number;
}

export class Session {
  /** The turns so far. */
  readonly messages: ChatMessage[] = [];
  /** Messages that were not answered. */
  failures = 0;
  private readonly speaker: Speaker;
  private readonly options: GenerationOptions;
  private readonly reasoningBudget: number;
  private readonly io: Io;
  private saidFolded = false;
  private lastTimings: Timings | null = null;
  private left = false;

  constructor(speaker: Speaker, { options, system, reasoningBudget }: SessionSettings, io: Io) {
    this.speaker = speaker;
    this.options = options;
    this.reasoningBudget = reasoningBudget;
    this.io = io;
    if (system !== undefined) this.messages.push({ role: 'system', content: system });
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
    const { messages } = this;
    messages.length = messages[0]?.role === 'system' ? 1 : 0;
    this.note('The conversation is empty.');
  }

  system(text: string): void {
    const { messages } = this;
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
      writeFileSync(path, `${JSON.stringify({ messages: this.messages }, null, 2)}\n`);
      this.note(`Written to ${path}.`);
    } catch (error) {
      this.note((error as Error).message);
    }
  }

  async stats(): Promise<void> {
    const used = this.messages.length === 0 ? 0 : (await this.prompt(this.messages)).length;
    if (this.lastTimings) this.note(describeTimings(this.lastTimings));
    this.note(`context: ${used} of ${this.speaker.contextLength} tokens`);
  }

  /** Streams the answer to stdout. What is wrong with it is a note: the conversation goes on. */
  private async answer(message: string): Promise<void> {
    const { io } = this;
    const stop = new AbortController();
    const release = io.onInterrupt(() => stop.abort());
    const asked: ChatMessage = { role: 'user', content: message };
    try {
      const signal = AbortSignal.any([stop.signal, io.signal]);
      const prompt = await this.fittingPrompt(asked);
      this.sayFolded([...this.messages, asked]);
      const screen = new Screen(io);
      const budget = this.reasoningBudget;
      const answer = await generateAnswer(this.speaker, prompt, { ...this.options, signal }, budget, screen);
      screen.end();
      this.remember(asked, answer);
      if (answer.finishReason === 'abort') this.note('(stopped)');
      if (answer.forgotten > 0)
        this.note(`(the context was full: ${answer.forgotten} tokens were forgotten on the way)`);
      if (answer.finishReason === 'length') this.note('(cut off: --max-tokens, or the end of the context)');
    } catch (error) {
      if (!(error instanceof CriaError)) throw error;
      this.failures++;
      this.note(error.message);
    } finally {
      release();
    }
  }

  private remember(asked: ChatMessage, { text, reasoning, timings }: Answer): void {
    this.lastTimings = timings;
    const thoughts = reasoning.trim();
    this.messages.push(asked, {
      role: 'assistant',
      content: text,
      ...(thoughts !== '' && { reasoning_content: thoughts }),
    });
  }

  /** Goes on with the turns that a kept session holds; a system message of the command line stays. */
  restore(note: unknown): void {
    const { messages } = (note ?? { messages: [] }) as { readonly messages: readonly ChatMessage[] };
    if (messages.length === 0) return;
    const own = this.messages.splice(0);
    this.messages.push(...own, ...messages.filter(({ role }) => own.length === 0 || role !== 'system'));
    const turns = messages.filter(({ role }) => role === 'user').length;
    this.note(`(the session goes on after ${turns === 1 ? '1 turn' : `${turns} turns`})`);
  }

  /** The conversation as the model reads it. */
  async ids(): Promise<Uint32Array> {
    return this.messages.length === 0 ? new Uint32Array(0) : this.prompt(this.messages);
  }

  private prompt(messages: readonly ChatMessage[]): Promise<Uint32Array> {
    return this.speaker.prompt(messages, this.reasoningBudget !== 0);
  }

  /**
   * The conversation with the new message, without its oldest turns where the context has no room for it and for an answer: a quarter
   * of the context, or what --max-tokens says if that is less. The system message stays.
   */
  private async fittingPrompt(asked: ChatMessage): Promise<Uint32Array> {
    const { contextLength } = this.speaker;
    const quarter = contextLength >> 2;
    const { maxTokens = -1 } = this.options;
    const room = maxTokens >= 0 ? Math.min(maxTokens, quarter) : quarter;
    let forgotten = 0;
    for (;;) {
      const prompt = await this.prompt([...this.messages, asked]);
      const isFull = prompt.length + room > contextLength;
      if (!isFull || !this.forgetOldest()) {
        if (forgotten > 0) {
          const turns = forgotten === 1 ? 'oldest turn is' : `${forgotten} oldest turns are`;
          this.note(`(the context is full: the ${turns} forgotten; a larger one: --context N)`);
        }
        return prompt;
      }
      forgotten++;
    }
  }

  /** The oldest question and what was said to it. False where there is none. */
  private forgetOldest(): boolean {
    const begin = this.messages.findIndex(({ role }) => role !== 'system');
    if (begin < 0) return false;
    const next = this.messages.findIndex(({ role }, i) => i > begin && role === 'user');
    this.messages.splice(begin, (next < 0 ? this.messages.length : next) - begin);
    return true;
  }

  private sayFolded(messages: readonly ChatMessage[]): void {
    if (this.saidFolded || messages[0]?.role !== 'system' || !this.speaker.foldsSystem(messages)) return;
    this.saidFolded = true;
    this.note("(this model's template takes no system message: its text goes before the first message)");
  }

  /** Removes the last question with its answer and returns the question. */
  private takeBack(): string | null {
    const { messages } = this;
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

/** Where an answer appears: the answer on stdout, reasoning apart from it on stderr, dimmed on a terminal. */
class Screen {
  private readonly io: Io;
  private part: 'nothing' | 'reasoning' | 'answer' = 'nothing';
  private last = '';

  constructor(io: Io) {
    this.io = io;
  }

  reasoning(text: string): void {
    const shown = this.part === 'nothing' ? text.trimStart() : text;
    if (shown === '') return;
    this.enter('reasoning');
    this.io.stderr.write(this.dim(harmless(shown)));
    this.last = shown;
  }

  answer(text: string): void {
    const shown = this.part === 'answer' ? text : text.trimStart();
    if (shown === '') return;
    this.enter('answer');
    writeResult(this.io.stdout, shown);
    this.last = shown;
  }

  end(): void {
    if (this.part === 'reasoning') this.io.stderr.write(this.last.endsWith('\n') ? '' : '\n');
    else if (!this.last.endsWith('\n')) writeLine(this.io.stdout);
  }

  private enter(part: 'reasoning' | 'answer'): void {
    if (this.part === part) return;
    if (this.part === 'reasoning') this.io.stderr.write(this.last.endsWith('\n') ? '\n' : '\n\n');
    if (part === 'reasoning') this.io.stderr.write(this.dim('(thinking) '));
    this.part = part;
  }

  private dim(text: string): string {
    const { stderr, env } = this.io;
    return stderr.isTTY === true && !env.NO_COLOR ? `\x1b[2m${text}\x1b[22m` : text;
  }
}
