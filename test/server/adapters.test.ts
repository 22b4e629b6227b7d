/** Several adapters at once: chosen by request, each answer as if it were alone. */
import { deepStrictEqual, match, notStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openCheckpointAt } from '../../src/platform/node/files.ts';
import { madeAdapter, writeAdapter } from '../support/adapters.ts';
import { post, testServer, tinyFolder } from '../support/server.ts';

const folder = mkdtempSync(join(tmpdir(), 'cria-adapters-'));
after(() => rmSync(folder, { recursive: true }));
const { config } = openCheckpointAt(tinyFolder);
const place = (name: string, made: Parameters<typeof madeAdapter>[1]) => ({
  kind: 'path' as const,
  path: writeAdapter(join(folder, name), madeAdapter(config, made), config),
});
const adapters = [
  {
    name: 'pirate',
    source: place('pirate.gguf', { seed: 1, chatTemplate: 'Arr: {{ messages[0].content }}' }),
    usual: false,
  },
  { name: 'poet', source: place('poet', { seed: 2 }), scale: 0.5, usual: false },
  { name: 'strict', source: place('strict', { seed: 3, magnitudes: true }), usual: false },
];
const server = await testServer({ template: undefined }, { adapters });

const question = { prompt: 'Once upon a time', max_tokens: 12, temperature: 0 };
const text = async (more: object) => {
  const { status, json } = await post(server, '/v1/completions', { ...question, ...more });
  strictEqual(status, 200, JSON.stringify(json));
  return json.choices[0].text as string;
};

test('/v1/models lists the model and its adapters, which belong to it', async () => {
  const { data } = await (await fetch(`${server.url}/v1/models`)).json();
  deepStrictEqual(
    data.map(({ id, parent }: { id: string; parent?: string }) => [id, parent]),
    [
      ['tiny', undefined],
      ['pirate', 'tiny'],
      ['poet', 'tiny'],
      ['strict', 'tiny'],
    ],
  );
  const one = await (await fetch(`${server.url}/v1/models/poet`)).json();
  strictEqual(one.meta.adapter.scale, 0.5);
  const numbered = await (await fetch(`${server.url}/lora-adapters`)).json();
  deepStrictEqual(numbered[1], { id: 1, name: 'poet', scale: 0 });
});

test('model, adapters and lora choose; the answer says under which name', async () => {
  const base = await text({});
  const pirate = await text({ model: 'pirate' });
  notStrictEqual(pirate, base);
  strictEqual(await text({ model: 'tiny' }), base);
  strictEqual(await text({ adapters: [] }), base);
  strictEqual(await text({ adapters: ['pirate'] }), pirate);
  strictEqual(await text({ adapters: { pirate: 1, poet: 0 } }), pirate);
  strictEqual(await text({ lora: [{ id: 0, scale: 1 }] }), pirate);
  strictEqual(await text({ model: 'poet' }), await text({ adapters: { poet: 0.5 } }));
  notStrictEqual(await text({ adapters: { pirate: 1, poet: 1 } }), pirate);
  const { json } = await post(server, '/v1/chat/completions', {
    model: 'pirate',
    messages: [{ role: 'user', content: 'hello' }],
    max_tokens: 3,
  });
  strictEqual(json.model, 'pirate');
});

test('a conversation is written with the template of the adapter that answers, where it brings one', async () => {
  const messages = [{ role: 'user', content: 'hello' }];
  const rendered = async (model: string) =>
    (await post(server, '/apply-template', { model, messages })).json.prompt as string;
  strictEqual(await rendered('pirate'), 'Arr: hello');
  const own = await rendered('tiny');
  notStrictEqual(own, 'Arr: hello');
  strictEqual(await rendered('poet'), own);

  const { json: counted } = await post(server, '/tokenize', { content: 'Arr: hello' });
  const used = async (more: object) => {
    const { json } = await post(server, '/v1/chat/completions', { messages, max_tokens: 1, ...more });
    return json.usage.prompt_tokens as number;
  };
  const arr = counted.tokens.length + 1; // the beginning of the text
  const usual = await used({});
  notStrictEqual(usual, arr);
  strictEqual(await used({ model: 'pirate' }), arr);
  strictEqual(await used({ adapters: { pirate: 0.5, poet: 1 } }), arr);
  strictEqual(await used({ lora: [{ id: 0, scale: 1 }] }), arr);
  strictEqual(await used({ adapters: { pirate: 0 } }), usual);
  const { json: count } = await post(server, '/v1/messages/count_tokens', { model: 'pirate', messages });
  strictEqual(count.input_tokens, arr);
  const prompt = { messages };
  strictEqual((await server.model.encodePrompt(prompt, { adapters: ['pirate'] })).length, arr);
  await rejects(server.model.encodePrompt(prompt), { code: 'chat.no-template' });
});

test('a conversation follows POST /lora-adapters: it is answered by the adapters set there, in their template', async () => {
  const set = async (lora: object[]) => strictEqual((await post(server, '/lora-adapters', lora)).status, 200);
  const messages = [{ role: 'user', content: 'hello' }];
  const asked = { messages, max_tokens: 8, temperature: 0 };
  const answer = async (more: object = {}) => {
    const { json } = await post(server, '/v1/chat/completions', { ...asked, ...more });
    return [json.usage.prompt_tokens, json.choices[0].message.content] as const;
  };
  const rendered = async () => (await post(server, '/apply-template', { messages })).json.prompt as string;
  const [before, pirate, none] = [
    await answer(),
    await answer({ adapters: { pirate: 0.5 } }),
    await answer({ lora: [] }),
  ];
  await set([{ id: 0, scale: 0.5 }]);
  deepStrictEqual(await answer(), pirate);
  strictEqual(await rendered(), 'Arr: hello');
  deepStrictEqual(await answer({ lora: [] }), none);
  await set([{ id: 0, scale: 0 }]);
  deepStrictEqual(await answer(), before);
  notStrictEqual(await rendered(), 'Arr: hello');
});

test('requests with this adapter, with that, with both, and without ride together, and each gets what it gets alone', async () => {
  const choices = [
    {},
    { model: 'pirate' },
    { model: 'poet' },
    { adapters: { pirate: 0.3, poet: 2 } },
    { model: 'strict' },
    {},
  ];
  const prompts = [
    'Once upon a time',
    'The quick brown fox',
    'Once upon a time',
    'Once',
    'Once upon a time',
    'A llama',
  ];
  const requests = choices.map((choice, i) => ({
    ...choice,
    prompt: prompts[i],
    max_tokens: 24,
    temperature: 0.9,
    seed: i + 1,
  }));
  const alone: string[] = [];
  for (const request of requests) alone.push(await text(request));
  const before = await server.model.engineLoad();
  const together = await Promise.all(requests.map(text));
  deepStrictEqual(together, alone);
  const load = await server.model.engineLoad();
  ok(load.rows - before.rows > 1.5 * (load.steps - before.steps), 'they did not share batches');
});

test('the beginning of a text that an adapter has read is nobody else’s', async () => {
  const prompt =
    'Once upon a time there was a llama who read the same words again and again, until everybody knew them by heart. '.repeat(
      2,
    );
  const cached = async (more: object) => {
    const { json } = await post(server, '/v1/completions', { ...question, prompt, ...more });
    return json.usage.prompt_tokens_details.cached_tokens as number;
  };
  strictEqual(await cached({ model: 'pirate' }), 0);
  strictEqual(await cached({ model: 'poet' }), 0);
  strictEqual(await cached({}), 0);
  ok((await cached({ model: 'pirate' })) > 0);
  strictEqual(await cached({ adapters: { pirate: 0.9 } }), 0);
});

test('embeddings are an adapter’s too', async () => {
  const vector = async (more: object) => {
    const { json } = await post(server, '/v1/embeddings', { input: 'a llama', ...more });
    return [json.model, JSON.stringify(json.data[0].embedding)];
  };
  const [name, base] = await vector({});
  strictEqual(name, 'tiny');
  const [pirate, other] = await vector({ model: 'pirate' });
  strictEqual(pirate, 'pirate');
  notStrictEqual(other, base);
});

test('what cannot be done is refused with words', async () => {
  const refused = async (more: object) => {
    const { status, json } = await post(server, '/v1/completions', { ...question, ...more });
    return `${status} ${json.error.message}`;
  };
  match(await refused({ model: 'nobody' }), /^404 .*serves "tiny", "pirate", "poet", "strict", not "nobody"/);
  match(await refused({ adapters: ['pirat'] }), /^400 adapters: "pirat" is no adapter of this server/);
  match(await refused({ lora: [{ id: 7, scale: 1 }] }), /^400 lora: adapter 7 does not exist; there are 3/);
  match(await refused({ adapters: ['pirate'], lora: [] }), /^400 lora: expected adapters or lora/);
  match(await refused({ adapters: ['strict', 'poet'] }), /^400 .*strict is a DoRA.*cannot be joined/);
  match(await refused({ adapters: { strict: 0.5 } }), /^400 .*strict is a DoRA, placed at scale 1/);
});

test('an adapter that lets a model talk answers conversations, and leaves texts to the model', async () => {
  const talking = await testServer({}, { adapters: [{ ...adapters[0]!, usual: 'chat' }] });
  const says = async (path: string, body: object) => {
    const { status, json } = await post(talking, path, { max_tokens: 12, temperature: 0, ...body });
    strictEqual(status, 200, JSON.stringify(json));
    return json.choices[0].text ?? json.choices[0].message.content;
  };
  const story = { prompt: 'Once upon a time' };
  const talk = { messages: [{ role: 'user', content: 'Once upon a time' }] };
  const [text, answer] = [await says('/v1/completions', story), await says('/v1/chat/completions', talk)];
  strictEqual(text, await says('/v1/completions', { ...story, adapters: [] }));
  strictEqual(text, await says('/v1/completions', { ...story, model: 'tiny' }));
  strictEqual(answer, await says('/v1/chat/completions', { ...talk, adapters: ['pirate'] }));
  strictEqual(answer, await says('/v1/chat/completions', { ...talk, model: 'tiny' }));
  notStrictEqual(answer, await says('/v1/chat/completions', { ...talk, adapters: [] }));

  // The library's engine decides the same.
  const [prompt, options] = ['Once upon a time', { maxTokens: 12, temperature: 0 }] as const;
  strictEqual((await talking.model.generate(prompt, options).result).text, text);
  const library = async (adapters?: string[]) =>
    (await talking.model.generate({ ...talk, template: 'plain' }, { ...options, adapters }).result).text;
  strictEqual(await library(), await library(['pirate']));
  notStrictEqual(await library(), await library([]));
});
