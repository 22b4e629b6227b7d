import { deepStrictEqual, match, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { ArgumentError } from '../../base/errors.ts';
import type { GenerationResult, Piece } from '../../inference/generation.ts';
import type { GenerationStream } from '../../inference/remote/generation-stream.ts';
import type { ChatMessage } from '../../tokenizer/chat/chat-template.ts';
import type { Io } from '../io.ts';
import { Session, type SessionSettings } from './session.ts';
import type { Speaker } from './speaker.ts';

/** A model whose tokens are characters, and which answers what the script says. */
class Scripted implements Speaker {
  readonly contextLength: number;
  readonly prompts: string[] = [];
  private readonly script: string[];

  constructor(script: string[], contextLength = 1000) {
    this.script = script;
    this.contextLength = contextLength;
  }

  async prompt(messages: readonly ChatMessage[], thinks: boolean): Promise<Uint32Array> {
    const text = messages.map(({ role, content }) => `${role}:${content}\n`).join('');
    return this.idsOf(`${text}assistant:${thinks ? '' : '<think>\n\n</think>\n\n'}`);
  }

  foldsSystem(): boolean {
    return false;
  }

  generate(ids: Uint32Array): GenerationStream {
    this.prompts.push(this.textOf(ids));
    if (ids.length > this.contextLength) throw new ArgumentError('generate.context', 'the prompt is too long');
    const text = this.script.shift() ?? '';
    const pieces = [...text].map((character): Piece => ({ id: character.codePointAt(0)!, text: character }));
    const result = Promise.resolve({ finishReason: 'stop', timings: {} } as GenerationResult);
    return Object.assign(
      (async function* () {
        yield* pieces;
      })(),
      { result },
    ) as unknown as GenerationStream;
  }

  textOf(ids: ArrayLike<number>): string {
    return String.fromCodePoint(...Array.from(ids));
  }

  idsOf(text: string): Uint32Array {
    return Uint32Array.from([...text], (character) => character.codePointAt(0)!);
  }
}

function open(speaker: Speaker, settings: Partial<SessionSettings> = {}) {
  const out = { text: '', write: (text: string) => (out.text += text) };
  const err = { text: '', write: (text: string) => (err.text += text) };
  const io = {
    stdout: out,
    stderr: err,
    env: {},
    signal: new AbortController().signal,
    onInterrupt: () => () => {},
  } as unknown as Io;
  return { session: new Session(speaker, { options: {}, reasoningBudget: -1, ...settings }, io), out, err };
}

test('reasoning appears apart from the answer, and is no part of what the model reads next', async () => {
  const speaker = new Scripted(['<think>\nhm</think>\n\nYes.', 'No.']);
  const { session, out, err } = open(speaker);
  await session.take('So?');
  await session.take('Sure?');
  strictEqual(out.text, 'Yes.\nNo.\n');
  strictEqual(err.text, '(thinking) hm\n\n');
  strictEqual(speaker.prompts[1], 'user:So?\nassistant:Yes.\nuser:Sure?\nassistant:');
  deepStrictEqual(session.messages[1], { role: 'assistant', content: 'Yes.', reasoning_content: 'hm' });
});

test('a spent budget closes the block in the model’s place; a budget of 0 lets it not begin', async () => {
  const speaker = new Scripted(['<think>one two three', 'So: four.', 'Yes.']);
  const { session, out, err } = open(speaker, { reasoningBudget: 3 });
  await session.take('And?');
  strictEqual(out.text, 'So: four.\n');
  match(err.text, /^\(thinking\) one?/);
  match(speaker.prompts[1]!, /^user:And\?\nassistant:<think>on?e?\n<\/think>\n\n$/);
  const none = open(new Scripted(['Yes.']), { reasoningBudget: 0 });
  await none.session.take('And?');
  strictEqual(none.out.text, 'Yes.\n');
});

test('a full context forgets the oldest turns, keeps the system message, and says so', async () => {
  const speaker = new Scripted(['first', 'second', 'third', 'fourth'], 110);
  const { session, err } = open(speaker, { system: 'Short.' });
  for (const message of ['question one?', 'question two?', 'question three?']) await session.take(message);
  match(err.text, /the context is full: the oldest turn is forgotten/);
  deepStrictEqual(
    session.messages.map(({ content }) => content),
    ['Short.', 'question two?', 'second', 'question three?', 'third'],
  );
  strictEqual(session.failures, 0);
});

test('a message that fits in no context is not answered, is counted, and the conversation goes on', async () => {
  const speaker = new Scripted(['hello'], 60);
  const { session, out, err } = open(speaker);
  await session.take('x'.repeat(100));
  strictEqual(session.failures, 1);
  match(err.text, /the prompt is too long/);
  await session.take('hi');
  strictEqual(out.text, 'hello\n');
  strictEqual(session.messages.length, 2);
});
