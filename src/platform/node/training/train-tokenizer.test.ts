/** `cria tokenizer train`: the files it writes, and what it refuses. */
import { deepEqual, equal, match } from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { goldenPath } from '../../../../test/support/golden.ts';
import type { Io } from '../../../cli/io.ts';
import { runProgram } from '../../../cli/program.ts';
import { loadTokenizer } from '../load-tokenizer.ts';

const work = mkdtempSync(join(tmpdir(), 'cria-tokenizer-'));
after(() => rmSync(work, { recursive: true, force: true }));
const at = (name: string) => join(work, name);

async function cria(words: readonly string[], signal = new AbortController().signal) {
  let stdout = '';
  let stderr = '';
  const io: Io = {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    stdin: process.stdin,
    env: {},
    signal,
    onInterrupt: () => () => {},
  };
  const status = await runProgram(['tokenizer', 'train', ...words], io, '0');
  return { status, stdout, stderr };
}

const golden = goldenPath('tokenizers/sp-bpe-512/train.txt');
const expected = JSON.parse(readFileSync(goldenPath('tokenizers/sp-bpe-512/tokenizer.json'), 'utf8'));
const lines = readFileSync(golden, 'utf8').split('\n');

test('plain text, JSON lines and gzip give the same files: those of sentencepiece', async () => {
  // In several files, several lines to a document.
  const half = lines.length >> 1;
  const documents = [lines.slice(0, half), lines.slice(half)].map((part) => JSON.stringify({ text: part.join('\n') }));
  writeFileSync(at('a.jsonl'), `${documents[0]}\n`);
  writeFileSync(at('b.jsonl.gz'), gzipSync(documents[1]!));
  for (const [inputs, out] of [
    [[golden], 'plain'],
    [[at('a.jsonl'), at('b.jsonl.gz')], 'json'],
  ] as const) {
    const { status, stdout, stderr } = await cria([...inputs, '-o', at(out), '--vocab-size', '512']);
    equal(status, 0, stderr);
    match(stdout, /^512 pieces: .*tokenizer\.model, .*tokenizer\.json/);
    deepEqual(JSON.parse(readFileSync(join(at(out), 'tokenizer.json'), 'utf8')), expected);
    const [model, hf] = ['tokenizer.model', 'tokenizer.json'].map((file) => loadTokenizer(join(at(out), file)));
    for (const text of ['Once upon a time', ' 12 🦙']) deepEqual(model!.encode(text), hf!.encode(text));
  }
});

test('a log has what it does and, of what takes longer than seconds, how far it is', async () => {
  const { stderr } = await cria([golden, '-o', at('told'), '--vocab-size', '512']);
  match(stderr, /^reading the text, [\d.]+ KiB\nmerging the most frequent pairs, \d+ times\n/);
  const { stderr: unigram } = await cria([golden, '-o', at('told'), '--vocab-size', '400', '--model-type', 'unigram']);
  match(unigram, /collecting the frequent pieces of all words\nleaving out the least useful pieces, in \d+ rounds\n/);
});

test('a byte-level vocabulary: begin and end are its last ids', async () => {
  const words = ['--kind', 'byte-level', '--vocab-size', '600', '--begin', '<a>', '--end', '<b>', '--json'];
  const { status, stdout, stderr } = await cria([golden, '-o', at('bytes'), ...words]);
  equal(status, 0, stderr);
  const { pieces, files } = JSON.parse(stdout) as { pieces: number; files: string[] };
  deepEqual([pieces, files.length], [600, 2]);
  const tokenizer = loadTokenizer(at('bytes'));
  deepEqual([tokenizer.bosId, tokenizer.eosId, tokenizer.vocabSize], [598, 599, 600]);
  equal(tokenizer.decode(tokenizer.encode('Zażółć 🦙 1234')), 'Zażółć 🦙 1234');
});

test('what cannot work is refused in words', async () => {
  const out = ['-o', at('none')];
  match((await cria([at('nowhere.txt'), ...out])).stderr, /expected text files, found no .*nowhere\.txt/);
  match((await cria([golden, ...out, '--vocab-size', '300'])).stderr, /expected vocabSize of at least \d+/);
  match(
    (await cria([golden, ...out, '--vocab-size', '30000'])).stderr,
    /expected text for 30000 pieces, found text for/,
  );
  writeFileSync(at('latin.txt'), Buffer.from([0x61, 0xe9, 0x62, 10]));
  match((await cria([at('latin.txt'), ...out])).stderr, /expected UTF-8 text, found other bytes/);
  writeFileSync(at('empty.txt'), '');
  match((await cria([at('empty.txt'), ...out])).stderr, /expected sentences of at most 4192 bytes, found none/);
  const mixed = await cria([golden, ...out, '--pattern', 'gpt-2', '--min-count', '3']);
  equal(mixed.status, 2);
  match(mixed.stderr, /--pattern is not for --kind sentencepiece[\s\S]*--min-count is not for --kind sentencepiece/);
  match((await cria(out)).stderr, /--input FILE is missing \(or INPUT as a plain word\)/);
  equal(existsSync(at('none')), false);
});

test('Ctrl-C ends it, and nothing is written', async () => {
  const controller = new AbortController();
  setImmediate(() => controller.abort());
  const { status } = await cria([golden, '-o', at('stopped'), '--vocab-size', '512'], controller.signal);
  equal(status, 130);
  equal(existsSync(at('stopped')), false);
});
