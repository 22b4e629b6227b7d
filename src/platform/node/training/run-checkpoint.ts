import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve, sep } from 'node:path';

/** Where a run folder keeps its checkpoints, and the note of which is the best. */
export const CHECKPOINTS = 'checkpoints';
export const BEST = 'best.json';

export function checkpointName(step: number): string {
  return `step-${String(step).padStart(8, '0')}`;
}

const isCheckpointName = (name: string): boolean => /^step-\d{8,}$/.test(name);

/** The names of a run's checkpoints, oldest first. */
export function checkpointNames(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter(isCheckpointName)
    .sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)));
}

/** The model of a run folder: its best checkpoint, where one was validated, else its last. null: no such folder, or none yet. */
export function modelOfRun(path: string): string | null {
  const folder = join(path, CHECKPOINTS);
  const names = checkpointNames(folder);
  const step = bestStep(folder);
  const best = step === null ? null : checkpointName(step);
  const chosen = best !== null && names.includes(best) ? best : names.at(-1);
  return chosen === undefined ? null : join(folder, chosen);
}

/** The step of the best checkpoint, as the note in their folder says; null: none yet, or the note is damaged. */
function bestStep(folder: string): number | null {
  try {
    return (JSON.parse(readFileSync(join(folder, BEST), 'utf8')) as { step: number }).step;
  } catch {
    return null;
  }
}

/** The name of the run that a folder is a checkpoint of: what its model is called, as the folder's own name says a step. null: of none. */
export function runOf(path: string): string | null {
  const [run, checkpoints, step] = resolve(path).split(sep).slice(-3);
  return checkpoints === CHECKPOINTS && step !== undefined && isCheckpointName(step) ? (run ?? null) : null;
}
