/** Data sets of the hub: which files are the rows of a part, fetched into the shared cache. */
import { join } from 'node:path';
import { CriaError } from '../../base/errors.ts';
import { cacheFolder, filesIn, snapshotOf } from './cache.ts';
import { type Choice, type HubFile, parseHubName } from './names.ts';
import { fetchRepository, isOffline, type PullOptions } from './pull.ts';

export interface DatasetPart {
  /** train, test, validation …; of a data set whose files name none, all are meant. */
  readonly split: string;
  /** A folder of the data set, where it has several. */
  readonly subset: string | null;
}

const ROWS = /\.(jsonl|ndjson|json|parquet)(\.gz|\.zst|\.bz2)?$/;
const NOT_ROWS = /(^|\/)(dataset_infos?|README|config|metadata)\.json$/i;
const splits = ['train', 'test', 'validation', 'valid', 'dev', 'eval'];

/** Paths of the files that hold the rows. Throws CriaError `hub.…`, `hub.no-rows`, `hub.subset`. */
export async function pullDataset(name: string, part: DatasetPart, options: PullOptions): Promise<string[]> {
  const { repo, revision, quant } = parseHubName(name);
  if (quant !== null) {
    throw new CriaError(
      'hub.subset',
      `${name}: expected hf:owner/name of a data set; name its part with split and subset.`,
    );
  }
  const choose = (files: readonly HubFile[]) => chooseRows(repo, part, files);
  if (isOffline(options)) {
    const snapshot = snapshotOf({ repo, revision }, options.cache ?? cacheFolder(options.env), 'dataset');
    if (snapshot === null) {
      throw new CriaError(
        'hub.not-cached',
        `${repo}: expected the data set in the cache, found nothing there. Run once with the network.`,
      );
    }
    return choose(filesIn(snapshot)).files.map((file) => join(snapshot, file));
  }
  const { snapshot, choice } = await fetchRepository({ kind: 'dataset', repo, revision, choose }, options);
  return choice.files.map((file) => join(snapshot, file));
}

/** The files of a part, in order. */
export function chooseRows(repo: string, { split, subset }: DatasetPart, files: readonly HubFile[]): Choice {
  const rows = files
    .map(({ path }) => path)
    .filter((path) => ROWS.test(path) && !NOT_ROWS.test(path))
    .sort();
  const inSubset = subset === null ? rows : rows.filter((path) => path.split('/').slice(0, -1).includes(subset));
  const named = (path: string, word: string) => new RegExp(`(^|[/_.-])${word}([/_.-]|$)`, 'i').test(path);
  const areNamed = inSubset.some((path) => splits.some((word) => named(path, word)));
  const chosen = areNamed ? inSubset.filter((path) => named(path, split)) : inSubset;
  if (chosen.length === 0) {
    const found = rows.slice(0, 8).join(', ') || 'no JSON lines, JSON or Parquet';
    throw new CriaError(
      'hub.no-rows',
      `${repo}: expected files with the rows of ${split}${subset === null ? '' : ` in ${subset}`}, found ${found}. Name the part with split and subset.`,
    );
  }
  const folders = [...new Set(chosen.map((path) => path.split('/').slice(0, -1).join('/')))];
  if (folders.length > 1 && subset === null) {
    throw new CriaError(
      'hub.subset',
      `${repo}: has ${split} in several folders: ${folders.slice(0, 8).join(', ')}. Name one with subset.`,
    );
  }
  return { files: chosen, open: null };
}
