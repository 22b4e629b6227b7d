import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * Makes a folder and those above it that are missing; throws what the system says. Used in place of mkdir's `recursive`, which never
 * returns where a folder is there but takes none, as /proc (Node 20 to 26).
 */
export function makeFolder(path: string, mode?: number): void {
  const missing: string[] = [];
  for (let at = resolve(path); !existsSync(at); at = dirname(at)) missing.unshift(at);
  if (missing.length === 0 && !statSync(path).isDirectory()) missing.push(path); // the system says that it is a file
  for (const folder of missing) {
    try {
      mkdirSync(folder, mode);
    } catch (error) {
      const isThere = error instanceof Error && 'code' in error && error.code === 'EEXIST';
      if (!isThere || !statSync(folder).isDirectory()) throw error;
    }
  }
}
