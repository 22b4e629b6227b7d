import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { ThreadHost, ThreadOptions } from '../../devices/wasm/team.ts';
import type { WorkerMessage } from '../../devices/wasm/worker.ts';
import { threadProblem } from '../threads-or-one.ts';

/** Threads of the wasm device as worker_threads. They do not keep the process alive. */
export const nodeThreads: ThreadHost = {
  async spawn(options) {
    const worker = start(options);
    await new Promise<void>((resolve, reject) => {
      worker.once('message', () => resolve());
      worker.once('error', (error) => reject(threadProblem(error instanceof Error ? error.message : String(error))));
      worker.once('exit', (code) => reject(threadProblem(`it ended with exit code ${code}`)));
    });
    worker.unref();
    return {
      post: (message: WorkerMessage) => worker.postMessage(message),
      close: () => void worker.terminate(),
    };
  },
  pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

function start(workerData: ThreadOptions): Worker {
  try {
    return new Worker(new URL('./thread-worker.ts', import.meta.url), { name: 'cria kernels', workerData });
  } catch (error) {
    throw threadProblem(String(error));
  }
}

/** The default number of threads: what the system lets this process use. */
export function defaultThreads(): number {
  return availableParallelism();
}
