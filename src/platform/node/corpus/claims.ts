/**
 * Claims as files, for any number of processes over one folder: whoever makes the file (O_EXCL) has the unit. A claim is a lease: its file is touched while its
 * owner lives, and one that was not touched for the lease may be taken over. Ages are by the file system's own clock, which all machines share.
 *
 * Two processes may believe for a moment that they both took over the same unit. They then make the same bytes, and each renames a whole folder: it costs
 * time, never the result.
 */
import { randomUUID } from 'node:crypto';
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../../base/errors.ts';
import type { Claim, Claims } from '../../../corpus/pipeline/host.ts';
import { makeFolder } from '../make-folder.ts';

export interface ClaimOptions {
  readonly leaseSeconds: number;
  /** This process; another one's in tests. */
  readonly holder?: Holder;
}

/** A process among all that share the folder. */
export interface Holder {
  /** Unique; without dots and slashes. */
  readonly owner: string;
  readonly host: string;
  readonly pid: number;
}

export const DEFAULT_LEASE_SECONDS = 120;

export function thisProcess(): Holder {
  const host = hostname();
  const owner = `${host.replace(/[^\w-]/g, '_')}-${process.pid}-${randomUUID().slice(0, 8)}`;
  return { owner, host, pid: process.pid };
}

interface Note extends Holder {
  readonly deaths?: number;
  readonly plan?: string;
}

export class FileClaims implements Claims {
  readonly holder: Holder;
  private readonly root: string;
  private readonly leaseSeconds: number;
  private readonly held = new Set<string>();
  private refreshed = 0;
  private skew = { measured: Number.NEGATIVE_INFINITY, milliseconds: 0 };

  constructor(root: string, { leaseSeconds, holder = thisProcess() }: ClaimOptions) {
    this.root = root;
    this.leaseSeconds = leaseSeconds;
    this.holder = holder;
  }

  join(plan: string): { leave(): void } {
    makeFolder(this.root);
    const path = join(this.root, `run.${this.holder.owner}`);
    writeNew(path, JSON.stringify({ ...this.holder, plan } satisfies Note));
    this.held.add(path);
    const leave = (): void => {
      this.held.delete(path);
      rmSync(path, { force: true });
    };
    const started = statSync(path).mtimeMs;
    for (const name of this.runs()) {
      const other = join(this.root, name);
      const note = readNote(other);
      const stat = statSync(other, { throwIfNoEntry: false });
      if (!note || !stat || other === path) continue;
      if (this.isDead(other, note)) {
        rmSync(other, { force: true });
        continue;
      }
      if (note.plan === plan) continue;
      if (stat.mtimeMs > started || (stat.mtimeMs === started && name > `run.${this.holder.owner}`)) continue;
      leave();
      throw new ConfigError(
        this.root,
        [
          `another run with other settings or other input works in this folder (process ${note.pid} on ${note.host}). Wait for it, stop it, or choose another folder with --out.`,
        ],
        'corpus.busy',
      );
    }
    return { leave };
  }

  take(id: string): Claim | undefined {
    const path = this.pathOf(id);
    const deaths = this.create(path, 0) ? 0 : this.takeOver(path);
    if (deaths === undefined) return undefined;
    this.held.add(path);
    const release = (): void => {
      this.held.delete(path);
      if (readNote(path)?.owner === this.holder.owner) rmSync(path, { force: true });
    };
    return { deaths, release };
  }

  fail(id: string, key: string, reason: string): number {
    for (let count = 1; ; count++) {
      if (writeNew(`${this.pathOf(id)}.${key.slice(0, 12)}.failed-${count}`, reason)) return count;
    }
  }

  refresh(): void {
    const now = Date.now();
    // Before a run has joined, its folder need not be there.
    if (this.held.size === 0) return;
    if (now - this.refreshed < (this.leaseSeconds * 1000) / 6) return;
    this.refreshed = now;
    const clock = new Date(this.clock());
    for (const path of this.held) {
      try {
        utimesSync(path, clock, clock);
      } catch {
        this.held.delete(path); // taken over: somebody thought us dead
      }
    }
  }

  /** True while the process of this name may be at work. */
  isAtWork(owner: string): boolean {
    const path = join(this.root, `run.${owner}`);
    const note = readNote(path);
    return note !== undefined && !this.isDead(path, note);
  }

  private runs(): string[] {
    return readdirSync(this.root).filter((name) => name.startsWith('run.'));
  }

  /** Takes the place of a holder that gave no sign of life; how many died at it, or undefined where it lives. */
  private takeOver(path: string): number | undefined {
    const note = readNote(path);
    if (!this.isDead(path, note)) return undefined;
    const aside = join(this.root, `stale.${randomUUID()}`);
    try {
      renameSync(path, aside); // one of several that try gets it
    } catch {
      return undefined;
    }
    rmSync(aside, { force: true });
    const deaths = (note?.deaths ?? 0) + 1;
    return this.create(path, deaths) ? deaths : undefined;
  }

  private create(path: string, deaths: number): boolean {
    return writeNew(path, JSON.stringify({ ...this.holder, deaths } satisfies Note));
  }

  /** Its lease is over; or it was a process of this machine, and there is none of its number. */
  private isDead(path: string, note: Note | undefined): boolean {
    if (note && note.host === this.holder.host && note.owner !== this.holder.owner && !isRunning(note.pid)) return true;
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat !== undefined && this.clock() - stat.mtimeMs > this.leaseSeconds * 1000;
  }

  /** Now, in milliseconds, as the file system has it: clocks of machines differ. */
  private clock(): number {
    const now = Date.now();
    if (now - this.skew.measured > CLOCK_MILLISECONDS || now < this.skew.measured) {
      const path = join(this.root, `clock.${this.holder.owner}`);
      writeFileSync(path, '');
      this.skew = { measured: now, milliseconds: statSync(path).mtimeMs - now };
      rmSync(path, { force: true });
    }
    return now + this.skew.milliseconds;
  }

  private pathOf(id: string): string {
    return join(this.root, `unit.${id.replaceAll('/', '_')}`);
  }
}

const CLOCK_MILLISECONDS = 60_000;

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** False where the file is there already. */
function writeNew(path: string, text: string): boolean {
  try {
    const file = openSync(path, 'wx');
    writeFileSync(file, text);
    closeSync(file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Undefined for a claim that is gone, or whose owner died before it had written a word. */
function readNote(path: string): Note | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Note;
  } catch {
    return undefined;
  }
}
