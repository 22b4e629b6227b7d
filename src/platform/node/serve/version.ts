import { readFileSync } from 'node:fs';
import { packagePath } from '../package-folder.ts';

/** The package's version. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(packagePath('package.json'), 'utf8')) as { version: string }).version;
}
