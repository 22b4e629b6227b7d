/** Files by patterns of their names, as Node finds them from version 22 on. */
import fs from 'node:fs';
import { posix } from 'node:path';
import { UnsupportedError } from '../../base/errors.ts';

/** Relative patterns are below `folder`. Throws UnsupportedError `node.glob` where this Node has none. */
export function filesLike(pattern: string, folder?: string): string[] {
  if (typeof fs.globSync !== 'function') {
    throw new UnsupportedError(
      'node.glob',
      `${pattern}: patterns of file names need Node 22, this is ${process.version}. Name the folder or the files, or use a newer Node.`,
    );
  }
  return folder === undefined ? fs.globSync(pattern) : fs.globSync(pattern, { cwd: folder });
}

/** True when a name with `/` fits a pattern, by the rules of `filesLike`. */
export function nameFits(name: string, pattern: string): boolean {
  if (typeof posix.matchesGlob !== 'function') {
    throw new UnsupportedError(
      'node.glob',
      `${pattern}: patterns of file names need Node 22.5, this is ${process.version}. Use a newer Node.`,
    );
  }
  return posix.matchesGlob(name, pattern);
}
