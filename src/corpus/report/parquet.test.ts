import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { parquetReadObjects } from 'hyparquet';
import { AttributeTable, auditTables, parquetTable } from './parquet.ts';

const read = (bytes: Uint8Array) => parquetReadObjects({ file: bytes.slice().buffer });

test('a column has the type that its rows share, and is null where a row does not name it', async () => {
  const rows = await read(
    parquetTable([{ a: 1.5, b: true, c: 'x', d: 1 }, { a: Number.NaN, c: '', d: 'one' }, { e: 2 ** 40 }], 'DOUBLE'),
  );
  deepStrictEqual(
    rows,
    [
      { a: 1.5, b: true, c: 'x', d: '1', e: undefined },
      { a: Number.NaN, b: undefined, c: '', d: 'one', e: undefined },
      { a: undefined, b: undefined, c: undefined, d: undefined, e: 2 ** 40 },
    ].map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value ?? null]))),
  );
  deepStrictEqual(await read(parquetTable([{ n: 2 ** 40 }], 'INT64')), [{ n: 2n ** 40n }]);
});

test('documents have their measures, and an attribute never hides what they are', async () => {
  const files: [string, Uint8Array][] = [];
  const table = new AttributeTable((name, bytes) => files.push([name, bytes]));
  table.add('web', { id: 'web/1', text: 'é!', url: 'u', attributes: { perplexity: 12.5, URL: 'other', kept: false } });
  table.finish();
  table.finish();
  deepStrictEqual(
    files.map(([name]) => name),
    ['attributes-0.parquet'],
  );
  deepStrictEqual(await read(files[0]![1]), [
    {
      source: 'web',
      id: 'web/1',
      url: 'u',
      title: null,
      date: null,
      characters: 2,
      bytes: 3,
      perplexity: 12.5,
      attribute_URL: 'other',
      kept: false,
    },
  ]);
});

test('tables without rows are not there', () => {
  strictEqual(Object.keys(auditTables({ sources: {} })).length, 0);
});
