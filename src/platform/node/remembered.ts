/** What was found out about this machine once and holds until something about it changes: small files in the user's cache folder. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { cpus, homedir, hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { cpuFlags } from './machine.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export function rememberedFile(env: Environment, name: string): string {
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'cria', name);
}

/** The file's content; null where there is none yet, or one that is damaged. */
export function recall(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return null;
  }
}

/** Where nothing can be written, it is found out again next time. */
export function remember(file: string, content: object): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    const temporary = `${file}.${process.pid}`;
    writeFileSync(temporary, `${JSON.stringify(content)}\n`);
    renameSync(temporary, file);
  } catch {}
}

const VERDICTS = 'kernels.json';
const MOST_VERDICTS = 64;

/**
 * Self-tests that were passed. A key is the digest of the code that was tried and of all that may compile or run it otherwise; code that
 * failed is tried again each time.
 */
export class Verdicts {
  private readonly file: string;

  constructor(env: Environment = process.env) {
    this.file = rememberedFile(env, VERDICTS);
  }

  /** `parts`: the code, and what else the results depend on. */
  keyOf(...parts: readonly (string | Uint8Array)[]): string {
    const machine = [process.version, process.versions.v8, hostname(), cpus()[0]?.model ?? '', ...cpuFlags()];
    const hash = createHash('sha256').update(machine.join(' '));
    for (const part of parts) hash.update(`|${part.length}|`).update(part);
    return hash.digest('hex');
  }

  hasPassed(key: string): boolean {
    return this.passed().includes(key);
  }

  pass(key: string): void {
    const others = this.passed().filter((each) => each !== key);
    remember(this.file, { passed: [key, ...others].slice(0, MOST_VERDICTS) });
  }

  private passed(): readonly string[] {
    const found = recall(this.file) as { passed?: unknown } | null;
    return Array.isArray(found?.passed) ? found.passed : [];
  }
}
