/** The `cria` command: real streams, signals and exit codes around src/cli/program.ts. */
import { readFileSync } from 'node:fs';
import type { Io } from '../../cli/io.ts';
import { exitCodes, runProgram } from '../../cli/program.ts';

export async function main(words: readonly string[]): Promise<void> {
  // A reader that has seen enough (`cria tokenize … | head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

  const aborter = new AbortController();
  const handlers: (() => void)[] = [];
  const end = () => {
    if (aborter.signal.aborted) process.exit(exitCodes.interrupted);
    aborter.abort();
  };
  process.on('SIGINT', () => (handlers.at(-1) ?? end)());
  process.on('SIGTERM', end);

  const io: Io = {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    env: process.env,
    signal: aborter.signal,
    onInterrupt(handler) {
      handlers.push(handler);
      return () => void handlers.splice(handlers.lastIndexOf(handler), 1);
    },
  };
  const code = await runProgram(words, io, version());
  // Written text is on its way in pipes; exit when it has arrived.
  await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write('', done))));
  process.exit(code);
}

function version(): string {
  // src/platform/node and dist/platform/node lie equally deep.
  const file = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
