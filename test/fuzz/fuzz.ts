/**
 * Mutates valid files and lets the readers read them: `npm run fuzz -- gguf --seconds 60`. Each mutant must be read, or refused by one of our
 * errors, within a second of work; anything else is a finding, told by its number: `npm run fuzz -- gguf --only 12345` runs that mutant alone.
 * Without a name all targets take turns. The reading happens in a worker, so that one that never ends is found, too.
 */

import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { allowed } from './allowed.ts';
import { mutant } from './mutate.ts';
import { type Target, targets } from './targets.ts';

const SLOW_MS = 1000;
/** Of processor time, so that a machine that has more to do, or a run that was stopped for a while, is no finding. */
const HANG_MS = 60_000;
const MOST_FINDINGS = 20;
/** Resident memory that a worker may reach: more means that some mutant asked for a giant allocation, or that something leaks. */
const MOST_BYTES = 2 ** 31;

interface Task {
  readonly name: string;
  readonly first: number;
  readonly until: number;
  readonly seconds: number;
  /** [0]: how many were read before the one that is being read; [1]: how many were refused. */
  readonly progress: Int32Array;
}

interface Finding {
  readonly number: number;
  readonly problem: string;
}

async function work({ name, first, until, seconds, progress }: Task): Promise<void> {
  const target = targets.find((one) => one.name === name)!;
  const corpus = { seeds: target.seeds(), words: target.words.map((word) => new TextEncoder().encode(word)) };
  const end = performance.now() + seconds * 1000;
  let number = first;
  // Most mutants end in an error, and its stack costs more than the reading; --only, which runs a mutant alone, shows it.
  if (until - first > 1) Error.stackTraceLimit = 0;
  for (; number < until; number++) {
    if ((number & 63) === 0 && performance.now() >= end) break;
    Atomics.store(progress, 0, number - first);
    const data = mutant(corpus, number);
    const begin = performance.now();
    const outcome = errorOf(target, data);
    const error = outcome instanceof Promise ? await outcome : outcome;
    if (error !== undefined) {
      Atomics.add(progress, 1, 1);
      if (!allowed(error, target.name))
        tell({
          number,
          problem: String((error as Error)?.stack ?? error)
            .split('\n')
            .slice(0, 4)
            .join(' | '),
        });
    }
    // The clock is cheap to read, but counts what else the machine does: who is late by it is asked again for its own time.
    if (performance.now() - begin > SLOW_MS) {
      const before = process.threadCpuUsage();
      await errorOf(target, mutant(corpus, number));
      const { user, system } = process.threadCpuUsage(before);
      const ms = (user + system) / 1000;
      if (ms > SLOW_MS) tell({ number, problem: `took ${Math.round(ms)} ms for ${data.length} bytes` });
    }
    if ((number & 1023) === 0 && process.memoryUsage().rss > MOST_BYTES) {
      tell({ number, problem: `memory has grown to ${process.memoryUsage().rss} bytes` });
      break;
    }
  }
  parentPort!.postMessage({ done: number - first });
}

/** What the reader threw; undefined: nothing. A promise only where the reader reads in steps, as waiting costs as much as a small reading. */
function errorOf(target: Target, data: Uint8Array): unknown {
  try {
    return target.run(data)?.then(
      () => undefined,
      (error: unknown) => error ?? null,
    );
  } catch (error) {
    return error ?? null;
  }
}

function tell(finding: Finding): void {
  parentPort!.postMessage(finding);
}

/** Runs one target; how many mutants were read, how many refused, and what was found. */
function fuzz(
  target: Target,
  first: number,
  until: number,
  seconds: number,
): Promise<{ count: number; refused: number; findings: Finding[] }> {
  const progress = new Int32Array(new SharedArrayBuffer(8));
  const findings: Finding[] = [];
  return new Promise((resolve) => {
    const task: Task = { name: target.name, first, until, seconds, progress };
    const worker = new Worker(new URL(import.meta.url), {
      workerData: task,
      resourceLimits: { maxOldGenerationSizeMb: 2048 },
    });
    const ownMs = () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    };
    const current = () => first + Atomics.load(progress, 0);
    let [last, since] = [-1, ownMs()];
    let isFinished = false;
    const finish = (count: number) => {
      if (isFinished) return;
      isFinished = true;
      clearInterval(watch);
      void worker.terminate();
      resolve({ count, refused: Atomics.load(progress, 1), findings });
    };
    const watch = setInterval(() => {
      const number = current();
      if (number !== last) [last, since] = [number, ownMs()];
      else if (ownMs() - since > HANG_MS) {
        findings.push({ number, problem: `no end after ${HANG_MS} ms` });
        finish(number - first);
      }
    }, 500);
    worker.on('message', (message: Finding | { readonly done: number }) => {
      if ('done' in message) finish(message.done);
      else if (findings.push(message) >= MOST_FINDINGS) finish(Atomics.load(progress, 0));
    });
    worker.on('error', (error) => {
      findings.push({ number: current(), problem: `the worker ended: ${(error as Error).message}` });
      finish(Atomics.load(progress, 0));
    });
    // A worker with nothing left to do but wait for a promise that nobody keeps.
    worker.on('exit', () => {
      if (isFinished) return;
      findings.push({ number: current(), problem: 'reading never ended, and nothing is left that could end it' });
      finish(Atomics.load(progress, 0));
    });
  });
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: '1' },
      only: { type: 'string' },
    },
  });
  const unknown = positionals.filter((name) => !targets.some((target) => target.name === name));
  if (unknown.length > 0) {
    console.error(`fuzz: ${unknown.join(', ')}: expected one of ${targets.map(({ name }) => name).join(', ')}`);
    return 2;
  }
  const chosen = positionals.length === 0 ? targets : targets.filter(({ name }) => positionals.includes(name));
  let [total, problems] = [0, 0];
  for (const target of chosen) {
    if (target.seeds().length === 0) {
      console.log(`${target.name}: skipped, its seed files are not here`);
      continue;
    }
    const first = values.only === undefined ? Number(values.seed) * 2 ** 24 : Number(values.only);
    const until = values.only === undefined ? first + 2 ** 30 : first + 1;
    const { count, refused, findings } = await fuzz(target, first, until, Number(values.seconds));
    total += count;
    problems += findings.length;
    console.log(`${target.name}: ${count} mutants, ${refused} refused, ${findings.length} findings (${target.what})`);
    for (const { number, problem } of findings) console.log(`  mutant ${number}: ${problem}`);
  }
  console.log(`${total} mutants in all, ${problems} findings`);
  return problems === 0 ? 0 : 1;
}

if (isMainThread) process.exit(await main());
else await work(workerData as Task);
