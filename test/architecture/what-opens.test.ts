/** README's table of models that open: every row names a relative that there is and a case that proves it. */
import { deepStrictEqual, ok } from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { relatives } from '../../src/model/relatives/relatives.ts';
import { goldenPath } from '../support/golden.ts';

/** A folder of test/golden, or a test of test/configurations. */
const fileOf = (path: string) =>
  path.startsWith('configurations/') ? fileURLToPath(new URL(`../${path}.test.ts`, import.meta.url)) : goldenPath(path);

test('README: what opens, and the case of each', () => {
  const readme = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8');
  const section = readme.split('### What opens')[1]!.split('\n## ')[0]!;
  const rows = section.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| model'));
  ok(rows.length >= 25, `${rows.length} rows`);
  const named = new Set<string>();
  for (const row of rows) {
    const [, , relative, cases] = row.split('|').map((cell) => cell.trim());
    ok(
      relatives.some(({ name }) => name === relative),
      `${relative} is no relative: ${row}`,
    );
    named.add(relative!);
    const paths = [...cases!.matchAll(/`([^`]+)`/g)].map(([, path]) => path!);
    ok(paths.length > 0, row);
    for (const path of paths) ok(existsSync(fileOf(path)), `${path}: no such case`);
  }
  deepStrictEqual(
    [...new Set(relatives.map(({ name }) => name))].filter((name) => !named.has(name)),
    [],
  );
});
