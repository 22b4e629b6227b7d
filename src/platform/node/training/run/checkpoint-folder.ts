/** What the checkpoints of every kind of run have in common: which is the newest sound one, which are removed, what a full disk says. */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CriaError, FormatError } from '../../../../base/errors.ts';
import type { FolderSink } from '../../../../model/checkpoint/write/write-hf.ts';
import { isKept } from '../../../../training/run/loop.ts';
import { checkpointName, checkpointNames } from '../run-checkpoint.ts';
import { verifyWholeFolder, writeWholeFolder } from '../whole-folder.ts';

const STATE = 'state.json';

export interface FoundCheckpoint<State> {
  readonly path: string;
  readonly state: State;
}

/**
 * The newest checkpoint whose digests are right; null where there is none at all. `tell` hears of those that were passed over.
 * Throws CriaError `training.no-sound-checkpoint` where there are some, and all are damaged.
 */
export function newestSound<State>(folder: string, tell: (message: string) => void): FoundCheckpoint<State> | null {
  const [newest] = soundCheckpoints<State>(folder, tell, 1);
  const { length } = checkpointNames(folder);
  if (newest !== undefined || length === 0) return newest ?? null;
  const problem = `expected one sound checkpoint, found ${length}, all damaged`;
  const advice = 'Look at the disk; begin a new run in another folder (--out), or remove this one.';
  throw new CriaError('training.no-sound-checkpoint', `${folder}: ${problem}. ${advice}`);
}

/** The checkpoints whose digests are right, newest first, at most `limit`. */
export function soundCheckpoints<State>(
  folder: string,
  tell: (message: string) => void = () => {},
  limit = Number.POSITIVE_INFINITY,
): FoundCheckpoint<State>[] {
  const found: FoundCheckpoint<State>[] = [];
  for (const name of checkpointNames(folder).reverse()) {
    if (found.length >= limit) break;
    const path = join(folder, name);
    try {
      verifyWholeFolder(path, [STATE]);
      found.push({ path, state: JSON.parse(readFileSync(join(path, STATE), 'utf8')) as State });
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      tell(error.message);
    }
  }
  return found;
}

/** Writes a checkpoint with its state; it appears whole or not at all. Throws CriaError `training.save`. */
export function writeCheckpoint(path: string, state: unknown, write: (folder: FolderSink) => void): void {
  try {
    writeWholeFolder(path, (folder) => {
      write(folder);
      const file = folder.create(STATE);
      file.write(new TextEncoder().encode(`${JSON.stringify(state, null, 2)}\n`));
      file.close();
    });
  } catch (error) {
    throw saveFailed(path, error);
  }
}

/** A folder of which nothing is kept. */
export const nowhere: FolderSink = { create: () => ({ write: () => {}, close: () => {} }) };

/** Which checkpoints stay, besides the best: as recipes say it under `output`. */
export interface Keeping {
  readonly keepLast: number;
  readonly keepEvery?: number | undefined;
}

/** Removes the checkpoints that are not to stay. */
export function pruneCheckpoints(folder: string, keep: Keeping, bestStep: number | null): void {
  for (const name of checkpointNames(folder).slice(0, -keep.keepLast)) {
    const step = Number(name.slice(checkpointName(0).indexOf('0')));
    if (step !== bestStep && !isKept(step, keep)) rmSync(join(folder, name), { recursive: true, force: true });
  }
}

/** What a killed run left half-written goes; a folder that was about to be replaced comes back. */
export function removePartials(...folders: readonly string[]): void {
  for (const folder of folders) {
    if (!existsSync(folder)) continue;
    for (const name of readdirSync(folder)) {
      const [, whole] = /^\.(.+)\.partial\.old$/.exec(name) ?? [];
      if (whole !== undefined && !existsSync(join(folder, whole))) renameSync(join(folder, name), join(folder, whole));
      else if (/^\..+\.partial(\.old)?$/.test(name)) rmSync(join(folder, name), { recursive: true, force: true });
    }
  }
}

function saveFailed(path: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!/^E[A-Z]+$/.test(code)) return error;
  const reason = code === 'ENOSPC' || code === 'EDQUOT' ? 'the disk is full' : code;
  const advice =
    checkpointNames(dirname(path)).length > 0
      ? 'The checkpoints before it are whole: make room and go on with --resume.'
      : 'There is none before it: make room, and give the same command again.';
  return new CriaError('training.save', `${path}: the checkpoint could not be written (${reason}). ${advice}`, {
    cause: error,
  });
}
