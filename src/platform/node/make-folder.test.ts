import { ok, throws } from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeFolder } from './make-folder.ts';

test('makes what is missing, takes what is there, and says where a file is in the way', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cria-make-folder-'));
  makeFolder(join(folder, 'a/b/c'));
  makeFolder(join(folder, 'a/b/c'));
  ok(statSync(join(folder, 'a/b/c')).isDirectory());
  writeFileSync(join(folder, 'file'), '');
  throws(() => makeFolder(join(folder, 'file')), { code: 'EEXIST' });
  throws(() => makeFolder(join(folder, 'file/below')), { code: 'ENOTDIR' });
  rmSync(folder, { recursive: true });
});

test('a folder that takes none ends in an error, and ends', () => {
  if (!existsSync('/proc/self')) return; // only Linux has such a folder for everybody
  throws(() => makeFolder('/proc/cria/below'), { code: /ENOENT|EACCES|EPERM/ });
});
