/**
 * What compare and an adapter say to each other, as JSON lines: the adapter's first line is `Ready`, then every `Round` on its standard
 * input is answered by one `Timed`. The model stays loaded between rounds, so that rounds of several engines can alternate.
 */
import { createInterface } from 'node:readline';

export interface Ready {
  readonly name: string;
  /** Versions that matter, e.g. the package's and llama.cpp's. */
  readonly versions: Readonly<Record<string, string>>;
  readonly loadSeconds: number;
}

/** Read a prompt of so many tokens, or generate so many after `depth` others; one of the two is 0. */
export interface Round {
  readonly prompt: number;
  readonly generate: number;
  readonly depth: number;
}

export interface Timed {
  readonly seconds: number;
}

/** What an adapter is started with: MODEL THREADS LONGEST-SEQUENCE. */
export function readArguments(): { model: string; threads: number; context: number } {
  const [model = '', threads = '1', context = '1024'] = process.argv.slice(2);
  return { model, threads: Number(threads), context: Number(context) };
}

/** Serves rounds until standard input ends. */
export async function serve(ready: Ready, run: (round: Round) => Promise<number>): Promise<void> {
  process.stdout.write(`${JSON.stringify(ready)}\n`);
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify({ seconds: await run(JSON.parse(line) as Round) })}\n`);
  }
}
