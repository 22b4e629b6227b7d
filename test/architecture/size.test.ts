import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { test } from 'node:test';
import { readSources, root } from './sources.ts';

const LONGEST_FILE = 500;
const MOST_ENTRIES = 16;
/** Folders that are lists by nature. */
const lists = [
  'src', // the house's folders
  'src/kernels', // one room per operation
  'src/cli/commands', // one file per verb
  'src/corpus/readers', // one reader per kind of source
  'src/devices/wasm', // the device and its training half
  'src/platform/node', // one folder for each part of the program that needs Node
];

test(`no source file is longer than ${LONGEST_FILE} lines: each is one thing`, () => {
  const long = readSources('{src,test,bench,scripts}/**/*.{ts,tsx,js}')
    .filter(({ text }) => text.split('\n').length > LONGEST_FILE)
    .map(({ path, text }) => `${path} has ${text.split('\n').length} lines`);
  assert.deepEqual(long, []);
});

test(`no source folder has more than ${MOST_ENTRIES} files and folders, tests not counted`, () => {
  const entries = new Map<string, Set<string>>();
  for (const path of globSync('src/**/*.{ts,tsx}', { cwd: root })) {
    if (path.endsWith('.test.ts')) continue;
    const parts = path.split(/[\\/]/);
    for (let depth = 1; depth < parts.length; depth++) {
      const folder = parts.slice(0, depth).join('/');
      entries.set(folder, (entries.get(folder) ?? new Set()).add(parts[depth]!));
    }
  }
  const crowded = [...entries]
    .filter(([folder, names]) => names.size > MOST_ENTRIES && !lists.includes(folder))
    .map(([folder, names]) => `${folder}: ${names.size}`);
  assert.deepEqual(crowded, []);
});
