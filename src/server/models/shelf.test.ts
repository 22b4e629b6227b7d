/** Who is loaded when, and who goes: with engines that are only names. */
import { deepStrictEqual, match, rejects, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { withResolvers } from '../../base/es2024.ts';
import type { ApiError } from '../api-error.ts';
import type { Core, ServerSettings } from '../world.ts';
import { memberNamed } from './named-in.ts';
import { type EngineSpec, type Face, Shelf, type ShelvedModel } from './shelf.ts';

const never = new AbortController().signal;

/** A shelf of 100 bytes; `takes`: what each model takes, once it is loaded. */
function shelfOf(takes: Record<string, number>, { memoryBytes = 100, waitSeconds = 60, waiting = 8 } = {}) {
  const events: string[] = [];
  const deaths = new Map<string, () => void>();
  const gates = new Map<string, Promise<void>>();
  const spec = (name: string, bytes: number): EngineSpec => ({
    name,
    bytes,
    async load(_onProgress, signal) {
      events.push(`load ${name}`);
      const aborted = new Promise<void>((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
      await Promise.race([gates.get(name), aborted]);
      if (takes[name] === undefined) throw new Error('the file is damaged');
      const ended = withResolvers<void>();
      deaths.set(name, ended.resolve);
      const model = {
        facts: { name, adapters: name === 'b' ? [{ name: 'poet' }] : [] },
        memory: async () => ({ weights: takes[name]!, cache: 0, arena: 0 }),
        whenEnded: () => ended.promise,
        async close() {
          events.push(`close ${name}`);
        },
      };
      return model as unknown as ShelvedModel;
    },
  });
  const face = (name: string, engine: EngineSpec, adapters: string[] = []): Face => ({
    engine,
    adapters,
    settings: { modelId: name, aliases: [`${name}-too`], anyModel: false } as unknown as ServerSettings,
  });
  const specs = new Map(
    ['a', 'b', 'c', 'huge', 'broken'].map((name) => [name, spec(name, name === 'huge' ? 999 : 40)]),
  );
  const faces = [...specs].map(([name, engine]) => face(name, engine, name === 'b' ? ['poet'] : []));
  const clocks = {
    monotonic: () => 0,
    unixSeconds: () => 0,
    sleep: (ms: number, signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        signal.addEventListener('abort', () => {
          clearTimeout(timer);
          resolve();
        });
      }),
  };
  const shelf = new Shelf(
    [...faces, face('again', specs.get('a')!)],
    { memoryBytes, waiting, waitSeconds },
    {
      clocks,
      say: () => {},
      openCore: (model, settings) =>
        ({ model, settings, preparers: { ready: Promise.resolve(), close: () => {} } }) as unknown as Core,
    },
  );
  const loaded = () => shelf.list().flatMap(({ settings, core }) => (core ? [settings.modelId] : []));
  return { shelf, events, loaded, deaths, gates };
}

test('a model is loaded when it is asked for; the one that was not used for longest makes room', async () => {
  const { shelf, events, loaded } = shelfOf({ a: 40, b: 40, c: 40 });
  const ask = async (name: string | null) => (await shelf.use(name, never)).release();
  await ask(null);
  await ask('b');
  deepStrictEqual(loaded(), ['a', 'b', 'again']); // two names of one engine
  await ask('again');
  await ask('c'); // b was used before a
  deepStrictEqual(events, ['load a', 'load b', 'close b', 'load c']);
  deepStrictEqual(loaded(), ['a', 'c', 'again']);
});

test('names: the model, its aliases, its adapters, and :latest behind any; another one is a 404', async () => {
  const { shelf } = shelfOf({ a: 40, b: 40 });
  for (const name of ['b', 'b-too', 'poet', 'b:latest']) {
    const { core, release } = await shelf.use(name, never);
    strictEqual(core.settings.modelId, 'b');
    release();
  }
  await rejects(shelf.use('bb', never), (error: ApiError) => error.status === 404 && /"a", "b"/.test(error.message));
});

test('what is in use does not go: the load waits, and requests for the one that is to go wait behind it', async () => {
  const { shelf, events } = shelfOf({ a: 60, b: 60 }, { memoryBytes: 90 });
  const first = await shelf.use('a', never);
  const second = shelf.use('b', never);
  const third = shelf.use('a', never);
  await new Promise((resolve) => setImmediate(resolve));
  deepStrictEqual(events, ['load a']);
  strictEqual(shelf.list()[0]!.state, 'leaving');
  const requests = shelf.list().filter(({ users, waiting }) => users + waiting > 0);
  deepStrictEqual(
    requests.map(({ settings, users, waiting }) => [settings.modelId, users, waiting]),
    [
      ['a', 1, 1],
      ['b', 0, 1],
      ['again', 1, 1], // another name of a
    ],
  );
  first.release();
  const held = await second;
  deepStrictEqual(events, ['load a', 'close a', 'load b']);
  held.release();
  (await third).release();
  deepStrictEqual(events, ['load a', 'close a', 'load b', 'close b', 'load a']);
});

test('a model that turns out larger than its file makes others go; one that never fits is a 503 that says both sizes', async () => {
  const { shelf, events, loaded } = shelfOf({ a: 40, b: 90, c: 120 });
  (await shelf.use('a', never)).release();
  (await shelf.use('b', never)).release();
  deepStrictEqual(loaded(), ['b']);
  for (const name of ['huge', 'c']) {
    await rejects(shelf.use(name, never), ({ status, message }: ApiError) => {
      match(message, name === 'huge' ? /takes 999 B, more than .*100 B/ : /takes 120 B/);
      return status === 503;
    });
  }
  deepStrictEqual(events, ['load a', 'load b', 'close a', 'close b', 'load c', 'close c']);
});

test('a model that cannot be loaded is a 503 with the reason; the others go on', async () => {
  const { shelf } = shelfOf({ a: 40 });
  await rejects(shelf.use('broken', never), /broken could not be loaded: the file is damaged/);
  (await shelf.use('a', never)).release();
});

test('an engine that has died is loaded again', async () => {
  const { shelf, events, deaths } = shelfOf({ a: 40 });
  (await shelf.use('a', never)).release();
  deaths.get('a')!();
  await new Promise((resolve) => setImmediate(resolve));
  (await shelf.use('a', never)).release();
  deepStrictEqual(events, ['load a', 'close a', 'load a']);
});

test('who leaves ends a load that nobody else waits for; who waits too long, or is one too many, is refused', async () => {
  const { shelf, events, gates } = shelfOf({ a: 40, b: 40 }, { waitSeconds: 0.05, waiting: 1 });
  const gate = withResolvers<void>();
  gates.set('a', gate.promise);
  const client = new AbortController();
  const left = shelf.use('a', client.signal);
  await rejects(shelf.use('b', never), ({ status, code }: ApiError) => status === 503 && code === 'overloaded');
  client.abort();
  await rejects(left, ({ status }: ApiError) => status === 499);
  await rejects(shelf.use('a', never), /not in memory within 0.05 s/);
  gates.delete('a');
  (await shelf.use('b', never)).release();
  (await shelf.use('a', never)).release();
  deepStrictEqual(events, ['load a', 'load a', 'load b', 'load a']);
  strictEqual(shelf.list()[0]!.state, 'loaded');
});

test('closing refuses who waits, and closes what is loaded when its answers have ended', async () => {
  const { shelf, events } = shelfOf({ a: 60, b: 60 }, { memoryBytes: 90 });
  const { release } = await shelf.use('a', never);
  const waits = rejects(shelf.use('b', never), /shutting down/);
  const drained = shelf.drain();
  await waits;
  await rejects(shelf.use('a', never), /shutting down/);
  release();
  await drained;
  await shelf.close();
  deepStrictEqual(events, ['load a', 'close a']);
});

test('the model is found in a body without parsing it: own members only, whatever is in texts', async () => {
  let pauses = 0;
  const named = (text: string) =>
    memberNamed(new TextEncoder().encode(text), ['model', 'name'], async () => void pauses++);
  strictEqual(await named('{"model":"x"}'), 'x');
  strictEqual(
    await named('{ "messages": [{"model": "inner", "content": "\\"model\\":\\"no\\" }{"}], "m\\u006fdel" : "가" }'),
    '가',
  );
  strictEqual(await named('{"name":"old","model":"new"}'), 'new');
  strictEqual(await named('{"a":"model","name":"old","metadata":{"model":"no"}}'), 'old');
  strictEqual(await named('{"a\\\\":"model","model":"\\\\"}'), '\\');
  for (const none of ['', '{}', '[{"model":"x"}]', '{"model":7}', '"model"', '{"model', '{"model":null,"x":"y"}']) {
    strictEqual(await named(none), null, none);
  }
  strictEqual(pauses, 0);
  strictEqual(await named(`{${Array.from({ length: 30_000 }, (_, i) => `"k${i}":""`).join()},"model":"x"}`), 'x');
  strictEqual(pauses, 6);
});
