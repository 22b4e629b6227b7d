/**
 * Files beside the checkout that are not ours to commit (`../shared`). Tests that want them ask here, and are skipped aloud
 * when they are missing. What every test run needs is copied under test/golden.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../shared/', import.meta.url));

/** Path of a file under ../shared, e.g. shared('real/models/stories260K/stories260K.gguf'). */
export function shared(path: string): string {
  return root + path;
}

/** For node:test's `skip` option: false when all the files are there, else the reason. */
export function missing(...paths: string[]): false | string {
  const absent = paths.find((path) => !existsSync(root + path));
  return absent === undefined ? false : `../shared is not here (wanted ${absent})`;
}
