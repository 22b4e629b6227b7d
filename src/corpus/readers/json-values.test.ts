import { deepEqual, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readRecords } from './csv.ts';
import { splitJsonValues } from './json-values.ts';

async function* chunksOf(text: string, size: number): AsyncGenerator<string> {
  for (let at = 0; at < text.length; at += size) yield text.slice(at, at + size);
}
const collect = <T>(items: AsyncIterable<T>): Promise<T[]> => Array.fromAsync(items);
const values = (text: string, size = 3) => collect(splitJsonValues(chunksOf(text, size), 'a.json'));

test('a list and lines give the same values, wherever the chunks end', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.jsonValue()), fc.integer({ min: 1, max: 9 }), async (list, size) => {
      const read = async (text: string) => (await values(text, size)).map((value) => JSON.parse(value));
      const plain = JSON.parse(JSON.stringify(list));
      deepEqual(await read(JSON.stringify(list)), plain);
      deepEqual(await read(JSON.stringify(list, null, 1)), plain);
      if (!Array.isArray(list[0]))
        deepEqual(await read(list.map((value) => `${JSON.stringify(value)}\n`).join('')), plain);
    }),
    { numRuns: 60 },
  );
});

test('a list that ends too early, or after which more comes, is refused', async () => {
  await rejects(values('[{"a": "]'), /value 1: the file ends before it is closed/);
  await rejects(values('[1, 2'), /the file ends before it is closed/);
  await rejects(values('[1] [2]'), /value 2: more text follows the end of the list/);
});

test('records: quotes, doubled quotes, line ends within them, wherever the chunks end', async () => {
  const quoted = (field: string) => `"${field.replaceAll('"', '""')}"`;
  const field = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', ' ', 'é') });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(field, { minLength: 2, maxLength: 4 })),
      fc.integer({ min: 1, max: 5 }),
      async (rows, size) => {
        const text = rows.map((row) => `${row.map(quoted).join(',')}\r\n`).join('');
        deepEqual(await collect(readRecords(chunksOf(text, size), ',', 'a.csv')), rows);
      },
    ),
    { numRuns: 60 },
  );
  deepEqual(await collect(readRecords(chunksOf('a\tb "c"\n\n1\t2', 2), '\t', 'a.tsv')), [
    ['a', 'b "c"'],
    ['1', '2'],
  ]);
  await rejects(
    collect(readRecords(chunksOf('a,"b', 2), ',', 'a.csv')),
    /record 1: the file ends within a quoted field/,
  );
});
