import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Io } from '../io.ts';
import { createReader } from './reader.ts';

/** A terminal of sorts: keys go in, what is drawn is thrown away. */
function terminal() {
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => stdin });
  const stdout = Object.assign(new PassThrough(), { isTTY: true, columns: 40, rows: 10 });
  const notes: string[] = [];
  stdout.resume();
  const io = {
    stdin: stdin as unknown as NodeJS.ReadStream,
    stdout: stdout as unknown as Io['stdout'],
    stderr: { write: (text: string) => notes.push(text) },
    env: {},
    signal: new AbortController().signal,
    onInterrupt: () => () => {},
  } satisfies Io;
  return { io, notes, type: (keys: string) => void stdin.write(keys) };
}

async function next(keys: readonly string[], history: string[] = []) {
  const { io, notes, type } = terminal();
  const reader = createReader(io, history);
  const message = reader.next('> ');
  for (const key of keys) {
    await pause(25);
    type(key);
  }
  return { message: await message, notes };
}

test('a line is a message, and is remembered', async () => {
  const history: string[] = [];
  assert.equal((await next(['hello', '\r'], history)).message, 'hello');
  assert.deepEqual(history, ['hello']);
});

test('the arrow recalls what was said before', async () => {
  assert.equal((await next(['\x1b[A', '!', '\r'], ['before'])).message, 'before!');
});

test('lines pasted together are one message; a paste that ends within a line waits for Enter', async () => {
  assert.equal((await next(['one\rtwo\r'])).message, 'one\ntwo');
  assert.equal((await next(['one\rtw', 'o', '\r'])).message, 'one\ntwo');
});

test('between triple quotes a message has several lines', async () => {
  assert.equal((await next(['"""\r', 'one\r', '\r', 'two"""\r'])).message, 'one\n\ntwo');
  assert.equal((await next(['"""one"""\r'])).message, 'one');
});

test('Ctrl-C empties the line, and says how to leave when it is empty', async () => {
  const { message, notes } = await next(['half', '\x03', 'whole', '\r']);
  assert.equal(message, 'whole');
  assert.deepEqual(notes, []);
  const empty = await next(['\x03', 'x', '\r']);
  assert.equal(empty.message, 'x');
  assert.match(empty.notes.join(''), /Ctrl-D or \/exit/);
});

test('Ctrl-D on an empty line ends', async () => {
  assert.equal((await next(['\x04'])).message, null);
});

test('a pipe gives its lines one by one, then null', async () => {
  const stdin = new PassThrough();
  stdin.end('one\n"""\ntwo\nthree"""\nlast');
  const { io } = terminal();
  const reader = createReader({ ...io, stdin: stdin as unknown as NodeJS.ReadStream }, []);
  assert.equal(await reader.next(''), 'one');
  assert.equal(await reader.next(''), 'two\nthree');
  assert.equal(await reader.next(''), 'last');
  assert.equal(await reader.next(''), null);
  reader.close();
});
