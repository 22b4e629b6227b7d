/** Damaged crawls and tables: what is lost is counted, and no more is lost than what the damage lies in. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { processorClock } from '../../../../test/support/processor-time.ts';
import { missing, shared } from '../../../../test/support/shared.ts';
import type { Document } from '../../../corpus/document.ts';
import type { ReaderChoice } from '../../../corpus/readers/table.ts';
import { createReader, readerRule } from '../../../corpus/readers/table.ts';
import { openInput, readContext } from './input.ts';

const folder = mkdtempSync(join(tmpdir(), 'damaged-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Read {
  documents: Document[];
  problems: string[];
}

async function read(reader: unknown, root: string, name: string, limit = 1 << 25): Promise<Read> {
  const problems: string[] = [];
  const choice = readerRule.check(reader, 'reader', problems) as ReaderChoice;
  strictEqual(problems.length, 0, problems.join());
  const documents: Document[] = [];
  const context = readContext(root, (kind) => void problems.push(kind), limit);
  for await (const document of createReader(choice)(openInput(root, name), context)) documents.push(document);
  return { documents, problems };
}

const skip = { skip: missing('cases/corpus/hang.parquet') };

async function written(reader: unknown, name: string, bytes: Uint8Array | string, limit?: number): Promise<Read> {
  writeFileSync(join(folder, name), bytes);
  return read(reader, folder, name, limit);
}

/** A file of `count` records, each a gzip member by itself. */
function wetMembers(count: number): Buffer[] {
  return Array.from({ length: count }, (_, i) => {
    const body = `Title ${i}\nThis is text number ${i}, ${'with words '.repeat(i * 7)}to its end.\n`;
    return gzipSync(
      `WARC/1.0\r\nWARC-Type: conversion\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}\r\n\r\n`,
    );
  });
}

test('a flipped byte in a file of one gzip member per record costs one record, wherever it is', async () => {
  const members = wetMembers(6);
  const whole = Buffer.concat(members);
  const texts = (await written('wet', 'whole.wet.gz', whole)).documents.map(({ text }) => text);
  strictEqual(texts.length, 6);
  // The first member's start says what kind of file it is.
  for (let at = members[0]!.length; at < whole.length; at += 3) {
    const damaged = Buffer.from(whole);
    damaged[at]! ^= 0x55;
    const { documents, problems } = await written('wet', 'damaged.wet.gz', damaged);
    const left = documents.map(({ text }) => text);
    const lost = texts.filter((text) => !left.includes(text));
    ok(
      left.every((text) => texts.includes(text)),
      `byte ${at}: a damaged record was handed on`,
    );
    ok(lost.length <= 1, `byte ${at}: ${lost.length} records lost`);
    strictEqual(problems.length, lost.length, `byte ${at}: ${problems}`);
  }
});

test('a cut file of records is reported, garbage after the last is a remark, a member in between that is no record is passed', async () => {
  const whole = Buffer.concat(wetMembers(4));
  const cut = await written('wet', 'cut.wet.gz', whole.subarray(0, whole.length - 30));
  deepStrictEqual([cut.documents.length, cut.problems], [3, ['truncated']]);
  const longer = await written(
    'wet',
    'longer.wet.gz',
    Buffer.concat([whole, Buffer.from('what is this, at the end?')]),
  );
  deepStrictEqual([longer.documents.length, longer.problems], [4, ['bytes-after-end']]);
  const [first, ...rest] = wetMembers(4);
  const between = Buffer.concat([first!, Buffer.from('rubbish'), gzipSync('not a record'), ...rest]);
  const { documents, problems } = await written('wet', 'between.wet.gz', between);
  deepStrictEqual([documents.length, problems], [4, ['broken-gzip']]);
});

test('ARC files: pages with address and date, packed by record or not; a broken line is passed', async () => {
  const page = 'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<title>T</title><p>Hello ARC';
  const version = 'filedesc://a.arc 0.0.0.0 20130430000000 text/plain 4\n1 0\n\n';
  const record = `http://x.org/a 1.2.3.4 20130430223016 text/html ${page.length}\n${page}\n`;
  for (const [name, bytes, problems] of [
    ['a.arc', Buffer.from(version + record), []],
    ['b.arc', Buffer.from(`${version}rubbish\nmore of it\n${record}`), ['broken-record']],
    ['a.arc.gz', Buffer.concat([gzipSync(version), gzipSync(record)]), []],
  ] as const) {
    const found = await written('warc', name, bytes);
    deepStrictEqual(
      found.documents.map(({ url, date, text, title }) => [url, date, text, title]),
      [['http://x.org/a', '2013-04-30T22:30:16Z', 'Hello ARC', 'T']],
      name,
    );
    deepStrictEqual(found.problems, problems);
  }
});

test('Parquet counts are held against the file: every flipped byte of a small file ends soon', skip, async () => {
  const { problems } = await read({ parquet: { text: 'c' } }, shared('cases/corpus'), 'hang.parquet');
  deepStrictEqual(problems, ['broken-file']);
  const bytes = readFileSync(shared('cases/corpus/hang.parquet'));
  for (let at = 4; at < 330; at++) {
    const damaged = Buffer.from(bytes);
    damaged[at]! ^= 0x80;
    const took = processorClock();
    await written({ parquet: { text: 'c' } }, 'flipped.parquet', damaged);
    const ms = took();
    ok(ms < 3000, `byte ${at}: ${ms} ms`);
  }
});
