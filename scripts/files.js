// Files below a folder, as paths from it with forward slashes, sorted. (fs.globSync is not in Node 20, which may run `npm ci`.)
import { readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

export function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}
