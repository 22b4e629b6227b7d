import type { ThreadHost } from '../../devices/wasm/team.ts';
import type { WorkerMessage } from '../../devices/wasm/worker.ts';
import { threadProblem } from '../threads-or-one.ts';

/** Threads of the wasm device as Web Workers. The address is spelled so that bundlers see and bundle the worker. */
export const browserThreads: ThreadHost = {
  async spawn() {
    const worker = start();
    await new Promise<void>((resolve, reject) => {
      worker.onmessage = () => resolve();
      worker.onerror = (event) => {
        worker.terminate();
        reject(threadProblem(event.message || 'its script could not be loaded'));
      };
    });
    return {
      post: (message: WorkerMessage) => worker.postMessage(message),
      close: () => worker.terminate(),
    };
  },
  pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

function start(): Worker {
  try {
    return new Worker(new URL('./thread-worker.ts', import.meta.url), { type: 'module', name: 'cria-kernels' });
  } catch (error) {
    throw threadProblem(String(error)); // a page's policy
  }
}

/** Whether this page may share memory among threads. */
export function canShareMemory(): boolean {
  return typeof SharedArrayBuffer !== 'undefined' && globalThis.crossOriginIsolated === true;
}
