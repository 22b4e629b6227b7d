/** The files of a task's data set on the hub. */
import { basename } from 'node:path';
import { CriaError } from '../../../base/errors.ts';
import { type DatasetPart, pullDataset } from '../../hub/dataset.ts';
import type { PullOptions } from '../../hub/pull.ts';

/** At the top of a data set, or in its folder `data`. */
const PLAIN_PLACE = /[\\/]snapshots[\\/][^\\/]+[\\/](data[\\/])?[^\\/]+$/;
/** Files of a data set that come in pieces say how many there are. */
const PIECE = /-(\d{5})-of-(\d{5})\b/;

/**
 * What the cache holds whole is not asked for again: a data set stays at the commit at which it was first fetched, and needs no network.
 * Whether it is whole is known of numbered pieces alone; of other files the hub is asked.
 */
export async function hubFiles(name: string, part: DatasetPart, hub: PullOptions): Promise<readonly string[]> {
  const kept = await pullDataset(name, part, { ...hub, offline: true }).catch((error: unknown) => {
    if (hub.offline || !(error instanceof CriaError)) throw error;
    return [];
  });
  const pieces = kept.map((file) => PIECE.exec(basename(file)));
  const isWhole = kept.length > 0 && pieces.every((piece) => piece !== null && Number(piece[2]) === kept.length);
  if (isWhole) return kept;
  if (!hub.offline) return pullDataset(name, part, hub);
  if (pieces.every((piece) => piece === null)) return kept;
  throw new CriaError(
    'hub.not-cached',
    `${name}: expected all pieces of ${part.split} in the cache, found ${kept.length} of ${pieces[0]?.[2]}. Run once with the network.`,
  );
}

/** A part of a task's own data set. Many of one part have no folder for it; the folder of another part is never meant. */
export async function hubFilesOf(path: string, part: DatasetPart, hub: PullOptions): Promise<readonly string[]> {
  try {
    return await hubFiles(`hf:${path}`, part, hub);
  } catch (error) {
    if ((error as { code?: string }).code !== 'hub.no-rows' || part.subset === null) throw error;
    const plain = await hubFiles(`hf:${path}`, { ...part, subset: null }, hub);
    if (plain.every((file) => PLAIN_PLACE.test(file))) return plain;
    throw error;
  }
}
