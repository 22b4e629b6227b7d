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

export class KeptSession {
  /** The note that was saved with the session; null where there is none yet. */
  readonly note: unknown;
  private readonly model: RemoteModel;
  private readonly path: string | undefined;
  /** Whether a text may be put at the file's end: all that it holds so far can be read. */
  private isWhole: boolean;

  private constructor(model: RemoteModel, path: string | undefined, note: unknown, isWhole: boolean) {
    this.model = model;
    this.path = path;
    this.note = note;
    this.isWhole = isWhole;
  }

  /**
   * `path` undefined: nothing is kept. Throws FormatError for a file that is no session, and what the system says where none could be
   * written, before there is anything to lose.
   */
  static async open(model: RemoteModel, path: string | undefined, io: Io): Promise<KeptSession> {
    if (path === undefined) return new KeptSession(model, path, null, true);
    accessSync(dirname(path), constants.W_OK);
    if (!existsSync(path)) return new KeptSession(model, path, null, true);
    const { note, problem } = await model.loadState(path);
    if (problem !== null) writeLine(io.stderr, `${path}: ${problem}: what is missing is read again`);
    return new KeptSession(model, path, note, problem === null);
  }

  /** The text and what was read of it. */
  async save(ids: ArrayLike<number>, note: unknown): Promise<void> {
    await this.write(ids, note, false);
  }

  /** The text alone, so that a process that is killed loses none: little to write. */
  async saveText(ids: ArrayLike<number>, note: unknown): Promise<void> {
    await this.write(ids, note, this.isWhole);
  }

  private async write(ids: ArrayLike<number>, note: unknown, textOnly: boolean): Promise<void> {
    if (this.path === undefined || ids.length === 0) return;
    await this.model.saveState(this.path, ids, note, { textOnly });
    this.isWhole = true;
  }
}
