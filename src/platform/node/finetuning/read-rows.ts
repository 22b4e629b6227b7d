/** Rows of fine-tuning data: JSON lines, JSON, Parquet, plain text, any of them compressed; a file, a folder, or a data set of the hub. */

import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ArgumentError, FormatError } from '../../../base/errors.ts';
import { readJsonLines } from '../../../corpus/readers/jsonl.ts';
import { readParquetRows } from '../../../corpus/readers/parquet.ts';
import { decodeUtf8, type InputFile, type ReadContext } from '../../../corpus/readers/reader.ts';
import type { SourceRow } from '../../../finetuning/data/collect.ts';
import { Refusal } from '../../../finetuning/data/sample.ts';
import { DOCUMENT_SEPARATOR } from '../../../training/data/text-batches.ts';
import { pullDataset } from '../../hub/dataset.ts';
import { isHubName } from '../../hub/names.ts';
import type { PullOptions } from '../../hub/pull.ts';
import { openInput, readContext } from '../corpus/input.ts';

export interface RowSource {
  /** A file, a folder of files, or `hf:owner/name`. */
  readonly path: string;
  readonly split?: string | undefined;
  readonly subset?: string | undefined;
}

const KNOWN = /\.(jsonl|ndjson|json|parquet|txt|md)(\.gz|\.zst|\.bz2)?$/i;
/** A JSON file is parsed whole, and one text of JavaScript holds no more. */
const MOST_JSON_BYTES = 500 * 2 ** 20;
const MOST_ROW_BYTES = 64 * 2 ** 20;
/** In plain text, a line that stands between two documents. */

/** The files that hold a source's rows; `setting` names it in the recipe. Throws ArgumentError `finetune.data`, CriaError `hub.…`. */
export async function filesOfSource(
  { path, split = 'train', subset }: RowSource,
  setting: string,
  hub: PullOptions,
): Promise<string[]> {
  if (isHubName(path)) return pullDataset(path, { split, subset: subset ?? null }, hub);
  if (!existsSync(path)) {
    throw new ArgumentError(
      'finetune.data',
      `${setting} ${path}: expected a file or folder of data, or hf:owner/name, found nothing there. Say where it is with --set ${setting}=PATH.`,
    );
  }
  if (!statSync(path).isDirectory()) return [path];
  const files = readdirSync(path)
    .filter((name) => KNOWN.test(name) && statSync(join(path, name)).isFile())
    .sort()
    .map((name) => join(path, name));
  if (files.length > 0) return files;
  throw new ArgumentError(
    'finetune.data',
    `${setting} ${path}: expected .jsonl, .json, .parquet or .txt files in this folder (or .gz of them), found none.`,
  );
}

/** All rows of some files, in order. A row that cannot be read is a refusal with its place. */
export async function* readRows(files: readonly string[]): AsyncGenerator<SourceRow> {
  for (const path of files) yield* readFile(path);
}

async function* readFile(path: string): AsyncGenerator<SourceRow> {
  const file = openInput(dirname(path), basename(path));
  const problems: string[] = [];
  let isMended = false;
  const told: ReadContext['problem'] = (kind, message) => {
    if (kind === 'invalid-utf8') isMended = true;
    else problems.push(message);
  };
  const context = readContext(dirname(path), told, MOST_ROW_BYTES);
  const rowOf = (value: unknown, where: string): SourceRow => {
    const mended = isMended ? 'broken UTF-8 was replaced by U+FFFD' : null;
    isMended = false;
    return { value, where, ...(mended !== null && { mended }) };
  };
  const refused = function* (): Generator<SourceRow> {
    if (problems.length > 0) isMended = false;
    for (const problem of problems.splice(0)) {
      const at = problem.indexOf(': ');
      yield { where: problem.slice(0, at), value: new Refusal(problem.slice(at + 2).replace(/, skipped$/, '')) };
    }
  };
  const kind = KNOWN.exec(path)?.[1]?.toLowerCase();
  if (kind === 'parquet') {
    for await (const { value, row } of readParquetRows(file, context, (columns) => columns)) {
      yield { value: withNumbers(value), where: `${file.name} row ${row + 1}` };
    }
  } else if (kind === 'json') {
    for await (const { value, where } of readJson(file, context)) {
      yield* refused();
      yield rowOf(value, where);
    }
  } else if (kind === 'jsonl' || kind === 'ndjson') {
    for await (const { value, line } of readJsonLines(file, context)) {
      yield* refused();
      yield rowOf(value, `${file.name} line ${line}`);
    }
  } else if (kind === 'txt' || kind === 'md') {
    const text = await wholeText(file, context);
    for (const [i, part] of text.split(DOCUMENT_SEPARATOR).entries()) {
      if (part.trim() !== '') yield rowOf({ text: part.trim() }, `${file.name} text ${i + 1}`);
    }
  } else {
    throw new ArgumentError(
      'finetune.data',
      `${path}: expected a name that ends in .jsonl, .json, .parquet, .txt or .md (or .gz, .zst, .bz2 of them).`,
    );
  }
  yield* refused();
}

async function* readJson(file: InputFile, context: ReadContext): AsyncGenerator<SourceRow> {
  const text = await wholeText(file, context);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // Many files of JSON lines are named .json.
    if (/^\s*\{[^\n]*\}\s*\n\s*\{/.test(text)) {
      for await (const { value: row, line } of readJsonLines(file, context)) {
        yield { value: row, where: `${file.name} line ${line}` };
      }
      return;
    }
    const advice = 'Is the file whole? One JSON value per line belongs into a .jsonl file.';
    throw new FormatError(
      { code: 'finetune.json', file: file.name, where: 'its text' },
      (error as Error).message,
      advice,
    );
  }
  for (const [i, row] of rowsIn(value, file.name).entries()) yield { value: row, where: `${file.name} row ${i + 1}` };
}

/** A list of rows, or an object whose one list holds them. */
function rowsIn(value: unknown, name: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  const lists = typeof value === 'object' && value !== null ? Object.values(value).filter(Array.isArray) : [];
  if (lists.length === 1) return lists[0] as unknown[];
  throw new FormatError(
    { code: 'finetune.json', file: name, where: 'its outermost value' },
    `expected a list of rows, found ${lists.length === 0 ? 'none' : `${lists.length} lists`}`,
    'Give a list of objects.',
  );
}

async function wholeText(file: InputFile, context: ReadContext): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of file.chunks()) {
    bytes += chunk.length;
    if (bytes > MOST_JSON_BYTES) {
      throw new FormatError(
        { code: 'finetune.size', file: file.name, where: `byte ${bytes}` },
        `more than ${MOST_JSON_BYTES} bytes in one piece`,
        'Write it as JSON lines (.jsonl), which are read row by row.',
      );
    }
    chunks.push(chunk);
  }
  return decodeUtf8(Buffer.concat(chunks), context, file.name).replace(/^\uFEFF/, '');
}

/** Parquet's 64-bit integers as numbers, in lists and structs too. */
function withNumbers(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(withNumbers);
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withNumbers(inner)]));
}
