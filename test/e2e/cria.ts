/** The command line under test: as a process of its own, or, much faster, as the function behind it. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runProgram } from '../../src/cli/program.ts';

export const binary = fileURLToPath(new URL('../../bin/cria.js', import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly input?: string;
  readonly env?: Record<string, string>;
}

/** Runs a command line in this process; its streams are no terminals. */
export async function cria(words: readonly string[], { input = '', env = {} }: RunOptions = {}): Promise<Outcome> {
  const written = { stdout: '', stderr: '' };
  const into = (stream: 'stdout' | 'stderr') => ({
    write(text: string) {
      written[stream] += text;
    },
  });
  const stdin = Readable.from(input === '' ? [] : [input]) as unknown as NodeJS.ReadStream;
  const signal = new AbortController().signal;
  const io = { stdout: into('stdout'), stderr: into('stderr'), stdin, env, signal, onInterrupt: () => () => {} };
  const code = await runProgram(words, io, '0.0.0');
  return { code, ...written };
}

/** Runs bin/cria.js as a user would. As soon as something is on stdout, `onOutput` hears it, and then `signal` is sent. */
export function spawnCria(
  words: readonly string[],
  options: RunOptions & {
    readonly cwd?: string;
    readonly signal?: NodeJS.Signals;
    readonly onOutput?: (text: string) => void;
  } = {},
): Promise<Outcome> {
  const { input = '', env = {}, cwd, signal, onOutput = () => {} } = options;
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('CRIA_') && name !== 'FORCE_COLOR');
  const child = spawn(process.execPath, [binary, ...words], { env: { ...Object.fromEntries(own), ...env }, cwd });
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (signal && stdout === '') {
        try {
          onOutput(text);
        } catch (error) {
          reject(error);
        }
        child.kill(signal);
      }
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
    child.stdin.on('error', () => {}); // a command that does not read
    child.stdin.end(input);
  });
}

/** A folder that is gone when the tests are done. */
export function temporaryFolder(): (file: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'cria-e2e-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return (file) => join(folder, file);
}
