/** What a run does when its guard has ended it: names what is left, or goes back to the last good checkpoint with a lower rate. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Collective } from '../../../../training/collective.ts';
import { AnomalyError } from '../../../../training/guard.ts';
import type { Return } from '../../../../training/run/state.ts';
import { checkpointName, checkpointNames } from '../run-checkpoint.ts';
import { type FoundCheckpoint, type Keeping, soundCheckpoints } from './checkpoint-folder.ts';
import type { Checkpoints, SavedState } from './checkpoints.ts';

const MOST_RETURNS = 5;
const LOWER = 0.5;

/** The part of the schedule's rate that a state goes on with. */
export function rateOf(state: { readonly returns?: readonly Return[] } | null): number {
  return state?.returns?.at(-1)?.rate ?? 1;
}

/** The error of the guard, with the checkpoints that are left and what may be done: `advice`. */
export function withCheckpoints(error: AnomalyError, folder: string, advice: string): AnomalyError {
  interface Named {
    readonly step: number;
    readonly best: { readonly step: number } | null;
  }
  const [last] = soundCheckpoints<Named>(folder);
  if (last === undefined) {
    const begin = 'There is no checkpoint yet: begin again with a lower training.learningRate.';
    return new AnomalyError(`${error.message}. ${begin}`, error.isDestroyed);
  }
  const { best, step } = last.state;
  const named =
    best === null
      ? 'none (none was validated, or none knew more than guessing does)'
      : join(folder, checkpointName(best.step));
  const left = `The last checkpoint is of step ${step}, the best: ${named}`;
  return new AnomalyError(`${error.message}. ${left}. ${advice}`, error.isDestroyed);
}

/**
 * Goes back to the last good checkpoint: the newest, or the best where the weights were spoilt or the newest did not help. One from which
 * the very next step failed is none: with any rate, that step would compute the same. The checkpoints after it are removed, and it is
 * written again with the lower rate, so that a run that is killed now does the same. null: there is none, or it was done too often.
 */
export async function goBack(
  error: AnomalyError,
  step: number,
  checkpoints: Pick<Checkpoints, 'folder' | 'load' | 'save'>,
  keep: Keeping,
  collective: Collective,
): Promise<FoundCheckpoint<SavedState> | null> {
  const all = soundCheckpoints<SavedState>(checkpoints.folder);
  const returns = all[0]?.state.returns ?? [];
  const failed = new Set([step, ...returns.map(({ from }) => from)]);
  const sound = all.filter(({ state }) => !failed.has(state.step + 1));
  const [newest] = sound;
  if (newest === undefined) return null;
  const wasThere = returns.some(({ to }) => to === newest.state.step);
  const bestStep = newest.state.best?.step;
  const best = sound.find(({ state }) => state.step === bestStep) ?? sound.at(-1)!;
  const chosen = error.isDestroyed || wasThere ? best : newest;
  const known = chosen.state.returns ?? [];
  if (Math.max(known.length, returns.length) >= MOST_RETURNS) return null;
  const rate = Math.min(rateOf(chosen.state), rateOf(newest.state)) * LOWER;
  const back: Return = { from: step, to: chosen.state.step, rate, because: error.message };
  const state: SavedState = { ...chosen.state, returns: [...(returns.length > known.length ? returns : known), back] };
  collective.barrier(); // everybody has looked
  if (collective.rank === 0) {
    for (const name of checkpointNames(checkpoints.folder)) {
      if (name > checkpointName(state.step)) rmSync(join(checkpoints.folder, name), { recursive: true, force: true });
    }
  }
  checkpoints.load(chosen);
  await checkpoints.save(state, keep);
  return { path: chosen.path, state };
}
