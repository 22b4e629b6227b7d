/** The command line as a function: words in, exit code out. main.ts gives it the real streams, tests their own. */
import { ConfigError, CriaError, UsageError } from '../base/errors.ts';
import { isSystemError, systemErrorInWords } from '../base/system-error.ts';
import type { Command } from './command.ts';
import { commandHelp, overview } from './help.ts';
import { type Io, writeLine } from './io.ts';
import { didYouMean } from './parse/did-you-mean.ts';
import { parse } from './parse/parse.ts';
import { verbs } from './verbs.ts';

export const exitCodes = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

export async function runProgram(words: readonly string[], io: Io, version: string): Promise<number> {
  const [first] = words;
  const width = Math.min(100, io.stdout.columns ?? 80);
  if (first === undefined || first === '--help' || first === '-h' || (first === 'help' && words.length === 1)) {
    writeLine(io.stdout, overview(width));
    return exitCodes.done;
  }
  if (first === '--version' || first === '-v') {
    writeLine(io.stdout, version);
    return exitCodes.done;
  }
  if (first === 'help') return runProgram([...words.slice(1), '--help'], io, version);

  const verb = findVerb(words);
  if (verb === null) {
    writeLine(io.stderr, `cria: ${unknownVerb(words)}`);
    writeLine(io.stderr, 'Run `cria --help` for the list.');
    return exitCodes.usage;
  }
  try {
    const { command } = await verbs[verb]!.load();
    return await runCommand(verb, command, words.slice(verb.split(' ').length), io, width);
  } catch (error) {
    return report(`cria ${verb}`, error, io);
  }
}

async function runCommand(
  verb: string,
  command: Command,
  words: readonly string[],
  io: Io,
  width: number,
): Promise<number> {
  const { options, problems, remarks, help } = parse(command, words, io.env);
  if (help) {
    writeLine(io.stdout, commandHelp(verb, command, width));
    return exitCodes.done;
  }
  if (problems.length > 0) throw new UsageError(problems);
  for (const remark of remarks) writeLine(io.stderr, `cria ${verb}: ${remark}`);
  await command.run(options, io);
  return io.signal.aborted && !command.endsByInterrupt ? exitCodes.interrupted : exitCodes.done;
}

/** The longest verb that the words start with: `tokenizer train` before `tokenizer`. */
function findVerb([first = '', second = '']: readonly string[]): string | null {
  const both = `${first} ${second}`;
  if (Object.hasOwn(verbs, both)) return both;
  return Object.hasOwn(verbs, first) ? first : null;
}

function unknownVerb([first = '', second]: readonly string[]): string {
  const family = Object.keys(verbs).filter((name) => name.startsWith(`${first} `));
  if (family.length > 0) {
    const asked = second === undefined || second.startsWith('-') ? '' : `"${first} ${second}" is not a verb; `;
    return `${asked}\`${first}\` is one of ${family.map((name) => `\`${name}\``).join(', ')}`;
  }
  if (first.startsWith('-'))
    return `${first} is not an option of cria itself: the verb comes first, as in \`cria run ${first} …\``;
  return `"${first}" is not a verb${didYouMean(first, Object.keys(verbs))}`;
}

/** One message for a person, on stderr; the stack only with CRIA_DEBUG. Returns the exit code. */
function report(who: string, error: unknown, io: Io): number {
  if (io.signal.aborted && isAbort(error)) return exitCodes.interrupted;
  if (io.env.CRIA_DEBUG && error instanceof Error) writeLine(io.stderr, error.stack ?? error.message);
  if (error instanceof UsageError) {
    for (const problem of error.problems) writeLine(io.stderr, `${who}: ${problem}`);
    writeLine(io.stderr, `Run \`${who} --help\` for its options.`);
    return exitCodes.usage;
  }
  if (error instanceof CriaError || error instanceof ConfigError) writeLine(io.stderr, `${who}: ${error.message}`);
  else if (isSystemError(error)) writeLine(io.stderr, `${who}: ${systemErrorInWords(error)}`);
  else {
    const words = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    writeLine(io.stderr, `${who}: ${words}`);
    if (!io.env.CRIA_DEBUG)
      writeLine(io.stderr, 'This is a mistake in Cria itself. CRIA_DEBUG=1 shows where it happened.');
  }
  return exitCodes.failed;
}

export function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || ('code' in error && error.code === 'ABORT_ERR'));
}
