/**
 * What a command sees of the world: its streams, the environment and the Ctrl-C key. main.ts makes the real one, tests make their own.
 */
import { addAbortSignal } from 'node:stream';
import { harmless, harmlessJson } from '../base/harmless.ts';

export interface Io {
  /** Results, and nothing else. */
  readonly stdout: Output;
  /** Progress, remarks and errors. */
  readonly stderr: Output;
  readonly stdin: NodeJS.ReadStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by the first Ctrl-C, unless the command handles Ctrl-C itself; a second one ends the process. */
  readonly signal: AbortSignal;
  /** From now on Ctrl-C calls `handler` (chat: stop the answer, not the program). Returns the way back. */
  onInterrupt(handler: () => void): () => void;
}

export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** A line for people, or several: what came from files and could steer a terminal is shown as escapes. */
export function writeLine(output: Output, text = ''): void {
  output.write(`${harmless(text)}\n`);
}

/** A text that is the result itself, a model's or a tokenizer's: exact for programs, harmless for a terminal. */
export function writeResult(output: Output, text: string): void {
  output.write(output.isTTY === true ? harmless(text) : text);
}

/** What a user should hear of the files, on stderr, a line each. */
export function sayRemarks(remarks: readonly string[], { stderr }: Pick<Io, 'stderr'>): void {
  for (const remark of remarks) writeLine(stderr, `cria: ${remark}`);
}

/** With --parse-special a text may bring the beginning token that is put in front anyway. */
export function warnOfTwoBos(ids: ArrayLike<number>, bosId: number | null, io: Pick<Io, 'stderr'>): void {
  if (bosId === null || ids[0] !== bosId || ids[1] !== bosId) return;
  writeLine(
    io.stderr,
    `cria: the text begins with the beginning token (${bosId}), which is put in front anyway: now there are two. Leave it out of the text`,
  );
}

/** One JSON value per line. 64-bit integers beyond 2⁵³ become strings, typed arrays become arrays. */
export function writeJson(output: Output, value: unknown, indent?: number): void {
  const plain = (_key: string, part: unknown) => {
    if (typeof part === 'bigint') return part.toString();
    return ArrayBuffer.isView(part) ? Array.from(part as unknown as ArrayLike<unknown>) : part;
  };
  output.write(`${harmlessJson(JSON.stringify(value, plain, indent))}\n`);
}

/** All of standard input as text. Throws AbortError when Ctrl-C comes while it waits. */
export async function readAll({ stdin, signal }: Pick<Io, 'stdin' | 'signal'>): Promise<string> {
  const chunks: Uint8Array[] = [];
  const input = addAbortSignal(signal, stdin);
  for await (const chunk of input) chunks.push(typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk);
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.concat(chunks));
}
