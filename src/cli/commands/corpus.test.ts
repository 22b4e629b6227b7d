import { deepStrictEqual, match, strictEqual } from 'node:assert/strict';
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { stringify } from 'yaml';
import type { Io } from '../io.ts';
import { runProgram } from '../program.ts';

const folder = mkdtempSync(join(tmpdir(), 'cli-corpus-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const golden = new URL('../../../test/golden/tokenizers/sp-bpe-512/tokenizer.model', import.meta.url);
copyFileSync(golden, join(folder, 'tokenizer.model'));
writeFileSync(
  join(folder, 'a.jsonl'),
  ['Hello there, this is one.', 'Same', 'Same', '{"broken']
    .map((text) => (text.startsWith('{') ? text : JSON.stringify({ text, url: `u/${text}` })))
    .join('\n'),
);
const recipe = join(folder, 'r.yaml');
writeFileSync(
  recipe,
  stringify({
    name: 'r',
    input: folder,
    output: join(folder, 'out'),
    sources: {
      a: { reader: 'jsonl', files: ['a.jsonl'], stages: ['dedup-documents', { 'minimum-length': { characters: 6 } }] },
    },
    tokens: { tokenizer: 'tokenizer.model' },
  }),
);

async function cria(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const io: Io = {
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    stdin: process.stdin,
    env: {},
    signal: new AbortController().signal,
    onInterrupt: () => () => {},
  };
  return { code: await runProgram(words, io, '0'), out, err };
}

test('cria corpus builds, says what was broken, and does nothing the second time', async () => {
  const first = await cria('corpus', recipe, '--workers', '0');
  strictEqual(first.code, 0, first.err);
  match(first.out, /^\d+ units of work, \d+ made now\n {2}a: .*1 document kept, [\d.]+ ?K? ?tokens/);
  match(first.err, /a: broken-record \(1×\): a\.jsonl line 4: not JSON, skipped/);
  strictEqual(existsSync(join(folder, 'out/tokens/manifest.json')), true);
  match((await cria('corpus', recipe, '--workers', '0')).out, /nothing to do: all are there/);
  const json = JSON.parse((await cria('corpus', recipe, '--workers', '0', '--json')).out);
  deepStrictEqual([json.unitsMade, json.documents, json.problems[0].kind], [0, 1, 'broken-record']);
});

test('cria corpus inspect shows reasons, examples and the history of a document', async () => {
  await cria('corpus', recipe, '--workers', '0');
  const all = await cria('corpus', 'inspect', join(folder, 'out'));
  match(all.out, /a · dedup-documents · another document has this text: 1 document, 4 B\n {4}u\/Same/);
  match(all.out, /a · minimum-length · shorter than 6 characters: 1 document, 4 B\n {4}u\/Same \(4 characters\)/);
  match(all.out, /a · broken input · broken-record: 1×/);
  const one = await cria('corpus', 'inspect', join(folder, 'out'), '--document', 'u/Same', '--json');
  deepStrictEqual(
    one.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).stage),
    ['minimum-length', 'dedup-documents'],
  );
});

test('cria corpus query asks in SQL what was kept and dropped', async () => {
  await cria('corpus', recipe, '--workers', '0');
  const out = join(folder, 'out');
  const kept = await cria('corpus', 'query', 'SELECT source, id, characters FROM attributes', out);
  strictEqual(kept.out, 'source  id           characters\na       a/a.jsonl#0          25\n', kept.err);
  const sql =
    'SELECT d.stage, any_value(d.reason) AS reason, sum(d.bytes) AS bytes, any_value(r.documents) AS documents ' +
    'FROM drops d JOIN reasons r USING (source, stage, reason) GROUP BY d.stage ORDER BY d.stage';
  const dropped = await cria('corpus', 'query', sql, out, '--json');
  deepStrictEqual(
    dropped.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
    [
      { stage: 'dedup-documents', reason: 'another document has this text', bytes: 4, documents: 1 },
      { stage: 'minimum-length', reason: 'shorter than 6 characters', bytes: 4, documents: 1 },
    ],
  );
  match(
    (await cria('corpus', 'query', 'SELECT nothing FROM attributes', out)).err,
    /nothing.*\n[\s\S]*Tables: attributes/,
  );
  const none = await cria('corpus', 'query', 'SELECT 1', folder);
  match(none.err, /audit: expected tables of a corpus run, found none/);
  strictEqual(none.code, 1);
});

test('what is wrong with a recipe or a setting comes back in words, with exit code 1', async () => {
  const wrong = await cria('corpus', recipe, '--set', 'sources.a.wieght=2', '--set', 'seed=no');
  strictEqual(wrong.code, 1);
  match(
    wrong.err,
    /2 problems\n {2}- seed must be a whole number.*\n {2}- sources\.a\.wieght is not known \(did you mean weight\?\)/,
  );
  match((await cria('corpus', 'inspect', folder)).err, /audit\.json: there is none/);
  strictEqual((await cria('corpus')).code, 2);
});
