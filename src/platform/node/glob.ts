/** Files by patterns of their names, as Node finds them from version 22 on. */
import fs from 'node:fs';
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
