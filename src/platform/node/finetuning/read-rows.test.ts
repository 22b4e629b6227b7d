/** Rows from every kind of file, from folders and from the hub; what is broken in words. */
import { deepEqual, equal, match, rejects } from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { startHub } from '../../../../test/support/hub.ts';
import { missing, shared } from '../../../../test/support/shared.ts';
import { Refusal } from '../../../finetuning/data/sample.ts';
import type { PullOptions } from '../../hub/pull.ts';
import { filesOfSource, type RowSource, readRows } from './read-rows.ts';

const folder = mkdtempSync(join(tmpdir(), 'cria-rows-'));
after(() => rmSync(folder, { recursive: true }));
const hubOptions = (url = 'http://127.0.0.1:9'): PullOptions => ({
  signal: new AbortController().signal,
  offline: false,
  env: { HF_ENDPOINT: url },
  onProgress: () => {},
  cache: join(folder, 'cache'),
  patience: { pauseMs: 1, stallMs: 60_000 },
});

function write(name: string, bytes: string | Uint8Array): string {
  writeFileSync(join(folder, name), bytes);
  return join(folder, name);
}

async function read(source: RowSource, options = hubOptions()): Promise<(readonly [string, unknown])[]> {
  const rows: (readonly [string, unknown])[] = [];
  for await (const { where, value } of readRows(await filesOfSource(source, 'data.train.0.path', options))) {
    rows.push([where, value instanceof Refusal ? `refused: ${value.reason}` : value]);
  }
  return rows;
}

test('JSON lines, also compressed; a broken line is refused with its place, the rest is read', async () => {
  const lines = '{"text":"a"}\n\n{"text":\n{"text":"b"}\n';
  const expected = [
    ['x.jsonl line 1', { text: 'a' }],
    ['x.jsonl line 3', 'refused: not JSON'],
    ['x.jsonl line 4', { text: 'b' }],
  ];
  deepEqual(await read({ path: write('x.jsonl', lines) }), expected);
  const renamed = (name: string) => expected.map(([where, value]) => [String(where).replace('x.jsonl', name), value]);
  deepEqual(await read({ path: write('x.jsonl.gz', gzipSync(lines)) }), renamed('x.jsonl.gz'));
  deepEqual(await read({ path: write('x.jsonl.zst', zstdCompressSync(lines)) }), renamed('x.jsonl.zst'));
});

test('JSON: a list, a list inside an object, and lines under the wrong name', async () => {
  const row = { instruction: 'a', output: 'b' };
  deepEqual(await read({ path: write('a.json', JSON.stringify([row])) }), [['a.json row 1', row]]);
  deepEqual(await read({ path: write('b.json', JSON.stringify({ version: 1, data: [row] })) }), [
    ['b.json row 1', row],
  ]);
  deepEqual(await read({ path: write('c.json', `${JSON.stringify(row)}\n${JSON.stringify(row)}`) }), [
    ['c.json line 1', row],
    ['c.json line 2', row],
  ]);
  await rejects(read({ path: write('d.json', '[{"a": 1,') }), { code: 'finetune.json' });
  await rejects(read({ path: write('e.json', '{"a": 1}') }), /expected a list of rows, found none/);
});

test('a damaged file is an error of the file; broken UTF-8 is replaced, and the row counted once', async () => {
  const packed = gzipSync('{"text":"one"}\n'.repeat(50));
  for (const bytes of [
    packed.subarray(0, 20),
    Buffer.concat([packed.subarray(0, 12), packed]),
    Buffer.concat([packed, packed.subarray(12)]),
  ]) {
    const path = join(folder, 'damaged.jsonl.gz');
    writeFileSync(path, bytes);
    await rejects(read({ path }), {
      code: 'input.compressed',
      message: /^damaged\.jsonl\.gz @ .*Is the file whole\?$/,
    });
  }
  const broken = Buffer.concat([Buffer.from('{"text":"a'), Buffer.of(0xff), Buffer.from('"}\n{"text":"b"}\n')]);
  writeFileSync(join(folder, 'broken.jsonl'), broken);
  const rows = await Array.fromAsync(readRows([join(folder, 'broken.jsonl')]));
  deepEqual(
    rows.map(({ value, mended }) => [value, mended]),
    [
      [{ text: 'a\uFFFD' }, 'broken UTF-8 was replaced by U+FFFD'],
      [{ text: 'b' }, undefined],
    ],
  );
});

test('plain text: whole, or cut where a line says so', async () => {
  const texts = (rows: Awaited<ReturnType<typeof read>>) => rows.map(([, value]) => (value as { text: string }).text);
  deepEqual(texts(await read({ path: write('t.txt', 'one\n\ntwo\n') })), ['one\n\ntwo']);
  deepEqual(texts(await read({ path: write('u.txt', 'one\n<|endoftext|>\ntwo\n<|endoftext|>\n') })), ['one', 'two']);
});

test('Parquet rows as objects with numbers', { skip: missing('real/formats/parquet') }, async () => {
  const rows = await read({ path: shared('real/formats/parquet/alltypes_plain.snappy.parquet') });
  equal(rows.length, 2);
  const { id, bigint_col: big } = rows[0]![1] as Record<string, unknown>;
  deepEqual([typeof id, typeof big], ['number', 'number']);
});

test('a folder’s files in order; what is not there or not known is said', async () => {
  const inner = mkdtempSync(join(folder, 'inner-'));
  await rejects(read({ path: inner }), /expected \.jsonl, .* found none/);
  writeFileSync(join(inner, 'b.jsonl'), '{"text":"2"}');
  writeFileSync(join(inner, 'a.jsonl'), '{"text":"1"}');
  writeFileSync(join(inner, 'notes.pdf'), '');
  deepEqual(
    (await read({ path: inner })).map(([where]) => where),
    ['a.jsonl line 1', 'b.jsonl line 1'],
  );
  await rejects(read({ path: join(folder, 'none.jsonl') }), { code: 'finetune.data' });
  await rejects(read({ path: write('x.csv', 'a,b') }), /expected a name that ends in/);
});

test('a data set of the hub: the files of its split, fetched once, and from the cache without a network', async () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const hub = await startHub(
    'owner/talks',
    [
      { path: 'README.md', bytes: bytes('x') },
      { path: 'dataset_infos.json', bytes: bytes('{}') },
      { path: 'data/train-00000-of-00001.jsonl', bytes: bytes('{"text":"a"}') },
      { path: 'data/test-00000-of-00001.jsonl', bytes: bytes('{"text":"z"}') },
    ],
    'dataset',
  );
  try {
    const source = { path: 'hf:owner/talks' };
    const rows = await read(source, hubOptions(hub.url));
    deepEqual(
      rows.map(([, value]) => value),
      [{ text: 'a' }],
    );
    equal(hub.requests.filter((request) => request.includes('/resolve/')).length, 1);
    await read(source, hubOptions(hub.url));
    equal(hub.requests.filter((request) => request.includes('/resolve/')).length, 1);
    const offline = { ...hubOptions(), offline: true };
    deepEqual((await read(source, offline)).length, 1);
    await rejects(read({ ...source, split: 'validation' }, hubOptions(hub.url)), (error: Error) => {
      match(error.message, /expected files with the rows of validation, found data\/test-/);
      return true;
    });
  } finally {
    hub.close();
  }
});
