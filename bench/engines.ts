/** The engines that compare knows: how each is installed and started. */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Ready, Round, Timed } from './adapters/protocol.ts';

const here = fileURLToPath(new URL('.', import.meta.url));

/** npm packages of the peers, installed under bench/peers; the others are Cria itself. */
const packages: Readonly<Record<string, string>> = { 'node-llama-cpp': 'node-llama-cpp', wllama: '@wllama/wllama' };

interface Start {
  readonly model: string;
  readonly threads: number;
  readonly context: number;
  readonly criaArguments?: object;
}

export interface Engine {
  readonly ready: Ready;
  readonly pid: number;
  run(round: Round): Promise<Timed>;
  close(): Promise<void>;
}

export async function startEngine(
  name: string,
  { model, threads, context, criaArguments = {} }: Start,
): Promise<Engine> {
  const cwd = packages[name] === undefined ? here : installPeer(name);
  const words = [`${here}adapters/${name}.ts`, resolve(model), String(threads), String(context)];
  const env = { ...process.env, CRIA_ARGS: JSON.stringify(criaArguments) };
  const child = spawn(process.execPath, words, {
    cwd,
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  }) as unknown as ChildProcessWithoutNullStreams;
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const read = async <T>(): Promise<T> => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done) throw new Error(`${name} ended before it answered`);
      if (value.startsWith('{')) return JSON.parse(value) as T; // libraries chat on stdout too
    }
  };
  const ready = await read<Ready>();
  return {
    ready,
    pid: child.pid!,
    run: (round) => {
      child.stdin.write(`${JSON.stringify(round)}\n`);
      return read<Timed>();
    },
    close: () =>
      new Promise((done) => {
        child.on('close', () => done());
        child.stdin.end();
      }),
  };
}

/** On first use. llama.cpp's prebuilt binary comes inside its npm packages; nothing else is downloaded. */
export function installPeer(name: string): string {
  const packageName = packages[name]!;
  const folder = `${here}peers/${name}/`;
  if (existsSync(`${folder}node_modules/${packageName}`)) return folder;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}package.json`, '{ "private": true }\n');
  console.error(`installing ${packageName} in bench/peers/${name}`);
  const env = { ...process.env, NODE_LLAMA_CPP_SKIP_DOWNLOAD: '1' };
  execFileSync('npm', ['install', '--no-audit', '--no-fund', packageName], {
    cwd: folder,
    env,
    stdio: ['ignore', 2, 2],
  });
  return folder;
}
