/** Hands for the corpus: worker threads that each take the next unit, or this thread alone. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { createEnvironment } from '../../../corpus/pipeline/environment.ts';
import { executeTask } from '../../../corpus/pipeline/execute.ts';
import type { CorpusHost, DoneRecord, Workforce } from '../../../corpus/pipeline/host.ts';
import type { Task } from '../../../corpus/pipeline/tasks.ts';
import type { Recipe } from '../../../corpus/recipe/recipe.ts';
import type { Folders } from './host.ts';

export type WorkerMessage =
  | { readonly ok: true; readonly record: DoneRecord }
  | { readonly ok: false; readonly error: unknown };

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
  const start = (): Worker => {
    const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js';
    const worker = new Worker(new URL(file, import.meta.url), { workerData: { recipe, folders } });
    workers.push(worker);
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
            onDone(task, await runOn(worker, task));
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

function runOn(worker: Worker, task: Task): Promise<DoneRecord> {
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void): void => {
      worker.off('message', onMessage);
      worker.off('error', onError);
      worker.off('exit', onExit);
      finish();
    };
    const onMessage = (message: WorkerMessage): void =>
      settle(() => (message.ok ? resolve(message.record) : reject(message.error)));
    const onError = (error: unknown): void => settle(() => reject(error));
    const onExit = (code: number): void =>
      settle(() => reject(new Error(`corpus worker ended with code ${code} during ${task.id}`)));
    worker.on('message', onMessage);
    worker.on('error', onError);
    worker.on('exit', onExit);
    worker.postMessage(task);
  });
}
