import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { ThreadHost, WorkerMessage } from '../../devices/wasm/team.ts';

/** Threads of the wasm device as worker_threads. They do not keep the process alive. */
export const nodeThreads: ThreadHost = {
  async spawn({ blas }) {
    const worker = new Worker(new URL('./thread-worker.ts', import.meta.url), {
      name: 'cria kernels',
      workerData: { blas },
    });
    await once(worker, 'message');
    worker.unref();
    return {
      post: (message: WorkerMessage) => worker.postMessage(message),
      close: () => void worker.terminate(),
    };
  },
  pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

/** The default number of threads: what the system lets this process use. */
export function defaultThreads(): number {
  return availableParallelism();
}
