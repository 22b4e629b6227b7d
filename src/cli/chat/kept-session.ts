/** `--session FILE`: a text and what was read of it, so that the next start goes on at once. */
import { accessSync, constants, existsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { RemoteModel } from '../../inference/remote/model.ts';
import { type Io, writeLine } from '../io.ts';
import type { OptionSpec } from '../option-table.ts';

export const sessionOption = {
  kind: 'text',
  value: 'FILE',
  help: 'keep the session in this file, and go on with what it holds: nothing is read twice',
} as const satisfies OptionSpec;

/**
 * The note that was saved with a session; null where there is none yet. Throws FormatError for a file that is no session, and what the
 * system says where none could be written, before there is anything to lose.
 */
export async function openSession(model: RemoteModel, path: string | undefined, io: Io): Promise<unknown> {
  if (path === undefined) return null;
  accessSync(dirname(path), constants.W_OK);
  if (!existsSync(path)) return null;
  const { note, problem } = await model.loadState(path);
  if (problem !== null) writeLine(io.stderr, `${path}: ${problem}: what is missing is read again`);
  return note;
}

export async function saveSession(
  model: RemoteModel,
  path: string | undefined,
  ids: ArrayLike<number>,
  note: unknown,
): Promise<void> {
  if (path !== undefined && ids.length > 0) await model.saveState(path, ids, note);
}
