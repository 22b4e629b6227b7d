/** Whether token shards that were made elsewhere are what their manifest says. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { FormatError } from '../../../../base/errors.ts';
import { formatBytes } from '../../../../base/units.ts';
import type { TokenManifest } from '../../../../corpus/mixture/shards.ts';
import { makeFolder } from '../../make-folder.ts';
import { digestOf, writeWholeFile } from '../whole-folder.ts';

/** From so much on it is said what takes so long. */
const TELL_FROM_BYTES = 2 ** 30;

/**
 * Compares every file of the shards with its digest. What was found sound is kept in the file `known`, with sizes and times, and is not
 * read again: a corpus may have terabytes. Throws FormatError `tokens.damaged`.
 */
export function checkShards(
  folder: string,
  { shards }: TokenManifest,
  known: string,
  tell: (message: string) => void,
): void {
  const files = shards.flatMap(({ file, sha256, endsFile, endsSha256 }) => [
    { file, sha256 },
    { file: endsFile, sha256: endsSha256 },
  ]);
  const found = files.map(({ file, sha256 }) => {
    const stat = statSync(join(folder, file), { throwIfNoEntry: false });
    if (!stat?.isFile()) throw damaged(folder, file, `expected this file, found ${stat ? 'something else' : 'none'}`);
    return { file, sha256, bytes: stat.size, time: stat.mtimeMs };
  });
  const now = `${JSON.stringify(found, null, 2)}\n`;
  if (existsSync(known) && readFileSync(known, 'utf8') === now) return;
  const bytes = found.reduce((sum, { bytes }) => sum + bytes, 0);
  if (bytes >= TELL_FROM_BYTES) tell(`${folder}: looking once whether all ${formatBytes(bytes)} of tokens are sound`);
  for (const { file, sha256 } of found) {
    if (digestOf(join(folder, file)) === sha256) continue;
    throw damaged(folder, file, 'its digest is not the one in manifest.json');
  }
  makeFolder(dirname(known));
  writeWholeFile(known, now);
}

function damaged(folder: string, file: string, problem: string): FormatError {
  const advice = 'Copy the shards again, or make them again with `cria corpus`, which rewrites what does not match.';
  return new FormatError({ code: 'tokens.damaged', file: join(folder, file), where: 'the file' }, problem, advice);
}
