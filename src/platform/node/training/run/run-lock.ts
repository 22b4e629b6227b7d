/** One run a folder: a file with who runs there. The lock of a process that is gone is taken over. */
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { CriaError } from '../../../../base/errors.ts';
import { makeFolder } from '../../make-folder.ts';

const LOCK = 'run.lock';
/** How long a lock may be without content: its owner is writing it. */
const WRITING_MS = 1000;

interface Owner {
  readonly pid: number;
  readonly host: string;
  /** What tells this process from an earlier one of the same number; null where the system does not say. */
  readonly process: string | null;
  readonly since: string;
}

/** Locks of this process. */
const held = new Set<string>();

/** Takes the folder for this process. Returns what gives it back. Throws CriaError `training.locked` where another run is at work. */
export async function lockRun(folder: string, tell: (message: string) => void): Promise<() => void> {
  makeFolder(folder);
  const path = join(folder, LOCK);
  const own: Owner = {
    pid: process.pid,
    host: hostname(),
    process: identity(process.pid),
    since: new Date().toISOString(),
  };
  for (let waited = 0; ; ) {
    if (tryCreate(path, `${JSON.stringify(own)}\n`)) break;
    const text = read(path);
    if (text === null) continue;
    const owner = parse(text);
    if (owner === null && waited < WRITING_MS) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      waited += 50;
      continue;
    }
    if (owner !== null && isAtWork(owner, path)) {
      const who = `process ${owner.pid} on ${owner.host}, since ${owner.since}`;
      const advice =
        owner.host === own.host
          ? 'Wait for it, end it, or choose another folder with --out.'
          : `Choose another folder with --out; or, when that machine runs it no more, remove ${path}.`;
      throw new CriaError('training.locked', `${folder}: another run is at work here (${who}). ${advice}`);
    }
    if (takeAway(path, text)) tell(`${folder}: the process that ran here is gone; its lock is taken over`);
  }
  held.add(path);
  const unlock = () => {
    process.off('exit', unlock);
    if (held.delete(path)) rmSync(path, { force: true });
  };
  process.once('exit', unlock);
  return unlock;
}

function tryCreate(path: string, text: string): boolean {
  let file: number;
  try {
    file = openSync(path, 'wx');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  try {
    writeSync(file, text);
  } finally {
    closeSync(file);
  }
  return true;
}

/** Two starts may both find a lock without an owner: whoever moved away what he had read has it, the other puts it back. */
function takeAway(path: string, text: string): boolean {
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch {
    return false; // the other was faster
  }
  const isSame = read(aside) === text;
  if (!isSame && tryCreate(path, read(aside) ?? '')) {
    rmSync(aside, { force: true });
    return false;
  }
  rmSync(aside, { force: true });
  return isSame;
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

function parse(text: string): Owner | null {
  try {
    const owner = JSON.parse(text) as Owner | null;
    return Number.isInteger(owner?.pid) && typeof owner?.host === 'string' ? owner : null;
  } catch {
    return null;
  }
}

function isAtWork(owner: Owner, path: string): boolean {
  if (owner.host !== hostname()) return true; // nobody here can know
  if (owner.pid === process.pid) return held.has(path);
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return owner.process === null || owner.process === identity(owner.pid);
}

/** When a process began, and in which start of the machine: Linux alone says. Null, too, of one that ended and that nobody has asked for yet. */
function identity(pid: number): string | null {
  const stat = read(`/proc/${pid}/stat`);
  const boot = read('/proc/sys/kernel/random/boot_id');
  if (stat === null || boot === null) return null;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state] = fields;
  return state === 'Z' || state === 'X' ? null : `${boot.trim()} ${fields[19]}`;
}
