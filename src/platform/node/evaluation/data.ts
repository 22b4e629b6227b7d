/** Where the data of tasks is found: a folder or file of this machine, or a data set of the hub. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ArgumentError } from '../../../base/errors.ts';
import { parseTable } from '../../../evaluation/task/csv.ts';
import { prepareDocs } from '../../../evaluation/task/documents.ts';
import { evaluatedSplit, poolSplit } from '../../../evaluation/task/examples.ts';
import { documentsOf, mmluRow } from '../../../evaluation/task/layouts.ts';
import type { TaskSpec } from '../../../evaluation/task/spec.ts';
import type { Doc } from '../../../evaluation/task/template.ts';
import { Refusal } from '../../../finetuning/data/sample.ts';
import type { PullOptions } from '../../hub/pull.ts';
import { readRows } from '../finetuning/read-rows.ts';
import { hubFiles, hubFilesOf } from './hub-files.ts';

/** Where to look: folders, files for one task (`arc_easy=FILE`, `gsm8k:train=FILE`), `hf:` for each task's own data set, `hf:owner/name`. */
export interface DataPlaces {
  readonly folders: readonly string[];
  /** By task, or by task:split. */
  readonly files: ReadonlyMap<string, string>;
  readonly hub: boolean;
}

/** The folder that is looked at where none is named. */
export const DATA_FOLDER = 'data';

/** Throws ArgumentError `eval.data`. */
export function parsePlaces(given: readonly string[]): DataPlaces {
  const folders: string[] = [];
  const files = new Map<string, string>();
  let hub = false;
  for (const place of given) {
    const named = /^([\w-]+(?::[\w-]+)?)=(.+)$/.exec(place);
    if (place === 'hf:') hub = true;
    else if (named) files.set(named[1]!, named[2]!);
    else if (existsSync(place) && statSync(place).isDirectory()) folders.push(place);
    else {
      throw new ArgumentError(
        'eval.data',
        `--data ${place}: expected a folder, TASK=FILE, TASK:SPLIT=FILE, TASK=hf:owner/name, or hf: for the data sets of the hub; there is no such folder.`,
      );
    }
  }
  if (folders.length === 0 && existsSync(DATA_FOLDER)) folders.push(DATA_FOLDER);
  return { folders, files, hub };
}

export interface TaskData {
  readonly docs: readonly Doc[];
  readonly pool: readonly Doc[];
  /** Files that were read, for people. */
  readonly files: readonly string[];
  /** Rows that could not be read: where and why. */
  readonly refused: readonly string[];
}

/** The items of a task, at most `limit`, and the pool of its examples where any are shown. Throws ArgumentError `eval.data`. */
export async function loadTaskData(
  spec: TaskSpec,
  places: DataPlaces,
  options: { readonly hub: PullOptions; readonly limit?: number | undefined; readonly withPool: boolean },
): Promise<TaskData> {
  const split = evaluatedSplit(spec);
  const refused: string[] = [];
  const files: string[] = [];
  const read = async (found: readonly string[]) => {
    files.push(...found);
    const rows = await rowsOf(found, spec, refused);
    return prepareDocs(
      spec.process_docs,
      documentsOf(rows, layoutName(spec)).filter((doc) => isWanted(doc, spec)),
    );
  };
  const load = async (wanted: string) => read(await filesOf(spec, wanted, places, options.hub));
  const all = await load(split);
  const loadPool = async () => {
    if (spec.fewshot_file !== undefined) return read([examplesFile(spec, spec.fewshot_file, places)]);
    const wanted = poolSplit(spec);
    return wanted === null ? [] : wanted === split ? all : load(wanted);
  };
  return { docs: all.slice(0, options.limit), pool: options.withPool ? await loadPool() : [], files, refused };
}

/** The file of a task's examples, by its folder and name wherever it lies in a folder of data. */
function examplesFile(spec: TaskSpec, wanted: string, { files, folders }: DataPlaces): string {
  const own = files.get(`${spec.task}:examples`);
  const found =
    own ??
    folders.flatMap((folder) => filesIn(folder)).find((path) => path.split(sep).join('/').endsWith(`/${wanted}`));
  if (found !== undefined && existsSync(found)) return found;
  throw new ArgumentError(
    'eval.data',
    `${spec.task}: expected its examples as ${join(folders[0] ?? DATA_FOLDER, wanted)}, the file that the authors of the data set publish, ` +
      `found ${own === undefined ? 'nothing of that name' : `nothing at ${own}`}. Put it there, name it with --data ${spec.task}:examples=FILE, or ask without examples: --shots 0.`,
  );
}

/** The name by which layouts know a data set: that of its first task. */
const layoutName = ({ task }: TaskSpec) => (task.startsWith('mmlu_') ? 'mmlu' : task);

const isWanted = (doc: Doc, { only = {} }: TaskSpec) =>
  Object.entries(only).every(([column, value]) => doc[column] === undefined || doc[column] === value);

const splitNames: Readonly<Record<string, readonly string[]>> = {
  train: ['train', 'training'],
  validation: ['validation', 'valid', 'val', 'dev'],
  test: ['test', 'testing'],
  dev: ['dev', 'validation', 'val'],
};
const anySplit = new Set(Object.values(splitNames).flat());
const namesOf = (split: string) => splitNames[split] ?? [split];

async function filesOf(
  spec: TaskSpec,
  split: string,
  places: DataPlaces,
  hub: PullOptions,
): Promise<readonly string[]> {
  const own = places.files.get(`${spec.task}:${split}`) ?? places.files.get(spec.task);
  if (own !== undefined) {
    if (own.startsWith('hf:')) return hubFiles(own, { split, subset: spec.dataset_name ?? null }, hub);
    if (!existsSync(own)) throw new ArgumentError('eval.data', `--data ${spec.task}=${own}: there is no such file.`);
    return statSync(own).isDirectory() ? filesIn(own).sort() : [own];
  }
  for (const folder of places.folders) {
    const found = search(folder, spec, split);
    if (found.length > 0) return found;
  }
  if (places.hub && spec.dataset_path !== undefined)
    return hubFilesOf(spec.dataset_path, { split, subset: spec.dataset_name ?? null }, hub);
  const where = places.folders.length === 0 ? DATA_FOLDER : places.folders.join(', ');
  const advice =
    spec.dataset_path === undefined ? '' : `, or take it from the hub with --data hf: (${spec.dataset_path})`;
  throw new ArgumentError(
    'eval.data',
    `${spec.task}: expected its ${split} split as ${join(places.folders[0] ?? DATA_FOLDER, spec.task, `${split}.jsonl`)} ` +
      `(.json, .parquet, .csv or .tsv too, and .gz), found nothing of that name in ${where}. ` +
      `Put it there, name it with --data ${spec.task}:${split}=FILE${advice}.`,
  );
}

const KNOWN = /\.(jsonl|ndjson|json|parquet|csv|tsv|txt)(\.gz|\.zst|\.bz2)?$/i;
const NOT_DATA = /(^|[._-])(config|dataset_infos?|readme|metadata|predictions)\b/i;
const DEEPEST = 3;
const MOST_FILES = 20_000;

function filesIn(folder: string, depth = 0): string[] {
  if (depth > DEEPEST) return [];
  const found: string[] = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (found.length > MOST_FILES) break;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...filesIn(path, depth + 1));
    else if (KNOWN.test(entry.name) && !NOT_DATA.test(entry.name)) found.push(path);
  }
  return found;
}

const plain = (name: string) => name.toLowerCase().replace(/[^a-z0-9]+/g, '_');

/**
 * Files of a folder whose name, or whose folder's name, is or begins with a name of the task. Those that name the split are taken; where
 * none of them names any, all are the split.
 */
function search(folder: string, spec: TaskSpec, split: string): readonly string[] {
  const names = [spec.task, ...(spec.files ?? []), basename(spec.dataset_path ?? spec.task)].map(plain);
  const isText = spec.output_type === 'loglikelihood_rolling';
  const candidates = filesIn(folder)
    .filter((path) => isText || !/\.txt(\.\w+)?$/i.test(path))
    .map((path) => {
      const parts = relative(folder, path)
        .split(sep)
        .map((part) => plain(part.replace(KNOWN, '')));
      const file = parts.at(-1)!;
      const rank = names
        .map((name, i) => ({ name, i }))
        .flatMap(({ name, i }) => {
          if (file === name) return [i * 4];
          if (file.startsWith(`${name}_`)) return [i * 4 + 1];
          if (parts.slice(0, -1).includes(name)) return [i * 4 + 2];
          return [];
        });
      const words = parts.flatMap((part) => part.split('_'));
      return { path, parts, words, rank: Math.min(...rank, Number.POSITIVE_INFINITY) };
    })
    .filter(({ rank }) => Number.isFinite(rank));
  const wanted = namesOf(split);
  const named = candidates.filter(({ words }) => words.some((word) => wanted.includes(word)));
  const silent = candidates.filter(({ words }) => !words.some((word) => anySplit.has(word)));
  const [best] = [named, silent].filter((list) => list.length > 0);
  if (!best) return [];
  const first = best.sort(
    (a, b) =>
      a.rank - b.rank || a.parts.length - b.parts.length || a.path.length - b.path.length || (a.path < b.path ? -1 : 1),
  )[0]!;
  // Parts of one file: train-00000-of-00002.parquet and its neighbours.
  const pieces = /^(.*?)-?\d+-of-\d+/.exec(basename(first.path));
  if (!pieces) return [first.path];
  return best
    .map(({ path }) => path)
    .filter((path) => dirname(path) === dirname(first.path) && basename(path).startsWith(pieces[1]!))
    .sort();
}

async function rowsOf(files: readonly string[], spec: TaskSpec, refused: string[]): Promise<readonly Doc[]> {
  const rows: Doc[] = [];
  for (const path of files) {
    const table = /\.(csv|tsv)(\.gz)?$/i.exec(path);
    if (table) {
      rows.push(...tableRows(path, table[1]!.toLowerCase() === 'tsv' ? '\t' : ',', spec));
      continue;
    }
    const mine: Doc[] = [];
    for await (const { value, where } of readRows([path])) {
      if (value instanceof Refusal) refused.push(`${where}: ${value.reason}`);
      else if (typeof value !== 'object' || value === null || Array.isArray(value)) refused.push(`${where}: no object`);
      else mine.push(value as Doc);
    }
    rows.push(...withLabels(path, mine));
  }
  return rows;
}

function tableRows(path: string, delimiter: ',' | '\t', spec: TaskSpec): Doc[] {
  const bytes = readFileSync(path);
  const table = parseTable((path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8'), delimiter);
  // MMLU's files have no head.
  if (layoutName(spec) === 'mmlu') return table.map((cells) => mmluRow(cells, spec.dataset_name ?? ''));
  const [head = [], ...body] = table;
  return body.map((cells) => Object.fromEntries(head.map((name, i) => [name, cells[i] ?? ''])));
}

/** PIQA and SIQA are published with their answers in a file beside the questions: valid.jsonl and valid-labels.lst. */
function withLabels(path: string, rows: readonly Doc[]): readonly Doc[] {
  const labels = path.replace(/\.jsonl$/, '-labels.lst');
  if (labels === path || !existsSync(labels) || rows.length === 0 || rows[0]!.label !== undefined) return rows;
  const right = readFileSync(labels, 'utf8').trimEnd().split('\n');
  if (right.length !== rows.length) {
    throw new ArgumentError(
      'eval.data',
      `${labels}: expected one label a line for the ${rows.length} rows of ${basename(path)}, found ${right.length}.`,
    );
  }
  return rows.map((row, i) => ({ ...row, label: /^\d+$/.test(right[i]!) ? Number(right[i]) : right[i] }));
}
