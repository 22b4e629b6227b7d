/** Hands for the corpus: worker threads that each take the next unit, or this thread alone. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { CriaError } from '../../../base/errors.ts';
import type { NgramParts } from '../../../corpus/ngram/file.ts';
import { createEnvironment, loadNgramParts } from '../../../corpus/pipeline/environment.ts';
import { executeTask } from '../../../corpus/pipeline/execute.ts';
import type { CorpusHost, DoneRecord, Workforce } from '../../../corpus/pipeline/host.ts';
import type { Task } from '../../../corpus/pipeline/task.ts';
import type { Recipe } from '../../../corpus/recipe/recipe.ts';
import { modelsOf } from '../../../corpus/stages/table.ts';
import { createCorpusHost, type Folders } from './host.ts';

/** A task, and the n-gram models that this worker has not been given yet. */
export interface WorkerRequest {
  readonly task: Task;
  readonly models: readonly (readonly [name: string, parts: NgramParts])[];
}

export type WorkerMessage =
  | { readonly ok: true; readonly record: DoneRecord }
  /** Errors lose their class and fields between threads; a code says that it is the input's fault, `system` that it is the machine's. */
  | {
      readonly ok: false;
      readonly code: string | undefined;
      readonly system: { readonly code: string; readonly syscall: string; readonly path?: string } | undefined;
      readonly error: unknown;
    };

export interface ClosableWorkforce extends Workforce {
  close(): Promise<void>;
}

export function defaultWorkerCount(): number {
  return availableParallelism();
}

/** Everything on this thread. */
export function soloWorkforce(recipe: Recipe, host: CorpusHost): ClosableWorkforce {
  const environment = createEnvironment(recipe, host);
  return {
    async run(tasks, onDone) {
      for (const task of tasks) onDone(task, await executeTask(task, { recipe, host, environment }));
    },
    close: async () => {},
  };
}

/** `count` worker threads, started when there is work for them and kept between phases so that models are loaded once. */
export function threadWorkforce(
  recipe: Recipe,
  folders: Folders,
  count: number,
  signal?: AbortSignal,
): ClosableWorkforce {
  const workers: Worker[] = [];
  const host = createCorpusHost(folders);
  /** Language models are the largest things that workers need: they are loaded once, into memory that all see. */
  const models = new Map<string, NgramParts>();
  const given = new Map<Worker, Set<string>>();
  const modelsFor = (task: Task, worker: Worker): WorkerRequest['models'] => {
    const known = given.get(worker)!;
    const wanted = ngramModelsOf(task, recipe).filter((name) => !known.has(name));
    return wanted.map((name) => {
      let parts = models.get(name);
      if (!parts) models.set(name, (parts = loadNgramParts(name, host, (bytes) => new SharedArrayBuffer(bytes))));
      known.add(name);
      return [name, parts] as const;
    });
  };
  const start = (): Worker => {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: { recipe, folders } });
    workers.push(worker);
    given.set(worker, new Set());
    return worker;
  };
  return {
    async run(tasks, onDone) {
      let next = 0;
      let failed = false;
      const work = async (worker: Worker): Promise<void> => {
        while (next < tasks.length && !failed && !signal?.aborted) {
          const task = tasks[next++]!;
          try {
            onDone(task, await runOn(worker, { task, models: modelsFor(task, worker) }));
          } catch (error) {
            failed = true;
            throw error;
          }
        }
      };
      while (workers.length < Math.min(count, tasks.length)) start();
      // A unit that is stopped half-way leaves nothing behind that counts; there is no need to wait for it.
      const stop = (): void => void Promise.all(workers.map((worker) => worker.terminate()));
      signal?.addEventListener('abort', stop, { once: true });
      const results = await Promise.allSettled(workers.map(work));
      signal?.removeEventListener('abort', stop);
      if (signal?.aborted) return;
      const failure = results.find((result) => result.status === 'rejected');
      if (failure) throw failure.reason;
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

function asThrown({ code, system, error }: Extract<WorkerMessage, { ok: false }>): unknown {
  if (system) return Object.assign(error as Error, system);
  return code === undefined ? error : new CriaError(code, (error as Error).message);
}

/** The language models that a task's stages score with. */
function ngramModelsOf(task: Task, recipe: Recipe): string[] {
  if (task.kind !== 'process' && task.kind !== 'collect') return [];
  const { stages } = recipe.sources[task.unit.source]!;
  const used = task.kind === 'collect' ? stages.slice(0, task.stage) : stages;
  return used.filter(({ name }) => name === 'perplexity').flatMap(modelsOf);
}

function runOn(worker: Worker, request: WorkerRequest): Promise<DoneRecord> {
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void): void => {
      worker.off('message', onMessage);
      worker.off('error', onError);
      worker.off('exit', onExit);
      finish();
    };
    const onMessage = (message: WorkerMessage): void =>
      settle(() => (message.ok ? resolve(message.record) : reject(asThrown(message))));
    const onError = (error: unknown): void => settle(() => reject(error));
    const onExit = (code: number): void =>
      settle(() => reject(new Error(`corpus worker ended with code ${code} during ${request.task.id}`)));
    worker.on('message', onMessage);
    worker.on('error', onError);
    worker.on('exit', onExit);
    worker.postMessage(request);
  });
}
