/** The `cria` command: real streams, signals and exit codes around src/cli/program.ts. */
import type { Io } from '../../cli/io.ts';
import { exitCodes, runProgram } from '../../cli/program.ts';
import { packageVersion } from './serve/version.ts';
import { takeWarnings } from './warnings.ts';

const SAME_KEY_MS = 500;

export async function main(words: readonly string[]): Promise<void> {
  let isHungUp = false;
  // A reader that has seen enough (`cria tokenize … | head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (isHungUp) return;
    if (error.code === 'EPIPE') process.exit(exitCodes.done);
    process.stderr.write(`cria: standard output: ${error.message}\n`, () => process.exit(exitCodes.failed));
  });
  // A log whose reader has gone, or whose disk is full, ends nothing.
  process.stderr.on('error', () => {});
  takeWarnings((message) => process.stderr.write(`cria: ${message}\n`));

  const aborter = new AbortController();
  const handlers: (() => void)[] = [];
  let firstMs = 0;
  const end = () => {
    // npx hands on the signal that the terminal has sent to everybody: two at once are one.
    if (aborter.signal.aborted && performance.now() - firstMs > SAME_KEY_MS) process.exit(exitCodes.interrupted);
    if (!aborter.signal.aborted) firstMs = performance.now();
    aborter.abort();
  };
  process.on('SIGINT', () => (handlers.at(-1) ?? end)());
  process.on('SIGTERM', end);
  // Its window was closed: what is kept at the end is kept. nohup gives a standard input that is no terminal, and means to go on.
  if (process.stdin.isTTY) {
    process.on('SIGHUP', () => {
      isHungUp = true;
      end();
    });
  }

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
  const code = await runProgram(words, io, packageVersion());
  // Written text is on its way in pipes; exit when it has arrived.
  await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write('', done))));
  process.exit(code);
}
