/** What the published package needs of the sources; test/package/ then installs and runs it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { readSources, root } from './sources.ts';

test('the sources need nothing that Node 20 lacks: what it does not know of ES2024 is in src/base/es2024.ts', () => {
  const words = ['node_modules/typescript/bin/tsc', '--noEmit', '-p', 'tsconfig.build.json'];
  const { stdout } = spawnSync(process.execPath, words, { cwd: root, encoding: 'utf8' });
  assert.equal(stdout, '', 'tsconfig.build.json lists the library of the language that all supported engines have');
});

test('a worker is started by a literal address, which bundlers see, of a file that is there', () => {
  const wrong: string[] = [];
  for (const { path, text, code, isTest } of readSources('src/**/*.{ts,tsx}')) {
    if (isTest) continue;
    const starts = code.match(/\bnew Worker\(/g)?.length ?? 0;
    const literal = [...text.matchAll(/\bnew Worker\(\s*new URL\('(\.[^']+\.ts)', import\.meta\.url\)/g)];
    if (literal.length !== starts) wrong.push(`${path}: write new Worker(new URL('./NAME.ts', import.meta.url), …)`);
    for (const [, name] of literal) {
      if (!existsSync(join(root, dirname(path), name!))) wrong.push(`${path}: there is no ${name}`);
    }
  }
  assert.deepEqual(wrong, []);
});
