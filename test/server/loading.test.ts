/** What clients hear while the model that they ask for is loaded: who streams comments, everybody else nothing until the answer. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict';
import { after, test } from 'node:test';
import { withResolvers } from '../../src/base/es2024.ts';
import { loadRemote } from '../../src/inference/remote/load.ts';
import { RemoteModel } from '../../src/inference/remote/model.ts';
import { startEngine } from '../../src/platform/node/engine/start.ts';
import { createLog } from '../../src/platform/node/serve/log.ts';
import { startShelf } from '../../src/platform/node/serve/server.ts';
import { memberIsTrue } from '../../src/server/models/named-in.ts';
import type { EngineSpec, Face } from '../../src/server/models/shelf.ts';
import { createTokenizer } from '../../src/tokenizer/create-tokenizer.ts';
import { serveDefaults, tinyFolder } from '../support/server.ts';

const bytes = 1 << 20;
const gates = new Map<string, ReturnType<typeof withResolvers<void>>>();
const progress = new Map<string, (share: number) => void>();

/** An engine that is loaded as soon as its gate is opened. */
function engine(name: string): EngineSpec {
  gates.set(name, withResolvers());
  return {
    name,
    bytes,
    async load(onProgress, signal) {
      progress.set(name, onProgress);
      await gates.get(name)!.promise;
      if (name === 'broken') throw new Error('the file is damaged');
      const options = { threads: 1, contextLength: 256, signal };
      const { client, facts } = await loadRemote(startEngine, { kind: 'path', path: tinyFolder }, options);
      return new RemoteModel(client, facts, createTokenizer);
    },
  };
}

const faces: Face[] = ['slow', 'broken', 'named', 'left'].map((name) => ({
  engine: engine(name),
  settings: { ...serveDefaults, modelId: name },
  adapters: [],
}));
const lines: Record<string, unknown>[] = [];
const log = createLog({ write: (line) => void lines.push(JSON.parse(line)) }, { level: 'info', prompts: false });
const server = await startShelf(faces, { ...serveDefaults, memoryBytes: 2 ** 30 }, log);
after(() => server.close());

const ask = (path: string, body: object, signal?: AbortSignal) =>
  fetch(server.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...(signal && { signal }),
  });
const messages = [{ role: 'user', content: 'Hi' }];
const request = { messages, max_tokens: 4, temperature: 0 };

/** Reads until the text so far matches. */
async function readUntil(reader: ReadableStreamDefaultReader<string>, pattern: RegExp): Promise<string> {
  let text = '';
  while (!pattern.test(text)) {
    const { done, value } = await reader.read();
    if (done) break;
    text += value;
  }
  match(text, pattern);
  return text;
}
const readerOf = (response: Response) => response.body!.pipeThrough(new TextDecoderStream()).getReader();

test('who streams is told how far the loading is, and then gets the events; who does not waits for one reply', async () => {
  const whole = ask('/v1/chat/completions', { ...request, model: 'slow' });
  const response = await ask('/v1/chat/completions', { ...request, model: 'slow', stream: true });
  strictEqual(response.status, 200);
  match(response.headers.get('content-type')!, /^text\/event-stream/);
  const reader = readerOf(response);
  await readUntil(reader, /^: loading "slow", 0 %\n\n/);
  progress.get('slow')!(0.42);
  await readUntil(reader, /: loading "slow", 42 %\n\n/);
  progress.get('slow')!(1);
  await readUntil(reader, /: "slow" is read, and is being made ready\n\n/);
  gates.get('slow')!.resolve();
  const rest = await readUntil(reader, /data: \[DONE\]\n\n$/);
  // Without the comments it is what everybody else is sent.
  const events = rest.split('\n\n').filter((event) => event !== '' && !event.startsWith(':'));
  ok(events.every((event) => event.startsWith('data: ')));
  const pieces = events.slice(0, -1).map((event) => JSON.parse(event.slice(6)).choices[0].delta.content ?? '');
  const reply = await whole;
  strictEqual(reply.status, 200);
  strictEqual(pieces.join(''), (await reply.json()).choices[0].message.content);
  // Now that it is loaded there is nothing to tell.
  const quick = await (await ask('/v1/chat/completions', { ...request, model: 'slow', stream: true })).text();
  ok(!quick.includes(': '.concat('loading')) && quick.startsWith('data: '));
});

test('a model that cannot be loaded: the last event of who streams, a status for who does not', async () => {
  const whole = ask('/v1/messages', { ...request, model: 'broken' });
  const readers = await Promise.all(
    ['/v1/completions', '/v1/messages', '/v1/responses'].map(async (path) =>
      readerOf(await ask(path, { ...request, prompt: 'x', input: 'x', model: 'broken', stream: true })),
    ),
  );
  for (const reader of readers) await readUntil(reader, /^: /);
  gates.get('broken')!.resolve();
  const said = readers.map((reader) => readUntil(reader, /(?:^|\n\n)(?:data|event): [\s\S]*\n\n$/));
  const [data, named, response] = (await Promise.all(said)).map((text) => `\n\n${text}`);
  match(data!, /\n\ndata: {"error":{"message":"broken could not be loaded: the file is damaged"/);
  match(named!, /\n\nevent: error\ndata: {"type":"error","error":{"type":"overloaded_error"/);
  match(response!, /\n\nevent: error\ndata: {"type":"error","sequence_number":0,"code":"model_not_loaded"/);
  strictEqual((await whole).status, 503);
});

test('who leaves while it waits is logged as gone, and the load that nobody wants any more ends', async () => {
  const client = new AbortController();
  const response = await ask('/completion', { prompt: 'x', model: 'left', stream: true }, client.signal);
  await readUntil(readerOf(response), /^: loading "left"/);
  client.abort();
  gates.get('left')!.resolve();
  const isLogged = () => lines.some(({ model, status, path }) => path === '/completion' && status === 499 && !model);
  while (!isLogged()) await new Promise((resolve) => setTimeout(resolve, 20));
  strictEqual(server.models.list().find(({ settings }) => settings.modelId === 'left')!.users, 0);
});

test('what streams is said by the body itself, at its outermost level', async () => {
  const says = (text: string) => memberIsTrue(new TextEncoder().encode(text), 'stream', async () => {});
  const bodies = [
    '{"stream":true}',
    '{"a":[1,{"stream":true}],"stream" : true , "b":1}',
    '{"stream":false}',
    '{"stream":"true"}',
    '{"a":{"stream":true}}',
    '{"b":"\\"stream\\":true"}',
    '[{"stream":true}]',
    '{"stream":true,"stream":false}',
    '',
  ];
  deepStrictEqual(await Promise.all(bodies.map(says)), [true, true, false, false, false, false, false, false, false]);
});
