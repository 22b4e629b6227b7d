/** Files and hashes for what an engine keeps (src/inference/remote/kept-state.ts). */
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { isSystemError } from '../../../base/system-error.ts';
import type { Storage } from '../../../inference/remote/kept-state.ts';
import type { Source } from '../../../inference/remote/protocol.ts';
import { packageVersion } from '../serve/version.ts';
import { warn } from '../warnings.ts';
import { FolderOfBlocks, PARTIAL, removeIfAbandoned } from './block-files.ts';

export const storage: Storage = {
  version: packageVersion(),
  sha256(...parts) {
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    return hash.digest('hex');
  },
  fingerprint(source: Source) {
    switch (source.kind) {
      case 'path':
        return filesUnder(resolve(source.path));
      case 'url':
        return source.url;
      case 'files': {
        const hash = createHash('sha256');
        for (const [name, data] of source.files) {
          hash.update(name);
          if (data instanceof Uint8Array) hash.update(data);
        }
        return hash.digest('hex');
      }
      default:
        return source satisfies never;
    }
  },
  openBlocks: (folder, mostBytes) => new FolderOfBlocks(resolve(folder), mostBytes, warn),
  readFile: (path) => readFileSync(path),
  writeFile(path, parts) {
    const folder = dirname(path);
    const beginning = `.${basename(path)}.`;
    const partial = join(folder, `${beginning}${process.pid}${PARTIAL}`);
    try {
      for (const name of readdirSync(folder)) {
        if (name.startsWith(beginning) && name.endsWith(PARTIAL)) removeIfAbandoned(join(folder, name));
      }
      writeFileSync(partial, Buffer.concat(parts), { flush: true });
      renameSync(partial, path);
    } catch (error) {
      rmSync(partial, { force: true });
      if (isSystemError(error)) error.path = path; // the file that is meant: of a full disk the system names none
      throw error;
    }
  },
  append(path, beginning, parts) {
    if (!startsWith(path, beginning)) return false;
    appendFileSync(path, Buffer.concat(parts), { flush: true });
    return true;
  },
};

/** Whether the file is there and starts so. */
function startsWith(path: string, beginning: Uint8Array): boolean {
  if (!existsSync(path)) return false;
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(beginning.length);
    readSync(file, bytes, 0, bytes.length, 0);
    return bytes.equals(beginning);
  } finally {
    closeSync(file);
  }
}

/** Sizes and times of a file, or of a folder's files: weights are too large to be read for this. */
function filesUnder(path: string): string {
  const stat = statSync(path);
  const of = (name: string, { size, mtimeMs }: { size: number; mtimeMs: number }) => `${name} ${size} ${mtimeMs}`;
  if (!stat.isDirectory()) return of(basename(path), stat);
  const names = readdirSync(path).sort();
  return names.map((name) => of(name, statSync(join(path, name)))).join('\n');
}
