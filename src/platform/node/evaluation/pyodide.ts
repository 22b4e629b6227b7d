/** Programs of a model in the npm package pyodide, where it is installed: Python in WebAssembly, in workers. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { UnsupportedError } from '../../../base/errors.ts';
import { cachedRunner, type ProgramRunner } from './runner.ts';

const SECONDS = 3;
const MEMORY_MIB = 1024;
const PAGES_PER_MIB = 16;
/** Loading takes a second or two, and on a busy machine more. */
const LOADING_SECONDS = 180;

/** The package's module, from this package's place or from the folder that the user works in; null: it is not installed. */
function findPyodide(): string | null {
  for (const from of [import.meta.url, pathToFileURL(join(process.cwd(), 'package.json')).href]) {
    try {
      const module = join(dirname(createRequire(from).resolve('pyodide/package.json')), 'pyodide.mjs');
      if (existsSync(module)) return pathToFileURL(module).href;
    } catch {
      // not installed there
    }
  }
  return null;
}

/** A worker with Python in it, and another one after a program that did not end. */
class Seat {
  private readonly module: string;
  private readonly seconds: number;
  private worker: Promise<Worker> | null = null;

  constructor(module: string, seconds: number) {
    this.module = module;
    this.seconds = seconds;
  }

  async run(program: string): Promise<boolean> {
    this.worker ??= this.start();
    const worker = await this.worker;
    const outcome = await answerOf(worker, this.seconds, () => worker.postMessage(program));
    if (typeof outcome === 'boolean') return outcome;
    this.worker = null;
    await worker.terminate();
    return false;
  }

  /** Throws UnsupportedError `eval.pyodide`: that Python does not start says nothing about a program. */
  private async start(): Promise<Worker> {
    const worker = new Worker(new URL('./pyodide-worker.ts', import.meta.url), {
      workerData: { module: this.module, memoryPages: MEMORY_MIB * PAGES_PER_MIB },
      env: {},
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: 512 },
    });
    worker.unref();
    const outcome = await answerOf(worker, LOADING_SECONDS, () => {});
    if (outcome === 'ready') return worker;
    await worker.terminate();
    throw new UnsupportedError(
      'eval.pyodide',
      `--execute: expected pyodide to start within ${LOADING_SECONDS} s, found ${outcome instanceof Error ? outcome.message : 'nothing'}. Is the package whole?`,
    );
  }
}

/** A worker's next message; an error, or undefined, where it ends or takes too long. */
function answerOf(worker: Worker, seconds: number, ask: () => void): Promise<unknown> {
  return new Promise((resolve) => {
    const end = (outcome: unknown) => {
      clearTimeout(timer);
      worker.off('message', end);
      worker.off('error', end);
      worker.off('exit', ended);
      resolve(outcome);
    };
    const ended = () => end(undefined);
    const timer = setTimeout(ended, seconds * 1000);
    worker.on('message', end);
    worker.on('error', end);
    worker.on('exit', ended);
    ask();
  });
}

/** null: pyodide is not installed. */
export function createPyodideRunner({ seconds = SECONDS }: { readonly seconds?: number } = {}): ProgramRunner | null {
  const module = findPyodide();
  if (module === null) return null;
  const seats: Seat[] = [];
  const runOne = async (program: string) => {
    const seat = seats.pop() ?? new Seat(module, seconds);
    const passed = await seat.run(program);
    seats.push(seat);
    return passed;
  };
  const description = `pyodide (Python in WebAssembly) in a worker (${seconds} s, ${MEMORY_MIB} MiB; no files, no network)`;
  return cachedRunner(description, runOne, Math.max(1, availableParallelism() >> 1));
}
