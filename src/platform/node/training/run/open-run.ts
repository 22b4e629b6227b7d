/** How a run of any kind takes its folder: the lock, what a killed one left, and the checkpoint to go on after. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ArgumentError } from '../../../../base/errors.ts';
import type { Collective } from '../../../../training/collective.ts';
import { checkpointNames } from '../run-checkpoint.ts';
import { type FoundCheckpoint, newestSound, removePartials } from './checkpoint-folder.ts';
import type { MetricsFolder } from './metrics-folder.ts';
import { lockRun } from './run-lock.ts';

export interface ResumeOptions {
  readonly resume: boolean;
  /** Settings, or groups of them, that may be others than when the run began. */
  readonly allowChange: readonly string[];
}

export interface OpenedRun<State> {
  /** What to go on after; null: the run begins. */
  readonly found: FoundCheckpoint<State> | null;
  /** Gives the folder back. */
  close(): void;
}

/** Throws CriaError `training.locked`, `training.no-sound-checkpoint`; ArgumentError `training.exists`. */
export async function openRun<State>(
  folder: MetricsFolder<{ readonly step: number; readonly seconds: number }>,
  subfolders: readonly string[],
  { resume }: ResumeOptions,
  collective: Collective,
  tell: (message: string) => void,
): Promise<OpenedRun<State>> {
  const isFirst = collective.rank === 0;
  const unlock = isFirst ? await lockRun(folder.path, tell) : () => {};
  const close = () => {
    unlock();
    if (isFirst && folder.isNew) removeUnused(folder);
  };
  try {
    if (!resume && checkpointNames(folder.checkpoints).length > 0) {
      throw new ArgumentError(
        'training.exists',
        `${folder.path} already holds a run. Go on with it with --resume, or choose another folder with --out.`,
      );
    }
    if (isFirst) removePartials(folder.path, folder.checkpoints, ...subfolders);
    collective.barrier();
    const found = resume ? newestSound<State>(folder.checkpoints, tell) : null;
    if (resume && !found) tell(`nothing to go on with in ${folder.path}: from the beginning`);
    return { found, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** What a run made before it could not go on: two folders without a file. */
function removeUnused({ path, checkpoints }: Pick<MetricsFolder<never>, 'path' | 'checkpoints'>): void {
  const isUnused = readdirSync(path).every((name) => join(path, name) === checkpoints) && isEmpty(checkpoints);
  if (!isUnused) return;
  rmSync(path, { recursive: true });
}

const isEmpty = (folder: string): boolean => !existsSync(folder) || readdirSync(folder).length === 0;
