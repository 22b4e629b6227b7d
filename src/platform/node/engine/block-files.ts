/**
 * Blocks of caches in a folder: one file each, named by its content, under a prefix of two digits. Any number of processes may use the
 * folder: a file appears whole by a rename, is never changed, and says by a digest whether it is what was written.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BlockFiles } from '../../../inference/remote/kept-state.ts';
import { makeFolder } from '../make-folder.ts';

/** What a file's name ends with until it is whole. */
export const PARTIAL = '.partial';
const MAGIC = Buffer.from('CRIAKVB1');
const DIGEST_BYTES = 32;
/** Blocks that may wait to be written: more are let go. */
const MOST_WAITING = 256;
/** When room is made, this share of the limit is left. */
const KEPT_SHARE = 0.9;
/** A file that its writer has left unfinished for so long has no writer any more. */
const ABANDONED_MS = 10 * 60_000;
/** After a write that failed none is tried for so long: a full disk may be emptied. */
const PAUSE_MS = 60_000;

export class FolderOfBlocks implements BlockFiles {
  private readonly folder: string;
  private readonly mostBytes: number;
  private readonly say: (message: string) => void;
  private readonly now: () => number;
  /** Bytes in the folder when they were counted last, and what this process has written since. */
  private counted = 0;
  private written = 0;
  private waiting = 0;
  private writing: Promise<void> = Promise.resolve();
  private hasFailed = false;
  private pausedUntil = 0;
  private nextPartial = 0;

  /** `now`: milliseconds of the day's time. Throws what the system says where the folder cannot be made. */
  constructor(folder: string, mostBytes: number, say: (message: string) => void, now = Date.now) {
    this.folder = folder;
    this.mostBytes = mostBytes;
    this.say = say;
    this.now = now;
    makeFolder(folder);
    this.makeRoom();
  }

  get(name: string): Uint8Array | null {
    const path = this.pathOf(name);
    let bytes: Buffer;
    try {
      bytes = readFileSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        this.say(`${path} cannot be read: ${(error as Error).message}`);
      return null;
    }
    const body = bytes.subarray(MAGIC.length + DIGEST_BYTES);
    const isWhole =
      bytes.subarray(0, MAGIC.length).equals(MAGIC) &&
      digestOf(body).equals(bytes.subarray(MAGIC.length, MAGIC.length + DIGEST_BYTES));
    if (isWhole) {
      touch(path);
      return body;
    }
    this.say(`${path} is damaged: it is removed, and what it held is computed again`);
    rmSync(path, { force: true });
    return null;
  }

  put(name: string, read: () => Promise<Uint8Array>): boolean {
    if (this.waiting >= MOST_WAITING || this.isPaused) return false;
    this.waiting++;
    const bytes = read();
    this.writing = this.writing.then(async () => {
      try {
        const content = await bytes;
        if (this.isPaused) return;
        await this.write(this.pathOf(name), content);
        this.hasFailed = false;
      } catch (error) {
        if (!this.hasFailed) this.say(`${this.folder} takes no blocks for now: ${(error as Error).message}`);
        this.hasFailed = true; // said once
        this.pausedUntil = this.now() + PAUSE_MS;
      } finally {
        this.waiting--;
      }
    });
    return true;
  }

  flush(): Promise<void> {
    return this.writing;
  }

  private get isPaused(): boolean {
    return this.now() < this.pausedUntil;
  }

  private pathOf(name: string): string {
    return join(this.folder, name.slice(0, 2), name.slice(2));
  }

  private async write(path: string, bytes: Uint8Array): Promise<void> {
    if (statSync(path, { throwIfNoEntry: false })) {
      touch(path);
      return;
    }
    makeFolder(dirname(path));
    const partial = `${path}.${process.pid}-${this.nextPartial++}${PARTIAL}`;
    try {
      await writeFile(partial, [MAGIC, digestOf(bytes), bytes]);
      await rename(partial, path);
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
    this.written += MAGIC.length + DIGEST_BYTES + bytes.length;
    // Others write, too: it is counted anew before they could have added much.
    const allowed = Math.min(this.mostBytes - this.counted, (1 - KEPT_SHARE) * this.mostBytes);
    if (this.written > allowed) this.makeRoom();
  }

  /** Counts what is there, by whomever, and removes what was not used for longest while it is too much. */
  private makeRoom(): void {
    const files: { path: string; size: number; mtimeMs: number }[] = [];
    for (const prefix of readdirSync(this.folder)) {
      if (!/^[0-9a-f]{2}$/.test(prefix)) continue;
      for (const name of readdirSync(join(this.folder, prefix))) {
        const path = join(this.folder, prefix, name);
        const stat = statSync(path, { throwIfNoEntry: false });
        if (!stat) continue;
        const isPartial = name.endsWith(PARTIAL);
        if (isPartial) removeIfAbandoned(path);
        if (!isPartial) files.push({ path, size: stat.size, mtimeMs: stat.mtimeMs });
      }
    }
    this.written = 0;
    this.counted = files.reduce((sum, { size }) => sum + size, 0);
    if (this.counted <= this.mostBytes) return;
    files.sort((a, b) => a.mtimeMs - b.mtimeMs);
    for (const { path, size } of files) {
      if (this.counted <= KEPT_SHARE * this.mostBytes) return;
      rmSync(path, { force: true });
      this.counted -= size;
    }
  }
}

/** What a process that was killed has left. */
export function removeIfAbandoned(path: string): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat && Date.now() - stat.mtimeMs > ABANDONED_MS) rmSync(path, { force: true });
}

function digestOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** It was used now. */
function touch(path: string): void {
  const now = new Date();
  try {
    utimesSync(path, now, now);
  } catch {
    // Another process has removed it, or owns it.
  }
}
