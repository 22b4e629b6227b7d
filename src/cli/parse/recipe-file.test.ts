/** What `--set` and a recipe file say, before it is checked. */
import { deepEqual, throws } from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readRecipeFile, readValue } from './recipe-file.ts';

test('a value of --set is a number, yes or no, nothing, what is quoted or in brackets; else it is the text itself', () => {
  const values: [string, unknown][] = [
    ['1e-3', 1e-3],
    ['true', true],
    ['', null],
    ['"1"', '1'],
    ['[1, a]', [1, 'a']],
    ['{ path: x }', { path: 'x' }],
    ['texts/*.txt', 'texts/*.txt'],
    ['**/*.jsonl', '**/*.jsonl'],
    ['!x', '!x'],
    ['Song #5', 'Song #5'],
    ['# Title', '# Title'],
    ['Q: what', 'Q: what'],
    ['[open', '[open'],
  ];
  for (const [text, value] of values) deepEqual(readValue(text), value, text);
});

test('a recipe that YAML cannot read is refused in words', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cria-recipe-'));
  const file = join(folder, 'broken.yaml');
  for (const [text, words] of [
    ['a: *b', /broken\.yaml.*Unresolved alias/s],
    ['a: [', /broken\.yaml.*Flow sequence/s],
  ] as const) {
    writeFileSync(file, text);
    throws(() => readRecipeFile(file, []), words);
  }
  throws(() => readRecipeFile(folder, []), /the recipe cannot be read \(it is a folder\)/);
  rmSync(folder, { recursive: true });
});
