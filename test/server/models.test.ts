/** Several models behind one port, in memory that holds one of them: as a user starts it, asked in every protocol. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { binary, cria } from '../e2e/cria.ts';
import { goldenPath } from '../support/golden.ts';

const folder = goldenPath('formats/gguf-llama-cpp-converter');
const words = ['-m', `a=${folder}/model-f16.gguf,template=chatml`];
words.push('-m', `b=${folder}/model-q8_0.gguf,draft=ngram,alias=second,template=chatml`, '-m', `again=${folder}/hf`);
words.push('--memory', '6MiB', '--context', '256', '--parallel', '2', '-t', '1', '--port', '0');

const server = spawn(process.execPath, [binary, 'serve', ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
after(() => server.kill('SIGKILL'));
const exit = once(server, 'exit') as Promise<[code: number | null]>;
let log = '';
server.stderr.setEncoding('utf8').on('data', (data) => {
  log += data;
});
const [line] = (await once(server.stdout.setEncoding('utf8'), 'data')) as [string];
const url = line.trim();

async function ask(path: string, body?: object) {
  const response = await fetch(url + path, {
    ...(body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  // biome-ignore lint/suspicious/noExplicitAny: replies of many shapes.
  return { status: response.status, json: (await response.json()) as any };
}

const said = { max_tokens: 6, temperature: 0 };
const messages = [{ role: 'user', content: 'Hi' }];
const loaded = async () => (await ask('/api/ps')).json.models.map(({ name }: { name: string }) => name);

test('nothing is loaded before somebody asks; all are named, with their sizes', async () => {
  deepStrictEqual(await loaded(), []);
  const { data } = (await ask('/v1/models')).json;
  deepStrictEqual(
    data.map(({ id, meta }: { id: string; meta: { status: object } }) => [id, meta.status]),
    ['a', 'b', 'again'].map((id) => [id, { state: 'on disk' }]),
  );
  const { models } = (await ask('/api/tags')).json;
  ok(models.every(({ size }: { size: number }) => size > 50_000));
});

test('`model` chooses in every protocol, and the one before goes', async () => {
  const text = (await ask('/v1/completions', { ...said, prompt: 'Once', model: 'a' })).json;
  strictEqual(text.model, 'a');
  deepStrictEqual(await loaded(), ['a']);
  const chat = (await ask('/v1/chat/completions', { ...said, messages, model: 'b' })).json;
  strictEqual(chat.model, 'b');
  deepStrictEqual(await loaded(), ['b']);
  const replies = [
    await ask('/v1/messages', { ...said, messages, model: 'second' }),
    await ask('/api/chat', { messages, model: 'b:latest', stream: false, options: { num_predict: 6 } }),
    await ask('/v1/embeddings', { input: 'Hi', model: 'b' }),
    await ask('/v1/responses', { input: 'Hi', max_output_tokens: 6, model: 'a' }),
    await ask('/api/embed', { input: 'Hi', model: 'a' }),
    await ask('/tokenize', { content: 'Hi', model: 'a' }),
  ];
  deepStrictEqual(
    replies.map(({ status, json }) => [status, json.model ?? null]),
    ['b', 'b:latest', 'b', 'a', 'a', null].map((name) => [200, name]),
  );
  // A response goes on although its model has gone meanwhile.
  const { id } = replies[3]!.json;
  const more = await ask('/v1/responses', {
    input: 'And?',
    previous_response_id: id,
    max_output_tokens: 2,
    model: 'b',
  });
  strictEqual(more.json.model, 'b');
  strictEqual((await ask(`/v1/responses/${id}`)).json.model, 'a');
});

test('an unknown name is a 404 that names them all', async () => {
  const { status, json } = await ask('/v1/completions', { prompt: 'x', model: 'c' });
  strictEqual(status, 404);
  match(json.error.message, /"a", "b", "again"/);
});

test('requests for both at once all get the text that they get alone', async () => {
  const one = (model: string, seed: number) =>
    ask('/v1/completions', { prompt: 'Once upon', model, seed, max_tokens: 12 }).then(
      ({ json }) => json.choices[0].text as string,
    );
  const alone = [await one('a', 1), await one('b', 1)];
  const together = await Promise.all([one('b', 1), one('a', 1), one('b', 1), one('a', 1), one('b', 2)]);
  deepStrictEqual(together.slice(0, 4), [alone[1], alone[0], alone[1], alone[0]]);
  ok((await loaded()).length === 1);
});

test('cria ps prints what is in memory', async () => {
  const { stdout, code } = await cria(['ps', url]);
  strictEqual(code, 0);
  match(stdout, /^NAME +STATE +MEMORY[^\n]*\n[ab] +loaded +[\d.]+ MiB .* ago\n$/);
  const { stderr } = await cria(['ps', 'http://127.0.0.1:9']);
  match(stderr, /expected a running `cria serve`, found none/);
});

test('what is said of models that cannot be is an error of the command line', async () => {
  const fault = async (...given: string[]) => (await cria(['serve', ...given])).stderr;
  match(await fault('-m', 'a=bundled,drft=ngram'), /drft is not known, expected adapter, draft/);
  match(await fault('-m', 'a=bundled', '-m', 'a=bundled'), /two things are called "a"/);
  match(await fault('-m', 'a=bundled', '-m', 'b=bundled', '--model-id', 'c'), /name each model/);
  match(await fault('-m', 'a=bundled', '--memory', 'much'), /expected an amount as in 12GiB/);
});

test('SIGTERM ends it, with what it loaded', async () => {
  server.kill('SIGTERM');
  const [code] = await exit;
  strictEqual(code, 0);
  match(log, /"msg":"unloaded"/);
});
