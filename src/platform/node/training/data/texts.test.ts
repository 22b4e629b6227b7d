/** Texts of every kind as documents, and as tokens: the same whatever the kind, the packing, the size and the number of threads. */
import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { goldenPath } from '../../../../../test/support/golden.ts';
import { createTokenizer } from '../../../../tokenizer/create-tokenizer.ts';
import { findTokenizerFiles } from '../../load-tokenizer.ts';
import { digestOf } from '../whole-folder.ts';
import { partOf } from './hold-back-parts.ts';
import { textFiles } from './text-files.ts';
import { readParts, readTextLines, readTexts, type TextFields } from './texts.ts';
import { openTokens, readSoFar } from './token-cache.ts';

const work = mkdtempSync(join(tmpdir(), 'cria-texts-'));
after(() => rmSync(work, { recursive: true, force: true }));
const write = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(work, name), content);
  return join(work, name);
};
const texts = (path: string) => Array.fromAsync(readTexts(path));

const two = ['hello there', 'more "text", é'];
const rows = two.map((text) => ({ text, n: 1 }));

test('the same documents, whatever they are written in', async () => {
  const lines = rows.map((row) => JSON.stringify(row)).join('\n');
  const table = `n,text\n1,hello there\n1,"more ""text"", é"\n`;
  const files = [
    write('a.txt', `${two.join('\n<|endoftext|>\r\n')}\n`),
    write('a.jsonl', lines),
    write('a.ndjson.gz', gzipSync(lines)),
    write('a.jsonl.zst', zstdCompressSync(Buffer.from(lines))),
    write('list.json', JSON.stringify(rows)),
    write('texts.json', JSON.stringify(two)),
    write('lines.json', lines),
    write('a.csv', table),
    write('a.tsv', 'n\ttext\n1\thello there\n1\t"more ""text"", é"'),
  ];
  for (const file of files) deepEqual(await texts(file), two, file);
});

test('a column by its name; another is refused with those that are there', async () => {
  const file = write('columns.csv', 'title,body\nx,y\n');
  const read = (fields: TextFields) => Array.fromAsync(readParts(file, fields), ({ text }) => text);
  deepEqual(await read({ field: 'body' }), ['y']);
  await rejects(read({}), /expected a column "text", found title, body\. Name the column/);
  await rejects(texts(write('short.csv', 'a,text\n1\n')), /record 2: expected 2 fields as in the first line, found 1/);
  await rejects(
    texts(write('other.json', '[{"body": "x"}]')),
    /value 1: expected a text under "text", found body alone/,
  );
});

test('a folder and a pattern are their files, in order', () => {
  mkdirSync(join(work, 'folder/deep'), { recursive: true });
  const files = ['folder/b.jsonl', 'folder/a.txt', 'folder/deep/c.md.gz'].map((name) => write(name, ''));
  write('folder/picture.png', '');
  write('folder/.hidden.txt', '');
  deepEqual(textFiles(join(work, 'folder')), [...files].sort());
  deepEqual(textFiles(join(work, 'folder/*.txt')), [files[1]]);
  for (const path of ['nothing*', 'no']) match(String(refusal(join(work, path))), /found nothing there/);
});

function refusal(path: string): unknown {
  try {
    return textFiles(path);
  } catch (error) {
    return error;
  }
}

const line = (i: number) => `The cat number ${i} sat on the mat, and was glad.`;
const long = Array.from({ length: 25_000 }, (_, i) => line(i)).join('\n');

test('a long text without separators comes in parts that make it up; so does one without lines', async () => {
  const file = write('long.txt', `\n${long}\n`);
  const parts = await Array.fromAsync(readParts(file));
  ok(parts.length >= 2 && parts.every(({ text }) => text.length < 1.1 * 2 ** 20));
  equal(parts.map(({ text }) => text).join(''), long);
  deepEqual(
    parts.map(({ isEnd }) => isEnd),
    [...Array(parts.length - 1).fill(false), true],
  );
  const flat = write('flat.txt', long.replaceAll('\n', ' '));
  equal((await texts(flat)).join(), long.replaceAll('\n', ' '));
  equal((await Array.fromAsync(readTextLines(file, 'line', () => {}))).filter((text) => text !== '').length, 25_000);
});

test('of a long text the last parts are held back, of many documents every 20th, and together they are all', async () => {
  const file = write('held.txt', long);
  const partsOf = (path: string, part: 'kept' | 'heldBack') =>
    Array.fromAsync(
      partOf(path, part, () => readParts(path)),
      ({ text }) => text,
    );
  const [kept, heldBack] = [await partsOf(file, 'kept'), await partsOf(file, 'heldBack')];
  equal([...kept, ...heldBack].join(''), long);
  ok(heldBack.length === 1 && kept.length >= 1);
  const many = write('many.jsonl', Array.from({ length: 45 }, (_, i) => JSON.stringify({ text: line(i) })).join('\n'));
  deepEqual(await partsOf(many, 'heldBack'), [line(19), line(39)]);
  equal((await partsOf(many, 'kept')).length, 43);
});

test('tokens are the same on one thread and on several, and those of the whole text where it is short', async () => {
  const files = findTokenizerFiles(goldenPath('tokenizers/sp-bpe-512/tokenizer.model'));
  const tokenizer = createTokenizer(files);
  const documents = Array.from({ length: 8_000 }, (_, i) =>
    JSON.stringify({ text: `${line(i)} ${line(i * 7)} ${line(3 * i)}` }),
  );
  const path = write('big.jsonl', documents.join('\n'));
  const source = {
    name: 'x',
    paths: [path],
    digest: 'd',
    part: 'all',
    field: undefined,
    weightField: undefined,
    weightPower: 1,
  } as const;
  const open = (threads: number) =>
    openTokens(source, join(work, `tokens-${threads}`), {
      encoder: { files, tokenizer, threads },
      tokenizerDigest: 't',
      tell: () => {},
      isStopped: () => false,
    });
  const [one, several] = [await open(1), await open(3)];
  const digest = (threads: number) => digestOf(join(work, `tokens-${threads}`, 'tokens-00000.bin'));
  equal(digest(3), digest(1));
  equal(several.documents.count, 8_000);
  const { text } = JSON.parse(documents[77]!) as { text: string };
  deepEqual(one.documents.tokens(77), tokenizer.encode(text, { bos: true, eos: true }));
  equal(one.textBytes, readFileSync(path).length - 8_000 * '{"text":""}\n'.length + 1);
});

test('what is told while a long text is tokenized: the rate, and the time that is left where the size says it', () => {
  const now = { read: 2 ** 28, bytes: 2 ** 30, isPacked: false, rate: 2 ** 24, threads: 2 };
  equal(
    readSoFar(now),
    'tokenizing: 256.0 MiB of text read, the files have 1.00 GiB; 16.0 MiB/s, threads: 2, 48 s left',
  );
  equal(
    readSoFar({ ...now, read: 2 ** 31, isPacked: true }),
    'tokenizing: 2.00 GiB of text read, the files have 1.00 GiB packed; 16.0 MiB/s, threads: 2',
  );
});
