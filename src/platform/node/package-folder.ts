import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** This module, as text to compute with: bundlers take `new URL('…', import.meta.url)` for a file that they are to bundle. */
const here = dirname(fileURLToPath(import.meta.url));

/** A path within src/ or dist/, which hold the same files. */
export function builtPath(path: string): string {
  return join(here, '../..', path);
}

/** A path within the package, or the clone. */
export function packagePath(path: string): string {
  return join(here, '../../..', path);
}
