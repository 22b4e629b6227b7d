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
const MOST_VERDICTS = 2048;
/** Of the digest, in hexadecimal. */
const KEY_CHARACTERS = 32;

/**
 * Self-tests that were passed. A key is the digest of the code that was tried and of all that may compile or run it otherwise; code that
 * failed is tried again each time.
 */
export class Verdicts {
  private readonly file: string;
  private readonly machine = createHash('sha256').update(
    [process.version, process.versions.v8, hostname(), cpus()[0]?.model ?? '', ...cpuFlags()].join(' '),
  );
  private known: ReadonlySet<string> | null = null;

  constructor(env: Environment = process.env) {
    this.file = rememberedFile(env, VERDICTS);
  }

  /** `parts`: the code, and what else the results depend on. */
  keyOf(...parts: readonly (string | Uint8Array)[]): string {
    const hash = this.machine.copy();
    for (const part of parts) hash.update(`|${part.length}|`).update(part);
    return hash.digest('hex').slice(0, KEY_CHARACTERS);
  }

  hasPassed(key: string): boolean {
    this.known ??= new Set(this.passed());
    return this.known.has(key);
  }

  pass(...keys: readonly string[]): void {
    const others = this.passed().filter((each) => !keys.includes(each));
    const all = [...keys, ...others].slice(0, MOST_VERDICTS);
    this.known = new Set(all);
    remember(this.file, { passed: all });
  }

  private passed(): readonly string[] {
    const found = recall(this.file) as { passed?: unknown } | null;
    return Array.isArray(found?.passed) ? found.passed : [];
  }
}
