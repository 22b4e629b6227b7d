/** Which files a path of text means: one file, all of a folder, or those that a pattern matches. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ArgumentError } from '../../../../base/errors.ts';
import { filesLike } from '../../glob.ts';

export type TextKind = 'text' | 'lines' | 'json' | 'csv' | 'tsv' | 'parquet';

const kinds: readonly (readonly [ending: RegExp, kind: TextKind])[] = [
  [/\.(jsonl|ndjson)$/, 'lines'],
  [/\.json$/, 'json'],
  [/\.csv$/, 'csv'],
  [/\.tsv$/, 'tsv'],
  [/\.parquet$/, 'parquet'],
];
const PACKED = /\.(gz|zst|bz2)$/;
/** What is text in a folder; a file that is named itself may have any other name. */
const IN_FOLDER = /\.(jsonl|ndjson|json|csv|tsv|parquet|txt|text|md)$/;

/** What a file holds, by its name; anything that is not known is plain text. */
export function kindOf(path: string): TextKind {
  const name = path.toLowerCase().replace(PACKED, '');
  return kinds.find(([ending]) => ending.test(name))?.[1] ?? 'text';
}

/** Whether a file holds more text than it has bytes. */
export function isPackedFile(path: string): boolean {
  return PACKED.test(path.toLowerCase()) || kindOf(path) === 'parquet';
}

/** The files of a path, in the order of their names. Throws ArgumentError `training.no-file` where there is none. */
export function textFiles(path: string): string[] {
  const found = filesAt(path);
  if (found.length > 0) return found;
  const problem = existsSync(path) ? 'found a folder without them' : 'found nothing there';
  throw new ArgumentError(
    'training.no-file',
    `${path}: expected texts (.txt, .md, .jsonl, .ndjson, .json, .csv, .tsv, .parquet, packed with gz, zst, bz2 or not), ${problem}. Check the path.`,
  );
}

/** The same; none where there is none. */
export function filesAt(path: string): string[] {
  if (!existsSync(path)) return /[*?[{]/.test(path) ? filesLike(path).filter(isFile).sort() : [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => !/(^|[\\/])\./.test(name) && IN_FOLDER.test(name.toLowerCase().replace(PACKED, '')))
    .map((name) => join(path, name))
    .filter(isFile)
    .sort();
}

function isFile(path: string): boolean {
  return statSync(path).isFile();
}
